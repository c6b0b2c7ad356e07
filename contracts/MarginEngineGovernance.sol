// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {CoverTerms} from "./engine/CoverTerms.sol";
import {EngineStorage} from "./engine/EngineStorage.sol";
import {FairWindows} from "./engine/FairWindows.sol";
import {Guarding} from "./engine/Guarding.sol";

/// @title The margin engine's third part
/// @notice What roles call, and what follows the fund. `MarginEngineBackOffice` delegates to it; called directly it knows
/// no market.
contract MarginEngineGovernance is CoverTerms, Guarding, FairWindows {
    constructor(Wiring memory wiring) EngineStorage(wiring) {}
}
