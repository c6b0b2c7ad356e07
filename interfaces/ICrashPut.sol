// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IReinsurance} from "./IReinsurance.sol";

/// @title Put spreads on a market's index, fully collateralised by underwriters
/// @notice Amounts are in units of the fund's asset, prices WAD quote per base unit, times seconds.
interface ICrashPut is IReinsurance {
    /// @notice What a series promises and costs.
    /// @param claimant whose deficits it covers while it runs
    /// @param market of the claimant; also the oracle's number of the market whose index price counts
    /// @param strike at or above it the put is worth nothing
    /// @param floor at or below it the put is worth all of its collateral; below `strike`, 0 allowed
    /// @param startPrice lowest index price at which it may be activated, at least `strike`: underwriters do not find
    /// themselves in a put that the market has caught up with
    /// @param size the most collateral that may be written
    /// @param premiumRate premium for the whole life, 1e-6 of the collateral
    /// @param writeUntil end of the writing period
    /// @param expiry end of the cover
    struct Terms {
        address claimant;
        uint256 market;
        uint256 strike;
        uint256 floor;
        uint256 startPrice;
        uint256 size;
        uint256 premiumRate;
        uint256 writeUntil;
        uint256 expiry;
    }

    /// @notice None: no such series. Writing: collateral comes in. Waiting: it may be activated. Active: it pays. Expired:
    /// it waits for its settlement. Settled, Cancelled (not activated in time): underwriters may withdraw.
    enum State {
        None,
        Writing,
        Waiting,
        Active,
        Expired,
        Settled,
        Cancelled
    }

    /// @param notional base units (WAD) that the collateral stands for: collateral / (strike - floor)
    /// @param written collateral of all underwriters
    /// @param premium what the fund paid; 0 before activation
    /// @param paid what has gone to the fund of the collateral
    struct Status {
        State state;
        uint256 notional;
        uint256 written;
        uint256 premium;
        uint256 paid;
    }

    event SeriesOpened(uint256 indexed series, address indexed claimant, uint256 indexed market, Terms terms);
    event Written(uint256 indexed series, address indexed underwriter, uint256 assets);
    event Activated(uint256 indexed series, uint256 written, uint256 premium, uint256 indexPrice);
    /// @notice A deficit was covered out of the collateral.
    event PutPaid(uint256 indexed series, uint256 indexed eventId, uint256 assets, uint256 indexPrice);
    /// @notice Settled at `indexPrice` (0: there was none); `toFund` is the rest of the intrinsic value.
    event Settled(uint256 indexed series, uint256 indexPrice, uint256 toFund);
    event Delivered(uint256 assets);
    event Withdrawn(uint256 indexed series, address indexed underwriter, uint256 assets);

    error NotFund(address caller);
    error UnknownSeries(uint256 series);
    error InvalidTerms(string field);
    error UnsupportedFund(address fund);
    error UnsupportedOracle(address oracle);
    error ZeroAmount();
    /// @notice The asset delivered something else than what was asked (fee on transfer, rebasing).
    error WrongAmountReceived(uint256 expected, uint256 received);
    /// @notice The series is in another state than the call needs.
    error WrongState(uint256 series, State state);
    error AboveSize(uint256 requested, uint256 room);
    /// @notice The market already has as many running series as one event may ask.
    error TooManyActive(address claimant, uint256 market);
    error BelowStartPrice(uint256 indexPrice, uint256 startPrice);
    /// @notice There is no price of the validity needed, or none observed at or after `since`.
    error PriceNotUsable(uint256 market, uint256 since);
    error NothingToWithdraw(uint256 series, address underwriter);
    error NothingToDeliver();

    // ------------------------------------------------------------------ roles

    /// @notice Opens a series for writing.
    function open(Terms calldata terms) external returns (uint256 series);

    // ------------------------------------------------------------------ anybody

    /// @notice Adds collateral of the caller, at most what the series has room for. It stays until the series is settled
    /// or cancelled.
    function write(uint256 series, uint256 assets) external;

    /// @notice Starts the cover with the collateral written so far, once it is full or the writing period is over, and draws
    /// the premium from the fund's budget: floor(written * premiumRate / 1e6). Needs an index price of full validity.
    function activate(uint256 series) external;

    /// @notice Ends an expired series: at the index price of the moment of the call, observed at or after the expiry; on the
    /// first day it has to be of full validity. If none is usable three days after the expiry, it is worth nothing. The rest of the intrinsic value goes to the fund's reserve.
    function settle(uint256 series) external;

    /// @notice Sends to the fund's reserve what it could not take when a series was settled.
    function deliver() external;

    /// @notice Pays the caller's part of collateral left and premium:
    /// floor(position * (written - paid + premium) / written).
    function withdraw(uint256 series) external returns (uint256 assets);

    // ------------------------------------------------------------------ views

    /// @notice Whose reinsurer this is.
    function fund() external view returns (address);

    /// @notice Whose index prices count.
    function oracle() external view returns (address);

    /// @notice The fund's token.
    function asset() external view returns (address);

    /// @notice Number of series opened; they are numbered from 1.
    function seriesCount() external view returns (uint256);

    function termsOf(uint256 series) external view returns (Terms memory);

    function statusOf(uint256 series) external view returns (Status memory);

    /// @notice Value of the whole series at an index price: floor(written * (strike - max(price, floor)) / (strike - floor)).
    function intrinsicValue(uint256 series, uint256 indexPrice) external view returns (uint256 assets);

    /// @notice The series that one event may ask, at most `MAX_ACTIVE`; an expired one stays until it is settled.
    function activeSeries(address claimant, uint256 market) external view returns (uint256[] memory);

    /// @notice What an underwriter has written and not withdrawn, and what `withdraw` would pay now.
    function position(uint256 series, address underwriter) external view returns (uint256 written, uint256 withdrawable);

    /// @notice What is owed to the fund's reserve, see `deliver`.
    function owedToFund() external view returns (uint256 assets);
}
