// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Collateral} from "./Collateral.sol";
import {IPriceOracle} from "../../interfaces/IPriceOracle.sol";

/// @title The small views: what other contracts and keepers ask in a hurry
/// @notice They answer as a transaction in this block would see things, and refuse while a call is in flight (LOCKED).
abstract contract AccountViews is Collateral {
    function health(bytes32 account)
        external
        view
        whenFree
        returns (int256 equity, uint256 initialMargin, uint256 maintenanceMargin)
    {
        Valuation memory v = _valuate(_accounts[account], account);
        return (v.equity, v.initialMargin, v.maintenanceMargin);
    }

    function positionSize(bytes32 account, uint256 market) external view whenFree returns (int256 size) {
        MarketCache memory c = _loadStored(market);
        (size,) = _position(c, account);
    }

    function withdrawable(bytes32 account) external view whenFree returns (uint256 assets) {
        Account memory a = _accounts[account];
        Valuation memory v = _valuate(a, account);
        if (v.validity != IPriceOracle.Validity.Full) return 0;
        a.collateral = int120(a.collateral + v.endedQuote);
        return _withdrawableDown(a, v.equity - int256(v.initialMargin), _lockedAfter(a, account, v.ended));
    }

    function collateral(bytes32 account) external view whenFree returns (int256) {
        return _accounts[account].collateral;
    }

    function token() external view returns (address) {
        return address(TOKEN);
    }

    function marketCount() external view returns (uint256) {
        return _marketCount;
    }
}
