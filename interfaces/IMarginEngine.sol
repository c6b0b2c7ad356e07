// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IMarginEngineTypes} from "./IMarginEngineTypes.sol";

/// @title Backstop's margin engine: traders' collateral, positions and markets
/// @notice All amounts are 18-decimal fixed point (WAD) unless a name says `assets` (units of the collateral token) or
/// `Ppm` (1e-6). An account is 32 bytes: the owner's address in the top 20, a subaccount number in the low 12.
interface IMarginEngine is IMarginEngineTypes {
    // ------------------------------------------------------------------ traders

    /// @notice Takes `assets` of the collateral token from the caller into `account` (anybody's).
    function deposit(bytes32 account, uint256 assets) external;

    /// @notice Pays `assets` out of the caller's account: at most min(collateral, equity - initial margin) less locked
    /// profit, rounded down to the token's unit.
    function withdraw(bytes32 account, uint256 assets, address to) external;

    // ------------------------------------------------------------------ anybody

    /// @notice Brings funding and mark of a market up to date.
    function poke(uint256 market) external;

    /// @notice Hands the fund's collected income of a market over, after repaying the market's recorded deficit.
    function sweepFees(uint256 market) external;

    /// @notice Closes the fair window once its time has come: the fund pays its claims pro rata, sides get their part back at
    /// once, those who left or joined theirs by `collectWindow`.
    function closeFairWindow() external;

    /// @notice Pays what an account gets back of a closed window, into its collateral. Account 0 collects what accounts
    /// that were closed out have left behind, as income of the market.
    /// @return amount WAD
    function collectWindow(bytes32 account, uint256 market, uint256 window) external returns (uint256 amount);

    /// @notice Gives the positions of a side that ended an epoch inside a window their part, once that is closed.
    /// @param tag epoch * 2 + (1 if short)
    function repayEnded(uint256 market, uint256 tag) external returns (uint256 amount);

    // ------------------------------------------------------------------ order settlement

    /// @notice Books a trade both sides agreed on. Only `OrderSettlement`, holding the lock.
    function settleFill(Fill calldata fill) external;

    // ------------------------------------------------------------------ liquidator (holding the lock)

    /// @notice Accrues and re-marks all markets of `account` and values it.
    function touch(bytes32 account) external returns (AccountState memory);

    function setFlag(bytes32 account, bool flagged) external;

    /// @notice Moves `base` of the account's position to `keeper` at `price` and charges the surcharge.
    /// The keeper must hold its initial margin afterwards.
    function takeOver(bytes32 account, bytes32 keeper, uint256 market, uint256 base, uint256 price, uint256 surcharge)
        external;

    /// @notice Charges the account surcharge (to the fund) and reward (to the keeper).
    function chargeLiquidation(bytes32 account, bytes32 keeper, uint256 market, uint256 surcharge, uint256 reward)
        external;

    /// @notice Closes `base` of the account's position against the opposite side at the mark, after charging that side
    /// up to `charge`. O(1) in the number of counterparties.
    /// @return charged what the side bears of `charge`
    function deleverage(bytes32 account, uint256 market, uint256 base, uint256 charge)
        external
        returns (uint256 charged);

    /// @notice Charges a deficit to one side of a market, all of its positions by size. O(1).
    /// @return charged what the side bears of `amount`
    function chargeSide(uint256 market, bool longs, uint256 amount) external returns (uint256 charged);

    /// @notice Asks the fund for the account's deficit and credits what it pays; the reward goes to `keeper`.
    /// @param deficits WAD, one a market
    /// @return eventId the fund's event number, 0 if it was not asked or did not answer
    /// @return paid WAD, one a market and layer (compartment, reserve, staked, backing, reinsurance)
    function coverFromFund(
        bytes32 account,
        bytes32 keeper,
        uint256[] calldata markets,
        uint256[] calldata deficits,
        uint256 rewardAssets
    ) external returns (uint256 eventId, uint256[5][] memory paid);

    /// @notice Credits `amount` to a bankrupt, flat account: `charged` was taken from a side, the rest is recorded.
    function settleDeficit(bytes32 account, uint256 market, uint256 charged, uint256 recorded) external;

    // ------------------------------------------------------------------ views (revert while a call is in flight)

    /// @notice The account now: marks as a transaction in this block would see them, funding included.
    function accountState(bytes32 account) external view returns (AccountState memory);

    /// @notice Equity, initial and maintenance margin now. The cheapest health check.
    function health(bytes32 account)
        external
        view
        returns (int256 equity, uint256 initialMargin, uint256 maintenanceMargin);

    /// @notice Signed size of a position, WAD.
    function positionSize(bytes32 account, uint256 market) external view returns (int256);

    /// @notice Largest amount `withdraw` would pay now, units of the collateral token.
    function withdrawable(bytes32 account) external view returns (uint256 assets);

    function marketState(uint256 market) external view returns (MarketState memory);

    /// @notice The side index of a market as stored (long, short): for the twin, auditors and proofs.
    /// @return basis exact sums of the positions' basis
    /// @return A size factors, 1e21 on a fresh side
    /// @return K quote per basis unit, 1e39
    /// @return epoch how often the side was emptied by deleveraging
    function sideState(uint256 market)
        external
        view
        returns (uint256[2] memory basis, uint256[2] memory A, int256[2] memory K, uint256[2] memory epoch);

    function marketParameters(uint256 market)
        external
        view
        returns (MarketParameters memory, LiquidationParameters memory, bool riskPaused);

    /// @notice What a liquidator needs to know of a market: its parameters and the smallest position, base WAD.
    function liquidationTerms(uint256 market) external view returns (LiquidationParameters memory, uint256 minBase);

    /// @notice The collateral token.
    function token() external view returns (address);

    /// @notice How many markets are listed; they are numbered from 0.
    function marketCount() external view returns (uint256);

    /// @notice Collateral of an account, WAD, without positions.
    function collateral(bytes32 account) external view returns (int256);

    /// @notice The fair window that is open, or the last one.
    function fairWindow() external view returns (FairWindow memory);

    /// @notice Claims of a market that wait, and the length of its windows in minutes (0: none).
    function marketClaims(uint256 market) external view returns (MarketClaims memory, uint256 minutes_);

    function sideClaims(uint256 market, uint256 tag) external view returns (SideClaims memory);

    /// @notice What a market was paid of its claims in a closed window; zeros if it had none, or before the close.
    function windowRate(uint256 window, uint256 market) external view returns (WindowRate memory);

    /// @notice The claim an account took along when it left, and what it paid in when it joined; WAD.
    function windowRecord(bytes32 account, uint256 market, uint256 window)
        external
        view
        returns (uint256 left, uint256 joined);

    /// @notice What the engine would ask the fund for at once of a claim of `assets` (units of the token): all of it, or
    /// only what the market's compartment holds while the rest waits.
    /// @param taken of the shared layers by earlier claims of the same event
    /// @return atOnce what would be asked for at once
    /// @return takenAfter what is taken with this claim
    function claimAtOnce(uint256 market, uint256 assets, uint256 taken)
        external
        view
        returns (uint256 atOnce, uint256 takenAfter);

    // ------------------------------------------------------------------ governance (AccessManager)

    /// @notice Sets the length of a market's fair windows, minutes (at most 255); 0 switches them off for new claims.
    /// Role: risk admin (delayed).
    function setFairWindow(uint256 market, uint8 minutes_) external;

    /// @notice Lists a market; its number is the count before. Role: risk admin (delayed).
    function listMarket(MarketParameters calldata p, LiquidationParameters calldata l) external returns (uint256 market);

    /// @notice Replaces a market's parameters. Role: risk admin (delayed).
    function setMarket(uint256 market, MarketParameters calldata p, LiquidationParameters calldata l) external;

    /// @notice Lets a market's surcharge, fund share and initial margin follow the fund's lagged solvency ratio. The values
    /// in force when it is first called are the base; `setMarket` and `tightenMarket` end it. Role: risk admin (delayed).
    function setCoverTerms(uint256 market, uint256 capPpm, uint256 floorPpm, uint256 marginRisePpm) external;

    /// @notice Brings a market's terms up to the fund's lagged solvency ratio. Anybody.
    function followFund(uint256 market) external;

    function coverBase(uint256 market) external view returns (CoverBase memory);

    /// @notice Raises the initial margin, narrows the band, lengthens the profit lock: at once. What would make healthy
    /// accounts liquidatable (maintenance margin, cap, slope) is not among it: that is `setMarket`. Role: guardian.
    function tightenMarket(uint256 market, uint24 initialMarginPpm, uint24 bandPpm, uint24 profitLock) external;

    /// @notice Stops risk from rising in a market; reducing, withdrawing and liquidating go on. Role: guardian.
    function pauseRisk(uint256 market) external;

    /// @notice Lets risk rise again. Role: risk admin (delayed).
    function resumeRisk(uint256 market) external;

    /// @notice Pays the protocol's fees of a market to `to`, whole units. Role: treasurer.
    function payTreasury(uint256 market, address to) external;
}
