// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {Reserve} from "./Reserve.sol";

/// @title The operator's second slice
/// @notice Pays after the stakers and before reinsurance, under the same draw limits. It may be empty. Nothing leaves it
/// while a shortfall is known to be open.
abstract contract Backing is Reserve {
    /// @inheritdoc IInsuranceFund
    function fundBacking(uint256 assets) external locked {
        _pull(msg.sender, assets);
        _backing = _toUint112(_backing + assets);
        emit BackingFunded(msg.sender, assets);
    }

    /// @inheritdoc IInsuranceFund
    function releaseBacking(address to, uint256 assets) external restricted locked {
        if (to == address(0)) revert ZeroAddress();
        if (assets == 0) revert ZeroAmount();
        if (TRANCHE.isHeld()) revert ShortfallOpen();
        uint256 held = _backing;
        if (assets > held) revert BackingTooSmall(assets, held);
        _backing = _toUint112(held - assets);
        emit BackingReleased(to, assets);
        _push(to, assets);
    }

    /// @inheritdoc IInsuranceFund
    function backing() external view whenFree returns (uint256 assets) {
        return _backing;
    }
}
