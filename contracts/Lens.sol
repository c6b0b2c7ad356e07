// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IInsuranceFund} from "../interfaces/IInsuranceFund.sol";
import {ILens} from "../interfaces/ILens.sol";
import {IMarginEngine} from "../interfaces/IMarginEngine.sol";
import {IMarginEngineTypes} from "../interfaces/IMarginEngineTypes.sol";
import {IPriceOracle} from "../interfaces/IPriceOracle.sol";
import {IStakedTranche} from "../interfaces/IStakedTranche.sol";

/// @title Many views in one call
/// @notice See `ILens`. No state, no rights: nothing in the system knows this contract.
contract Lens is ILens {
    IMarginEngine private immutable ENGINE;
    IInsuranceFund private immutable FUND;
    IPriceOracle private immutable ORACLE;

    /// @dev Equity (WAD) below which the liquidator counts an account with positions as bankrupt (`LiquidatorBase`).
    int256 private constant DUST_EQUITY = 1e10;

    constructor(IMarginEngine engine_, IInsuranceFund fund_, IPriceOracle oracle_) {
        if (address(engine_).code.length == 0) revert NotAContract(address(engine_));
        if (address(fund_).code.length == 0) revert NotAContract(address(fund_));
        if (address(oracle_).code.length == 0) revert NotAContract(address(oracle_));
        (ENGINE, FUND, ORACLE) = (engine_, fund_, oracle_);
    }

    /// @inheritdoc ILens
    function engine() external view returns (address) {
        return address(ENGINE);
    }

    /// @inheritdoc ILens
    function fund() external view returns (address) {
        return address(FUND);
    }

    /// @inheritdoc ILens
    function accounts(bytes32[] calldata ids) external view returns (AccountReport[] memory) {
        return _accounts(ids);
    }

    /// @inheritdoc ILens
    function health(bytes32[] calldata ids) external view returns (HealthReport[] memory reports) {
        reports = new HealthReport[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            try ENGINE.health(ids[i]) returns (int256 equity, uint256 initial, uint256 maintenance) {
                reports[i] = HealthReport(true, equity, initial, maintenance);
            } catch {}
        }
    }

    /// @inheritdoc ILens
    function markets() external view returns (MarketReport[] memory) {
        return _markets();
    }

    /// @inheritdoc ILens
    function snapshot(bytes32[] calldata ids)
        external
        returns (uint256, uint256, MarketReport[] memory marketReports, AccountReport[] memory accountReports)
    {
        uint256 count = ENGINE.marketCount();
        for (uint256 i = 0; i < count; ++i) {
            try ENGINE.poke(i) {} catch {}
        }
        marketReports = _markets();
        accountReports = _accounts(ids);
        return (block.number, block.timestamp, marketReports, accountReports);
    }

    function _accounts(bytes32[] calldata ids) private view returns (AccountReport[] memory reports) {
        reports = new AccountReport[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            AccountReport memory r = reports[i];
            r.account = ids[i];
            try ENGINE.accountState(ids[i]) returns (IMarginEngineTypes.AccountState memory s) {
                r.ok = true;
                r.bankrupt = s.equity < 0 || s.equity < DUST_EQUITY && s.positions.length != 0;
                r.liquidatable = r.bankrupt || s.equity < int256(s.maintenanceMargin);
                r.state = s;
            } catch (bytes memory reason) {
                r.reason = reason;
            }
        }
    }

    function _markets() private view returns (MarketReport[] memory reports) {
        reports = new MarketReport[](ENGINE.marketCount());
        for (uint256 i = 0; i < reports.length; ++i) {
            MarketReport memory r = reports[i];
            r.state = ENGINE.marketState(i);
            (r.indexPrice, r.observedAt, r.indexValidity) = ORACLE.read(i, r.state.markPrice);
            (r.basis, r.A, r.K, r.epoch) = ENGINE.sideState(i);
            (r.parameters, r.liquidation, r.riskPaused) = ENGINE.marketParameters(i);
        }
    }

    /// @inheritdoc ILens
    function balanceSheet() external view returns (FundReport memory r) {
        (r.blockNumber, r.timestamp) = (block.number, block.timestamp);
        r.asset = FUND.asset();
        r.tokens = IERC20(r.asset).balanceOf(address(FUND));
        r.engineTokens = IERC20(r.asset).balanceOf(address(ENGINE));
        (r.totalCapital, r.totalCompartments) = (FUND.totalCapital(), FUND.totalCompartments());
        (r.reserve, r.reserveTarget) = (FUND.reserve(), FUND.reserveTarget());
        (r.reserveGap, r.gapSince, r.gapDue) = FUND.reserveGap();
        (r.stakerSharePpm, r.events) = (FUND.stakerShare(), FUND.eventCount());
        r.limits = FUND.claimantLimits(address(ENGINE));
        if (r.limits.window != 0) (, r.claimantRoom,) = FUND.drawRoom(address(ENGINE), 0);
        r.tranche = _tranche(FUND.stakedTranche());
        r.compartments = new CompartmentReport[](ENGINE.marketCount());
        for (uint256 i = 0; i < r.compartments.length; ++i) {
            r.compartments[i] = _compartment(i);
            r.recordedDeficit += r.compartments[i].recordedDeficit;
        }
    }

    function _compartment(uint256 market) private view returns (CompartmentReport memory c) {
        c.assets = FUND.compartment(address(ENGINE), market);
        c.limits = FUND.marketLimits(address(ENGINE), market);
        (,, c.marketRoom) = FUND.drawRoom(address(ENGINE), market);
        IMarginEngineTypes.MarketState memory s = ENGINE.marketState(market);
        (c.pendingIncome, c.recordedDeficit) = (s.fundFees, s.recordedDeficit);
    }

    function _tranche(address where) private view returns (TrancheReport memory t) {
        IStakedTranche tranche = IStakedTranche(where);
        t.tranche = where;
        t.decimals = IERC20Metadata(where).decimals();
        (t.series, t.totalAssets, t.slashable) = (tranche.series(), tranche.totalAssets(), tranche.slashable());
        t.totalShares = IERC20(where).totalSupply();
        t.price = IERC4626(where).convertToAssets(10 ** t.decimals);
        (t.cap, t.cooldown, t.epochEnd, t.heldUntil) = tranche.terms();
        (t.streamLeft, t.streamEnd, t.streamPerSecond) = tranche.stream();
        (uint256 first, uint256 last) = tranche.openBuckets();
        if (first > last) return t;
        t.buckets = new BucketReport[](last - first + 1);
        for (uint256 id = first; id <= last; ++id) {
            (IStakedTranche.Bucket memory b,) = tranche.bucket(id);
            t.buckets[id - first] = BucketReport(id, b.assets, b.shares, b.maturity);
        }
    }
}
