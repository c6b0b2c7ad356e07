// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IInsuranceFund} from "../../../interfaces/IInsuranceFund.sol";
import {IStakedTranche} from "../../../interfaces/IStakedTranche.sol";
import {Slashing} from "./Slashing.sol";

/// @title Recoveries of losses, to those who bore them
/// @notice What comes back for a loss belongs to whoever held shares, or a request in an open bucket, when the loss fell,
/// in proportion; it does not matter what became of them since. A transfer of shares does not carry it along.
/// A loss that has no number cannot be traced to those who bore it: what comes back is income of the stake.
/// @dev A holder's units at a loss are what they were at the last change before it. Changes are kept only where a loss
/// lies between two of them (`_remember`), so nobody pays for this until there has been a loss.
abstract contract Recovering is Slashing {
    /// @inheritdoc IStakedTranche
    function recover(Loss calldata record, uint256 assets) external onlyFund {
        if (record.era == 0) return _addIncome(assets);
        uint256 total = record.fromActive;
        for (uint256 i = 0; i < record.cuts.length; ++i) {
            total += record.cuts[i];
        }
        _uncollected += assets;
        uint256 left = assets;
        // floor(assets * cut / loss) to each bucket, the remainder to the active stake, as the loss was taken
        for (uint256 i = 0; i < record.cuts.length; ++i) {
            uint256 part = assets * record.cuts[i] / total;
            if (part == 0) continue;
            left -= part;
            _giveBack(record.era, record.firstBucket + i, part, record.shares[i], 0);
        }
        if (left != 0) _giveBack(record.era, 0, left, record.supply, record.series);
    }

    function _giveBack(uint256 era_, uint256 part, uint256 assets, uint256 units, uint256 series_) private {
        Returned storage r = _returned[era_][part];
        // assets are below 2^112 together; the other two are copies of fields of their types
        // forge-lint: disable-next-line(unsafe-typecast)
        (r.assets, r.units, r.series) = (r.assets + uint128(assets), uint112(units), uint8(series_));
        emit LossRecovered(era_, part, assets);
    }

    /// @inheritdoc IStakedTranche
    function collect(address holder, uint256 era_, uint256 part) external locked returns (uint256 assets) {
        assets = _collectable(holder, era_, part);
        if (assets == 0) revert NothingToCollect(holder, era_, part);
        _collected[holder][era_][part] += assets;
        _uncollected -= assets;
        emit RecoveryCollected(holder, era_, part, assets);
        IInsuranceFund(FUND).payStaker(holder, assets);
    }

    /// @inheritdoc IStakedTranche
    function collectable(address holder, uint256 era_, uint256 part) external view whenFree returns (uint256 assets) {
        return _collectable(holder, era_, part);
    }

    /// @inheritdoc IStakedTranche
    function uncollected() external view whenFree returns (uint256 assets) {
        return _uncollected;
    }

    /// @inheritdoc IStakedTranche
    function era() external view whenFree returns (uint256) {
        return _pool.era;
    }

    /// @dev floor(recovered * units / all units) - collected
    function _collectable(address holder, uint256 era_, uint256 part) private view returns (uint256) {
        Returned memory r = _returned[era_][part];
        if (r.units == 0) return 0;
        uint256 units = _unitsAt(holder, era_, part, r.series);
        return uint256(r.assets) * units / r.units - _collected[holder][era_][part];
    }

    /// @dev Units of `holder` when loss `era_` fell: what is kept of then, and what it has had since before.
    function _unitsAt(address holder, uint256 era_, uint256 part, uint8 series_) private view returns (uint256 units) {
        Past[] storage past = _past[holder][part];
        for (uint256 i = past.length; i > 0; --i) {
            Past memory p = past[i - 1];
            if (p.upTo < era_) break;
            if (p.from < era_ && (part != 0 || p.series == series_)) units += p.units;
        }
        Holder memory h = _holders[holder];
        if (part == 0) return h.era < era_ && h.series == series_ ? units + h.shares : units;
        if (h.request == part && h.era < era_) units += h.requestShares;
        LaterRequest memory later = _laterRequests[holder][part];
        if (later.era < era_) units += later.shares;
    }
}
