// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {MarketCaches} from "./MarketCaches.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {MarginMath} from "../libraries/MarginMath.sol";
import {SideIndex} from "../libraries/SideIndex.sol";

/// @title Positions: reading them through the side index, changing them, realising profit and loss
abstract contract Positions is MarketCaches {
    using FixedPoint for uint256;
    using SafeCast for uint256;
    using SafeCast for int256;

    /// @dev Position of `account` now: signed size and quote, funding included.
    function _position(MarketCache memory c, bytes32 account) internal view returns (int256 size, int256 quote) {
        SideIndex.Position memory p = _positions[account][c.id];
        if (p.basis == 0) return (0, 0);
        bool short = p.tag & 1 == 1;
        SideCache memory side = c.sides[short ? SHORT : LONG];
        if (p.tag >> 1 != side.epoch) {
            // the side ended an epoch: the position is closed at the K of then
            return (0, SideIndex.quoteOf(p.basis, p.quoteAtZero, _ended[c.id][p.tag].K));
        }
        size = int256(SideIndex.sizeOf(p.basis, side.A, short));
        if (short) size = -size;
        quote = SideIndex.quoteOf(p.basis, p.quoteAtZero, side.K);
    }

    /// @dev Replaces the position of `account` by `(size, quote)`. A size of zero needs a quote of zero.
    function _setPosition(MarketCache memory c, Account memory a, bytes32 account, int256 size, int256 quote) private {
        SideIndex.Position storage stored = _positions[account][c.id];
        uint256 oldBasis = stored.basis;
        uint256 oldTag;
        if (oldBasis != 0) {
            oldTag = stored.tag;
            SideCache memory old = c.sides[oldTag & 1];
            if (oldTag >> 1 == old.epoch) old.B -= oldBasis;
            else if (_ended[c.id][oldTag].claims) _leaveEnded(account, c.id, oldTag, oldBasis);
        }
        if (size == 0) {
            if (c.claims) _moveClaims(c, a, account, oldBasis, oldTag, 0, 0);
            delete _positions[account][c.id];
            a.markets &= ~_bit(c.id);
            return;
        }
        bool short = size < 0;
        SideCache memory side = c.sides[short ? SHORT : LONG];
        if (side.B == 0) (side.A, side.K, side.changed) = (SideIndex.ONE, 0, true);
        uint256 basis = SideIndex.basisOf(FixedPoint.abs(size), side.A, short);
        side.B += basis;
        if (c.claims) _moveClaims(c, a, account, oldBasis, oldTag, basis, _tag(side.epoch, short));
        _positions[account][c.id] = SideIndex.Position({
            basis: basis.toUint112(),
            quoteAtZero: SideIndex.quoteAtZeroOf(basis, quote, side.K).toInt120(),
            tag: uint24(_tag(side.epoch, short))
        });
        if (oldBasis == 0) _enterMarket(a, account, c.id);
    }

    /// @dev A position of a market with open claims changes from `(before, oldTag)` to `(afterwards, tag)`. On the same
    /// side only the difference leaves or joins.
    function _moveClaims(
        MarketCache memory c,
        Account memory a,
        bytes32 account,
        uint256 before,
        uint256 oldTag,
        uint256 afterwards,
        uint256 tag
    ) private {
        if (afterwards != 0 && tag == oldTag) {
            if (before > afterwards) before -= afterwards;
            else (before, afterwards) = (0, afterwards - before);
            if (before != 0) afterwards = 0;
        }
        SideCache memory side = c.sides[oldTag & 1];
        if (before != 0 && side.claims && side.epoch == oldTag >> 1) _leaveClaims(account, c.id, oldTag, before);
        if (afterwards != 0 && c.sides[tag & 1].claims) _joinClaims(a, account, c.id, tag, afterwards);
    }

    /// @dev The same for a position of a side that has ended, which leaves as a whole.
    function _leaveEnded(bytes32 account, uint256 market, uint256 tag, uint256 basis) private {
        _sideClaims[market][tag].basis -= basis.toUint112();
        _leaveClaims(account, market, tag, basis);
    }

    /// @dev Basis that leaves a side with open claims takes its part of them along, as a record:
    ///
    ///     left += floor(basis * C / (ONE * WAD))
    ///
    /// An account that is closed out leaves its part to the market, which bears its deficit.
    function _leaveClaims(bytes32 account, uint256 market, uint256 tag, uint256 basis) private {
        SideClaims storage s = _sideClaims[market][tag];
        uint256 claim = basis.mulDivDown(s.C, SideIndex.K_UNIT);
        if (account == _closedOut) account = bytes32(0);
        if (claim == 0) return;
        _windowRecords[account][market][s.window].left += claim.toUint128();
        emit WindowRecorded(s.window, market, account, claim, 0);
    }

    /// @dev Basis that joins will share in what the side gets back, so it pays in what others paid before:
    ///
    ///     joined += ceil(basis * C / (ONE * WAD))
    function _joinClaims(Account memory a, bytes32 account, uint256 market, uint256 tag, uint256 basis) private {
        SideClaims storage s = _sideClaims[market][tag];
        uint128 paid = basis.mulDivUp(s.C, SideIndex.K_UNIT).toUint128();
        a.collateral = (int256(a.collateral) - int256(uint256(paid))).toInt120();
        _windowRecords[account][market][s.window].joined += paid;
        _marketClaims[market].pot += paid;
        emit WindowRecorded(s.window, market, account, 0, paid);
    }

    /// @dev Adds `(baseChange, quoteChange)` to a position that is `(size, quote)` now. The part that is closed realises
    /// its share of the position's quote, so that profit reaches collateral (and the profit lock) as soon as it is made:
    ///
    ///     closed   = min(|baseChange|, |size|) if the signs differ, else 0
    ///     realised = floor(quote * closed / |size|) + floor(quoteChange * closed / |baseChange|)
    ///
    /// @return newSize size after the change
    /// @return realised what moved to collateral, signed
    function _changePosition(
        MarketCache memory c,
        Account memory a,
        bytes32 account,
        int256 size,
        int256 quote,
        int256 baseChange,
        int256 quoteChange
    ) internal returns (int256 newSize, int256 realised) {
        newSize = size + baseChange;
        if (size == 0) {
            realised = quote; // what an ended epoch left
        } else if ((size ^ baseChange) < 0 && baseChange != 0) {
            uint256 held = FixedPoint.abs(size);
            uint256 change = FixedPoint.abs(baseChange);
            realised = change >= held
                ? quote + FixedPoint.mulDivFloor(held, quoteChange, change)
                : FixedPoint.mulDivFloor(change, quote, held) + quoteChange;
        }
        quote = quote + quoteChange - realised;
        if (newSize == 0) {
            realised += quote;
            quote = 0;
        }
        _setPosition(c, a, account, newSize, quote);
        _realise(c, a, account, realised);
    }

    /// @dev Books realised profit or loss. Profit is locked for the market's time; a loss eats locked profit first, so
    /// that nobody's principal stays locked behind a profit that is gone.
    function _realise(MarketCache memory c, Account memory a, bytes32 account, int256 realised) private {
        if (realised == 0) return;
        a.collateral = (int256(a.collateral) + realised).toInt120();
        if (realised < 0) {
            if (a.hasLock) _shrinkLock(a, account, uint256(-realised));
        } else {
            uint256 lockSeconds = _at(c).parameters.profitLock;
            if (lockSeconds != 0) _growLock(a, account, uint256(realised), lockSeconds);
        }
    }

    function _growLock(Account memory a, bytes32 account, uint256 profit, uint256 lockSeconds) private {
        uint256 left = _lockedUp(a, account);
        if (left != 0) {
            uint256 secondsLeft = _profitLocks[account].end - block.timestamp;
            lockSeconds = MarginMath.mergedRelease(left, secondsLeft, profit, lockSeconds);
            // profit made with oneself under a shorter lock must not free what is locked already
            if (lockSeconds < secondsLeft) lockSeconds = secondsLeft;
        }
        _profitLocks[account] = ProfitLock({
            amount: (left + profit).toUint112(),
            start: uint40(block.timestamp),
            end: uint40(block.timestamp + lockSeconds)
        });
        a.hasLock = true;
    }

    function _shrinkLock(Account memory a, bytes32 account, uint256 loss) private {
        uint256 left = _lockedUp(a, account);
        if (left <= loss) {
            delete _profitLocks[account];
            a.hasLock = false;
        } else {
            _profitLocks[account].amount = (left - loss).toUint112();
            _profitLocks[account].start = uint40(block.timestamp);
        }
    }

    /// @dev Realised profit of `account` that is not withdrawable yet, rounded up.
    function _lockedUp(Account memory a, bytes32 account) internal view returns (uint256) {
        if (!a.hasLock) return 0;
        ProfitLock memory l = _profitLocks[account];
        return MarginMath.lockedUp(l.amount, l.start, l.end, block.timestamp);
    }

    function _enterMarket(Account memory a, bytes32 account, uint256 market) private pure {
        a.markets |= _bit(market);
        if (_count(a.markets) > MAX_MARKETS_PER_ACCOUNT) revert TooManyMarkets(account);
    }

    /// @dev How many markets a bit set holds.
    function _count(uint256 bits) internal pure returns (uint256 count) {
        for (; bits != 0; bits &= bits - 1) {
            ++count;
        }
    }

    function _bit(uint256 market) internal pure returns (uint64) {
        return uint64(1) << uint64(market);
    }
}
