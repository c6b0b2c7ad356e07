// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {ISanctionsList} from "../../interfaces/ISanctionsList.sol";
import {ISharedLock} from "../../interfaces/ISharedLock.sol";
import {IStakedTranche} from "../../interfaces/IStakedTranche.sol";
import {Guarded} from "../Guarded.sol";
import {StakedTranche} from "./StakedTranche.sol";

/// @title The fund's ledger and its boundary to the token
/// @notice Every unit of capital is an entry here; what the token contract says is looked at only to measure a payment
/// while it comes in. A plain transfer to the fund therefore changes nothing.
/// @dev Slots are packed by what one `cover` touches: a claim on a compartment alone writes the market's slot and the
/// totals; one on the shared layers also the claimant's bucket.
abstract contract FundStorage is IInsuranceFund, Guarded {
    using SafeERC20 for IERC20;

    /// @dev Limits of a claimant, and its bucket: what has been drawn of `perWindow` and not drained yet, and when that
    /// was true. A claimant is registered if its window is not 0.
    struct Claimant {
        uint112 perClaim;
        uint104 perWindow;
        uint32 window;
        Bucket bucket;
    }

    struct Bucket {
        uint104 used;
        uint40 usedAt;
    }

    struct Market {
        MarketAccount account;
        uint112 compartmentCap;
        uint104 perWindow;
    }

    /// @dev `balance` is the compartment, layer 1; `used` and `usedAt` the market's bucket of shared draws.
    struct MarketAccount {
        uint112 balance;
        uint104 used;
        uint40 usedAt;
    }

    /// @dev `events` numbers the cover events; it is here because every event writes this slot.
    struct Totals {
        uint112 reserve;
        uint112 compartments;
        uint32 events;
    }

    /// @param shortSince when the reserve was first noted below its target; 0 while it is not
    struct ReserveTerms {
        uint112 target;
        uint32 refillTime;
        uint40 shortSince;
    }

    /// @param spot capital over target when it was last noted, WAD; it counts from then on
    /// @param lagged the ratio that terms follow, WAD
    /// @param surplusSince when the fund was first noted above its surplus ratio; 0 while it is not
    /// @param surplusEvents number of cover events at that time: another one stops the clock
    struct Solvency {
        uint64 spot;
        uint64 lagged;
        uint32 notedAt;
        uint32 surplusSince;
        uint32 surplusEvents;
        uint32 releasedAt;
    }

    /// @param receiptHash of `IInsuranceFund.Receipt`; 0 if the event is not on record
    struct Recovery {
        bytes32 receiptHash;
        uint256 recovered;
    }

    IERC20 internal immutable ASSET;
    /// @dev Layer 3: a ledger of its own beside this one, deployed by this constructor; its tokens are here.
    IStakedTranche internal immutable TRANCHE;

    mapping(address claimant => Claimant) internal _claimants;
    mapping(address claimant => mapping(uint256 market => Market)) internal _markets;
    Totals internal _totals;
    ReserveTerms internal _reserveTerms;
    /// @dev The operator's second slice.
    uint112 internal _backing;
    address internal _riskOracle;
    Solvency internal _solvency;
    mapping(uint256 eventId => Recovery) internal _recoveries;

    /// @dev The claimant that is being served, see `lockedOrNested`; a whole word, so that writing it reads nothing.
    uint256 internal transient _serving;

    constructor(IERC20 asset_, ISharedLock lock_, address authority_, ISanctionsList sanctions) {
        if (address(asset_).code.length == 0) revert UnsupportedAsset(address(asset_), "no code");
        try IERC20Metadata(address(asset_)).decimals() returns (uint8 decimals) {
            if (decimals < 6 || decimals > 18) revert UnsupportedAsset(address(asset_), "decimals");
        } catch {
            revert UnsupportedAsset(address(asset_), "decimals");
        }
        ASSET = asset_;
        TRANCHE = new StakedTranche(asset_, lock_, authority_, sanctions);
    }

    /// @notice For what a claimant calls, `cover` and `receiveIncome`: free lock, or a lock that another contract of the
    /// deployment holds.
    /// @dev Our engine calls in the middle of a liquidation, when the liquidator holds the shared lock; a foreign
    /// claimant calls out of the blue. In the first case the lock cannot be taken again, and need not be: only
    /// contracts of the deployment can hold it, none of the fund's state is half-written unless the fund itself is
    /// running, and that is what the conditions exclude: the holder is not the fund or its staked tranche (a call of ours
    /// is at work under our own lock) and `_serving` is not set (a call of ours is at work under somebody else's).
    /// Everything else of the fund refuses to run under any held lock.
    modifier lockedOrNested() {
        bool taken = _enter();
        _;
        _leave(taken);
    }

    function _enter() internal returns (bool taken) {
        if (_claimants[msg.sender].window == 0) revert NotClaimant(msg.sender);
        address holder = _lockHolder();
        if (holder == address(0)) {
            _callLock(ISharedLock.acquire.selector);
            taken = true;
        } else if (holder == address(this) || holder == address(TRANCHE) || _serving != 0) {
            revert ISharedLock.Locked(holder);
        }
        _serving = uint160(msg.sender);
    }

    function _leave(bool taken) internal {
        _serving = 0;
        if (taken) _callLock(ISharedLock.release.selector);
    }

    /// @dev Takes exactly `assets` from `from`, or reverts.
    function _pull(address from, uint256 assets) internal {
        if (assets == 0) revert ZeroAmount();
        uint256 before = ASSET.balanceOf(address(this));
        ASSET.safeTransferFrom(from, address(this), assets);
        uint256 afterwards = ASSET.balanceOf(address(this));
        uint256 received = afterwards > before ? afterwards - before : 0;
        if (received != assets) revert WrongAmountReceived(assets, received);
    }

    function _push(address to, uint256 assets) internal {
        ASSET.safeTransfer(to, assets);
    }

    function _toUint112(uint256 value) internal pure returns (uint112) {
        if (value > type(uint112).max) revert AboveMaximum(value, type(uint112).max);
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint112(value);
    }

    /// @inheritdoc IInsuranceFund
    function asset() external view returns (address) {
        return address(ASSET);
    }

    /// @inheritdoc IInsuranceFund
    function totalCapital() external view whenFree returns (uint256 assets) {
        return _totalCapital();
    }

    /// @dev Everything a deficit could be paid from. The tokens held are more by what belongs to others already: matured
    /// requests, income that still streams, donations.
    function _totalCapital() internal view returns (uint256 assets) {
        return uint256(_totals.reserve) + _totals.compartments + _backing + TRANCHE.slashable();
    }

    /// @inheritdoc IInsuranceFund
    function stakedTranche() external view returns (address) {
        return address(TRANCHE);
    }

    /// @inheritdoc IInsuranceFund
    function eventCount() external view whenFree returns (uint256) {
        return _totals.events;
    }
}
