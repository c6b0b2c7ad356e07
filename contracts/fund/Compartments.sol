// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {Reinsurance} from "./Reinsurance.sol";

/// @title Layer 1: what a market earned is spent on that market first, and on no other
/// @notice Of a market's income the stakers get their share and of the rest the premium budget its own; what remains fills
/// the market's compartment up to its cap, and strengthens the operator's reserve beyond. Invariant
/// COMPARTMENT_ISOLATION: only claims of the same claimant and market lower a compartment.
abstract contract Compartments is Reinsurance {
    /// @inheritdoc IInsuranceFund
    function receiveIncome(uint256 market, uint256 assets) external lockedOrNested {
        _pull(msg.sender, assets);
        _bookIncome(msg.sender, market, assets);
    }

    function _bookIncome(address claimant, uint256 market, uint256 assets) internal {
        assets -= _shareWithStakers(claimant, market, assets);
        assets -= _shareWithPremium(claimant, market, assets);
        // toCompartment = min(assets, max(0, cap - balance))
        uint256 room = _compartmentRoom(claimant, market);
        uint256 toCompartment = assets < room ? assets : room;
        uint256 toReserve = assets - toCompartment;
        if (toCompartment != 0) _addToCompartment(claimant, market, toCompartment);
        if (toReserve != 0) _addToReserve(toReserve);
        emit IncomeReceived(claimant, market, toCompartment, toReserve);
    }

    /// @inheritdoc IInsuranceFund
    function fundCompartment(address claimant, uint256 market, uint256 assets) external locked {
        if (_claimants[claimant].window == 0) revert NotClaimant(claimant);
        uint256 room = _compartmentRoom(claimant, market);
        if (assets > room) revert AboveCompartmentCap(assets, room);
        _pull(msg.sender, assets);
        _addToCompartment(claimant, market, assets);
        emit CompartmentFunded(claimant, market, msg.sender, assets);
    }

    function _addToCompartment(address claimant, uint256 market, uint256 assets) internal {
        MarketAccount storage a = _markets[claimant][market].account;
        a.balance = _toUint112(a.balance + assets);
        _totals.compartments = _toUint112(_totals.compartments + assets);
    }

    function _compartmentRoom(address claimant, uint256 market) private view returns (uint256) {
        Market storage m = _markets[claimant][market];
        (uint256 cap, uint256 balance) = (m.compartmentCap, m.account.balance);
        return cap > balance ? cap - balance : 0;
    }

    /// @inheritdoc IInsuranceFund
    function compartment(address claimant, uint256 market) external view whenFree returns (uint256 assets) {
        return _markets[claimant][market].account.balance;
    }

    /// @inheritdoc IInsuranceFund
    function totalCompartments() external view whenFree returns (uint256 assets) {
        return _totals.compartments;
    }
}
