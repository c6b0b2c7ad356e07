// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {IReinsurance} from "../../interfaces/IReinsurance.sol";
import {Staking} from "./Staking.sol";

/// @title Layer 4: cover from outside, and the budget that pays for it
/// @notice What the fund's own layers leave of a claim is asked from one reinsurer. Only tokens that arrive count. The
/// reinsurer may revert, lie, burn its gas, answer with megabytes or call back: the cover goes on with what arrived.
/// `docs/reinsurance.md` gives the reasons, also those of the gas rule.
abstract contract Reinsurance is Staking {
    /// @notice Gas the reinsurer may use for one claim: three feeds that burn all of theirs (100,000 each, see FeedReader)
    /// and a token transfer out of a few slots.
    uint256 internal constant REINSURER_GAS = 500_000;
    /// @notice Gas that must be left before it is asked: its share, and enough to finish the cover whatever it does. Who
    /// brings less is told so (`NotEnoughGas`), so that nobody chooses by stinginess whether the reinsurer pays.
    uint256 internal constant GAS_BEFORE_REINSURER = REINSURER_GAS + 500_000;

    /// @param budget what may be spent on premiums; no capital: no deficit is paid from it
    /// @param cap income fills the budget up to here
    /// @param share of income after the stakers' share, in 1e-6
    struct Premium {
        uint112 budget;
        uint112 cap;
        uint24 share;
    }

    address internal _reinsurer;
    Premium internal _premium;

    // ------------------------------------------------------------------ roles

    /// @inheritdoc IInsuranceFund
    function setReinsurer(address reinsurer_) external restricted whenFree {
        // a member of the lock could read and do what is closed while a cover runs
        if (reinsurer_ != address(0) && (reinsurer_.code.length == 0 || LOCK.isMember(reinsurer_))) {
            revert InvalidReinsurer(reinsurer_);
        }
        _reinsurer = reinsurer_;
        emit ReinsurerSet(reinsurer_);
    }

    /// @inheritdoc IInsuranceFund
    function setPremiumTerms(uint256 share, uint256 cap) external restricted whenFree {
        if (share > PPM) revert InvalidLimits("share");
        if (cap > type(uint112).max) revert InvalidLimits("cap");
        uint256 budget = _premium.budget;
        uint256 excess = budget > cap ? budget - cap : 0;
        // no cast truncates: both were compared above
        // forge-lint: disable-next-line(unsafe-typecast)
        _premium = Premium(uint112(budget - excess), uint112(cap), uint24(share));
        if (excess != 0) _addToReserve(excess);
        emit PremiumTermsSet(share, cap, excess);
    }

    // ------------------------------------------------------------------ premiums

    /// @inheritdoc IInsuranceFund
    function payPremium(uint256 assets) external locked {
        if (msg.sender != _reinsurer) revert NotReinsurer(msg.sender);
        if (assets == 0) revert ZeroAmount();
        uint256 budget = _premium.budget;
        if (assets > budget) revert PremiumTooSmall(assets, budget);
        // forge-lint: disable-next-line(unsafe-typecast)
        _premium.budget = uint112(budget - assets);
        emit PremiumPaid(msg.sender, assets);
        _push(msg.sender, assets);
    }

    /// @inheritdoc IInsuranceFund
    function fundPremium(uint256 assets) external locked {
        uint256 room = _premiumRoom();
        if (assets > room) revert AbovePremiumCap(assets, room);
        _pull(msg.sender, assets);
        // forge-lint: disable-next-line(unsafe-typecast)
        _premium.budget += uint112(assets);
        emit PremiumFunded(msg.sender, assets);
    }

    /// @dev toBudget = min(floor(assets * share), max(0, cap - budget))
    function _shareWithPremium(address claimant, uint256 market, uint256 assets) internal returns (uint256 toBudget) {
        toBudget = assets * _premium.share / PPM;
        if (toBudget == 0) return 0;
        uint256 room = _premiumRoom();
        if (toBudget > room) toBudget = room;
        if (toBudget == 0) return 0;
        // forge-lint: disable-next-line(unsafe-typecast)
        _premium.budget += uint112(toBudget);
        emit PremiumIncome(claimant, market, toBudget);
    }

    function _premiumRoom() internal view returns (uint256) {
        return _premium.cap > _premium.budget ? _premium.cap - _premium.budget : 0;
    }

    // ------------------------------------------------------------------ the call

    /// @dev Asks the reinsurer for one claim.
    /// @return arrived min(wanted, tokens that came in during the call)
    /// @return failed there is no reinsurer, or it reverted: not to be asked again in this event
    function _reinsure(uint256 eventId, address claimant, uint256 market, uint256 wanted)
        internal
        returns (uint256 arrived, bool failed)
    {
        address target = _reinsurer;
        if (target == address(0)) return (0, true);
        _requireGas();
        uint256 before = ASSET.balanceOf(address(this));
        bytes memory data = abi.encodeCall(IReinsurance.pay, (eventId, claimant, market, wanted));
        uint256 gasLimit = REINSURER_GAS;
        // nothing of the answer is copied: what it says does not matter
        assembly ("memory-safe") {
            failed := iszero(call(gasLimit, target, 0, add(data, 32), mload(data), 0, 0))
        }
        if (failed) {
            emit ReinsurerFailed(eventId, target, market);
            return (0, true);
        }
        uint256 afterwards = ASSET.balanceOf(address(this));
        arrived = afterwards > before ? afterwards - before : 0;
        if (arrived > wanted) arrived = wanted;
    }

    /// @dev What the reinsurer says it would pay of `wanted`, at most that; 0 if it fails.
    function _quoteReinsurance(address claimant, uint256 market, uint256 wanted)
        internal
        view
        returns (uint256 assets)
    {
        address target = _reinsurer;
        if (target == address(0) || wanted == 0) return 0;
        _requireGas();
        bytes memory data = abi.encodeCall(IReinsurance.quote, (claimant, market, wanted));
        uint256 gasLimit = REINSURER_GAS;
        assembly ("memory-safe") {
            mstore(0, 0)
            let answered := staticcall(gasLimit, target, add(data, 32), mload(data), 0, 32)
            // an answer that is shorter than a word is none
            if and(answered, gt(returndatasize(), 31)) { assets := mload(0) }
        }
        if (assets > wanted) assets = wanted;
    }

    function _requireGas() private view {
        uint256 available = gasleft();
        if (available < GAS_BEFORE_REINSURER) revert NotEnoughGas(available, GAS_BEFORE_REINSURER);
    }

    /// @dev For a failed half of a cover that began with `gasBefore`: passes `NotEnoughGas` on. It left less than
    /// GAS_BEFORE_REINSURER of what it got, and a call keeps 1/64 back; where there is more, it was not our own check that
    /// spoke, but a token in its words, and that blocks nobody.
    function _passOnGas(bytes memory reason, uint256 gasBefore) internal view {
        if (bytes4(reason) != NotEnoughGas.selector || gasleft() > GAS_BEFORE_REINSURER + gasBefore / 64) return;
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IInsuranceFund
    function reinsurer() external view returns (address) {
        return _reinsurer;
    }

    /// @inheritdoc IInsuranceFund
    function premium() external view whenFree returns (uint256 budget, uint256 share, uint256 cap) {
        return (_premium.budget, _premium.share, _premium.cap);
    }
}
