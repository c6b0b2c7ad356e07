// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Positions} from "./Positions.sol";
import {IPriceOracle} from "../../interfaces/IPriceOracle.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {MarginMath} from "../libraries/MarginMath.sol";

/// @title Valuing accounts at the mark, and the rules that compare equity with margin
abstract contract Margin is Positions {
    using FixedPoint for uint256;

    /// @dev Value and margins of an account; `worst` is the least trusted market with a position.
    struct Valuation {
        int256 equity;
        uint256 initialMargin;
        uint256 maintenanceMargin;
        IPriceOracle.Validity validity;
        uint256 worst;
        uint256 ended; // bit n: the position in market n was closed by the end of its side's epoch
        int256 endedQuote; // and what those left, together
    }

    /// @dev Values `account` with every market as it is now.
    function _valuate(Account memory a, bytes32 account) internal view returns (Valuation memory v) {
        _valuateOthers(v, a, account, a.markets);
    }

    /// @dev Values `account`, taking the market that is being changed from memory.
    function _valuateWith(MarketCache memory c, Account memory a, bytes32 account)
        internal
        view
        returns (Valuation memory v)
    {
        uint256 bit = _bit(c.id);
        _valuateOthers(v, a, account, a.markets & ~bit);
        if (a.markets & bit != 0) _addPosition(v, c, account);
    }

    /// @dev Adds the positions in the markets of `bits`, one after the other in the same memory.
    function _valuateOthers(Valuation memory v, Account memory a, bytes32 account, uint256 bits) private view {
        v.equity = a.collateral;
        v.validity = IPriceOracle.Validity.Full;
        if (bits == 0) return;
        MarketCache memory c;
        for (uint256 id = 0; bits != 0; ++id) {
            if (bits & 1 != 0) {
                _peek(c, id, _positions[account][id].tag & 1);
                _addPosition(v, c, account);
            }
            bits >>= 1;
        }
    }

    function _addPosition(Valuation memory v, MarketCache memory c, bytes32 account) private view {
        (int256 size, int256 quote) = _position(c, account);
        if (size == 0) {
            v.equity += quote;
            v.endedQuote += quote;
            v.ended |= _bit(c.id);
            return;
        }
        (int256 value, uint256 initial, uint256 maintenance) = _value(c, size, quote);
        v.equity += value;
        v.initialMargin += initial;
        v.maintenanceMargin += maintenance;
        if (c.validity < v.validity) (v.validity, v.worst) = (c.validity, c.id);
    }

    /// @dev Value of a position at the mark, rounded down, and its margins, rounded up.
    ///
    ///     value = size * mark + quote
    function _value(MarketCache memory c, int256 size, int256 quote)
        internal
        pure
        returns (int256 value, uint256 initial, uint256 maintenance)
    {
        if (size == 0) return (quote, 0, 0);
        uint256 notional = FixedPoint.abs(size).mulDivUp(c.markPrice, FixedPoint.WAD);
        value = quote + (size > 0 ? int256(uint256(size).mulDivDown(c.markPrice, FixedPoint.WAD)) : -int256(notional));
        (initial, maintenance) = _margins(c, size < 0, notional);
    }

    function _margins(MarketCache memory c, bool short, uint256 notional)
        internal
        pure
        returns (uint256 initial, uint256 maintenance)
    {
        return MarginMath.margins(
            notional,
            _openInterest(c.sides[short ? SHORT : LONG], short),
            c.openInterestCap,
            c.sizeScale,
            c.openInterestSlopePpm,
            c.initialMarginPpm,
            c.maintenanceMarginPpm
        );
    }

    /// @dev Reverts unless `equity` covers `margin`.
    function _requireMargin(bytes32 account, int256 equity, uint256 margin) internal pure {
        if (equity < int256(margin)) revert InsufficientMargin(account, equity, margin);
    }

    /// @dev Reverts unless all prices of the account's positions have full validity.
    function _requireFull(Valuation memory v) internal pure {
        if (v.validity != IPriceOracle.Validity.Full) {
            revert PriceNotUsable(v.worst, v.validity, IPriceOracle.Validity.Full);
        }
    }

    /// @dev Stops the liquidation clock of an account that is seen to hold its maintenance margin.
    function _clearFlagIfHealthy(Account memory a, bytes32 account, Valuation memory v) internal {
        if (a.flaggedAt == 0 || v.equity < int256(v.maintenanceMargin)) return;
        a.flaggedAt = 0;
        emit Unflagged(account);
    }
}
