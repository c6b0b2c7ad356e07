// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Guarded} from "../Guarded.sol";
import {IBackstop} from "../../interfaces/IBackstop.sol";
import {ILiquidator} from "../../interfaces/ILiquidator.sol";
import {IMarginEngine} from "../../interfaces/IMarginEngine.sol";
import {IMarginEngineTypes} from "../../interfaces/IMarginEngineTypes.sol";
import {IOrderSettlement} from "../../interfaces/IOrderSettlement.sol";
import {ISharedLock} from "../../interfaces/ISharedLock.sol";
import {AccountId} from "../libraries/AccountId.sol";

/// @title Who may be liquidated, and since when
abstract contract LiquidatorBase is ILiquidator, Guarded {
    IMarginEngine internal immutable ENGINE;
    IOrderSettlement internal immutable SETTLEMENT;
    /// @dev Zero in a deployment without one.
    IBackstop internal immutable BACKSTOP;
    /// @dev WAD per unit of the collateral token.
    uint256 internal immutable SCALE;

    /// @notice Equity (WAD) below which an account counts as bankrupt: a hundred-millionth of a token, more than the
    /// rounding of a step can cost, so that a solvent step never ends below zero.
    int256 internal constant DUST_EQUITY = 1e10;

    constructor(IMarginEngine engine, IOrderSettlement settlement, IBackstop backstop, ISharedLock lock_, uint256 scale)
        Guarded(lock_)
    {
        (ENGINE, SETTLEMENT, BACKSTOP, SCALE) = (engine, settlement, backstop, scale);
    }

    /// @inheritdoc ILiquidator
    function flag(bytes32 account) external locked {
        IMarginEngineTypes.AccountState memory s = ENGINE.touch(account);
        _requireLiquidatable(account, s);
        if (s.flaggedAt == 0) ENGINE.setFlag(account, true);
    }

    /// @inheritdoc ILiquidator
    function unflag(bytes32 account) external locked {
        IMarginEngineTypes.AccountState memory s = ENGINE.touch(account);
        if (s.equity < int256(s.maintenanceMargin)) {
            revert StillLiquidatable(account, s.equity, s.maintenanceMargin);
        }
        if (s.flaggedAt != 0) ENGINE.setFlag(account, false);
    }

    function _requireLiquidatable(bytes32 account, IMarginEngineTypes.AccountState memory s) internal pure {
        if (s.equity >= int256(s.maintenanceMargin)) revert NotLiquidatable(account, s.equity, s.maintenanceMargin);
    }

    function _requireOwner(bytes32 account) internal view {
        if (AccountId.ownerOf(account) != msg.sender) revert NotOwner(account, msg.sender);
    }
}
