// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {IRiskOracle} from "../../interfaces/IRiskOracle.sol";
import {SurchargeCurve} from "../libraries/SurchargeCurve.sol";
import {Compartments} from "./Compartments.sol";

/// @title How well the fund is filled, and what is more than enough
/// @notice The solvency ratio is usable capital over the target of the `RiskOracle`. Terms (surcharge, fee share, leverage)
/// follow a lagged ratio: it moves towards the ratio that was noted the last time, for the time since then, so what is
/// seen in one block changes nothing in that block and counts only for as long as it stays.
///
///     lagged' = lagged + (spot - lagged) * min(elapsed, LAG) / LAG            rounded towards lagged
///
/// Surplus is what reserve and compartments, which nobody can take back, hold above SURPLUS_RATIO targets, once that has
/// been so for SURPLUS_TIME without a single cover event.
/// At most a tenth of it leaves a week, only from the reserve and only above the reserve's own target, so that every
/// layer is filled first; never while a shortfall is open.
abstract contract Surplus is Compartments {
    /// @notice Time in which the lagged ratio reaches a ratio that stays.
    uint256 public constant LAG = 1 days;
    uint256 public constant SURPLUS_RATIO = 1.2e18;
    uint256 public constant SURPLUS_TIME = 30 days;
    /// @notice Time between two releases of surplus, and the part of it that one may take.
    uint256 public constant RELEASE_TIME = 7 days;
    uint256 public constant RELEASE_PART = 10;
    /// @dev Largest ratio that is told apart; one slot holds it.
    uint256 internal constant RATIO_MAX = 10e18;

    /// @inheritdoc IInsuranceFund
    function setRiskOracle(address riskOracle_) external restricted whenFree {
        if (riskOracle_ != address(0) && riskOracle_.code.length == 0) revert InvalidLimits("riskOracle");
        // without a target so far there is no ratio to lag behind; an oracle that fails must not stay for that
        if (_riskOracle == address(0)) {
            delete _solvency;
        } else {
            try IRiskOracle(_riskOracle).target() returns (uint256) {
                _note();
            } catch {}
        }
        _riskOracle = riskOracle_;
        emit RiskOracleSet(riskOracle_);
        _note();
    }

    /// @inheritdoc IInsuranceFund
    function noteSolvency() external whenFree returns (uint256) {
        return _note();
    }

    /// @inheritdoc IInsuranceFund
    function releaseReserve(address to, uint256 assets) external restricted {
        // the oracle of the target is asked before the lock closes the views it may need
        uint256 available = _releasable();
        _release(to, assets, available);
    }

    function _release(address to, uint256 assets, uint256 available) private locked {
        if (to == address(0)) revert ZeroAddress();
        if (assets == 0) revert ZeroAmount();
        if (TRANCHE.isHeld()) revert ShortfallOpen();
        if (assets > available) revert ReserveTooSmall(assets, available);
        _totals.reserve = _toUint112(_totals.reserve - assets);
        _solvency.releasedAt = uint32(block.timestamp);
        uint256 toStakers = assets * _stakerSharePpm / PPM;
        emit ReserveReleased(to, assets, toStakers);
        if (toStakers != 0) TRANCHE.addIncome(toStakers);
        if (assets != toStakers) _push(to, assets - toStakers);
    }

    /// @dev min(reserve - its target, surplus)
    function _releasable() private view returns (uint256) {
        _requireFree();
        (uint256 most,) = _surplus();
        uint256 held = _totals.reserve;
        uint256 target = _reserveTerms.target;
        return Math.min(held > target ? held - target : 0, most);
    }

    /// @dev surplus = floor((owned - 1.2 * target) / 10) if the clock has run and no release was made this week
    function _surplus() private view returns (uint256 assets, uint256 since) {
        Solvency memory s = _solvency;
        if (s.surplusSince == 0 || s.surplusEvents != _totals.events) return (0, 0);
        since = s.surplusSince;
        if (block.timestamp < since + SURPLUS_TIME || block.timestamp < s.releasedAt + RELEASE_TIME) return (0, since);
        uint256 target = _target();
        uint256 needed = _neededUp(target);
        uint256 owned = _owned();
        if (target == 0 || owned <= needed) return (0, since);
        assets = (owned - needed) / RELEASE_PART;
    }

    /// @dev What is there to stay. Stake and second slice count as capital, but can leave; they never make a surplus.
    function _owned() private view returns (uint256) {
        return uint256(_totals.reserve) + _totals.compartments;
    }

    function _neededUp(uint256 target) private pure returns (uint256) {
        return Math.mulDiv(target, SURPLUS_RATIO, 1e18, Math.Rounding.Ceil);
    }

    function _note() private returns (uint256 lagged) {
        Solvency memory s = _solvency;
        uint256 target = _target();
        uint256 ratio = _ratio(_totalCapital(), target);
        // the first look has nothing to lag behind
        lagged = s.notedAt == 0 ? ratio : _lagged(s);
        // forge-lint: disable-next-line(unsafe-typecast)
        (s.spot, s.lagged, s.notedAt) = (uint64(ratio), uint64(lagged), uint32(block.timestamp));
        bool running = s.surplusSince != 0 && s.surplusEvents == _totals.events;
        if (target == 0 || _owned() <= _neededUp(target)) {
            s.surplusSince = 0;
        } else if (!running) {
            (s.surplusSince, s.surplusEvents) = (uint32(block.timestamp), _totals.events);
        }
        _solvency = s;
        emit SolvencyNoted(ratio, lagged, s.surplusSince);
    }

    function _lagged(Solvency memory s) private view returns (uint256) {
        uint256 elapsed = Math.min(block.timestamp - s.notedAt, LAG);
        return s.spot > s.lagged
            ? s.lagged + uint256(s.spot - s.lagged) * elapsed / LAG
            : s.lagged - uint256(s.lagged - s.spot) * elapsed / LAG;
    }

    /// @dev floor(capital / target), WAD, at most 10; without a target nobody knows that the capital is enough: 0.
    function _ratio(uint256 capital, uint256 target) private pure returns (uint256) {
        return target == 0 ? 0 : Math.min(SurchargeCurve.ratioDown(capital, target), RATIO_MAX);
    }

    function _target() private view returns (uint256) {
        return _riskOracle == address(0) ? 0 : IRiskOracle(_riskOracle).target();
    }

    /// @inheritdoc IInsuranceFund
    function solvency()
        external
        view
        whenFree
        returns (uint256 capital, uint256 target, uint256 ratio, uint256 lagged)
    {
        (capital, target) = (_totalCapital(), _target());
        (ratio, lagged) = (_ratio(capital, target), _lagged(_solvency));
    }

    /// @inheritdoc IInsuranceFund
    function laggedRatio() external view whenFree returns (uint256) {
        return _lagged(_solvency);
    }

    /// @inheritdoc IInsuranceFund
    function surplus() external view whenFree returns (uint256 assets, uint256 since) {
        return _surplus();
    }

    /// @inheritdoc IInsuranceFund
    function riskOracle() external view returns (address) {
        return _riskOracle;
    }
}
