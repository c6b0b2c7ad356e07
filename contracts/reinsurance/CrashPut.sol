// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {ICrashPut} from "../../interfaces/ICrashPut.sol";
import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {IPriceOracle} from "../../interfaces/IPriceOracle.sol";
import {IReinsurance} from "../../interfaces/IReinsurance.sol";
import {PutSeries} from "./PutSeries.sol";

/// @title Layer 4 of the fund: crash cover that underwriters have paid for in advance
/// @notice Nothing is promised that is not here: a series is worth at most its collateral. Payments to underwriters are
/// pulled one by one, so nobody waits for anybody. `docs/reinsurance.md` explains it with numbers.
contract CrashPut is PutSeries, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    IInsuranceFund private immutable FUND;
    IPriceOracle private immutable ORACLE;
    IERC20 private immutable ASSET;
    uint256 private immutable SCALE;

    /// @inheritdoc ICrashPut
    uint256 public owedToFund;

    constructor(IInsuranceFund fund_, IPriceOracle oracle_, address authority_) AccessManaged(authority_) {
        if (address(fund_).code.length == 0) revert UnsupportedFund(address(fund_));
        if (address(oracle_).code.length == 0) revert UnsupportedOracle(address(oracle_));
        FUND = fund_;
        ORACLE = oracle_;
        ASSET = IERC20(fund_.asset());
        SCALE = 10 ** (18 - IERC20Metadata(address(ASSET)).decimals());
        // the fund takes what is owed to its reserve, and nothing else can make it take more
        ASSET.forceApprove(address(fund_), type(uint256).max);
    }

    // ------------------------------------------------------------------ underwriters

    /// @inheritdoc ICrashPut
    function write(uint256 series, uint256 assets) external nonReentrant {
        Series storage s = _inState(series, State.Writing);
        if (assets == 0) revert ZeroAmount();
        uint256 room = s.size - s.written;
        if (assets > room) revert AboveSize(assets, room);
        uint256 before = ASSET.balanceOf(address(this));
        ASSET.safeTransferFrom(msg.sender, address(this), assets);
        _requireReceived(before, assets);
        // written <= size < 2^112
        // forge-lint: disable-next-line(unsafe-typecast)
        s.written += uint112(assets);
        _positions[series][msg.sender] += assets;
        emit Written(series, msg.sender, assets);
    }

    /// @inheritdoc ICrashPut
    function withdraw(uint256 series) external nonReentrant returns (uint256 assets) {
        Series storage s = _known(series);
        State state = _stateOf(s);
        if (state != State.Settled && state != State.Cancelled) revert WrongState(series, state);
        uint256 mine = _positions[series][msg.sender];
        if (mine == 0) revert NothingToWithdraw(series, msg.sender);
        assets = _partDown(s, mine);
        _positions[series][msg.sender] = 0;
        emit Withdrawn(series, msg.sender, assets);
        if (assets != 0) ASSET.safeTransfer(msg.sender, assets);
    }

    // ------------------------------------------------------------------ a series' life

    /// @inheritdoc ICrashPut
    function activate(uint256 series) external nonReentrant {
        Series storage s = _inState(series, State.Waiting);
        (uint256 price,, bool agreed) = _price(s.market);
        if (!agreed) revert PriceNotUsable(s.market, 0);
        if (price < s.startPrice) revert BelowStartPrice(price, s.startPrice);
        _addActive(series, s);
        // premium = floor(written * rate)
        uint256 premium = uint256(s.written) * s.premiumRate / PPM;
        // forge-lint: disable-next-line(unsafe-typecast)
        s.premium = uint112(premium);
        s.phase = Phase.Active;
        emit Activated(series, s.written, premium, price);
        if (premium == 0) return;
        uint256 before = ASSET.balanceOf(address(this));
        FUND.payPremium(premium);
        _requireReceived(before, premium);
    }

    /// @inheritdoc ICrashPut
    function settle(uint256 series) external nonReentrant {
        Series storage s = _inState(series, State.Expired);
        (uint256 price, uint256 observedAt, bool agreed) = _price(s.market);
        uint256 rest;
        if (observedAt >= s.expiry && (agreed || block.timestamp >= s.expiry + AGREEMENT_TIME)) {
            uint256 value = _valueDown(s, price);
            rest = value > s.paid ? value - s.paid : 0;
        } else if (block.timestamp < uint256(s.expiry) + SETTLE_TIME) {
            revert PriceNotUsable(s.market, s.expiry);
        } else {
            price = 0;
        }
        // value <= written < 2^112
        // forge-lint: disable-next-line(unsafe-typecast)
        s.paid += uint112(rest);
        s.phase = Phase.Settled;
        _removeActive(series, s);
        emit Settled(series, price, rest);
        if (rest == 0) return;
        // a fund that cannot take it now keeps nobody from settling
        try FUND.fundReserve(rest) {
            emit Delivered(rest);
        } catch {
            owedToFund += rest;
        }
    }

    /// @inheritdoc ICrashPut
    function deliver() external nonReentrant {
        uint256 assets = owedToFund;
        if (assets == 0) revert NothingToDeliver();
        owedToFund = 0;
        emit Delivered(assets);
        FUND.fundReserve(assets);
    }

    // ------------------------------------------------------------------ cover

    /// @inheritdoc IReinsurance
    /// @dev Each running series pays min(what is still wanted, its value at the index - what it has paid), oldest first.
    function pay(uint256 eventId, address claimant, uint256 market, uint256 wanted) external returns (uint256 assets) {
        if (msg.sender != address(FUND)) revert NotFund(msg.sender);
        uint256[] storage active = _active[claimant][market];
        uint256 count = active.length;
        if (count == 0) return 0;
        (uint256 price,,) = _price(market);
        if (price == 0) return 0;
        for (uint256 i = 0; i < count && assets != wanted; ++i) {
            Series storage s = _series[active[i]];
            uint256 amount = Math.min(_payable(s, price), wanted - assets);
            if (amount == 0) continue;
            // forge-lint: disable-next-line(unsafe-typecast)
            s.paid += uint112(amount);
            assets += amount;
            emit PutPaid(active[i], eventId, amount, price);
        }
        if (assets != 0) ASSET.safeTransfer(msg.sender, assets);
    }

    /// @inheritdoc IReinsurance
    function quote(address claimant, uint256 market, uint256 wanted) external view returns (uint256 assets) {
        uint256[] storage active = _active[claimant][market];
        (uint256 price,,) = _price(market);
        if (price == 0) return 0;
        for (uint256 i = 0; i < active.length; ++i) {
            assets += _payable(_series[active[i]], price);
        }
        return Math.min(assets, wanted);
    }

    /// @inheritdoc IReinsurance
    function capacity(address claimant, uint256 market) external view returns (uint256 assets) {
        uint256[] storage active = _active[claimant][market];
        for (uint256 i = 0; i < active.length; ++i) {
            assets += _payable(_series[active[i]], 0);
        }
    }

    /// @inheritdoc ICrashPut
    function fund() external view returns (address) {
        return address(FUND);
    }

    /// @inheritdoc ICrashPut
    function oracle() external view returns (address) {
        return address(ORACLE);
    }

    /// @inheritdoc ICrashPut
    function asset() external view returns (address) {
        return address(ASSET);
    }

    // ------------------------------------------------------------------ inside

    /// @dev The oracle has no lock and may be asked in the middle of a cover. Of two feeds that differ it names the lower
    /// price, because there is no other one to compare with. In an event that pays a deficit that is there; where a whole
    /// series is decided, they have to agree.
    /// @return price 0 if none is usable
    /// @return observedAt 0 if none is usable
    /// @return agreed both feeds are fresh and agree
    function _price(uint256 market) private view returns (uint256 price, uint256 observedAt, bool agreed) {
        IPriceOracle.Validity validity;
        (price, observedAt, validity) = ORACLE.read(market, 0);
        agreed = validity == IPriceOracle.Validity.Full;
    }

    function _scale() internal view override returns (uint256) {
        return SCALE;
    }

    function _requireReceived(uint256 before, uint256 expected) private view {
        uint256 afterwards = ASSET.balanceOf(address(this));
        uint256 received = afterwards > before ? afterwards - before : 0;
        if (received != expected) revert WrongAmountReceived(expected, received);
    }
}
