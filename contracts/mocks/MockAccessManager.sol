// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @title OpenZeppelin's AccessManager as it is, so that tests of one contract can deploy it
contract MockAccessManager is AccessManager {
    constructor(address admin) AccessManager(admin) {}
}
