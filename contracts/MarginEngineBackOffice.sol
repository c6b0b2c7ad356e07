// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EngineStorage} from "./engine/EngineStorage.sol";
import {LiquidationHooks} from "./engine/LiquidationHooks.sol";
import {Listing} from "./engine/Listing.sol";

/// @title The margin engine's second half
/// @notice `MarginEngine` delegates to it what traders do not call: liquidation, listing, whole accounts.
/// It is deployed with the same wiring and has no state of its own: called directly it knows no market and no account.
contract MarginEngineBackOffice is LiquidationHooks, Listing {
    constructor(Wiring memory wiring) EngineStorage(wiring) {}
}
