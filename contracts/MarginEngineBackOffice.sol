// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Delegating} from "./engine/Delegating.sol";
import {EngineStorage} from "./engine/EngineStorage.sol";
import {LiquidationHooks} from "./engine/LiquidationHooks.sol";

/// @title The margin engine's second part
/// @notice `MarginEngine` delegates to it what traders do not call: liquidation and whole accounts.
/// It is deployed with the same wiring and has no state of its own: called directly it knows no market and no account.
contract MarginEngineBackOffice is LiquidationHooks, Delegating {
    constructor(Wiring memory wiring, address governance) EngineStorage(wiring) Delegating(governance) {}
}
