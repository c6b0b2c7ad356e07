// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {CloseOut} from "./liquidation/CloseOut.sol";
import {IBackstop} from "../interfaces/IBackstop.sol";
import {IMarginEngine} from "../interfaces/IMarginEngine.sol";
import {IOrderSettlement} from "../interfaces/IOrderSettlement.sol";
import {ISharedLock} from "../interfaces/ISharedLock.sol";
import {LiquidatorBase} from "./liquidation/LiquidatorBase.sol";
import {PartialLiquidation} from "./liquidation/PartialLiquidation.sol";

/// @title Backstop's liquidator
/// @notice A shell over two modules: solvent accounts lose as much of a position as restores their health
/// (`PartialLiquidation`), bankrupt ones are closed out and their deficit goes down the waterfall (`CloseOut`). What
/// nobody takes may go to the fund's own accounts (`InventoryDesk`).
/// It holds no money, no state and no rights of its own; anybody may call everything.
contract Liquidator is PartialLiquidation, CloseOut {
    /// @param backstop the fund's accounts; zero for a deployment without
    constructor(IMarginEngine engine, IOrderSettlement settlement, IBackstop backstop, ISharedLock lock_, address token)
        LiquidatorBase(engine, settlement, backstop, lock_, 10 ** (18 - IERC20Metadata(token).decimals()))
    {}
}
