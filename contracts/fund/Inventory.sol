// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {Waterfall} from "./Waterfall.sol";

/// @title Capital that works outside: collateral of a claimant's backstop inventory
/// @notice It is drawn like a claim, layer by layer and under the same limits, but from the compartment and the reserve
/// only: stakers underwrite deficits. What comes back repays in reverse order; what is more than was drawn is income of
/// the market. A loss stays with the layers that paid, the first one first.
abstract contract Inventory is Waterfall {
    /// @dev One slot. What is outside of one market, by the layer it came from.
    struct Deployed {
        uint112 compartment;
        uint112 reserve;
    }

    mapping(address claimant => address) internal _inventoryOf;
    mapping(address claimant => mapping(uint256 market => Deployed)) internal _deployed;

    /// @inheritdoc IInsuranceFund
    function setInventory(address claimant, address inventory) external restricted whenFree {
        if (_claimants[claimant].window == 0) revert NotClaimant(claimant);
        _inventoryOf[claimant] = inventory;
        emit InventorySet(claimant, inventory);
    }

    /// @inheritdoc IInsuranceFund
    function deployCapital(address claimant, uint256 market, uint256 assets) external locked returns (uint256 drawn) {
        _requireInventory(claimant);
        Market storage m = _markets[claimant][market];
        uint256 compartment_ = Math.min(assets, m.account.balance);
        uint256 reserve_ = _drawReserve(claimant, m, assets - compartment_);
        drawn = compartment_ + reserve_;
        if (drawn == 0) return 0;
        m.account.balance = _toUint112(m.account.balance - compartment_);
        _totals.compartments = _toUint112(_totals.compartments - compartment_);
        _totals.reserve = _toUint112(_totals.reserve - reserve_);
        Deployed storage d = _deployed[claimant][market];
        d.compartment = _toUint112(d.compartment + compartment_);
        d.reserve = _toUint112(d.reserve + reserve_);
        emit CapitalDeployed(claimant, market, compartment_, reserve_);
        _push(msg.sender, drawn);
    }

    /// @dev At most `wanted` of the reserve, inside perClaim, the claimant's window and the market's; fills both buckets.
    /// Nothing while a shortfall is open: the reserve stands for all markets, and claims on it may wait.
    function _drawReserve(address claimant, Market storage m, uint256 wanted) private returns (uint256 amount) {
        if (wanted == 0 || TRANCHE.isHeld()) return 0;
        Claimant storage c = _claimants[claimant];
        uint256 window = c.window;
        uint256 level = _level(c.bucket.used, c.bucket.usedAt, c.perWindow, window);
        uint256 marketLevel = _level(m.account.used, m.account.usedAt, m.perWindow, window);
        amount = Math.min(Math.min(wanted, c.perClaim), _totals.reserve);
        amount = Math.min(amount, Math.min(_room(c.perWindow, level), _room(m.perWindow, marketLevel)));
        if (amount == 0) return 0;
        // no cast truncates: a bucket does not rise above its limit
        // forge-lint: disable-next-line(unsafe-typecast)
        c.bucket = Bucket(uint104(level + amount), uint40(block.timestamp));
        // forge-lint: disable-next-line(unsafe-typecast)
        (m.account.used, m.account.usedAt) = (uint104(marketLevel + amount), uint40(block.timestamp));
    }

    /// @inheritdoc IInsuranceFund
    function returnCapital(address claimant, uint256 market, uint256 assets) external locked {
        if (_claimants[claimant].window == 0) revert NotClaimant(claimant);
        _pull(msg.sender, assets);
        Deployed storage d = _deployed[claimant][market];
        uint256 toReserve = Math.min(assets, d.reserve);
        uint256 toCompartment = Math.min(assets - toReserve, d.compartment);
        uint256 profit = assets - toReserve - toCompartment;
        d.reserve = _toUint112(d.reserve - toReserve);
        d.compartment = _toUint112(d.compartment - toCompartment);
        if (toReserve != 0) _addToReserve(toReserve);
        if (toCompartment != 0) _addToCompartment(claimant, market, toCompartment);
        emit CapitalReturned(claimant, market, toReserve, toCompartment, profit);
        if (profit != 0) _bookIncome(claimant, market, profit);
    }

    /// @inheritdoc IInsuranceFund
    function writeOffCapital(address claimant, uint256 market, uint256 assets) external whenFree {
        _requireInventory(claimant);
        Deployed storage d = _deployed[claimant][market];
        uint256 fromCompartment = Math.min(assets, d.compartment);
        uint256 fromReserve = Math.min(assets - fromCompartment, d.reserve);
        d.compartment = _toUint112(d.compartment - fromCompartment);
        d.reserve = _toUint112(d.reserve - fromReserve);
        emit CapitalWrittenOff(claimant, market, fromCompartment, fromReserve);
    }

    /// @inheritdoc IInsuranceFund
    function inventoryOf(address claimant) external view returns (address) {
        return _inventoryOf[claimant];
    }

    /// @inheritdoc IInsuranceFund
    function deployedCapital(address claimant, uint256 market)
        external
        view
        whenFree
        returns (uint256 fromCompartment, uint256 fromReserve)
    {
        Deployed memory d = _deployed[claimant][market];
        return (d.compartment, d.reserve);
    }

    function _requireInventory(address claimant) private view {
        if (msg.sender != _inventoryOf[claimant]) revert NotInventory(msg.sender);
    }
}
