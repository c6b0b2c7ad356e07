// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @title Who may call what, and after which delay
/// @notice OpenZeppelin's AccessManager as it is: nothing is added, so that its audits hold. Roles, delays and the functions
/// they open are set when a deployment is made; docs/governance.md lists them.
contract Authority is AccessManager {
    constructor(address initialAdmin) AccessManager(initialAdmin) {}
}
