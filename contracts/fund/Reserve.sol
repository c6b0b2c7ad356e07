// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {Claimants} from "./Claimants.sol";

/// @title Layer 2: the operator's first loss
/// @notice Anybody may add to it. Only surplus can leave (`Surplus`). While it is below its target, the operator owes
/// the difference; the time to pay it runs from the moment somebody notes the gap, which anybody may do at once. (A cover
/// does not note it itself: that would cost every draw another slot.)
abstract contract Reserve is Claimants {
    /// @inheritdoc IInsuranceFund
    function fundReserve(uint256 assets) external locked {
        _pull(msg.sender, assets);
        _addToReserve(assets);
        emit ReserveFunded(msg.sender, assets);
    }

    /// @inheritdoc IInsuranceFund
    function setReserveTarget(uint256 target) external restricted whenFree {
        _reserveTerms.target = _toUint112(target);
        emit ReserveTargetSet(target);
        _noteGap();
    }

    /// @inheritdoc IInsuranceFund
    function setRefillTime(uint256 time) external restricted whenFree {
        if (time > type(uint32).max) revert InvalidLimits("refillTime");
        // forge-lint: disable-next-line(unsafe-typecast)
        _reserveTerms.refillTime = uint32(time);
        emit RefillTimeSet(time);
    }

    /// @inheritdoc IInsuranceFund
    function noteReserveGap() external whenFree {
        _noteGap();
    }

    function _addToReserve(uint256 assets) internal {
        _totals.reserve = _toUint112(_totals.reserve + assets);
        _noteGap();
    }

    /// @dev Starts the clock of a gap that is new, stops the one of a gap that is closed; a running clock runs on.
    function _noteGap() private {
        ReserveTerms memory t = _reserveTerms;
        bool short = _totals.reserve < t.target;
        if (short == (t.shortSince != 0)) return;
        _reserveTerms.shortSince = short ? uint40(block.timestamp) : 0;
        emit ReserveGapNoted(short, short ? t.target - _totals.reserve : 0);
    }

    /// @inheritdoc IInsuranceFund
    function reserve() external view whenFree returns (uint256 assets) {
        return _totals.reserve;
    }

    /// @inheritdoc IInsuranceFund
    function reserveTarget() external view whenFree returns (uint256 assets) {
        return _reserveTerms.target;
    }

    /// @inheritdoc IInsuranceFund
    function reserveGap() external view whenFree returns (uint256 gap, uint256 since, uint256 due) {
        ReserveTerms memory t = _reserveTerms;
        gap = t.target > _totals.reserve ? t.target - _totals.reserve : 0;
        if (gap != 0 && t.shortSince != 0) (since, due) = (t.shortSince, uint256(t.shortSince) + t.refillTime);
    }
}
