// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccountViews} from "./engine/AccountViews.sol";
import {EngineStorage} from "./engine/EngineStorage.sol";
import {Fills} from "./engine/Fills.sol";
import {Guarding} from "./engine/Guarding.sol";
import {MarketViews} from "./engine/MarketViews.sol";
import {Upkeep} from "./engine/Upkeep.sol";

/// @title Backstop's margin engine
/// @notice A shell: the rules live in `contracts/engine/`, one concern a file. What traders and the guardian
/// do is here; what the liquidator and governance do is in `MarginEngineBackOffice`, which this contract calls into by
/// `delegatecall`, so that both stay under the size limit of a contract. The state, the address and the interface (`IMarginEngine`) are one.
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
///     Guarding          what tightens at once                            front
///     LiquidationHooks  what the liquidator may do                       back office
///     AccountStates     whole accounts, position by position             back office
///     Listing           markets and parameters                           back office
contract MarginEngine is Fills, AccountViews, MarketViews, Upkeep, Guarding {
    /// @dev Fixed at construction: there is no upgrade.
    address internal immutable BACK_OFFICE;

    constructor(Wiring memory wiring, address backOffice) EngineStorage(wiring) {
        if (backOffice.code.length == 0) revert UnsupportedAsset(backOffice, "back office has no code");
        BACK_OFFICE = backOffice;
    }

    /// @dev Everything that is not here is in the back office. It shares this contract's state, caller and lock.
    fallback() external {
        address target = BACK_OFFICE;
        assembly ("memory-safe") {
            let start := mload(0x40)
            calldatacopy(start, 0, calldatasize())
            let ok := delegatecall(gas(), target, start, calldatasize(), 0, 0)
            returndatacopy(start, 0, returndatasize())
            if iszero(ok) { revert(start, returndatasize()) }
            return(start, returndatasize())
        }
    }
}
