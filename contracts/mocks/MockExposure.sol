// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IExposureSource} from "../../interfaces/IRiskOracle.sol";

/// @title Open interest as a test wants it, or no answer
contract MockExposure is IExposureSource {
    uint256 private _exposure;
    bool private _broken;

    error Broken();

    function set(uint256 exposure_, bool broken) external {
        (_exposure, _broken) = (exposure_, broken);
    }

    function exposure() external view returns (uint256) {
        if (_broken) revert Broken();
        return _exposure;
    }
}
