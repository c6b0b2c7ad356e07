// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {IStakedTranche} from "../../interfaces/IStakedTranche.sol";
import {Surplus} from "./Surplus.sol";

/// @title What comes back after an event
/// @notice Money recovered for an event repays the layers that paid it, in reverse order: reinsurance, second slice,
/// stakers, reserve, compartments; and the stakers who bore the loss, also those who have left meanwhile.
/// Cover from outside was bought with premiums and is without recourse: its part goes to the premium budget as far as
/// that has room, the rest to the reserve, so that the cover can be bought again.
/// An event is on record if a layer beyond the reserve paid. Of any other event the money was the operator's and the
/// market's: `fundReserve` and `fundCompartment` take it back.
/// @dev The record is one slot, a hash of the receipt; whoever brings money brings the receipt as `ReceiptRecorded` gave it.
abstract contract Recoveries is Surplus {
    /// @inheritdoc IInsuranceFund
    function recover(uint256 eventId, bytes calldata receipt, uint256 assets) external locked {
        Recovery storage r = _recoveries[eventId];
        if (r.receiptHash == 0 || r.receiptHash != keccak256(receipt)) revert UnknownReceipt(eventId);
        Receipt memory decoded = abi.decode(receipt, (Receipt));
        Legs memory sum = _addUp(decoded.legs);
        uint256 recovered = r.recovered;
        uint256 open = sum.compartment + sum.reserve + sum.staked + sum.backing + sum.reinsurance - recovered;
        if (assets > open) revert AboveLoss(assets, open);
        _pull(msg.sender, assets);
        r.recovered = recovered + assets;
        emit Recovered(eventId, msg.sender, assets, recovered + assets);
        _repay(decoded, sum, recovered, recovered + assets);
    }

    /// @dev Stacks the layers in reverse order and gives each the part of [from, to) that lies on it.
    function _repay(Receipt memory receipt, Legs memory sum, uint256 from, uint256 to) private {
        uint256 base;
        uint256 part;
        (part, base) = _overlap(base, sum.reinsurance, from, to);
        if (part != 0) _repayPremium(part);
        (part, base) = _overlap(base, sum.backing, from, to);
        if (part != 0) _backing = _toUint112(_backing + part);
        (part, base) = _overlap(base, sum.staked, from, to);
        if (part != 0) TRANCHE.recover(receipt.stakerLoss, part);
        (part, base) = _overlap(base, sum.reserve, from, to);
        if (part != 0) _addToReserve(part);
        for (uint256 i = 0; i < receipt.legs.length; ++i) {
            (part, base) = _overlap(base, receipt.legs[i].compartment, from, to);
            if (part != 0) _addToCompartment(receipt.claimant, receipt.markets[i], part);
        }
    }

    /// @dev part = |[base, base + loss) with [from, to)|
    function _overlap(uint256 base, uint256 loss, uint256 from, uint256 to)
        private
        pure
        returns (uint256 part, uint256 end)
    {
        end = base + loss;
        uint256 low = Math.max(base, from);
        uint256 high = Math.min(end, to);
        part = high > low ? high - low : 0;
    }

    function _repayPremium(uint256 part) private {
        uint256 toBudget = Math.min(part, _premiumRoom());
        // forge-lint: disable-next-line(unsafe-typecast)
        _premium.budget += uint112(toBudget);
        if (part != toBudget) _addToReserve(part - toBudget);
    }

    function _recordReceipt(Receipt memory receipt) internal {
        bytes memory encoded = abi.encode(receipt);
        _recoveries[receipt.eventId].receiptHash = keccak256(encoded);
        emit ReceiptRecorded(receipt.eventId, encoded);
    }

    function _addUp(Legs[] memory legs) private pure returns (Legs memory sum) {
        for (uint256 i = 0; i < legs.length; ++i) {
            sum.compartment += legs[i].compartment;
            sum.reserve += legs[i].reserve;
            sum.staked += legs[i].staked;
            sum.backing += legs[i].backing;
            sum.reinsurance += legs[i].reinsurance;
        }
    }

    /// @inheritdoc IInsuranceFund
    function recovery(uint256 eventId) external view whenFree returns (bytes32 receiptHash, uint256 recovered) {
        return (_recoveries[eventId].receiptHash, _recoveries[eventId].recovered);
    }
}
