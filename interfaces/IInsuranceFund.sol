// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IStakedTranche} from "./IStakedTranche.sol";

/// @title Backstop's insurance fund: layers of capital that pay bankrupt accounts' deficits by rule
/// @notice All amounts are in units of the fund's asset (its own decimals) unless a name says otherwise. A claimant is a
/// registered contract (our margin engine, a lending market); a market is a number the claimant chooses.
interface IInsuranceFund {
    /// @notice One market's part of a bankrupt account's deficit.
    struct Claim {
        uint256 market;
        uint256 assets;
    }

    /// @notice What each layer paid of one claim. Layers are used in this order, each only when all before it are
    /// exhausted or at their limit (invariant WATERFALL_ORDER).
    struct Legs {
        uint256 compartment;
        uint256 reserve;
        uint256 staked;
        uint256 backing;
        uint256 reinsurance;
    }

    /// @notice What `ReceiptRecorded` encodes: all that is needed to give recovered money back to the layers of an event; `ReceiptRecorded` has it.
    /// @param markets of the claims, in their order
    /// @param legs what each claim was paid, without the keeper's reward
    /// @param stakerLoss how the stakers' part fell on them
    struct Receipt {
        uint256 eventId;
        address claimant;
        uint256[] markets;
        Legs[] legs;
        IStakedTranche.Loss stakerLoss;
    }

    /// @notice Draw limits of one claimant over the shared layers (2 and deeper). Zero means: nothing may be drawn.
    /// @param perClaim largest shared draw of one event
    /// @param perWindow largest shared draw in any `window` seconds (leaky bucket)
    /// @param window seconds in which a full bucket drains, at least 1
    struct ClaimantLimits {
        uint128 perClaim;
        uint128 perWindow;
        uint32 window;
    }

    /// @notice Limits of one market of a claimant.
    /// @param compartmentCap income beyond this balance overflows into the operator's reserve
    /// @param perWindow largest shared draw of this market in any window of the claimant
    struct MarketLimits {
        uint128 compartmentCap;
        uint128 perWindow;
    }

    event ClaimantSet(address indexed claimant, ClaimantLimits limits);
    event ClaimantMarketSet(address indexed claimant, uint256 indexed market, MarketLimits limits);
    event IncomeReceived(address indexed claimant, uint256 indexed market, uint256 toCompartment, uint256 toReserve);
    /// @notice The stakers' part of a market's income; `IncomeReceived` tells where the rest went.
    event StakerIncome(address indexed claimant, uint256 indexed market, uint256 assets);
    event StakersFunded(address indexed from, uint256 assets);
    event StakerShareSet(uint256 ppm);
    event CompartmentFunded(address indexed claimant, uint256 indexed market, address indexed from, uint256 assets);
    event ReserveFunded(address indexed from, uint256 assets);
    /// @notice Surplus left the reserve: `toStakers` of `assets` as income of the stake, the rest to `to`.
    event ReserveReleased(address indexed to, uint256 assets, uint256 toStakers);
    event BackingFunded(address indexed from, uint256 assets);
    event BackingReleased(address indexed to, uint256 assets);
    /// @notice An event that a layer beyond the reserve paid for: money recovered later goes back by this receipt.
    /// @param receipt a `Receipt`, ABI-encoded
    event ReceiptRecorded(uint256 indexed eventId, bytes receipt);
    event Recovered(uint256 indexed eventId, address indexed from, uint256 assets, uint256 recovered);
    event RiskOracleSet(address indexed riskOracle);
    /// @notice Capital over target as seen now, and the lagged ratio that terms follow; WAD.
    event SolvencyNoted(uint256 ratio, uint256 laggedRatio, uint256 surplusSince);
    event ReserveTargetSet(uint256 target);
    event RefillTimeSet(uint256 time);
    /// @notice The reserve was noted below its target, or no longer below it.
    event ReserveGapNoted(bool short, uint256 gap);
    /// @notice One event's payment for one market; the legs sum to what was paid (invariant RECEIPT_EXACT).
    event Covered(
        uint256 indexed eventId,
        address indexed claimant,
        uint256 indexed market,
        bytes32 account,
        uint256 claimed,
        Legs legs
    );
    event KeeperRewardPaid(uint256 indexed eventId, address indexed claimant, uint256 indexed market, uint256 assets);
    /// @notice The asset could not be paid out (blocklisted claimant, frozen token). The event cost the fund nothing and
    /// has no number: the deficit goes on down the waterfall.
    event CoverFailed(address indexed claimant, bytes32 indexed account, bytes reason);

    event ReinsurerSet(address indexed reinsurer);
    /// @notice The reinsurer reverted when it was asked: it paid nothing and is not asked again in this event.
    event ReinsurerFailed(uint256 indexed eventId, address indexed reinsurer, uint256 indexed market);
    /// @notice What a budget held above its new cap went to the operator's reserve.
    event PremiumTermsSet(uint256 share, uint256 cap, uint256 toReserve);
    /// @notice The premium budget's part of a market's income; `IncomeReceived` tells where the rest went.
    event PremiumIncome(address indexed claimant, uint256 indexed market, uint256 assets);
    event PremiumFunded(address indexed from, uint256 assets);
    event PremiumPaid(address indexed reinsurer, uint256 assets);
    event InventorySet(address indexed claimant, address inventory);
    /// @notice Capital left for a market's backstop inventory, by layer.
    event CapitalDeployed(
        address indexed claimant, uint256 indexed market, uint256 fromCompartment, uint256 fromReserve
    );
    event CapitalReturned(
        address indexed claimant, uint256 indexed market, uint256 toReserve, uint256 toCompartment, uint256 profit
    );
    event CapitalWrittenOff(
        address indexed claimant, uint256 indexed market, uint256 fromCompartment, uint256 fromReserve
    );

    error NotClaimant(address caller);
    error NotInventory(address caller);
    error NotReinsurer(address caller);
    /// @notice A reinsurer is a contract, and no member of the lock.
    error InvalidReinsurer(address reinsurer);
    error PremiumTooSmall(uint256 requested, uint256 available);
    error AbovePremiumCap(uint256 requested, uint256 room);
    /// @notice The transaction's gas limit does not leave the reinsurer its share: send it with more. A caller must not be
    /// able to choose, by being stingy, who pays.
    error NotEnoughGas(uint256 available, uint256 required);
    error NotSelf(address caller);
    error NotTranche(address caller);
    error NoShortfall(address claimant, uint256 market);
    error ZeroAmount();
    error ZeroAddress();
    error UnsupportedAsset(address asset, string reason);
    /// @notice The asset delivered something else than what was asked (fee on transfer, rebasing).
    error WrongAmountReceived(uint256 expected, uint256 received);
    error ReserveTooSmall(uint256 requested, uint256 available);
    error BackingTooSmall(uint256 requested, uint256 available);
    /// @notice A shortfall is known and not dealt with: nothing leaves meanwhile.
    error ShortfallOpen();
    /// @notice No such receipt is on record: another event, another content, or an event only compartments and reserve paid.
    error UnknownReceipt(uint256 eventId);
    error AboveLoss(uint256 assets, uint256 open);
    error AboveCompartmentCap(uint256 requested, uint256 room);
    error AboveMaximum(uint256 value, uint256 maximum);
    error InvalidLimits(string field);
    error NotTighter(string field);

    /// @notice Pays what the rules allow of a bankrupt account's deficit, to the calling claimant, in one transfer.
    /// Never reverts because capital is missing or a limit is reached: it pays less. The reward is outside the claims
    /// (a fee is never a deficit) and is paid from what is left after them.
    /// @param account whose deficit it is (for the receipt)
    /// @param claims the deficit split over markets; one entry a market
    /// @param reward wished payment to the keeper who brings the event
    /// @return eventId number of the event, from 1
    /// @return legs what each layer paid, claim by claim
    /// @return rewardPaid what is paid for the keeper, at most `reward`
    function cover(bytes32 account, Claim[] calldata claims, uint256 reward)
        external
        returns (uint256 eventId, Legs[] memory legs, uint256 rewardPaid);

    /// @notice Takes income (surcharges, share of trading fees) of one market from the calling claimant by
    /// `transferFrom`: first into the market's compartment up to its cap, the rest into the operator's reserve.
    function receiveIncome(uint256 market, uint256 assets) external;

    /// @notice Anybody may strengthen one market's compartment, up to its cap.
    function fundCompartment(address claimant, uint256 market, uint256 assets) external;

    /// @notice Anybody may strengthen the operator's reserve (layer 2).
    function fundReserve(uint256 assets) external;

    /// @notice Anybody may strengthen the operator's second slice, which pays after the stakers. It may be empty.
    function fundBacking(uint256 assets) external;

    /// @notice Anybody may bring money recovered for an event; it repays the layers that paid, in reverse order, and the
    /// stakers who bore the loss, also those who have left.
    /// @param receipt as `ReceiptRecorded` gave it
    function recover(uint256 eventId, bytes calldata receipt, uint256 assets) external;

    /// @notice Anybody may take the measure of the fund: the lagged ratio moves on, and the surplus clock starts or stops.
    /// @return laggedRatio WAD
    function noteSolvency() external returns (uint256 laggedRatio);

    /// @notice Anybody may add to the stakers' income; it reaches them over the following days.
    function fundStakers(uint256 assets) external;

    /// @notice Anybody may show that a claimant has losses nobody has paid: open exits do not mature for a while. Bounded
    /// for every exit, and slashing goes on meanwhile.
    function reportShortfall(address claimant, uint256 market) external;

    /// @notice Anybody may add to the budget for premiums, up to its cap.
    function fundPremium(uint256 assets) external;

    /// @notice Pays a premium out of the budget to the reinsurer, which asks for it when its cover is there.
    function payPremium(uint256 assets) external;

    /// @notice Pays a matured request; only the staked tranche.
    function payStaker(address to, uint256 assets) external;

    /// @notice Anybody may start the clock of a gap between reserve and target. Nothing changes if it runs already.
    function noteReserveGap() external;

    /// @notice Pays collateral for a market's backstop inventory to the claimant's inventory contract, which is the only
    /// caller: from the compartment, then from the reserve inside all draw limits, but not while a shortfall is open; less
    /// than asked, or nothing, if there is no more.
    function deployCapital(address claimant, uint256 market, uint256 assets) external returns (uint256 drawn);

    /// @notice Takes capital of an inventory back, from anybody: it repays the reserve, then the compartment; the rest is
    /// income of the market.
    function returnCapital(address claimant, uint256 market, uint256 assets) external;

    /// @notice Forgets capital that was lost, the compartment's first; only the claimant's inventory contract.
    function writeOffCapital(address claimant, uint256 market, uint256 assets) external;

    // ------------------------------------------------------------------ roles

    /// @notice Names the contract that may use a claimant's capital for inventory; zero for none.
    function setInventory(address claimant, address inventory) external;

    /// @notice Sets the stakers' share of all income, in 1e-6.
    function setStakerShare(uint256 ppm) external;

    /// @notice Says who is asked for what the fund's own layers leave of a claim; zero for nobody.
    function setReinsurer(address reinsurer) external;

    /// @notice Sets the part of income (in 1e-6, of what the stakers leave) that goes to the budget for premiums, and the
    /// budget's cap. What it holds above the cap goes to the operator's reserve.
    function setPremiumTerms(uint256 share, uint256 cap) external;

    /// @notice Keeps open exits from maturing for a while, as after a halt of the oracle.
    function holdMaturity() external;

    /// @notice Registers a claimant or changes its limits in any direction. What it has drawn stays drawn.
    function setClaimant(address claimant, ClaimantLimits calldata limits) external;

    /// @notice Same, but every field must be as tight as before or tighter; meant for a role without delay.
    function tightenClaimant(address claimant, ClaimantLimits calldata limits) external;

    /// @notice Sets the limits of a claimant's market in any direction.
    function setClaimantMarket(address claimant, uint256 market, MarketLimits calldata limits) external;

    /// @notice Same, but every field must be as tight as before or tighter.
    function tightenClaimantMarket(address claimant, uint256 market, MarketLimits calldata limits) external;

    /// @notice Pays surplus out of the reserve: only what is above the reserve's own target and inside `surplus`. The
    /// stakers get their share of it as income.
    function releaseReserve(address to, uint256 assets) external;

    /// @notice Pays the operator's second slice out, unless a shortfall is open.
    function releaseBacking(address to, uint256 assets) external;

    /// @notice Says who knows the capital target (`IRiskOracle`); zero: nobody, the ratio is 0 and nothing is surplus.
    function setRiskOracle(address riskOracle) external;

    /// @notice Says what the operator's reserve is meant to hold.
    function setReserveTarget(uint256 target) external;

    /// @notice Sets the time in which the operator has to close a gap.
    function setRefillTime(uint256 time) external;

    // ------------------------------------------------------------------ views (revert while a call is in flight)

    /// @notice The fund's token.
    function asset() external view returns (address);

    /// @notice Layer 1: what the market's own compartment holds.
    function compartment(address claimant, uint256 market) external view returns (uint256 assets);

    /// @notice Sum of all compartments.
    function totalCompartments() external view returns (uint256 assets);

    /// @notice Layer 2: the operator's first loss.
    function reserve() external view returns (uint256 assets);

    /// @notice What layer 2 is meant to hold; the gap is what the operator owes it.
    function reserveTarget() external view returns (uint256 assets);

    /// @notice What the operator owes its reserve, since when that is noted, and until when it has to be paid; both times
    /// are 0 while no gap is noted.
    function reserveGap() external view returns (uint256 gap, uint256 since, uint256 due);

    /// @notice The operator's second slice, between layers 3 and 4.
    function backing() external view returns (uint256 assets);

    /// @notice Capital, target, their ratio now and the lagged ratio that terms follow (both WAD, at most 10).
    function solvency() external view returns (uint256 capital, uint256 target, uint256 ratio, uint256 lagged);

    /// @notice The lagged ratio alone, WAD.
    function laggedRatio() external view returns (uint256);

    /// @notice What may leave the reserve now, and since when the fund is seen above its surplus ratio (0: it is not).
    function surplus() external view returns (uint256 assets, uint256 since);

    function riskOracle() external view returns (address);

    /// @notice Hash of an event's receipt, 0 if there is none on record, and what has been recovered of it.
    function recovery(uint256 eventId) external view returns (bytes32 receiptHash, uint256 recovered);

    /// @notice Layer 3, a contract of its own.
    function stakedTranche() external view returns (address);

    /// @notice The stakers' share of all income, in 1e-6.
    function stakerShare() external view returns (uint256 ppm);

    /// @notice Layer 4: who is asked for what the fund's own layers leave of a claim; zero for nobody.
    function reinsurer() external view returns (address);

    /// @notice The budget for premiums, the part of income (1e-6, of what the stakers leave) that fills it, and its cap. It
    /// is no capital: no deficit is paid from it.
    function premium() external view returns (uint256 budget, uint256 share, uint256 cap);

    /// @notice All the capital a deficit can be paid from (a donation by plain transfer is not capital).
    function totalCapital() external view returns (uint256 assets);

    /// @notice What a claim of this size would be paid now, layer by layer. Same arithmetic as `cover`; of the
    /// reinsurer what it says that it would pay.
    function previewCover(address claimant, uint256 market, uint256 assets) external view returns (Legs memory);

    /// @notice Room left for shared draws: of one claim, of the claimant's window and of the market's window.
    function drawRoom(address claimant, uint256 market)
        external
        view
        returns (uint256 perClaim, uint256 claimantWindow, uint256 marketWindow);

    /// @notice Limits of a claimant; `window` is 0 if it is not registered.
    function claimantLimits(address claimant) external view returns (ClaimantLimits memory);

    /// @notice Limits of one market of a claimant.
    function marketLimits(address claimant, uint256 market) external view returns (MarketLimits memory);

    /// @notice How many events have been covered.
    function eventCount() external view returns (uint256);

    /// @notice The contract that may use the claimant's capital for inventory.
    function inventoryOf(address claimant) external view returns (address);

    /// @notice What is outside as inventory capital of a market, by the layer it came from.
    function deployedCapital(address claimant, uint256 market)
        external
        view
        returns (uint256 fromCompartment, uint256 fromReserve);
}
