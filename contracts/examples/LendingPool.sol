// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IAggregator} from "../../interfaces/IAggregator.sol";
import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {IShortfallClaimant} from "../../interfaces/IShortfallClaimant.sol";

/// @title A small over-collateralised lending pool that insures its bad debt with the fund
/// @notice An example of a claimant that is not our engine: one collateral, one loan asset (the fund's), one price feed. It
/// knows the fund by its interface only, pays it a premium out of every loan's fee, and claims what a liquidation
/// could not recover, under its own limits. What the fund does not pay at once can be claimed again when the limits
/// allow it; suppliers bear it meanwhile.
/// @dev Not for production: no interest, one feed. Amounts are units of the loan asset unless a name says otherwise.
contract LendingPool is IShortfallClaimant, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint256 private constant PPM = 1_000_000;
    /// @notice The pool is one market of its own at the fund.
    uint256 public constant MARKET = 0;
    uint256 public constant MAX_LOAN_PPM = 800_000;
    uint256 public constant LIQUIDATION_PPM = 850_000;
    uint256 public constant INCENTIVE_PPM = 50_000;
    uint256 public constant FEE_PPM = 10_000;
    /// @notice The fund's part of the fee.
    uint256 public constant PREMIUM_PPM = 500_000;
    uint256 public constant MAX_PRICE_AGE = 1 hours;

    IInsuranceFund public immutable FUND;
    IERC20 public immutable ASSET;
    IERC20 public immutable COLLATERAL;
    IAggregator public immutable FEED;
    /// @dev value = collateral * price / SCALE
    uint256 private immutable SCALE;

    uint256 public cash;
    uint256 public totalDebt;
    uint256 public premiumDue;
    uint256 public totalShares;
    uint256 private _openDeficit;
    mapping(address supplier => uint256) public sharesOf;
    mapping(address borrower => uint256) public debtOf;
    mapping(address borrower => uint256) public collateralOf;

    event Supplied(address indexed supplier, uint256 assets, uint256 shares);
    event Withdrawn(address indexed supplier, uint256 assets, uint256 shares);
    event CollateralMoved(address indexed borrower, int256 amount);
    event Borrowed(address indexed borrower, uint256 assets, uint256 fee);
    event Repaid(address indexed borrower, uint256 assets);
    event Liquidated(address indexed borrower, address indexed liquidator, uint256 repaid, uint256 seized);
    event BadDebt(address indexed borrower, uint256 deficit);
    event Claimed(uint256 indexed eventId, uint256 claimed, uint256 paid);
    event PremiumPaid(uint256 assets);

    error ZeroAmount();
    error NotEnough(uint256 requested, uint256 available);
    error Unsafe(uint256 debt, uint256 limit);
    error Healthy(uint256 debt, uint256 limit);
    error StalePrice();
    /// @notice Shares bought now would gain from what the fund pays later for others' loss.
    error LossOpen(uint256 deficit);

    constructor(IInsuranceFund fund, IERC20 collateral, IAggregator feed) {
        FUND = fund;
        ASSET = IERC20(fund.asset());
        COLLATERAL = collateral;
        FEED = feed;
        uint256 above = IERC20Metadata(address(collateral)).decimals() + feed.decimals();
        SCALE = 10 ** (above - IERC20Metadata(address(ASSET)).decimals());
    }

    // ------------------------------------------------------------------ suppliers

    /// @notice Lends `assets` to the pool.
    function supply(uint256 assets) external nonReentrant returns (uint256 shares) {
        if (_openDeficit != 0) revert LossOpen(_openDeficit);
        // shares = floor(assets * (S + 1) / (A + 1))
        shares = Math.mulDiv(assets, totalShares + 1, totalAssets() + 1);
        if (shares == 0) revert ZeroAmount();
        totalShares += shares;
        sharesOf[msg.sender] += shares;
        _take(assets);
        emit Supplied(msg.sender, assets, shares);
    }

    /// @notice Takes the value of `shares` back, as far as it is not lent out.
    function withdraw(uint256 shares) external nonReentrant returns (uint256 assets) {
        if (shares > sharesOf[msg.sender]) revert NotEnough(shares, sharesOf[msg.sender]);
        assets = Math.mulDiv(shares, totalAssets() + 1, totalShares + 1);
        if (assets == 0) revert ZeroAmount();
        totalShares -= shares;
        sharesOf[msg.sender] -= shares;
        emit Withdrawn(msg.sender, assets, shares);
        _give(msg.sender, assets);
    }

    // ------------------------------------------------------------------ borrowers

    function addCollateral(uint256 amount) external nonReentrant {
        if (amount == 0) revert ZeroAmount();
        collateralOf[msg.sender] += amount;
        emit CollateralMoved(msg.sender, int256(amount));
        COLLATERAL.safeTransferFrom(msg.sender, address(this), amount);
    }

    function removeCollateral(uint256 amount) external nonReentrant {
        if (amount > collateralOf[msg.sender]) revert NotEnough(amount, collateralOf[msg.sender]);
        collateralOf[msg.sender] -= amount;
        _requireSafe(msg.sender);
        emit CollateralMoved(msg.sender, -int256(amount));
        COLLATERAL.safeTransfer(msg.sender, amount);
    }

    /// @notice Borrows `assets`; a fee is added to the debt, part of it is the fund's premium.
    function borrow(uint256 assets) external nonReentrant {
        if (assets == 0) revert ZeroAmount();
        uint256 fee = Math.mulDiv(assets, FEE_PPM, PPM, Math.Rounding.Ceil);
        debtOf[msg.sender] += assets + fee;
        totalDebt += assets + fee;
        premiumDue += fee * PREMIUM_PPM / PPM;
        _requireSafe(msg.sender);
        emit Borrowed(msg.sender, assets, fee);
        _give(msg.sender, assets);
    }

    function repay(address borrower, uint256 assets) external nonReentrant {
        if (assets == 0) revert ZeroAmount();
        if (assets > debtOf[borrower]) revert NotEnough(assets, debtOf[borrower]);
        debtOf[borrower] -= assets;
        totalDebt -= assets;
        _take(assets);
        emit Repaid(borrower, assets);
    }

    // ------------------------------------------------------------------ anybody

    /// @notice Repays up to `assets` of an unsafe loan for collateral at a discount. Debt that is left without collateral
    /// is bad: it is written off and claimed from the fund in the same call.
    function liquidate(address borrower, uint256 assets)
        external
        nonReentrant
        returns (uint256 repaid, uint256 seized)
    {
        uint256 debt = debtOf[borrower];
        uint256 price = _price();
        uint256 limit = _value(collateralOf[borrower], price) * LIQUIDATION_PPM / PPM;
        if (debt <= limit) revert Healthy(debt, limit);
        repaid = Math.min(assets, debt);
        // seized = floor(repaid * (1 + incentive) / price)
        seized = Math.mulDiv(repaid * (PPM + INCENTIVE_PPM) / PPM, SCALE, price);
        uint256 held = collateralOf[borrower];
        if (seized >= held) {
            // all of it, for what it is worth less the incentive, rounded up
            seized = held;
            repaid = Math.min(repaid, Math.mulDiv(_value(held, price), PPM, PPM + INCENTIVE_PPM, Math.Rounding.Ceil));
        }
        debtOf[borrower] = debt - repaid;
        totalDebt -= repaid;
        collateralOf[borrower] = held - seized;
        emit Liquidated(borrower, msg.sender, repaid, seized);
        if (repaid != 0) _take(repaid);
        if (seized != 0) COLLATERAL.safeTransfer(msg.sender, seized);
        if (held == seized) _writeOff(borrower);
    }

    /// @notice Claims again what the fund's limits did not let through before.
    function claimOpenDeficit() external nonReentrant returns (uint256 paid) {
        return _claim(bytes32(uint256(uint160(address(this)))));
    }

    /// @notice Hands the collected premium to the fund.
    function payPremium() external nonReentrant returns (uint256 assets) {
        assets = Math.min(premiumDue, cash);
        if (assets == 0) revert ZeroAmount();
        premiumDue -= assets;
        cash -= assets;
        emit PremiumPaid(assets);
        ASSET.forceApprove(address(FUND), assets);
        FUND.receiveIncome(MARKET, assets);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IShortfallClaimant
    function openDeficit(uint256 market) external view returns (uint256 assets) {
        return market == MARKET ? _openDeficit : 0;
    }

    /// @notice What belongs to suppliers: cash and good debt, less the premium owed.
    function totalAssets() public view returns (uint256) {
        uint256 gross = cash + totalDebt;
        return gross > premiumDue ? gross - premiumDue : 0;
    }

    // ------------------------------------------------------------------ inside

    function _writeOff(address borrower) private {
        uint256 deficit = debtOf[borrower];
        if (deficit == 0) return;
        debtOf[borrower] = 0;
        totalDebt -= deficit;
        _openDeficit += deficit;
        emit BadDebt(borrower, deficit);
        _claim(bytes32(uint256(uint160(borrower))));
    }

    /// @dev The fund never reverts for want of capital; what it paid is read from its receipt.
    function _claim(bytes32 account) private returns (uint256 paid) {
        uint256 deficit = _openDeficit;
        if (deficit == 0) return 0;
        IInsuranceFund.Claim[] memory claims = new IInsuranceFund.Claim[](1);
        claims[0] = IInsuranceFund.Claim(MARKET, deficit);
        (uint256 eventId, IInsuranceFund.Legs[] memory legs,) = FUND.cover(account, claims, 0);
        paid = legs[0].compartment + legs[0].reserve + legs[0].staked + legs[0].backing + legs[0].reinsurance;
        _openDeficit = deficit - paid;
        cash += paid;
        emit Claimed(eventId, deficit, paid);
    }

    function _take(uint256 assets) private {
        cash += assets;
        ASSET.safeTransferFrom(msg.sender, address(this), assets);
    }

    function _give(address to, uint256 assets) private {
        if (assets > cash) revert NotEnough(assets, cash);
        cash -= assets;
        ASSET.safeTransfer(to, assets);
    }

    function _requireSafe(address borrower) private view {
        uint256 debt = debtOf[borrower];
        if (debt == 0) return;
        uint256 limit = _value(collateralOf[borrower], _price()) * MAX_LOAN_PPM / PPM;
        if (debt > limit) revert Unsafe(debt, limit);
    }

    function _value(uint256 collateral, uint256 price) private view returns (uint256) {
        return Math.mulDiv(collateral, price, SCALE);
    }

    function _price() private view returns (uint256) {
        (, int256 answer,, uint256 updatedAt,) = FEED.latestRoundData();
        if (answer <= 0 || block.timestamp > updatedAt + MAX_PRICE_AGE) revert StalePrice();
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint256(answer);
    }
}
