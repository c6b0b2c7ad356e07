// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

import {IExposureSource, IRiskOracle} from "../interfaces/IRiskOracle.sol";

/// @title What the fund should hold, by several reporters
/// @notice One reporter cannot move the target alone, all of them together not faster than the rules say, and none of
/// them by staying silent: without a quorum of fresh reports the target can rise but not fall.
contract RiskOracle is IRiskOracle, AccessManaged {
    uint256 public constant MAX_REPORTERS = 9;
    uint256 public constant MAX_MARKETS = 64;
    /// @dev Smallest target that a move of one basis point changes.
    uint256 public constant MIN_TARGET = 10_000;
    /// @dev A year's maximum is kept as the maxima of this quarter and the four before it.
    uint256 public constant QUARTER = 365 days / 4;
    uint256 private constant QUARTERS = 5;
    uint256 private constant BPS = 10_000;
    /// @dev What must be left before the exposure is asked for: 64 markets with two feeds each, and as much again.
    uint256 private constant FALLBACK_GAS = 6_000_000;
    uint256 private constant PPM = 1_000_000;

    /// @dev `movedAt` is the time up to which the allowance of moves has been used.
    struct Target {
        uint128 value;
        uint64 movedAt;
    }

    struct Maximum {
        uint128 value;
        uint64 quarter;
    }

    Rules private _rules;
    Target private _target;
    address public exposureSource;
    address[] private _reporters;
    Maximum[QUARTERS] private _maxima;
    mapping(address reporter => Report) private _reports;
    mapping(address reporter => mapping(uint256 market => Report)) private _contributions;

    /// @param initialTarget the target until the first report
    constructor(address authority, uint256 initialTarget, Rules memory rules_) AccessManaged(authority) {
        if (initialTarget < MIN_TARGET) revert TargetTooSmall(initialTarget, MIN_TARGET);
        _checkRules(rules_);
        _rules = rules_;
        emit RulesSet(rules_);
        _target = Target(_toUint128(initialTarget), uint64(block.timestamp));
        _remember(initialTarget);
    }

    // ------------------------------------------------------------------ reporters

    /// @inheritdoc IRiskOracle
    function post(uint256 target_, bytes32 dataHash, bytes32 codeHash, Contribution[] calldata contributions) external {
        if (!_isReporter(msg.sender)) revert NotReporter(msg.sender);
        if (target_ < MIN_TARGET) revert TargetTooSmall(target_, MIN_TARGET);
        if (contributions.length > MAX_MARKETS) revert ReportTooLong(contributions.length, MAX_MARKETS);
        // what was allowed until now is moved by the old wish
        poke();
        uint64 time = uint64(block.timestamp);
        _reports[msg.sender] = Report(_toUint128(target_), time, dataHash, codeHash);
        for (uint256 i = 0; i < contributions.length; ++i) {
            Report storage c = _contributions[msg.sender][contributions[i].market];
            (c.target, c.postedAt) = (contributions[i].assets, time);
        }
        emit Reported(msg.sender, target_, dataHash, codeHash, contributions);
    }

    /// @inheritdoc IRiskOracle
    function poke() public returns (uint256 target_) {
        (uint256 wished, uint256 fresh) = wish();
        uint256 movedAt;
        (target_, movedAt) = _moved(wished);
        Target memory t = _target;
        if (target_ == t.value && movedAt == t.movedAt) return target_;
        _target = Target(_toUint128(target_), uint64(movedAt));
        _remember(target_);
        if (target_ != t.value) emit TargetMoved(target_, wished, fresh);
    }

    // ------------------------------------------------------------------ roles

    /// @inheritdoc IRiskOracle
    function setReporter(address reporter, bool allowed) external restricted {
        poke();
        uint256 count = _reporters.length;
        for (uint256 i = 0; i < count; ++i) {
            if (_reporters[i] != reporter) continue;
            if (allowed) return;
            _reporters[i] = _reporters[count - 1];
            _reporters.pop();
            // a reporter that comes back starts without a report
            delete _reports[reporter];
            emit ReporterSet(reporter, false);
            return;
        }
        if (!allowed) revert NotReporter(reporter);
        if (count == MAX_REPORTERS) revert TooManyReporters();
        _reporters.push(reporter);
        emit ReporterSet(reporter, true);
    }

    /// @inheritdoc IRiskOracle
    function setRules(Rules calldata rules_) external restricted {
        _checkRules(rules_);
        poke();
        _rules = rules_;
        emit RulesSet(rules_);
    }

    /// @inheritdoc IRiskOracle
    function setExposureSource(address source) external restricted {
        poke();
        exposureSource = source;
        emit ExposureSourceSet(source);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IRiskOracle
    function target() external view returns (uint256 assets) {
        (uint256 wished,) = wish();
        (assets,) = _moved(wished);
    }

    /// @inheritdoc IRiskOracle
    function wish() public view returns (uint256 assets, uint256 fresh) {
        uint256[] memory values = new uint256[](_reporters.length);
        for (uint256 i = 0; i < values.length; ++i) {
            Report storage r = _reports[_reporters[i]];
            if (_isFresh(r.postedAt)) values[fresh++] = r.target;
        }
        if (fresh >= _rules.quorum) {
            assets = _upperMedian(values, fresh);
        } else {
            // silence never lowers the target
            assets = _target.value;
            uint256 formula = _fallback();
            if (formula > assets) assets = formula;
        }
        // wish >= ceil(floorBps * highest of the year / 1e4)
        uint256 least = (highest() * _rules.floorBps + BPS - 1) / BPS;
        if (least > assets) assets = least;
    }

    /// @inheritdoc IRiskOracle
    function contribution(uint256 market) external view returns (uint256 assets) {
        uint256[] memory values = new uint256[](_reporters.length);
        uint256 fresh;
        for (uint256 i = 0; i < values.length; ++i) {
            Report storage c = _contributions[_reporters[i]][market];
            // a contribution counts with the report it came with
            if (_isFresh(c.postedAt) && c.postedAt == _reports[_reporters[i]].postedAt) values[fresh++] = c.target;
        }
        return fresh < _rules.quorum ? 0 : _upperMedian(values, fresh);
    }

    /// @inheritdoc IRiskOracle
    function highest() public view returns (uint256 assets) {
        uint256 quarter = block.timestamp / QUARTER;
        assets = _target.value;
        for (uint256 i = 0; i < QUARTERS; ++i) {
            Maximum memory m = _maxima[i];
            if (m.quarter + QUARTERS > quarter && m.value > assets) assets = m.value;
        }
    }

    /// @inheritdoc IRiskOracle
    function reporters() external view returns (address[] memory) {
        return _reporters;
    }

    /// @inheritdoc IRiskOracle
    function report(address reporter) external view returns (Report memory) {
        return _reports[reporter];
    }

    /// @inheritdoc IRiskOracle
    function rules() external view returns (Rules memory) {
        return _rules;
    }

    // ------------------------------------------------------------------ inside

    /// @dev bps = min(floor(perDayBps * elapsed / 1 day), perUpdateBps); target' = floor(target * (1e4 +- bps) / 1e4), never
    /// past the wish. Time that has not bought a whole basis point yet is kept, so that frequent calls do not stop the move.
    function _moved(uint256 wished) private view returns (uint256 value, uint256 movedAt) {
        (value, movedAt) = (_target.value, _target.movedAt);
        uint256 perDay = _rules.perDayBps;
        uint256 bps = perDay * (block.timestamp - movedAt) / 1 days;
        if (bps == 0) return (value, movedAt);
        if (bps > _rules.perUpdateBps) {
            bps = _rules.perUpdateBps;
            movedAt = block.timestamp;
        } else {
            // the time that these whole basis points cost, rounded up
            movedAt += (bps * 1 days + perDay - 1) / perDay;
        }
        uint256 moved;
        if (wished > value) {
            moved = value * (BPS + bps) / BPS;
            value = moved < wished ? moved : wished;
        } else {
            moved = value * (BPS - bps) / BPS;
            value = moved > wished ? moved : wished;
        }
    }

    /// @dev Raises the present quarter's maximum.
    function _remember(uint256 value) private {
        uint64 quarter = uint64(block.timestamp / QUARTER);
        Maximum storage m = _maxima[quarter % QUARTERS];
        if (m.quarter != quarter || m.value < value) (m.value, m.quarter) = (_toUint128(value), quarter);
    }

    /// @dev ceil(exposure * fallbackPpm / 1e6); 0 if the source does not answer. It gets enough gas for 64 markets, or whoever
    /// calls could make it fail by stinginess and keep the target from rising.
    function _fallback() private view returns (uint256) {
        if (exposureSource == address(0)) return 0;
        uint256 available = gasleft();
        if (available < FALLBACK_GAS) revert NotEnoughGas(available, FALLBACK_GAS);
        (bool known, uint256 exposure) = _askExposure(exposureSource);
        if (!known) return 0;
        uint256 most = type(uint128).max;
        if (exposure > most) exposure = most;
        uint256 value = (exposure * _rules.fallbackPpm + PPM - 1) / PPM;
        return value < most ? value : most;
    }

    /// @dev One word at most is copied, however long the answer is: a source that answers with megabytes must not make
    /// `setExposureSource` fail, which replaces it.
    function _askExposure(address source) private view returns (bool known, uint256 exposure) {
        bytes4 selector = IExposureSource.exposure.selector;
        assembly ("memory-safe") {
            mstore(0, selector)
            known := staticcall(gas(), source, 0, 4, 0, 0x20)
            known := and(known, gt(returndatasize(), 0x1f))
            exposure := mload(0)
        }
    }

    function _isFresh(uint256 postedAt) private view returns (bool) {
        return postedAt != 0 && block.timestamp - postedAt <= _rules.maxAge;
    }

    function _isReporter(address who) private view returns (bool) {
        for (uint256 i = 0; i < _reporters.length; ++i) {
            if (_reporters[i] == who) return true;
        }
        return false;
    }

    /// @dev The middle of the first `count` values, the higher one of two: where reporters differ, more capital.
    function _upperMedian(uint256[] memory values, uint256 count) private pure returns (uint256) {
        for (uint256 i = 1; i < count; ++i) {
            uint256 value = values[i];
            uint256 j = i;
            for (; j > 0 && values[j - 1] > value; --j) {
                values[j] = values[j - 1];
            }
            values[j] = value;
        }
        return values[count / 2];
    }

    function _checkRules(Rules memory r) private pure {
        if (r.quorum == 0 || r.quorum > MAX_REPORTERS) revert InvalidRules("quorum");
        if (r.maxAge == 0) revert InvalidRules("maxAge");
        if (r.perDayBps == 0 || r.perDayBps > BPS) revert InvalidRules("perDayBps");
        if (r.perUpdateBps == 0 || r.perUpdateBps > r.perDayBps) revert InvalidRules("perUpdateBps");
        if (r.floorBps > BPS) revert InvalidRules("floorBps");
    }

    function _toUint128(uint256 value) private pure returns (uint128) {
        if (value > type(uint128).max) revert AboveMaximum(value, type(uint128).max);
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint128(value);
    }
}
