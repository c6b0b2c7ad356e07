// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Margin} from "./Margin.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";

/// @title One side of a trade
abstract contract Trades is Margin {
    using FixedPoint for uint256;
    using SafeCast for int256;

    /// @dev One side of a trade: what it did to the account, for the rules that look at it afterwards.
    struct Leg {
        bytes32 account;
        Account a;
        int256 sizeBefore;
        int256 size;
        int256 quoteBefore;
        int256 realised;
        uint256 fee;
        int256 gain; // what the fill price gave against the mark, before fees
    }

    /// @dev Changes the position and charges the fee. The account is stored by the caller, after its checks.
    function _trade(MarketCache memory c, bytes32 account, int256 baseChange, int256 quoteChange, uint256 fee)
        internal
        returns (Leg memory leg)
    {
        leg.account = account;
        leg.a = _accounts[account];
        leg.fee = fee;
        (leg.sizeBefore, leg.quoteBefore) = _position(c, account);
        leg.gain = FixedPoint.mulDivFloor(c.markPrice, baseChange, FixedPoint.WAD) + quoteChange;
        (leg.size, leg.realised) =
            _changePosition(c, leg.a, account, leg.sizeBefore, leg.quoteBefore, baseChange, quoteChange);
        if (fee != 0) leg.a.collateral = (int256(leg.a.collateral) - int256(fee)).toInt120();
    }
}
