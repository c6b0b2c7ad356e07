// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccountViews} from "./engine/AccountViews.sol";
import {Delegating} from "./engine/Delegating.sol";
import {EngineStorage} from "./engine/EngineStorage.sol";
import {Fills} from "./engine/Fills.sol";
import {MarketViews} from "./engine/MarketViews.sol";
import {Upkeep} from "./engine/Upkeep.sol";

/// @title Backstop's margin engine
/// @notice A shell: the rules live in `contracts/engine/`, one concern a file. What traders and the guardian
/// do is here; what the liquidator does is in `MarginEngineBackOffice`, what governance does in `MarginEngineGovernance`.
/// Each part passes what it does not know on to the next by `delegatecall`, so that all stay under the size limit of a
/// contract. The state, the address and the interface (`IMarginEngine`) are one.
///
///     EngineStorage     state, packed; wiring
///     MarketCaches      a market in memory: funding, mark, sides
///     Positions         the side index, realised profit and loss, the profit lock
///     Margin            valuing accounts
///     Trades            one side of a trade
///     Collateral        deposit, withdraw                                front
///     Fills             agreed trades and the risk rules                 front
///     AccountViews      what others ask in a hurry: health, withdrawable front
///     MarketViews       markets                                          front
///     Upkeep            marks and funding, hand-over of income           front
///     LiquidationHooks  what the liquidator may do                       back office
///     AccountStates     whole accounts, position by position             back office
///     Guarding          what tightens at once                            governance
///     Listing           markets and parameters                           governance
///     CoverTerms        terms that follow the fund's solvency ratio      governance
///     Deferral          claims that wait for a fair window               back office
///     FairWindows       the close of a window, and who gets what back    governance
contract MarginEngine is Fills, AccountViews, MarketViews, Upkeep, Delegating {
    constructor(Wiring memory wiring, address backOffice) EngineStorage(wiring) Delegating(backOffice) {}
}
