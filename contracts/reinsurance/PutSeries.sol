// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ICrashPut} from "../../interfaces/ICrashPut.sol";

/// @title The series of a crash put: terms, states and value
/// @dev Holds no token and calls nobody.
abstract contract PutSeries is ICrashPut, AccessManaged {
    /// @notice Running series of one market; one event asks all of them.
    uint256 public constant MAX_ACTIVE = 4;
    /// @notice Time after the writing period in which a series may be activated; then it is cancelled.
    uint256 public constant ACTIVATION_TIME = 1 days;
    /// @notice Time after the expiry after which a series without a usable price is worth nothing.
    uint256 public constant SETTLE_TIME = 3 days;
    /// @notice Time after the expiry in which only a price counts on which both feeds agree.
    uint256 public constant AGREEMENT_TIME = 1 days;
    /// @notice Collateral is not held longer than this before the cover can begin.
    uint256 public constant MAX_WRITING = 14 days;
    uint256 public constant MAX_LIFE = 366 days;
    /// @notice Largest price the oracle reports, WAD.
    uint256 public constant MAX_PRICE = 1e25;
    uint256 internal constant PPM = 1e6;
    uint256 private constant WAD = 1e18;

    enum Phase {
        None,
        Open,
        Active,
        Settled
    }

    /// @dev The first two words are what `pay` reads and writes.
    struct Series {
        uint88 strike;
        uint88 floor;
        uint40 expiry;
        uint40 writeUntil;
        uint112 written;
        uint112 paid;
        uint24 premiumRate;
        Phase phase;
        uint112 size;
        uint112 premium;
        uint88 startPrice;
        address claimant;
        uint256 market;
    }

    /// @inheritdoc ICrashPut
    uint256 public seriesCount;
    mapping(uint256 series => Series) internal _series;
    mapping(uint256 series => mapping(address underwriter => uint256 written)) internal _positions;
    mapping(address claimant => mapping(uint256 market => uint256[])) internal _active;

    /// @inheritdoc ICrashPut
    function open(Terms calldata t) external restricted returns (uint256 series) {
        _checkTerms(t);
        series = ++seriesCount;
        // no cast truncates: prices are below 2^84, the rest was compared
        // forge-lint: disable-start(unsafe-typecast)
        _series[series] = Series({
            strike: uint88(t.strike),
            floor: uint88(t.floor),
            expiry: uint40(t.expiry),
            writeUntil: uint40(t.writeUntil),
            written: 0,
            paid: 0,
            premiumRate: uint24(t.premiumRate),
            phase: Phase.Open,
            size: uint112(t.size),
            premium: 0,
            startPrice: uint88(t.startPrice),
            claimant: t.claimant,
            market: t.market
        });
        // forge-lint: disable-end(unsafe-typecast)
        emit SeriesOpened(series, t.claimant, t.market, t);
    }

    function _checkTerms(Terms calldata t) private view {
        if (t.claimant == address(0)) revert InvalidTerms("claimant");
        if (t.strike == 0 || t.strike > MAX_PRICE) revert InvalidTerms("strike");
        if (t.floor >= t.strike) revert InvalidTerms("floor");
        if (t.startPrice < t.strike || t.startPrice > MAX_PRICE) revert InvalidTerms("startPrice");
        if (t.size == 0 || t.size > type(uint112).max) revert InvalidTerms("size");
        if (t.premiumRate > PPM) revert InvalidTerms("premiumRate");
        if (t.writeUntil <= block.timestamp || t.writeUntil > block.timestamp + MAX_WRITING) {
            revert InvalidTerms("writeUntil");
        }
        if (t.expiry <= t.writeUntil + ACTIVATION_TIME || t.expiry > t.writeUntil + MAX_LIFE) {
            revert InvalidTerms("expiry");
        }
    }

    // ------------------------------------------------------------------ states

    function _stateOf(Series storage s) internal view returns (State) {
        if (s.phase == Phase.None) return State.None;
        if (s.phase == Phase.Settled) return State.Settled;
        if (s.phase == Phase.Active) return block.timestamp < s.expiry ? State.Active : State.Expired;
        if (block.timestamp > s.writeUntil + ACTIVATION_TIME) return State.Cancelled;
        if (s.written == s.size) return State.Waiting;
        if (block.timestamp < s.writeUntil) return State.Writing;
        return s.written == 0 ? State.Cancelled : State.Waiting;
    }

    function _known(uint256 series) internal view returns (Series storage s) {
        s = _series[series];
        if (s.phase == Phase.None) revert UnknownSeries(series);
    }

    function _inState(uint256 series, State needed) internal view returns (Series storage s) {
        s = _known(series);
        State state = _stateOf(s);
        if (state != needed) revert WrongState(series, state);
    }

    function _addActive(uint256 series, Series storage s) internal {
        uint256[] storage active = _active[s.claimant][s.market];
        if (active.length == MAX_ACTIVE) revert TooManyActive(s.claimant, s.market);
        active.push(series);
    }

    /// @dev Keeps the order: the oldest pays first.
    function _removeActive(uint256 series, Series storage s) internal {
        uint256[] storage active = _active[s.claimant][s.market];
        uint256 last = active.length - 1;
        bool found;
        for (uint256 i = 0; i < last; ++i) {
            if (active[i] == series) found = true;
            if (found) active[i] = active[i + 1];
        }
        active.pop();
    }

    // ------------------------------------------------------------------ value

    /// @dev value = floor(written * (strike - max(price, floor)) / (strike - floor)); at most `written`, so the collateral
    /// always suffices. Below 2^112 * 2^84: nothing overflows.
    function _valueDown(Series storage s, uint256 price) internal view returns (uint256) {
        (uint256 strike, uint256 floor) = (s.strike, s.floor);
        if (price >= strike) return 0;
        return uint256(s.written) * (strike - Math.max(price, floor)) / (strike - floor);
    }

    /// @dev What a series can still pay at this price; nothing from its expiry on.
    function _payable(Series storage s, uint256 price) internal view returns (uint256) {
        if (block.timestamp >= s.expiry) return 0;
        uint256 value = _valueDown(s, price);
        return value > s.paid ? value - s.paid : 0;
    }

    /// @dev part = floor(position * (written - paid + premium) / written); before activation nothing is paid or earned
    function _partDown(Series storage s, uint256 mine) internal view returns (uint256) {
        return Math.mulDiv(mine, uint256(s.written) - s.paid + s.premium, s.written);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc ICrashPut
    function termsOf(uint256 series) external view returns (Terms memory) {
        Series storage s = _known(series);
        return Terms({
            claimant: s.claimant,
            market: s.market,
            strike: s.strike,
            floor: s.floor,
            startPrice: s.startPrice,
            size: s.size,
            premiumRate: s.premiumRate,
            writeUntil: s.writeUntil,
            expiry: s.expiry
        });
    }

    /// @inheritdoc ICrashPut
    function statusOf(uint256 series) external view returns (Status memory) {
        Series storage s = _known(series);
        return Status(_stateOf(s), _notional(s), s.written, s.premium, s.paid);
    }

    function _notional(Series storage s) private view returns (uint256) {
        return Math.mulDiv(uint256(s.written) * _scale(), WAD, uint256(s.strike) - s.floor);
    }

    /// @dev 10^(18 - decimals of the asset)
    function _scale() internal view virtual returns (uint256);

    /// @inheritdoc ICrashPut
    function intrinsicValue(uint256 series, uint256 indexPrice) external view returns (uint256 assets) {
        return _valueDown(_known(series), indexPrice);
    }

    /// @inheritdoc ICrashPut
    function activeSeries(address claimant, uint256 market) external view returns (uint256[] memory) {
        return _active[claimant][market];
    }

    /// @inheritdoc ICrashPut
    function position(uint256 series, address underwriter)
        external
        view
        returns (uint256 written, uint256 withdrawable)
    {
        Series storage s = _known(series);
        written = _positions[series][underwriter];
        State state = _stateOf(s);
        if (written != 0 && (state == State.Settled || state == State.Cancelled)) withdrawable = _partDown(s, written);
    }
}
