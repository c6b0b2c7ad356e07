// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Margin} from "./Margin.sol";
import {IPriceOracle} from "../../interfaces/IPriceOracle.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";

/// @title The whole account, position by position
/// @notice It answers as a transaction in this block would see things, and refuses while a call is in flight (LOCKED).
abstract contract AccountStates is Margin {
    using FixedPoint for uint256;

    function accountState(bytes32 account) external view whenFree returns (AccountState memory) {
        return _accountState(account);
    }

    function _accountState(bytes32 account) internal view returns (AccountState memory s) {
        Account memory a = _accounts[account];
        s.collateral = s.equity = a.collateral;
        s.flaggedAt = a.flaggedAt;
        s.lockedProfit = _lockedUp(a, account);
        s.validity = IPriceOracle.Validity.Full;
        s.positions = new PositionState[](_count(a.markets));
        uint256 bits = a.markets;
        uint256 n;
        MarketCache memory c;
        for (uint256 id = 0; bits != 0; ++id) {
            if (bits & 1 != 0) {
                _peek(c, id, BOTH);
                PositionState memory p = _positionState(c, account);
                s.positions[n++] = p;
                s.equity += p.value;
                s.initialMargin += p.initialMargin;
                s.maintenanceMargin += p.maintenanceMargin;
                if (p.size != 0 && p.validity < s.validity) s.validity = p.validity;
            }
            bits >>= 1;
        }
    }

    function _positionState(MarketCache memory c, bytes32 account) private view returns (PositionState memory p) {
        p.market = uint8(c.id);
        p.validity = c.validity;
        p.markPrice = c.markPrice;
        (p.size, p.quote) = _position(c, account);
        p.notional = FixedPoint.abs(p.size).mulDivUp(c.markPrice, FixedPoint.WAD);
        (p.value, p.initialMargin, p.maintenanceMargin) = _value(c, p.size, p.quote);
    }
}
