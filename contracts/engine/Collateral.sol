// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Margin} from "./Margin.sol";
import {AccountId} from "../libraries/AccountId.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {Sanctions} from "../libraries/Sanctions.sol";

/// @title Collateral in and out
abstract contract Collateral is Margin {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;
    using SafeCast for int256;

    function deposit(bytes32 account, uint256 assets) external locked {
        if (assets == 0) revert ZeroAmount();
        if (AccountId.ownerOf(account) == address(0)) revert ZeroAccount();
        Sanctions.check(SANCTIONS, msg.sender, AccountId.ownerOf(account));
        uint256 before = TOKEN.balanceOf(address(this));
        TOKEN.safeTransferFrom(msg.sender, address(this), assets);
        uint256 received = TOKEN.balanceOf(address(this)) - before;
        if (received != assets) revert WrongAmountReceived(assets, received);
        Account memory a = _accounts[account];
        a.collateral = (int256(a.collateral) + int256(assets * SCALE)).toInt120();
        if (a.flaggedAt != 0) _clearFlagIfHealthy(a, account, _valuate(a, account));
        _accounts[account] = a;
        emit Deposited(account, msg.sender, assets);
    }

    function withdraw(bytes32 account, uint256 assets, address to) external locked {
        if (assets == 0) revert ZeroAmount();
        if (AccountId.ownerOf(account) != msg.sender) revert NotOwner(account, msg.sender);
        Account memory a = _accounts[account];
        if (a.markets != 0) {
            Valuation memory v = _valuate(a, account);
            _requireFull(v);
            _realiseEnded(a, account, v.ended);
            _checkWithdrawal(a, account, assets, v.equity - int256(v.initialMargin));
            _clearFlagIfHealthy(a, account, v);
        } else {
            _checkWithdrawal(a, account, assets, a.collateral);
        }
        a.collateral -= int120(uint120(assets * SCALE));
        _accounts[account] = a;
        emit Withdrawn(account, to, assets);
        TOKEN.safeTransfer(to, assets);
    }

    /// @dev Withdrawable = min(collateral, equity - initial margin) less locked profit, rounded down to units.
    function _checkWithdrawal(Account memory a, bytes32 account, uint256 assets, int256 free) private view {
        uint256 available = _withdrawableDown(a, free, _lockedUp(a, account));
        if (assets > available) revert NotWithdrawable(account, assets, available);
    }

    function _withdrawableDown(Account memory a, int256 free, uint256 locked_) internal view returns (uint256) {
        if (a.collateral < free) free = a.collateral;
        free -= int256(locked_);
        return free <= 0 ? 0 : uint256(free) / SCALE;
    }

    /// @dev What will be locked once `_realiseEnded` has run: profit is locked, a loss eats locked profit first.
    function _lockedAfter(Account memory a, bytes32 account, uint256 ended) internal view returns (uint256 locked_) {
        locked_ = _lockedUp(a, account);
        for (uint256 id = 0; ended != 0; ++id) {
            if (ended & 1 != 0) {
                (, int256 quote) = _position(_loadStored(id), account);
                if (quote < 0) locked_ -= FixedPoint.min(locked_, uint256(-quote));
                else if (_markets[id].parameters.profitLock != 0) locked_ += uint256(quote);
            }
            ended >>= 1;
        }
    }

    /// @dev Moves the quote of positions that have no size to collateral: closed by the end of their side's epoch, or
    /// shrunk to less than a wei.
    function _realiseEnded(Account memory a, bytes32 account, uint256 ended) private {
        for (uint256 id = 0; ended != 0; ++id) {
            if (ended & 1 != 0) {
                MarketCache memory c = _loadStored(id);
                (, int256 quote) = _position(c, account);
                _changePosition(c, a, account, 0, quote, 0, 0);
                // a position of less than a wei is still part of its side's sum of basis
                _store(c);
                emit PositionChanged(account, id, 0, 0, quote);
            }
            ended >>= 1;
        }
    }
}
