// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {ISanctionsList} from "../interfaces/ISanctionsList.sol";
import {ISharedLock} from "../interfaces/ISharedLock.sol";
import {FundStorage} from "./fund/FundStorage.sol";
import {Inventory} from "./fund/Inventory.sol";
import {Guarded} from "./Guarded.sol";

/// @title The insurance fund
/// @notice Layers of capital that pay bankrupt accounts' deficits by rule; `docs/fund.md` explains it with numbers.
/// The rules live in `contracts/fund/`, one concern a file:
/// FundStorage (ledger and token), DrawLimits, Claimants, Reserve (layer 2), Backing (the second slice), Surplus (solvency
/// ratio, what may leave), Staking (between here and layer 3, which is `StakedTranche`), Compartments (layer 1), Waterfall
/// (cover), Inventory (capital of the backstop's accounts).
contract InsuranceFund is Inventory {
    /// @param authority AccessManager that says who may call the restricted functions, and after which delay
    /// @param sanctions list that stakers are checked against; zero: none
    constructor(IERC20 asset_, ISharedLock lock_, address authority, ISanctionsList sanctions)
        FundStorage(asset_, lock_, authority, sanctions)
        Guarded(lock_)
        AccessManaged(authority)
    {}
}
