// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {MarketCaches} from "./MarketCaches.sol";
import {SideIndex} from "../libraries/SideIndex.sol";
import {IShortfallClaimant} from "../../interfaces/IShortfallClaimant.sol";

/// @title Views of markets
/// @notice They answer as a transaction in this block would see things, and refuse while a call is in flight (LOCKED).
abstract contract MarketViews is MarketCaches, IShortfallClaimant {
    function marketState(uint256 market) external view whenFree returns (MarketState memory s) {
        if (market >= _marketCount) revert UnknownMarket(market);
        MarketCache memory c;
        _peek(c, market, BOTH);
        Market storage m = _markets[market];
        s.openLong = _openInterest(c.sides[LONG], false);
        s.openShort = _openInterest(c.sides[SHORT], true);
        s.markPrice = c.markPrice;
        s.markTime = c.markTime;
        s.observedAt = c.observedAt;
        s.validity = c.validity;
        s.fundingPremiumPpb = c.averagePremium;
        s.accruedAt = c.accruedAt;
        s.fundFees = m.income.fund;
        s.treasuryFees = m.income.treasury;
        s.recordedDeficit = m.recordedDeficit;
    }

    function sideState(uint256 market)
        external
        view
        whenFree
        returns (uint256[2] memory basis, uint256[2] memory A, int256[2] memory K, uint256[2] memory epoch)
    {
        Market storage m = _markets[market];
        basis = [uint256(m.totals.basisLong), m.totals.basisShort];
        A = [uint256(m.long.A), m.short.A];
        K = [int256(m.long.K), m.short.K];
        epoch = [m.long.epoch & SideIndex.EPOCH_MASK, m.short.epoch & SideIndex.EPOCH_MASK];
    }

    function marketParameters(uint256 market)
        external
        view
        whenFree
        returns (MarketParameters memory, LiquidationParameters memory, bool riskPaused)
    {
        Market storage m = _markets[market];
        return (m.parameters, m.liquidation, m.income.riskPaused);
    }

    function liquidationTerms(uint256 market)
        external
        view
        whenFree
        returns (LiquidationParameters memory, uint256 minBase)
    {
        return (_markets[market].liquidation, uint256(_markets[market].parameters.minBase) * 1e9);
    }

    /// @inheritdoc IShortfallClaimant
    function openDeficit(uint256 market) external view returns (uint256 assets) {
        MarketClaims storage m = _marketClaims[market];
        uint256 recorded = _markets[market].recordedDeficit;
        // what is recorded because a claim waits is in the claim already
        recorded = recorded > m.recorded ? recorded - m.recorded : 0;
        return (recorded + SCALE - 1) / SCALE + m.claims;
    }
}
