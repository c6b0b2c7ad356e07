// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IInsuranceFund} from "./IInsuranceFund.sol";
import {IMarginEngineTypes} from "./IMarginEngineTypes.sol";
import {IPriceOracle} from "./IPriceOracle.sol";

/// @title Many views in one call, for keepers, dashboards and reports
/// @notice It holds nothing, decides nothing and has no rights: everything it says can be asked of the contracts one by
/// one, and is said by the same code. Amounts are WAD where a name does not say `assets` (units of the token).
interface ILens {
    /// @notice One account of a batch.
    /// @param ok false if the account could not be read; then `reason` is the revert data and the rest is zero
    /// @param liquidatable equity is below maintenance margin, or the account is bankrupt
    /// @param bankrupt only a close-out applies: equity is below what the liquidator counts as dust
    struct AccountReport {
        bytes32 account;
        bool ok;
        bool liquidatable;
        bool bankrupt;
        bytes reason;
        IMarginEngineTypes.AccountState state;
    }

    /// @notice The short form of the same.
    struct HealthReport {
        bool ok;
        int256 equity;
        uint256 initialMargin;
        uint256 maintenanceMargin;
    }

    /// @notice A market with all that is known of it.
    /// @param indexPrice the oracle's price as the engine would read it, WAD; 0 if it is not usable
    /// @param observedAt its time
    /// @param indexValidity how far it may be trusted
    /// @param basis A, K, epoch: the sides (long, short) as stored
    struct MarketReport {
        IMarginEngineTypes.MarketState state;
        uint256 indexPrice;
        uint256 observedAt;
        IPriceOracle.Validity indexValidity;
        uint256[2] basis;
        uint256[2] A;
        int256[2] K;
        uint256[2] epoch;
        bool riskPaused;
        IMarginEngineTypes.MarketParameters parameters;
        IMarginEngineTypes.LiquidationParameters liquidation;
    }

    /// @notice A market's part of the fund. All in units of the token but `pendingIncome` and `recordedDeficit`.
    /// @param marketRoom what the market may still draw of the shared layers in its window
    /// @param pendingIncome what the engine earned for the fund here and has not handed over, WAD
    /// @param recordedDeficit what nobody has paid yet, WAD
    struct CompartmentReport {
        uint256 assets;
        IInsuranceFund.MarketLimits limits;
        uint256 marketRoom;
        uint256 pendingIncome;
        uint256 recordedDeficit;
    }

    /// @notice An open bucket of the staked tranche: exits that are still slashable.
    struct BucketReport {
        uint256 id;
        uint256 assets;
        uint256 shares;
        uint256 maturity;
    }

    /// @notice Layer 3.
    /// @param price assets of `10 ** decimals` shares, rounded down
    struct TrancheReport {
        address tranche;
        uint8 decimals;
        uint256 series;
        uint256 totalAssets;
        uint256 totalShares;
        uint256 slashable;
        uint256 price;
        uint256 cap;
        uint256 cooldown;
        uint256 epochEnd;
        uint256 heldUntil;
        uint256 streamLeft;
        uint256 streamEnd;
        uint256 streamPerSecond;
        BucketReport[] buckets;
    }

    /// @notice The fund's balance sheet for the margin engine, units of the token unless said otherwise.
    /// @param tokens what the fund holds; `totalCapital` and what belongs to stakers already are inside
    /// @param reserveGap what the operator owes its reserve; since and until when, 0 if not noted
    /// @param claimantRoom what the engine may still draw of the shared layers in its window
    /// @param engineTokens what the engine holds
    /// @param recordedDeficit sum over the markets, WAD
    struct FundReport {
        uint256 blockNumber;
        uint256 timestamp;
        address asset;
        uint256 tokens;
        uint256 totalCapital;
        uint256 totalCompartments;
        uint256 reserve;
        uint256 reserveTarget;
        uint256 reserveGap;
        uint256 gapSince;
        uint256 gapDue;
        uint256 stakerSharePpm;
        uint256 events;
        IInsuranceFund.ClaimantLimits limits;
        uint256 claimantRoom;
        uint256 engineTokens;
        uint256 recordedDeficit;
        TrancheReport tranche;
        CompartmentReport[] compartments;
    }

    error NotAContract(address where);

    /// @notice The margin engine that is looked at.
    function engine() external view returns (address);

    /// @notice The insurance fund that is looked at.
    function fund() external view returns (address);

    /// @notice Many accounts, in the order asked for; one that cannot be read does not spoil the others.
    function accounts(bytes32[] calldata ids) external view returns (AccountReport[] memory);

    /// @notice Equity and margins of many accounts: a third of the gas of `accounts`.
    function health(bytes32[] calldata ids) external view returns (HealthReport[] memory);

    /// @notice All markets.
    function markets() external view returns (MarketReport[] memory);

    /// @notice The fund's balance sheet.
    function balanceSheet() external view returns (FundReport memory);

    /// @notice Markets and accounts as a transaction that begins by poking every market would see them: marks followed and
    /// funding accrued until now, also in the sides' K. Meant for `eth_call`; sent as a transaction it is no more than the
    /// pokes, which anybody may send. A market that cannot be poked is shown as it is.
    function snapshot(bytes32[] calldata ids)
        external
        returns (
            uint256 blockNumber,
            uint256 timestamp,
            MarketReport[] memory marketReports,
            AccountReport[] memory accountReports
        );
}
