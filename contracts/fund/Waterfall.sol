// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {IStakedTranche} from "../../interfaces/IStakedTranche.sol";
import {Recoveries} from "./Recoveries.sol";

/// @title The order in which capital pays for a bankrupt account
/// @notice Layer 1, then 2, 3, the second slice, and 4; a layer is touched only when all before it are exhausted or at
/// their limit
/// (invariant WATERFALL_ORDER). Several claims of one event are served in the order given: each draws its own
/// compartment first, then the shared layers inside what the event's `perClaim`, the claimant's window and its own
/// market's window leave. What a claim still lacks then is asked from the reinsurer, under the reinsurer's own limits
/// only. The keeper's reward comes last, out of what is left: a fee is never a deficit.
abstract contract Waterfall is Recoveries {
    /// @dev One event while it is being paid; loaded once, written back once.
    /// @param roomKnown the claimant's limits have been read: `window`, `level` and `room` are set
    /// @param level what the claimant's bucket holds before the event
    /// @param room what the event may still draw of the shared layers: min(perClaim, claimant's window) less draws
    /// @param staked what the staked tranche can still lose; it is asked once, and only if it is needed
    /// @param feeOnly the keeper's reward is being paid: it is no deficit, only the reserve stands for it
    /// @param shared drawn of the shared layers so far
    /// @param reinsured what has arrived from the reinsurer so far
    /// @param unreinsured there is no reinsurer, or it has failed in this event
    struct Draw {
        address claimant;
        uint256 eventId;
        bool roomKnown;
        uint256 window;
        uint256 level;
        uint256 room;
        uint256 reserve;
        uint256 compartments;
        bool feeOnly;
        bool stakedKnown;
        uint256 staked;
        uint256 fromCompartments;
        uint256 fromStaked;
        uint256 fromBacking;
        uint256 shared;
        uint256 reinsured;
        bool unreinsured;
    }

    /// @inheritdoc IInsuranceFund
    /// @dev The payment runs as a call of the fund to itself, so that a token that refuses the transfer undoes the
    /// event's draws and nothing else. A caller cannot fake such a failure by a short gas limit: what 1/64 of the gas
    /// could still do afterwards does not suffice to finish any liquidation, and `NotEnoughGas` is passed on.
    function cover(bytes32 account, Claim[] calldata claims, uint256)
        external
        returns (uint256 eventId, Legs[] memory legs, uint256 rewardPaid)
    {
        bool taken = _enter();
        uint256 gasBefore = gasleft();
        (bool paid, bytes memory result) = address(this).call(abi.encodePacked(this.settleEvent.selector, msg.data[4:]));
        _leave(taken);
        if (paid) {
            // the two functions return the same; no need to decode it and encode it again
            assembly ("memory-safe") {
                return(add(result, 32), mload(result))
            }
        }
        _passOnGas(result, gasBefore);
        emit CoverFailed(msg.sender, account, result);
        return (0, new Legs[](claims.length), 0);
    }

    /// @notice The second half of `cover`, with the same arguments; only the fund itself may call it.
    /// @dev Selectors are compared one by one, in order: this name has the lowest one, because every cover looks for it.
    function settleEvent(bytes32 account, Claim[] calldata claims, uint256 reward)
        external
        returns (uint256 eventId, Legs[] memory legs, uint256 rewardPaid)
    {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        Draw memory draw = _openDraw(address(uint160(_serving)));
        eventId = draw.eventId;
        legs = new Legs[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            (uint256 market, uint256 assets) = (claims[i].market, claims[i].assets);
            if (assets == 0) continue;
            Legs memory paidLegs = legs[i];
            _pay(draw, paidLegs, market, assets);
            if (!draw.unreinsured) _askReinsurer(draw, paidLegs, market, assets);
            emit Covered(eventId, draw.claimant, market, account, assets, paidLegs);
        }
        if (reward != 0 && claims.length != 0) rewardPaid = _payReward(draw, claims[0].market, reward);
        if (draw.fromStaked + draw.fromBacking + draw.reinsured != 0) _payDeeper(draw, claims, legs);
        _closeDraw(draw);
        uint256 paid = draw.fromCompartments + draw.shared + draw.reinsured;
        if (paid != 0) _push(draw.claimant, paid);
    }

    /// @inheritdoc IInsuranceFund
    function previewCover(address claimant, uint256 market, uint256 assets)
        external
        view
        whenFree
        returns (Legs memory legs)
    {
        Market storage m = _markets[claimant][market];
        _drawDown(_openDraw(claimant), legs, m, m.account, assets);
        legs.reinsurance = _quoteReinsurance(claimant, market, assets - _ownLegs(legs));
    }

    /// @dev An event beyond the reserve: takes the stakers' part, and puts a receipt on record.
    function _payDeeper(Draw memory draw, Claim[] calldata claims, Legs[] memory legs) private {
        IStakedTranche.Loss memory stakerLoss;
        if (draw.fromStaked != 0) {
            uint256 rest;
            (rest, stakerLoss) = TRANCHE.slash(draw.fromStaked);
            // what a series that ends leaves is the operator's
            draw.reserve += rest;
        }
        uint256[] memory markets = new uint256[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            markets[i] = claims[i].market;
        }
        _recordReceipt(Receipt(draw.eventId, draw.claimant, markets, legs, stakerLoss));
    }

    /// @dev Layer 4 of one claim.
    function _askReinsurer(Draw memory draw, Legs memory legs, uint256 market, uint256 assets) private {
        uint256 missing = assets - _ownLegs(legs);
        if (missing == 0) return;
        (legs.reinsurance, draw.unreinsured) = _reinsure(draw.eventId, draw.claimant, market, missing);
        draw.reinsured += legs.reinsurance;
    }

    /// @dev What the fund's own layers pay.
    function _ownLegs(Legs memory legs) private pure returns (uint256) {
        // together at most what is claimed
        unchecked {
            return legs.compartment + legs.reserve + legs.staked + legs.backing;
        }
    }

    function _openDraw(address claimant) private view returns (Draw memory draw) {
        Totals memory totals = _totals;
        draw.claimant = claimant;
        draw.eventId = uint256(totals.events) + 1;
        draw.reserve = totals.reserve;
        draw.compartments = totals.compartments;
    }

    /// @dev The claimant's limits are read only when a claim is beyond its compartment.
    function _loadRoom(Draw memory draw) private view {
        Claimant memory c = _claimants[draw.claimant];
        draw.roomKnown = true;
        draw.window = c.window;
        draw.level = _level(c.bucket.used, c.bucket.usedAt, c.perWindow, c.window);
        draw.room = Math.min(c.perClaim, _room(c.perWindow, draw.level));
    }

    /// @dev The waterfall of one claim; changes `draw`, writes nothing. Nothing overflows: every amount taken is at most
    /// what it is taken from, and all of them together are at most what the fund holds.
    /// @param legs empty; gets what each layer pays
    /// @return level what the market's bucket holds afterwards; means nothing if no shared layer pays
    function _drawDown(Draw memory draw, Legs memory legs, Market storage m, MarketAccount memory a, uint256 wanted)
        private
        view
        returns (uint256 level)
    {
        unchecked {
            // layer 1
            uint256 amount = Math.min(wanted, a.balance);
            legs.compartment = amount;
            draw.fromCompartments += amount;
            wanted -= amount;
            if (wanted == 0) return 0;
            if (!draw.roomKnown) _loadRoom(draw);
            if (draw.room == 0) return 0;
            // shared <= min(rest, event and claimant room, market room)
            uint256 perWindow = m.perWindow;
            level = _level(a.used, a.usedAt, perWindow, draw.window);
            uint256 allowed = Math.min(Math.min(wanted, draw.room), _room(perWindow, level));
            // layer 2
            amount = Math.min(allowed, draw.reserve);
            legs.reserve = amount;
            draw.reserve -= amount;
            // layer 3
            if (amount != allowed && !draw.feeOnly) {
                legs.staked = _drawStaked(draw, allowed - amount);
                amount += legs.staked;
                if (amount != allowed) {
                    legs.backing = Math.min(allowed - amount, _backing - draw.fromBacking);
                    draw.fromBacking += legs.backing;
                    amount += legs.backing;
                }
            }
            draw.room -= amount;
            draw.shared += amount;
            level += amount;
        }
    }

    function _drawStaked(Draw memory draw, uint256 wanted) private view returns (uint256 amount) {
        if (!draw.stakedKnown) {
            draw.staked = TRANCHE.slashable();
            draw.stakedKnown = true;
        }
        amount = Math.min(wanted, draw.staked);
        draw.staked -= amount;
        draw.fromStaked += amount;
    }

    /// @dev Pays one claim and books it at its market. No cast truncates: a compartment only falls, a bucket does not
    /// rise above its limit.
    /// @param legs empty; gets what each layer pays
    function _pay(Draw memory draw, Legs memory legs, uint256 market, uint256 wanted) private {
        Market storage m = _markets[draw.claimant][market];
        MarketAccount memory a = m.account;
        uint256 level = _drawDown(draw, legs, m, a, wanted);
        unchecked {
            // forge-lint: disable-next-line(unsafe-typecast)
            a.balance -= uint112(legs.compartment);
            if (legs.reserve + legs.staked + legs.backing != 0) {
                // forge-lint: disable-next-line(unsafe-typecast)
                (a.used, a.usedAt) = (uint104(level), uint40(block.timestamp));
            } else if (legs.compartment == 0) {
                return;
            }
        }
        _storeAccount(m.account, a);
    }

    /// @dev One write; the compiler would write every field of its own.
    function _storeAccount(MarketAccount storage stored, MarketAccount memory a) private {
        uint256 word = uint256(a.balance) | uint256(a.used) << 112 | uint256(a.usedAt) << 216;
        assembly ("memory-safe") {
            sstore(stored.slot, word)
        }
    }

    /// @dev At most `wanted` from the first market's compartment, then the reserve, under the same limits. Stakers
    /// and second slice underwrite deficits, not fees.
    function _payReward(Draw memory draw, uint256 market, uint256 wanted) private returns (uint256 paid) {
        draw.feeOnly = true;
        Legs memory legs;
        _pay(draw, legs, market, wanted);
        paid = legs.compartment + legs.reserve;
        if (paid != 0) emit KeeperRewardPaid(draw.eventId, draw.claimant, market, paid);
    }

    /// @dev Books the event at the claimant and in the totals; the same casts.
    function _closeDraw(Draw memory draw) private {
        if (draw.shared != 0) {
            // forge-lint: disable-next-line(unsafe-typecast)
            _claimants[draw.claimant].bucket = Bucket(uint104(draw.level + draw.shared), uint40(block.timestamp));
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        if (draw.fromBacking != 0) _backing -= uint112(draw.fromBacking);
        _totals = Totals({
            // forge-lint: disable-next-line(unsafe-typecast)
            reserve: uint112(draw.reserve),
            // forge-lint: disable-next-line(unsafe-typecast)
            compartments: uint112(draw.compartments - draw.fromCompartments),
            // forge-lint: disable-next-line(unsafe-typecast)
            events: uint32(draw.eventId)
        });
    }
}
