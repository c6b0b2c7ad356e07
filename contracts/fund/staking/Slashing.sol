// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IStakedTranche} from "../../../interfaces/IStakedTranche.sol";
import {StakeShares} from "./StakeShares.sol";

/// @title Losses and income of the staked capital
/// @notice A loss is taken in the call that pays it, from the active stake and every open bucket in proportion to assets
/// (invariant SLASH_FAIR). No role can stop it, and no action of a staker can make it fail.
abstract contract Slashing is StakeShares {
    /// @inheritdoc IStakedTranche
    function slash(uint256 loss) external onlyFund returns (uint256 rest, Loss memory record) {
        (Pool memory p, Flow memory f) = (_pool, _flow);
        bool moved = _accrue(p, f);
        uint256 first = _firstOpen(p, f);
        record.series = p.series;
        record.supply = p.supply;
        record.firstBucket = first;
        uint256 count = uint256(p.epoch) + 1 - first;
        (record.cuts, record.shares) = (new uint256[](count), new uint256[](count));
        record.fromActive = _cut(p, first, loss, record.cuts, record.shares);
        // the last number stands for all losses after it: nothing of them can be recovered to those who bore them
        if (p.era < type(uint8).max) record.era = ++p.era;
        p.assets -= _toUint112(record.fromActive);
        emit Slashed(p.series, loss, record.fromActive, first, record.cuts);
        rest = _endIfWorthless(p);
        _storePool(p);
        if (!moved && first == f.oldestOpen) return (rest, record);
        // forge-lint: disable-next-line(unsafe-typecast)
        f.oldestOpen = uint24(first);
        _storeFlow(f);
    }

    /// @inheritdoc IStakedTranche
    function slashable() external view returns (uint256 assets) {
        // the fund asks in the middle of a call, everybody else between two
        if (msg.sender != FUND) _requireFree();
        (Pool memory p, Flow memory f) = (_pool, _flow);
        _accrue(p, f);
        assets = p.assets;
        for (uint256 id = _firstOpen(p, f); id <= p.epoch; ++id) {
            assets += _buckets[id].assets;
        }
    }

    /// @inheritdoc IStakedTranche
    function isHeld() external view returns (bool) {
        if (msg.sender != FUND) _requireFree();
        return block.timestamp < _flow.heldUntil;
    }

    /// @inheritdoc IStakedTranche
    function addIncome(uint256 assets) external onlyFund {
        _addIncome(assets);
    }

    function _addIncome(uint256 assets) internal {
        (Pool memory p, Flow memory f) = (_pool, _flow);
        _accrue(p, f);
        uint256 left = f.streamLeft;
        // end = now + round((left * (end - now) + new * STREAM_TIME) / (left + new)): what is on its way keeps its time in
        // proportion, so nobody delays or hastens it by adding next to nothing
        uint256 total = left + assets;
        uint256 weighted = assets * STREAM_TIME;
        if (left != 0) weighted += left * (f.streamEnd - block.timestamp);
        f.streamLeft = _toUint112(total);
        f.accruedAt = uint32(block.timestamp);
        f.streamEnd = uint32(block.timestamp + (weighted + total / 2) / total);
        _storePool(p);
        _storeFlow(f);
        emit IncomeAdded(assets, f.streamLeft, f.streamEnd);
    }

    /// @inheritdoc IStakedTranche
    function holdMaturity() external onlyFund {
        // what is mature now stays mature
        // forge-lint: disable-next-line(unsafe-typecast)
        _flow.oldestOpen = uint24(_firstOpen(_pool, _flow));
        _flow.heldUntil = uint32(block.timestamp + HOLD_TIME);
        emit MaturityHeld(block.timestamp + HOLD_TIME);
    }

    /// @dev cut_e = floor(L * B_e / X) of each open bucket, the remainder of the active stake; where that is too small for
    /// the remainder (a few units), the first buckets that can pay the difference.
    /// @return fromActive what the active stake bears
    function _cut(Pool memory p, uint256 first, uint256 loss, uint256[] memory cuts, uint256[] memory shares)
        private
        returns (uint256 fromActive)
    {
        uint256 total = p.assets;
        for (uint256 i = 0; i < cuts.length; ++i) {
            unchecked {
                Bucket storage b = _buckets[first + i];
                // what it holds, until the total is known
                uint256 held = b.assets;
                (cuts[i], shares[i]) = (held, b.shares);
                total += held;
            }
        }
        fromActive = loss;
        for (uint256 i = 0; i < cuts.length; ++i) {
            uint256 held = cuts[i];
            if (held == 0) continue;
            uint256 cut = loss * held / total;
            (cuts[i], fromActive) = (cut, fromActive - cut);
            // forge-lint: disable-next-line(unsafe-typecast)
            if (cut != 0) _buckets[first + i].assets = uint112(held - cut);
        }
        if (fromActive > p.assets) fromActive = _cutMore(first, fromActive, p.assets, cuts);
        uint256 count = cuts.length;
        if (count == 0 || cuts[count - 1] == 0) return fromActive;
        // nobody joins a bucket whose shares are worth next to nothing: so many of them would not fit
        if (_buckets[p.epoch].assets * PRICE_FALL < shares[count - 1]) ++p.epoch;
    }

    /// @dev Brings what falls on the active stake down to what it holds.
    function _cutMore(uint256 first, uint256 fromActive, uint256 active, uint256[] memory cuts)
        private
        returns (uint256)
    {
        for (uint256 i = 0; fromActive > active && i < cuts.length; ++i) {
            Bucket storage b = _buckets[first + i];
            uint256 more = fromActive - active;
            uint256 can = b.assets;
            if (more > can) more = can;
            // forge-lint: disable-next-line(unsafe-typecast)
            b.assets = uint112(can - more);
            cuts[i] += more;
            fromActive -= more;
        }
        return fromActive;
    }

    /// @dev Ends the series if a share is worth less than 1 / PRICE_FALL of what it was at the start:
    /// A + 1 < (S + V) / (V * PRICE_FALL), or nothing at all. The next deposit starts at the first price again.
    function _endIfWorthless(Pool memory p) private returns (uint256 rest) {
        if (p.supply == 0 || p.series == type(uint8).max) return 0;
        rest = p.assets;
        // below 2^112 * 10^9
        unchecked {
            if (rest != 0 && (rest + 1) * VIRTUAL_SHARES * PRICE_FALL >= p.supply + VIRTUAL_SHARES) return 0;
        }
        emit SeriesEnded(p.series, rest);
        p.assets = 0;
        p.supply = 0;
        ++p.series;
        // the new series starts a bucket of its own
        if (_buckets[p.epoch].maturity != 0) ++p.epoch;
    }
}
