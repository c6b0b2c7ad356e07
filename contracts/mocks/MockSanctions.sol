// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ISanctionsList} from "../../interfaces/ISanctionsList.sol";

/// @title A list as a test wants it, or no answer
contract MockSanctions is ISanctionsList {
    mapping(address who => bool) private _listed;
    bool private _broken;

    error Broken();

    function set(address who, bool listed) external {
        _listed[who] = listed;
    }

    function setBroken(bool broken) external {
        _broken = broken;
    }

    function isSanctioned(address who) external view returns (bool) {
        if (_broken) revert Broken();
        return _listed[who];
    }
}
