// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {InventoryDesk} from "./InventoryDesk.sol";
import {ILiquidator} from "../../interfaces/ILiquidator.sol";
import {IMarginEngineTypes} from "../../interfaces/IMarginEngineTypes.sol";
import {IOrderSettlement} from "../../interfaces/IOrderSettlement.sol";
import {IPriceOracle} from "../../interfaces/IPriceOracle.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {LiquidationMath} from "../libraries/LiquidationMath.sol";

/// @title Liquidating solvent accounts below maintenance margin: as little as restores their health
/// @notice Four ways, by who takes the position: a keeper's account at a discount, signed orders the keeper brings, the
/// backstop's inventory once the discount has had its time, or, when nobody took it for long enough, the opposite side at
/// the mark. None of them lowers the account's health.
abstract contract PartialLiquidation is InventoryDesk {
    using FixedPoint for uint256;

    /// @dev Terms of one step, decided before anything moves. Fractions are WAD.
    struct Step {
        int256 size;
        uint256 markPrice;
        uint256 base;
        uint256 discount;
        uint256 surcharge;
        uint256 reward;
        uint256 minBase;
        uint256 enough; // base from which on the target health is restored
        uint256 flaggedAt; // before the step; 0 if the clock did not run
        uint256 handOverAt; // from then on the opposite side may be asked
        IPriceOracle.Validity validity;
    }

    enum Way {
        TakeOver,
        Orders,
        Backstop,
        Deleverage
    }

    /// @inheritdoc ILiquidator
    function takeOver(bytes32 account, uint256 market, bytes32 keeper, uint256 maxBase, uint256 limitPrice)
        external
        locked
        returns (uint256 base, uint256 price)
    {
        _requireOwner(keeper);
        if (keeper == account) revert SameAccount(account);
        Step memory step = _plan(account, market, Way.TakeOver);
        base = _clip(step, maxBase);
        price = _discounted(step);
        if (step.size > 0 ? price > limitPrice : price < limitPrice) revert LimitPrice(price, limitPrice);
        uint256 surcharge = _part(step, base, step.surcharge);
        ENGINE.takeOver(account, keeper, market, base, price, surcharge);
        _setClock(account, step, base);
        emit Liquidated(account, keeper, market, _signed(step, base), price, surcharge, 0);
    }

    /// @inheritdoc ILiquidator
    function liquidateWithOrders(
        bytes32 account,
        uint256 market,
        bytes32 keeper,
        IOrderSettlement.Order[] calldata orders,
        bytes[] calldata signatures
    ) external locked returns (uint256 base) {
        if (orders.length != signatures.length) {
            revert OrdersAndSignatures(orders.length, signatures.length);
        }
        if (keeper == account) revert SameAccount(account);
        Step memory step = _plan(account, market, Way.Orders);
        uint256 worst = _discounted(step);
        for (uint256 i = 0; i < orders.length && base < step.base; ++i) {
            if (!_acceptable(orders[i], market, step.size > 0, worst)) continue;
            // an order that has become unusable is passed over: it must not spoil the others
            try SETTLEMENT.fillLiquidation(orders[i], signatures[i], account, step.base - base) returns (uint256 f) {
                base += f;
            } catch {}
        }
        if (base == 0) revert NothingFilled();
        _charge(account, keeper, market, step, base, worst);
    }

    /// @inheritdoc ILiquidator
    function deleverage(bytes32 account, uint256 market, bytes32 keeper, uint256 maxBase)
        external
        locked
        returns (uint256 base)
    {
        if (keeper == account) revert SameAccount(account);
        Step memory step = _plan(account, market, Way.Deleverage);
        base = _clip(step, maxBase);
        ENGINE.deleverage(account, market, base, 0);
        _charge(account, keeper, market, step, base, step.markPrice);
    }

    /// @inheritdoc ILiquidator
    function liquidateToBackstop(bytes32 account, uint256 market, bytes32 keeper)
        external
        locked
        returns (uint256 taken, uint256 tornUp)
    {
        if (keeper == account || _isOurs(account)) revert SameAccount(account);
        Desk memory desk = _openDesk(market);
        bool exhausted = _exhausted(desk);
        if (exhausted && desk.equity >= DUST_EQUITY && desk.validity != IPriceOracle.Validity.Invalid) {
            _unwind(desk, keeper);
        }
        Step memory step = _plan(account, market, Way.Backstop);
        uint256 price = _discounted(step);
        if (!exhausted && _mayTake(desk, step)) {
            taken = _take(desk, account, step.size, step.base, step.markPrice, price);
        }
        if (taken != step.base && block.timestamp >= step.handOverAt) {
            tornUp = step.base - taken;
            ENGINE.deleverage(account, market, tornUp, 0);
        }
        uint256 base = taken + tornUp;
        if (base != 0) {
            // average price of both parts
            price = (taken * price + tornUp * step.markPrice) / base;
            _charge(account, keeper, market, step, base, price);
        } else if (!exhausted) {
            revert BackstopFull(market);
        }
    }

    /// @dev Only at a price that is fully trusted, and only if the discount is at least that of the auction's floor:
    /// going through the backstop and back at the same mark never pays.
    function _mayTake(Desk memory desk, Step memory step) private pure returns (bool) {
        return step.validity == IPriceOracle.Validity.Full && step.discount >= uint256(desk.caps.maxDiscountPpm) * 1e12;
    }

    /// @dev mark * (1 -+ discount), rounded for the account.
    function _discounted(Step memory step) private pure returns (uint256) {
        return step.size > 0
            ? step.markPrice.mulDivUp(FixedPoint.WAD - step.discount, FixedPoint.WAD)
            : step.markPrice.mulDivDown(FixedPoint.WAD + step.discount, FixedPoint.WAD);
    }

    /// @dev Checks that the account is liquidatable and solvent, starts its clock, and computes the terms.
    function _plan(bytes32 account, uint256 market, Way way) private returns (Step memory step) {
        IMarginEngineTypes.AccountState memory s = ENGINE.touch(account);
        _requireLiquidatable(account, s);
        if (s.equity < DUST_EQUITY) revert Bankrupt(account, s.equity);
        IMarginEngineTypes.PositionState memory p = _find(account, market, s);
        (IMarginEngineTypes.LiquidationParameters memory l, uint256 minBase) = ENGINE.liquidationTerms(market);
        if (way == Way.Deleverage) _checkDelay(account, s.flaggedAt, l.deleverageDelay);
        if (way == Way.Backstop) _checkDelay(account, s.flaggedAt, l.ramp);
        uint256 elapsed = s.flaggedAt == 0 ? 0 : block.timestamp - s.flaggedAt;
        (step.size, step.markPrice, step.minBase) = (p.size, p.markPrice, minBase);
        (step.flaggedAt, step.handOverAt, step.validity) = (s.flaggedAt, s.flaggedAt + l.deleverageDelay, p.validity);
        uint256 equity = uint256(s.equity);
        _price(step, way, l, equity, s.maintenanceMargin, p, elapsed);
        uint256 cost = step.discount + step.surcharge + step.reward;
        uint256 notional = LiquidationMath.notionalUp(
            equity, s.maintenanceMargin, p.maintenanceMargin, p.notional, l.targetHealthPpm, cost
        );
        step.enough = LiquidationMath.baseUp(notional, p.markPrice);
        step.base = LiquidationMath.stepBase(step.enough, FixedPoint.abs(p.size), p.markPrice, l.maxStep, minBase);
    }

    /// @dev Splits the budget: first what makes a keeper act, then the surcharge. Nobody takes over on his own account
    /// what goes to the backstop, so there the reward comes before the discount.
    function _price(
        Step memory step,
        Way way,
        IMarginEngineTypes.LiquidationParameters memory l,
        uint256 equity,
        uint256 maintenance,
        IMarginEngineTypes.PositionState memory p,
        uint256 elapsed
    ) private pure {
        uint256 budget = LiquidationMath.budgetDown(equity, maintenance, p.maintenanceMargin, p.notional);
        if (way == Way.Backstop || way == Way.Deleverage) {
            step.reward = FixedPoint.min(uint256(l.rewardPpm) * 1e12, budget);
            budget -= step.reward;
        }
        if (way != Way.Deleverage) {
            uint256 discount =
                LiquidationMath.discountDown(equity, maintenance, l.minDiscountPpm, l.maxDiscountPpm, elapsed, l.ramp);
            step.discount = FixedPoint.min(discount, budget);
            budget -= step.discount;
        }
        if (way == Way.Orders) {
            step.reward = FixedPoint.min(uint256(l.rewardPpm) * 1e12, budget);
            budget -= step.reward;
        }
        step.surcharge = FixedPoint.min(uint256(l.surchargePpm) * 1e12, budget);
    }

    /// @dev Backstop and deleveraging have to wait until others had their time.
    function _checkDelay(bytes32 account, uint256 flaggedAt, uint256 delay) private view {
        uint256 earliest = (flaggedAt == 0 ? block.timestamp : flaggedAt) + delay;
        if (flaggedAt == 0 || block.timestamp < earliest) revert TooEarly(account, earliest);
    }

    /// @dev The clock stops when a step restored the target health; else it runs, at the latest from this step on.
    function _setClock(bytes32 account, Step memory step, uint256 base) private {
        bool restored = base >= step.enough;
        if (restored == (step.flaggedAt != 0)) ENGINE.setFlag(account, !restored);
    }

    function _find(bytes32 account, uint256 market, IMarginEngineTypes.AccountState memory s)
        private
        pure
        returns (IMarginEngineTypes.PositionState memory p)
    {
        for (uint256 i = 0; i < s.positions.length; ++i) {
            p = s.positions[i];
            if (p.market == market && p.size != 0) {
                if (p.validity == IPriceOracle.Validity.Invalid) revert PriceNotUsable(market);
                return p;
            }
        }
        revert NoPosition(account, market);
    }

    /// @dev The step, clipped to what the keeper wants; neither what is taken nor what is left may be dust.
    function _clip(Step memory step, uint256 maxBase) private pure returns (uint256) {
        if (maxBase >= step.base) return step.base;
        if (maxBase < step.minBase || FixedPoint.abs(step.size) - maxBase < step.minBase) {
            revert StepTooSmall(maxBase, step.minBase);
        }
        return maxBase;
    }

    function _acceptable(IOrderSettlement.Order calldata order, uint256 market, bool long, uint256 worst)
        private
        pure
        returns (bool)
    {
        return order.market == market && order.isBuy == long
            && (long ? order.limitPrice >= worst : order.limitPrice <= worst);
    }

    /// @dev Takes surcharge and reward for `base`, both rounded down.
    function _charge(bytes32 account, bytes32 keeper, uint256 market, Step memory step, uint256 base, uint256 price)
        private
    {
        uint256 surcharge = _part(step, base, step.surcharge);
        uint256 reward = _part(step, base, step.reward);
        ENGINE.chargeLiquidation(account, keeper, market, surcharge, reward);
        _setClock(account, step, base);
        emit Liquidated(account, keeper, market, _signed(step, base), price, surcharge, reward);
    }

    /// @dev fraction * base * mark, rounded down.
    function _part(Step memory step, uint256 base, uint256 fraction) private pure returns (uint256) {
        return base.mulDivDown(step.markPrice, FixedPoint.WAD).mulDivDown(fraction, FixedPoint.WAD);
    }

    function _signed(Step memory step, uint256 base) private pure returns (int256) {
        return step.size > 0 ? int256(base) : -int256(base);
    }
}
