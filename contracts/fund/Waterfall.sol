// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {Compartments} from "./Compartments.sol";

/// @title The order in which capital pays for a bankrupt account
/// @notice Layer 1, then layer 2; a layer is touched only when all before it are exhausted or at their limit
/// (invariant WATERFALL_ORDER). Several claims of one event are served in the order given: each draws its own
/// compartment first, then the shared layers inside what the event's `perClaim`, the claimant's window and its own
/// market's window leave. The keeper's reward comes last, out of what is left: a fee is never a deficit.
abstract contract Waterfall is Compartments {
    /// @dev One event while it is being paid; loaded once, written back once.
    /// @param room what the event may still draw of the shared layers: min(perClaim, claimant's window) less draws
    /// @param shared drawn of the shared layers so far
    struct Draw {
        address claimant;
        uint256 eventId;
        uint256 window;
        uint256 room;
        uint256 reserve;
        uint256 fromCompartments;
        uint256 shared;
    }

    /// @inheritdoc IInsuranceFund
    /// @dev The payment runs as a call of the fund to itself, so that a token that refuses the transfer undoes the
    /// event's draws and nothing else. A caller cannot fake such a failure by a short gas limit: what 1/64 of the gas
    /// could still do afterwards does not suffice to finish any liquidation.
    function cover(bytes32 account, Claim[] calldata claims, uint256 reward)
        external
        lockedOrNested
        returns (uint256 eventId, Legs[] memory legs, uint256 rewardPaid)
    {
        try this.settleCover(msg.sender, account, claims, reward) returns (
            uint256 eventId_, Legs[] memory legs_, uint256 rewardPaid_
        ) {
            return (eventId_, legs_, rewardPaid_);
        } catch (bytes memory reason) {
            emit CoverFailed(msg.sender, account, reason);
            return (0, new Legs[](claims.length), 0);
        }
    }

    /// @notice The second half of `cover`; only the fund itself may call it.
    function settleCover(address claimant, bytes32 account, Claim[] calldata claims, uint256 reward)
        external
        returns (uint256 eventId, Legs[] memory legs, uint256 rewardPaid)
    {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        Draw memory draw = _openDraw(claimant);
        eventId = draw.eventId;
        legs = new Legs[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            if (claims[i].assets == 0) continue;
            legs[i] = _drawDown(draw, claims[i].market, claims[i].assets);
            _writeMarket(claimant, claims[i].market, draw.window, legs[i]);
            emit Covered(eventId, claimant, claims[i].market, account, claims[i].assets, legs[i]);
        }
        if (reward != 0 && claims.length != 0) rewardPaid = _payReward(draw, claims[0].market, reward);
        _closeDraw(draw);
        uint256 paid = draw.fromCompartments + draw.shared;
        if (paid != 0) _push(claimant, paid);
    }

    /// @inheritdoc IInsuranceFund
    function previewCover(address claimant, uint256 market, uint256 assets)
        external
        view
        whenFree
        returns (Legs memory)
    {
        return _drawDown(_openDraw(claimant), market, assets);
    }

    function _openDraw(address claimant) private view returns (Draw memory draw) {
        Claimant storage c = _claimants[claimant];
        Totals memory totals = _totals;
        draw.claimant = claimant;
        draw.eventId = uint256(totals.events) + 1;
        draw.reserve = totals.reserve;
        draw.window = c.window;
        draw.room = Math.min(c.perClaim, _room(c.perWindow, _claimantUsed(c)));
    }

    /// @dev The waterfall of one claim; changes `draw`, writes nothing.
    function _drawDown(Draw memory draw, uint256 market, uint256 wanted) private view returns (Legs memory legs) {
        Market storage m = _markets[draw.claimant][market];
        // layer 1
        legs.compartment = Math.min(wanted, m.balance);
        draw.fromCompartments += legs.compartment;
        uint256 rest = wanted - legs.compartment;
        if (rest == 0 || draw.room == 0) return legs;
        // shared <= min(rest, event and claimant room, market room)
        uint256 allowed = Math.min(Math.min(rest, draw.room), _room(m.perWindow, _marketUsed(m, draw.window)));
        // layer 2
        legs.reserve = Math.min(allowed, draw.reserve);
        draw.reserve -= legs.reserve;
        draw.room -= legs.reserve;
        draw.shared += legs.reserve;
    }

    /// @dev At most `wanted` from the first market's compartment, then the reserve, under the same limits.
    function _payReward(Draw memory draw, uint256 market, uint256 wanted) private returns (uint256 paid) {
        Legs memory legs = _drawDown(draw, market, wanted);
        paid = legs.compartment + legs.reserve;
        if (paid == 0) return 0;
        _writeMarket(draw.claimant, market, draw.window, legs);
        emit KeeperRewardPaid(draw.eventId, draw.claimant, market, paid);
    }

    /// @dev Books one claim's legs at its market. No cast truncates: a compartment only falls, a bucket never rises
    /// above its limit.
    function _writeMarket(address claimant, uint256 market, uint256 window, Legs memory legs) private {
        Market storage m = _markets[claimant][market];
        uint256 shared = legs.reserve;
        if (shared != 0) {
            // forge-lint: disable-next-line(unsafe-typecast)
            m.used = uint104(_marketUsed(m, window) + shared);
            m.usedAt = uint40(block.timestamp);
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        if (legs.compartment != 0) m.balance -= uint112(legs.compartment);
    }

    /// @dev Books the event at the claimant and in the totals.
    function _closeDraw(Draw memory draw) private {
        if (draw.shared != 0) {
            Claimant storage c = _claimants[draw.claimant];
            // forge-lint: disable-next-line(unsafe-typecast)
            c.used = uint104(_claimantUsed(c) + draw.shared);
            c.usedAt = uint40(block.timestamp);
        }
        Totals memory totals = _totals;
        // forge-lint: disable-next-line(unsafe-typecast)
        totals.reserve = uint112(draw.reserve);
        // forge-lint: disable-next-line(unsafe-typecast)
        totals.compartments -= uint112(draw.fromCompartments);
        // forge-lint: disable-next-line(unsafe-typecast)
        totals.events = uint32(draw.eventId);
        _totals = totals;
    }
}
