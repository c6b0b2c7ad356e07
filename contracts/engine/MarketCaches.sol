// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EngineStorage} from "./EngineStorage.sol";
import {IPriceOracle} from "../../interfaces/IPriceOracle.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {MarginMath} from "../libraries/MarginMath.sol";
import {SideIndex} from "../libraries/SideIndex.sol";

/// @title A market in memory: loaded once, brought up to date, changed, stored once
/// @notice Loading accrues funding (at the mark that was in force) and, if asked, lets the mark follow the index. The
/// same code serves views and transactions, so what a view says is what a transaction in the same block would see.
abstract contract MarketCaches is EngineStorage {
    using FixedPoint for uint256;
    using SafeCast for uint256;
    using SafeCast for int256;

    /// @dev One side in memory; `B` is the exact sum of its positions' basis.
    struct SideCache {
        uint256 A;
        int256 K;
        uint256 epoch;
        uint256 B;
        bool changed;
        bool claims; // deferred claims of this side are open
    }

    /// @dev `sides[0]` is long, `sides[1]` short. `indexPrice` is 0 unless the oracle was asked and had a usable price.
    struct MarketCache {
        uint256 id;
        bytes32 slot;
        SideCache[2] sides;
        bool claims; // of a side at least
        uint256 accruedAt;
        uint256 markPrice;
        uint256 markTime;
        uint256 observedAt;
        uint256 premiumTime;
        int256 heldPremium;
        int256 averagePremium;
        IPriceOracle.Validity validity;
        uint256 indexPrice;
        bool markChanged; // the slot has to be written
        bool markMoved; // price or validity differ: worth an event
        uint256 openInterestCap;
        uint256 sizeScale;
        uint256 initialMarginPpm;
        uint256 maintenanceMarginPpm;
        uint256 openInterestSlopePpm;
    }

    uint256 internal constant LONG = 0;
    uint256 internal constant SHORT = 1;
    uint256 internal constant BOTH = 2;

    /// @dev The market (one side of it, or `BOTH`) with funding accrued, and the mark refreshed if the stored one is older
    /// than the market allows. For valuing positions; not stored.
    function _peek(MarketCache memory c, uint256 id, uint256 which) internal view {
        uint256 maxAge = _load(c, id, which);
        // an invalid reading is looked at again, however young it is
        if (block.timestamp - c.markTime > maxAge || c.validity == IPriceOracle.Validity.Invalid) _refreshMark(c);
    }

    /// @dev The market with funding accrued and the oracle asked, whatever the age of the mark. To be stored.
    function _loadFresh(uint256 id) internal view returns (MarketCache memory c) {
        _load(c, id, BOTH);
        if (c.maintenanceMarginPpm == 0) revert UnknownMarket(id); // no listed market is without
        _refreshMark(c);
    }

    /// @dev The market with funding accrued, at its stored mark.
    function _loadStored(uint256 id) internal view returns (MarketCache memory c) {
        _load(c, id, BOTH);
    }

    /// @dev Fills `c`, which may have held another market. Loads one side or both; while funding flows both are needed for
    /// either, otherwise the side that was not asked for is not looked at.
    function _load(MarketCache memory c, uint256 id, uint256 which) private view returns (uint256 maxAge) {
        Market storage m = _markets[id];
        c.id = id;
        bytes32 slot;
        assembly ("memory-safe") {
            slot := m.slot
        }
        c.slot = slot;
        c.indexPrice = 0;
        c.markChanged = c.markMoved = false;
        if (m.mark.averagePremium != 0) which = BOTH;
        c.claims = false;
        if (which != SHORT) _loadSide(c, c.sides[LONG], m.long, m.totals.basisLong);
        if (which != LONG) _loadSide(c, c.sides[SHORT], m.short, m.totals.basisShort);
        c.accruedAt = m.totals.accruedAt;
        c.markPrice = m.mark.price;
        c.markTime = m.mark.time;
        c.observedAt = m.mark.observedAt;
        c.premiumTime = m.mark.premiumTime;
        c.heldPremium = m.mark.heldPremium;
        c.averagePremium = m.mark.averagePremium;
        c.validity = m.mark.validity;
        c.openInterestCap = m.parameters.openInterestCap;
        c.sizeScale = m.parameters.sizeScale;
        c.initialMarginPpm = m.parameters.initialMarginPpm;
        c.maintenanceMarginPpm = m.parameters.maintenanceMarginPpm;
        c.openInterestSlopePpm = m.parameters.openInterestSlopePpm;
        maxAge = m.parameters.maxMarkAge;
        _accrue(c);
    }

    /// @dev The market's storage, without hashing its key again.
    function _at(MarketCache memory c) internal pure returns (Market storage m) {
        bytes32 slot = c.slot;
        assembly ("memory-safe") {
            m.slot := slot
        }
    }

    function _loadSide(MarketCache memory c, SideCache memory side, SideIndex.Side storage stored, uint256 B)
        private
        view
    {
        side.A = stored.A;
        side.K = stored.K;
        uint256 epoch = stored.epoch;
        side.claims = false;
        if (epoch > SideIndex.EPOCH_MASK) {
            epoch &= SideIndex.EPOCH_MASK;
            side.claims = c.claims = true;
        }
        side.epoch = epoch;
        side.B = B;
        side.changed = false;
    }

    /// @dev Moves funding from the paying to the receiving side for the time since the last accrual:
    ///
    ///     payment = openInterest of the payers * mark * premium * elapsed / 8 h        rounded up
    ///
    /// The payers' K is charged up and the receivers' credited down by the same total, so nothing is minted.
    function _accrue(MarketCache memory c) private view {
        uint256 since = c.accruedAt;
        uint256 elapsed = block.timestamp - since;
        if (elapsed == 0) return;
        c.accruedAt = block.timestamp;
        int256 premium = c.averagePremium;
        // a premium is in force for an hour after the last fill
        uint256 inForce = c.premiumTime + MarginMath.PREMIUM_WINDOW;
        if (premium == 0 || since >= inForce) return;
        if (block.timestamp > inForce) elapsed = inForce - since;
        SideCache memory payer = c.sides[premium > 0 ? LONG : SHORT];
        SideCache memory receiver = c.sides[premium > 0 ? SHORT : LONG];
        if (payer.B == 0 || receiver.B == 0) return;
        uint256 total = MarginMath.fundingUp(
            SideIndex.sizeOf(payer.B, payer.A, true), c.markPrice, FixedPoint.abs(premium), elapsed
        );
        payer.K = SideIndex.payUp(payer.K, total, payer.B);
        receiver.K = SideIndex.getDown(receiver.K, total, receiver.B);
        payer.changed = receiver.changed = true;
    }

    /// @dev Asks the oracle and lets the mark follow the index. A reading of both feeds that is older than the last one
    /// used is no reading. (With one feed left it may well be older: the feed that is gone was the fresher one. It is
    /// still within its maximum age, and nothing can be opened or withdrawn against it.)
    function _refreshMark(MarketCache memory c) private view {
        (uint256 indexPrice, uint256 observedAt, IPriceOracle.Validity validity) = ORACLE.read(c.id, c.markPrice);
        bool older = observedAt < c.observedAt;
        if (older && validity == IPriceOracle.Validity.Full || indexPrice > MAX_PRICE) {
            validity = IPriceOracle.Validity.Invalid;
        }
        c.markChanged = true;
        c.markMoved = validity != c.validity;
        c.validity = validity;
        if (validity == IPriceOracle.Validity.Invalid) return;
        c.indexPrice = indexPrice;
        if (!older) c.observedAt = observedAt;
        uint256 markPrice =
            MarginMath.follow(c.markPrice, indexPrice, _at(c).parameters.markSpeedPpb, block.timestamp - c.markTime);
        if (markPrice != c.markPrice) (c.markPrice, c.markMoved) = (markPrice, true);
        c.markTime = block.timestamp;
        if (_lags(c)) (c.validity, c.markMoved) = (IPriceOracle.Validity.Reduced, true);
    }

    /// @dev The mark is known to be wrong by more than a quarter of what lies between initial and maintenance margin:
    ///
    ///     |index - mark| * 4 > mark * min(initial - maintenance, maintenance)
    ///
    /// (The second bound because the initial margin rises as the fund empties, or at once by the guardian: that must not
    /// make a worse mark good enough.) Until it has caught up nothing may be opened or withdrawn against it, or the gap could be cashed in.
    function _lags(MarketCache memory c) private pure returns (bool) {
        uint256 gap = c.indexPrice > c.markPrice ? c.indexPrice - c.markPrice : c.markPrice - c.indexPrice;
        uint256 between = FixedPoint.min(c.initialMarginPpm - c.maintenanceMarginPpm, c.maintenanceMarginPpm);
        return gap * 4 * FixedPoint.PPM > c.markPrice * between;
    }

    /// @dev Writes back what changed.
    function _store(MarketCache memory c) internal {
        Market storage m = _at(c);
        _endDust(c);
        _resetIfEmpty(c.sides[LONG]);
        _resetIfEmpty(c.sides[SHORT]);
        m.totals = Totals({
            basisLong: c.sides[LONG].B.toUint112(),
            basisShort: c.sides[SHORT].B.toUint112(),
            accruedAt: uint32(c.accruedAt)
        });
        if (c.sides[LONG].changed) _storeSide(m.long, c.sides[LONG]);
        if (c.sides[SHORT].changed) _storeSide(m.short, c.sides[SHORT]);
        if (c.markChanged) {
            m.mark = Mark({
                price: uint88(c.markPrice),
                time: uint32(c.markTime),
                observedAt: uint32(c.observedAt),
                premiumTime: uint32(c.premiumTime),
                heldPremium: int32(c.heldPremium),
                averagePremium: int32(c.averagePremium),
                validity: c.validity
            });
            if (c.markMoved) emit MarkMoved(c.id, c.markPrice, c.indexPrice, c.validity);
        }
    }

    function _storeSide(SideIndex.Side storage stored, SideCache memory side) private {
        stored.A = uint72(side.A);
        stored.K = side.K.toInt160();
        stored.epoch = uint24(side.claims ? side.epoch | (SideIndex.EPOCH_MASK + 1) : side.epoch);
    }

    /// @dev When one side is empty the other can only hold a few wei, by which the rounding of earlier tear-ups made the
    /// sides differ. Nobody could ever trade against them, and their tiny size factor would keep everybody out.
    function _endDust(MarketCache memory c) private {
        bool noLongs = c.sides[LONG].B == 0;
        if (noLongs != (c.sides[SHORT].B == 0)) _endEpoch(c, noLongs);
    }

    /// @dev A side without positions starts afresh: nothing refers to its A and K any more.
    function _resetIfEmpty(SideCache memory side) private pure {
        if (side.B != 0 || (side.A == SideIndex.ONE && side.K == 0)) return;
        side.A = SideIndex.ONE;
        side.K = 0;
        side.changed = true;
    }

    /// @dev Base held or owed by a side: longs rounded down, shorts up.
    function _openInterest(SideCache memory side, bool short) internal pure returns (uint256) {
        return SideIndex.sizeOf(side.B, side.A, short);
    }

    /// @dev Ends a side's epoch: all of its positions are closed, their quote is fixed at the K of now.
    function _endEpoch(MarketCache memory c, bool short) internal {
        SideCache memory side = c.sides[short ? SHORT : LONG];
        uint256 tag = _tag(side.epoch, short);
        _ended[c.id][tag] = EndedSide(side.K.toInt160(), side.claims);
        if (side.claims) _sideClaims[c.id][tag].basis = side.B.toUint112();
        side.claims = false;
        emit SideEnded(c.id, !short, side.epoch);
        side.epoch += 1;
        side.A = SideIndex.ONE;
        side.K = 0;
        side.B = 0;
        side.changed = true;
    }

    function _tag(uint256 epoch, bool short) internal pure returns (uint256) {
        return epoch * 2 + (short ? 1 : 0);
    }
}
