// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IPriceOracle} from "./IPriceOracle.sol";

/// @title Structs, events and errors of the margin engine
/// @notice All amounts are 18-decimal fixed point (WAD) unless a name says `assets` (units of the collateral token) or
/// `Ppm` (1e-6). An account is 32 bytes: the owner's address in the top 20, a subaccount number in the low 12.
interface IMarginEngineTypes {
    // ------------------------------------------------------------------ structs

    /// @notice Parameters of a market. Every cap that is zero means zero, never "unlimited".
    /// @param openInterestCap base, WAD; above it nothing may be opened
    /// @param sizeScale notional, in whole quote tokens, at which an account's own size doubles its margin fraction
    /// @param initialMarginPpm base fraction of notional an account needs to raise its risk
    /// @param maintenanceMarginPpm base fraction of notional below which an account is liquidatable
    /// @param openInterestSlopePpm how much margin grows (1e-6 of itself) when open interest reaches its cap
    /// @param maxMarkAge seconds for which a stored mark may value *other* markets of an account; 0 asks the oracle always
    /// @param markSpeedPpb fastest relative move of the mark towards the index, 1e-9 a second
    /// @param fundingClampPpb largest premium that funding is charged on, 1e-9; funding pays it every 8 hours
    /// @param bandPpm largest distance of a fill price from the index price
    /// @param makerFeePpm fee of the signed order's side, of notional at the fill price
    /// @param takerFeePpm fee of the other side
    /// @param fundSharePpm the insurance fund's share of trading fees
    /// @param profitLock seconds over which realised profit becomes withdrawable
    /// @param chargeCapPpm largest deficit charge of one event to the opposite side, of the mark price per base unit
    /// @param minBase smallest position, in 1e9 wei of base
    struct MarketParameters {
        // first slot: all that valuing a position needs
        uint112 openInterestCap;
        uint64 sizeScale;
        uint24 initialMarginPpm;
        uint24 maintenanceMarginPpm;
        uint24 openInterestSlopePpm;
        uint8 maxMarkAge;
        // second slot: what a trade needs besides
        uint32 markSpeedPpb;
        uint32 fundingClampPpb;
        uint24 bandPpm;
        uint16 makerFeePpm;
        uint16 takerFeePpm;
        uint24 fundSharePpm;
        uint24 profitLock;
        uint24 chargeCapPpm;
        uint56 minBase;
    }

    /// @notice How accounts are liquidated in a market.
    /// @param targetHealthPpm equity over maintenance margin that a partial liquidation restores, above 1e6
    /// @param minDiscountPpm discount to the mark at which a keeper takes over, at the first moment
    /// @param maxDiscountPpm the same after `ramp` seconds or at zero equity
    /// @param surchargePpm liquidation surcharge to the insurance fund, of notional
    /// @param rewardPpm keeper's reward of notional (orders and deleveraging; a take-over is rewarded by its discount)
    /// @param ramp seconds from the flag to the full discount
    /// @param deleverageDelay seconds from the flag after which anybody may deleverage the account
    /// @param checkInterval longest time, in seconds, that keepers may need between two looks at an account
    /// @param maxStep largest notional of one partial liquidation, whole quote tokens
    /// @param closeRewardCap largest fixed reward for bringing a bankrupt account, whole quote tokens
    struct LiquidationParameters {
        uint24 targetHealthPpm;
        uint24 minDiscountPpm;
        uint24 maxDiscountPpm;
        uint24 surchargePpm;
        uint24 rewardPpm;
        uint24 ramp;
        uint24 deleverageDelay;
        uint24 checkInterval;
        uint40 maxStep;
        uint24 closeRewardCap;
    }

    /// @notice What a market's terms are where the fund is worth exactly its target, and how they follow it; 1e-6.
    /// @param surchargePpm liquidation surcharge, of notional
    /// @param fundSharePpm fund's share of trading fees; it only rises
    /// @param initialMarginPpm initial margin, of notional; it only rises
    /// @param capPpm largest multiple of the surcharge, at half the target and below; 0: the terms do not follow
    /// @param floorPpm smallest multiple, at 1.2 targets and above
    /// @param marginRisePpm rise of the initial margin when the fund is empty, of its base
    struct CoverBase {
        uint24 surchargePpm;
        uint24 fundSharePpm;
        uint24 initialMarginPpm;
        uint32 capPpm;
        uint24 floorPpm;
        uint24 marginRisePpm;
    }

    /// @notice A trade between two accounts, agreed on outside.
    /// @param market market number
    /// @param makerIsBuyer the maker's order bought
    /// @param maker account of the signed order
    /// @param taker the other account
    /// @param base quantity, WAD
    /// @param fillPrice WAD quote per base
    /// @param liquidation the taker is in liquidation: no margin check and no trading fee for it, no premium sample
    struct Fill {
        uint8 market;
        bool makerIsBuyer;
        bool liquidation;
        bytes32 maker;
        bytes32 taker;
        uint256 base;
        uint256 fillPrice;
    }

    /// @notice One position of an account, valued at the mark price.
    /// @param size base, signed WAD
    /// @param quote quote owned (+) or owed (-), WAD, funding until now included
    /// @param markPrice WAD
    /// @param value size * mark + quote, rounded down
    /// @param notional |size| * mark, rounded up
    /// @param initialMargin rounded up
    /// @param maintenanceMargin rounded up
    /// @param validity how far the mark's price may be trusted
    struct PositionState {
        uint8 market;
        IPriceOracle.Validity validity;
        int256 size;
        int256 quote;
        uint256 markPrice;
        int256 value;
        uint256 notional;
        uint256 initialMargin;
        uint256 maintenanceMargin;
    }

    /// @notice An account, valued at the mark prices.
    /// @param equity collateral + sum of positions' values
    /// @param validity the lowest validity of its positions' prices; `Full` without positions
    struct AccountState {
        int256 collateral;
        int256 equity;
        uint256 initialMargin;
        uint256 maintenanceMargin;
        uint256 lockedProfit;
        uint256 flaggedAt;
        IPriceOracle.Validity validity;
        PositionState[] positions;
    }

    /// @notice Live state of a market.
    /// @param openLong base held by longs, WAD, rounded down
    /// @param openShort base owed by shorts, WAD, rounded up
    /// @param markPrice WAD; 0 before the first price
    /// @param fundingPremiumPpb time-weighted premium that funding is charged on now (clamped), 1e-9
    /// @param fundFees income of the insurance fund not yet handed over, WAD
    /// @param treasuryFees the protocol's fees not yet handed over, WAD
    /// @param recordedDeficit losses nobody has paid yet, WAD
    struct MarketState {
        uint256 openLong;
        uint256 openShort;
        uint256 markPrice;
        uint256 markTime;
        uint256 observedAt;
        IPriceOracle.Validity validity;
        int256 fundingPremiumPpb;
        uint256 accruedAt;
        uint256 fundFees;
        uint256 treasuryFees;
        uint256 recordedDeficit;
    }

    /// @notice The fair window that is open, or the last one.
    /// @param id number of the window, from 1
    /// @param closesAt time from which anybody may close it; 0 while none is open
    /// @param markets bit n: market n has claims in it
    /// @param claims sum of its claims, units of the token
    struct FairWindow {
        uint32 id;
        uint40 closesAt;
        uint64 markets;
        uint112 claims;
    }

    /// @notice Claims of one market on the fund that wait for the close of the window.
    /// @param claims units of the token
    /// @param side part of them that sides were charged meanwhile, WAD
    /// @param recorded the rest, which no side could bear, WAD
    /// @param pot WAD held for those who joined, and after the close for those who left and joined
    struct MarketClaims {
        uint112 claims;
        uint128 side;
        uint128 recorded;
        uint128 pot;
    }

    /// @notice Claims of one side, by the tag (epoch * 2 + short) that its positions carry.
    /// @param C what the side was charged for deferred claims per basis unit, 1e39
    /// @param basis of a side that ended meanwhile: basis of the positions that are still there
    struct SideClaims {
        uint256 C;
        uint112 basis;
        uint32 window;
    }

    /// @notice What a market's claims in a closed window were paid; units of the token.
    struct WindowRate {
        uint112 paid;
        uint112 claims;
    }

    // ------------------------------------------------------------------ events

    event Deposited(bytes32 indexed account, address indexed from, uint256 assets);
    event Withdrawn(bytes32 indexed account, address indexed to, uint256 assets);
    /// @notice A position changed other than by a trade (take-over, deleveraging, end of a side's epoch); `realised` of
    /// its quote went to collateral.
    event PositionChanged(
        bytes32 indexed account, uint256 indexed market, int256 baseChange, int256 quoteChange, int256 realised
    );
    event Traded(
        uint256 indexed market,
        bytes32 indexed maker,
        bytes32 indexed taker,
        bool makerIsBuyer,
        uint256 base,
        uint256 fillPrice,
        uint256 makerFee,
        uint256 takerFee,
        int256 makerRealised,
        int256 takerRealised
    );
    event MarkMoved(uint256 indexed market, uint256 markPrice, uint256 indexPrice, IPriceOracle.Validity validity);
    event Flagged(bytes32 indexed account, uint256 flaggedAt);
    event Unflagged(bytes32 indexed account);
    event Deleveraged(
        bytes32 indexed account, uint256 indexed market, int256 size, uint256 markPrice, uint256 opposite
    );
    event SideCharged(uint256 indexed market, bool indexed longs, uint256 amount);
    event DeficitRecorded(uint256 indexed market, uint256 amount, uint256 recorded);
    event DeficitRepaid(uint256 indexed market, uint256 amount, uint256 recorded);
    /// @notice The fund paid: `credited` (WAD) of the account's deficit, `rewardAssets` (units of the token) to the keeper.
    event FundPaid(bytes32 indexed account, uint256 indexed eventId, uint256 credited, uint256 rewardAssets);
    /// @notice The length of a market's fair windows, minutes; 0: its claims are paid at once.
    event FairWindowSet(uint256 indexed market, uint256 minutes_);
    event FairWindowOpened(uint256 indexed window, uint256 closesAt);
    /// @notice The fund's part of a deficit waits for the close of the window. `amount` WAD is charged to the opposite side
    /// or recorded meanwhile, as the receipt of the event says.
    event ClaimDeferred(uint256 indexed window, uint256 indexed market, bytes32 indexed account, uint256 amount);
    /// @notice A window closed: the fund paid `paid` of what the market still claimed (units of the token). One event a
    /// filing: a market files a second time if something is left and the fund has a reinsurer.
    event FairWindowPaid(uint256 indexed window, uint256 indexed market, uint256 eventId, uint256 claims, uint256 paid);
    /// @notice All positions of a side got `amount` (WAD) back.
    event SideRepaid(uint256 indexed market, bool indexed longs, uint256 epoch, uint256 amount);
    /// @notice An account left a side with open claims and took `left` of them along, or joined it and paid `joined` in (WAD,
    /// out of its collateral); account 0: what a bankrupt account left is the market's.
    event WindowRecorded(
        uint256 indexed window, uint256 indexed market, bytes32 indexed account, uint256 left, uint256 joined
    );
    /// @notice An account that left or joined meanwhile got `amount` (WAD) back; account 0: the market's income did.
    event WindowCollected(uint256 indexed window, uint256 indexed market, bytes32 indexed account, uint256 amount);
    event FeesSwept(uint256 indexed market, uint256 toFund, uint256 repaid);
    event TreasuryPaid(uint256 indexed market, address indexed to, uint256 assets);
    event SideEnded(uint256 indexed market, bool indexed longs, uint256 epoch);
    event MarketListed(uint256 indexed market, MarketParameters parameters, LiquidationParameters liquidation);
    event CoverTermsSet(uint256 indexed market, CoverBase base);
    /// @notice The terms in force at this lagged solvency ratio (WAD); fractions 1e-6.
    event FundFollowed(
        uint256 indexed market, uint256 ratio, uint256 surchargePpm, uint256 fundSharePpm, uint256 initialMarginPpm
    );
    event MarketParametersSet(uint256 indexed market, MarketParameters parameters, LiquidationParameters liquidation);
    event RiskPaused(uint256 indexed market, bool paused);

    // ------------------------------------------------------------------ errors

    error NotOwner(bytes32 account, address caller);
    error NotSettlement(address caller);
    error NotLiquidator(address caller);
    error ZeroAmount();
    error ZeroAccount();
    error UnsupportedAsset(address asset, string reason);
    error WrongAmountReceived(uint256 expected, uint256 received);
    error UnknownMarket(uint256 market);
    error InvalidParameter(uint256 market, string field);
    error NotTighter(uint256 market, string field);
    error NoCoverTerms(uint256 market);
    /// @notice The largest loss between two looks at an account is above the maintenance margin; see DESIGN 2.3.
    error EnvelopeViolated(uint256 market, uint256 neededPpm, uint256 maintenanceMarginPpm);
    error RiskIsPaused(uint256 market);
    /// @notice The market's price is not good enough for what was asked.
    error PriceNotUsable(uint256 market, IPriceOracle.Validity validity, IPriceOracle.Validity needed);
    error OutsideBand(uint256 market, uint256 fillPrice, uint256 lowest, uint256 highest);
    error OpenInterestAboveCap(uint256 market, uint256 openInterest, uint256 cap);
    error SideOnlyReduces(uint256 market, bool longs);
    error PositionBelowMinimum(bytes32 account, uint256 market, uint256 size, uint256 minimum);
    error TooManyMarkets(bytes32 account);
    /// @notice Equity after the action is below what it needs: initial margin, or health no worse than before.
    error InsufficientMargin(bytes32 account, int256 equity, uint256 required);
    error HealthWorsened(
        bytes32 account, int256 equityBefore, uint256 marginBefore, int256 equityAfter, uint256 marginAfter
    );
    error NotWithdrawable(bytes32 account, uint256 requested, uint256 available);
    error NotFlat(bytes32 account);
    /// @notice No fair window is open.
    error NoFairWindow();
    /// @notice The window is open until then, or until somebody closes it afterwards.
    error FairWindowIsOpen(uint256 window, uint256 closesAt);
    /// @notice The fund could not pay at all (its token refuses): the window stays open.
    error FundDidNotPay(uint256 market);
    error NoWindowClaim(bytes32 account, uint256 market, uint256 window);
}
