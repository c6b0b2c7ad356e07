// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Trades} from "./Trades.sol";
import {IPriceOracle} from "../../interfaces/IPriceOracle.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {MarginMath} from "../libraries/MarginMath.sol";
import {SideIndex} from "../libraries/SideIndex.sol";

/// @title Booking agreed trades, and the risk rules they must pass
abstract contract Fills is Trades {
    using FixedPoint for uint256;
    using SafeCast for uint256;
    using SafeCast for int256;

    /// @dev Base (wei) too small to matter at any price.
    uint256 private constant DUST_SIZE = 1e9;

    function settleFill(Fill calldata f) external onlySettlement {
        MarketCache memory c = _loadFresh(f.market);
        if (c.validity == IPriceOracle.Validity.Invalid) {
            revert PriceNotUsable(f.market, c.validity, IPriceOracle.Validity.Reduced);
        }
        _checkBand(c, f.fillPrice);
        uint256 openBefore = _openInterest(c.sides[LONG], false);

        // the buyer pays the quote rounded up, the seller gets it rounded down
        int256 paid = -int256(f.base.mulDivUp(f.fillPrice, FixedPoint.WAD));
        int256 got = int256(f.base.mulDivDown(f.fillPrice, FixedPoint.WAD));
        int256 base = int256(f.base);
        (int256 makerBase, int256 makerQuote) = f.makerIsBuyer ? (base, paid) : (-base, got);
        (int256 takerBase, int256 takerQuote) = f.makerIsBuyer ? (-base, got) : (base, paid);

        (uint256 makerFee, uint256 takerFee) = _chargeFees(c, f, uint256(-paid));
        Leg memory maker = _trade(c, f.maker, makerBase, makerQuote, makerFee);
        Leg memory taker = _trade(c, f.taker, takerBase, takerQuote, takerFee);
        if (!f.liquidation) _samplePremium(c, f.fillPrice, f.base);
        _checkOpenInterest(c, openBefore);
        _store(c);
        _finish(c, maker, false);
        _finish(c, taker, f.liquidation);
        emit Traded(
            f.market,
            f.maker,
            f.taker,
            f.makerIsBuyer,
            f.base,
            f.fillPrice,
            makerFee,
            takerFee,
            maker.realised,
            taker.realised
        );
    }

    /// @dev Fill price within the band around the index:  |fill - index| * 1e6 <= index * band
    function _checkBand(MarketCache memory c, uint256 fillPrice) private view {
        uint256 width = c.indexPrice * _at(c).parameters.bandPpm / FixedPoint.PPM;
        if (fillPrice < c.indexPrice - width || fillPrice > c.indexPrice + width) {
            revert OutsideBand(c.id, fillPrice, c.indexPrice - width, c.indexPrice + width);
        }
    }

    /// @dev Fees of both sides, rounded up, and their split between fund and treasury. A liquidated account pays none.
    function _chargeFees(MarketCache memory c, Fill calldata f, uint256 notional)
        private
        returns (uint256 makerFee, uint256 takerFee)
    {
        MarketParameters storage p = _at(c).parameters;
        makerFee = notional.mulDivUp(p.makerFeePpm, FixedPoint.PPM);
        takerFee = f.liquidation ? 0 : notional.mulDivUp(p.takerFeePpm, FixedPoint.PPM);
        if (makerFee + takerFee == 0) return (0, 0);
        Income memory income = _at(c).income;
        _splitFee(income, makerFee + takerFee, p.fundSharePpm);
        _at(c).income = income;
    }

    /// @dev Checks one side of a trade and stores its account.
    function _finish(MarketCache memory c, Leg memory leg, bool exempt) private {
        if (!exempt) {
            bool raises = _raisesRisk(leg);
            _checkMinimum(c, leg, raises);
            Valuation memory v = _valuateWith(c, leg.a, leg.account);
            if (raises) _checkRaised(c, leg, v);
            else _checkLowered(c, leg, v);
            _clearFlagIfHealthy(leg.a, leg.account, v);
        }
        _accounts[leg.account] = leg.a;
    }

    /// @dev A trade lowers risk if it shrinks the position without turning it round.
    function _raisesRisk(Leg memory leg) private pure returns (bool) {
        return FixedPoint.abs(leg.size) > FixedPoint.abs(leg.sizeBefore) || leg.size * leg.sizeBefore < 0;
    }

    /// @dev A trade leaves no position, or one that is worth a keeper's while. A last pair may leave each other the few wei
    /// by which their sides differ.
    function _checkMinimum(MarketCache memory c, Leg memory leg, bool raises) private view {
        uint256 minimum = uint256(_at(c).parameters.minBase) * 1e9;
        uint256 size = FixedPoint.abs(leg.size);
        if (size < minimum && size != 0 && (raises || size > DUST_SIZE)) {
            revert PositionBelowMinimum(leg.account, c.id, size, minimum);
        }
    }

    /// @dev Raising risk: full prices, no pause, a side that still opens, and initial margin held without the gain this very fill made against the mark (nobody may finance a position by its own price).
    function _checkRaised(MarketCache memory c, Leg memory leg, Valuation memory v) private view {
        if (_at(c).income.riskPaused) revert RiskIsPaused(c.id);
        _requireFull(v);
        SideCache memory side = c.sides[leg.size < 0 ? SHORT : LONG];
        if (side.A < SideIndex.A_MIN) revert SideOnlyReduces(c.id, leg.size > 0);
        _requireMargin(leg.account, v.equity - FixedPoint.max(leg.gain, 0), v.initialMargin);
    }

    /// @dev Lowering risk. While the equity rests on a price that is gone, no value may leave by a bad fill: at most half a
    /// percent of the trade.
    function _checkLowered(MarketCache memory c, Leg memory leg, Valuation memory v) private view {
        if (v.validity == IPriceOracle.Validity.Invalid) {
            uint256 traded = FixedPoint.abs(leg.size - leg.sizeBefore).mulDivDown(c.markPrice, FixedPoint.WAD);
            if (leg.gain < -int256(traded / 200)) {
                revert PriceNotUsable(v.worst, v.validity, IPriceOracle.Validity.Reduced);
            }
        }
        if (v.equity < int256(v.initialMargin)) _checkNotWorse(c, leg, v);
    }

    /// @dev Lowering risk below initial margin: allowed if equity is not negative and health is no worse.
    ///
    ///     equity' / margin' >= equity / margin,  the values before the trade derived from those after it
    function _checkNotWorse(MarketCache memory c, Leg memory leg, Valuation memory v) private view {
        (int256 size, int256 quote) = _position(c, leg.account);
        (int256 value,, uint256 margin) = _value(c, size, quote);
        (int256 valueBefore,, uint256 marginBefore) = _value(c, leg.sizeBefore, leg.quoteBefore);
        int256 equityBefore = v.equity - (value + leg.realised - int256(leg.fee) - valueBefore);
        marginBefore = v.maintenanceMargin - margin + marginBefore;
        if (v.equity < 0 || v.equity * int256(marginBefore) < equityBefore * int256(v.maintenanceMargin)) {
            revert HealthWorsened(leg.account, equityBefore, marginBefore, v.equity, v.maintenanceMargin);
        }
    }

    function _checkOpenInterest(MarketCache memory c, uint256 openBefore) private pure {
        uint256 open = _openInterest(c.sides[LONG], false);
        if (open > openBefore && open > c.openInterestCap) revert OpenInterestAboveCap(c.id, open, c.openInterestCap);
    }

    /// @dev Time-weighted premium of fills over the index. A fill counts by its share of open interest, so that small trades
    /// with oneself do not set what everybody pays:
    ///
    ///     average += (held - average) * min(1, elapsed / 1 h)
    ///     held    += (clamp((fill - index) / index) - held) * min(1, base / openInterest)
    function _samplePremium(MarketCache memory c, uint256 fillPrice, uint256 base) private view {
        int256 clamp = int256(uint256(_at(c).parameters.fundingClampPpb));
        int256 premium = FixedPoint.mulDivFloor(MarginMath.PPB, int256(fillPrice) - int256(c.indexPrice), c.indexPrice);
        if (premium > clamp) premium = clamp;
        if (premium < -clamp) premium = -clamp;
        c.averagePremium = MarginMath.averagePremium(c.averagePremium, c.heldPremium, block.timestamp - c.premiumTime);
        uint256 open = _openInterest(c.sides[LONG], false);
        c.heldPremium =
            base >= open ? premium : c.heldPremium + FixedPoint.mulDivFloor(base, premium - c.heldPremium, open);
        c.premiumTime = block.timestamp;
    }

    /// @dev Income of the fund and of the treasury from a trading fee, split by the market's share.
    function _splitFee(Income memory income, uint256 fee, uint256 fundSharePpm) internal pure {
        uint256 toFund = fee * fundSharePpm / FixedPoint.PPM;
        income.fund += toFund.toUint120();
        income.treasury += (fee - toFund).toUint120();
    }
}
