// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {Claimants} from "./Claimants.sol";

/// @title Layer 2: the operator's first loss
/// @notice Anybody may add to it. Only what is above the target can leave, by a role.
abstract contract Reserve is Claimants {
    /// @inheritdoc IInsuranceFund
    function fundReserve(uint256 assets) external locked {
        _pull(msg.sender, assets);
        _addToReserve(assets);
        emit ReserveFunded(msg.sender, assets);
    }

    /// @inheritdoc IInsuranceFund
    function releaseReserve(address to, uint256 assets) external restricted locked {
        if (to == address(0)) revert ZeroAddress();
        if (assets == 0) revert ZeroAmount();
        // available = max(0, reserve - target)
        uint256 held = _totals.reserve;
        uint256 available = held > _reserveTarget ? held - _reserveTarget : 0;
        if (assets > available) revert ReserveTooSmall(assets, available);
        _totals.reserve = _toUint112(held - assets);
        emit ReserveReleased(to, assets);
        _push(to, assets);
    }

    /// @inheritdoc IInsuranceFund
    function setReserveTarget(uint256 target) external restricted whenFree {
        _reserveTarget = target;
        emit ReserveTargetSet(target);
    }

    function _addToReserve(uint256 assets) internal {
        _totals.reserve = _toUint112(_totals.reserve + assets);
    }

    /// @inheritdoc IInsuranceFund
    function reserve() external view whenFree returns (uint256 assets) {
        return _totals.reserve;
    }

    /// @inheritdoc IInsuranceFund
    function reserveTarget() external view whenFree returns (uint256 assets) {
        return _reserveTarget;
    }
}
