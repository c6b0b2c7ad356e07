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
        (Pool memory p, Flow memory f) = _accrued();
        uint256 first = _firstOpen(p, f);
        // forge-lint: disable-next-line(unsafe-typecast)
        f.oldestOpen = uint24(first);
        record.series = p.series;
        record.supply = p.supply;
        record.firstBucket = first;
        record.cuts = new uint256[](uint256(p.epoch) + 1 - first);
        record.shares = new uint256[](record.cuts.length);
        record.fromActive = _cut(p, first, loss, record.cuts, record.shares);
        // the last number stands for all losses after it: nothing of them can be recovered to those who bore them
        if (p.era < type(uint8).max) record.era = ++p.era;
        p.assets -= _toUint112(record.fromActive);
        emit Slashed(p.series, loss, record.fromActive, first, record.cuts);
        rest = _endIfWorthless(p);
        _store(p, f);
    }

    /// @inheritdoc IStakedTranche
    function slashable() external view returns (uint256 assets) {
        // the fund asks in the middle of a call, everybody else between two
        if (msg.sender != FUND) _requireFree();
        (Pool memory p, Flow memory f) = _accrued();
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
        (Pool memory p, Flow memory f) = _accrued();
        uint256 left = f.streamLeft;
        // end = now + round((left * (end - now) + new * STREAM_TIME) / (left + new)): what is on its way keeps its time in
        // proportion, so nobody delays or hastens it by adding next to nothing
        uint256 total = left + assets;
        uint256 weighted = assets * STREAM_TIME;
        if (left != 0) weighted += left * (f.streamEnd - block.timestamp);
        f.streamLeft = _toUint112(total);
        f.accruedAt = uint32(block.timestamp);
        f.streamEnd = uint32(block.timestamp + (weighted + total / 2) / total);
        _store(p, f);
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
        uint256 count = cuts.length;
        Bucket[] memory held = new Bucket[](count);
        uint256 total = p.assets;
        for (uint256 i = 0; i < count; ++i) {
            held[i] = _buckets[first + i];
            shares[i] = held[i].shares;
            total += held[i].assets;
        }
        fromActive = loss;
        for (uint256 i = 0; i < count; ++i) {
            if (held[i].assets == 0) continue;
            cuts[i] = loss * held[i].assets / total;
            fromActive -= cuts[i];
        }
        for (uint256 i = 0; i < count; ++i) {
            if (fromActive > p.assets) {
                uint256 more = fromActive - p.assets;
                uint256 can = held[i].assets - cuts[i];
                if (more > can) more = can;
                cuts[i] += more;
                fromActive -= more;
            }
            if (cuts[i] != 0) {
                _storeBucket(first + i, held[i].assets - cuts[i], held[i].shares, held[i].maturity);
            }
        }
        if (count == 0 || cuts[count - 1] == 0) return fromActive;
        // nobody joins a bucket whose shares are worth next to nothing: so many of them would not fit
        Bucket memory last = held[count - 1];
        if ((last.assets - cuts[count - 1]) * PRICE_FALL < last.shares) ++p.epoch;
    }

    /// @dev Ends the series if a share is worth less than 1 / PRICE_FALL of what it was at the start:
    /// A + 1 < (S + V) / (V * PRICE_FALL), or nothing at all. The next deposit starts at the first price again.
    function _endIfWorthless(Pool memory p) private returns (uint256 rest) {
        if (p.supply == 0 || p.series == type(uint8).max) return 0;
        rest = p.assets;
        if (rest != 0 && (rest + 1) * VIRTUAL_SHARES * PRICE_FALL >= p.supply + VIRTUAL_SHARES) return 0;
        emit SeriesEnded(p.series, rest);
        p.assets = 0;
        p.supply = 0;
        ++p.series;
        // the new series starts a bucket of its own
        if (_buckets[p.epoch].maturity != 0) ++p.epoch;
    }
}
