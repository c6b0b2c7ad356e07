// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EngineStorage} from "./EngineStorage.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {MarginMath} from "../libraries/MarginMath.sol";
import {SideIndex} from "../libraries/SideIndex.sol";

/// @title Listing markets and changing their parameters
/// @notice Two steps by construction: listing and loosening belong to roles whose calls `AccessManager` delays (they are
/// scheduled, seen by everybody, then executed). What only tightens is immediate: `Guarding`.
abstract contract Listing is EngineStorage {
    using FixedPoint for uint256;

    function listMarket(MarketParameters calldata p, LiquidationParameters calldata l)
        external
        restricted
        returns (uint256 market)
    {
        market = _marketCount;
        if (market == MAX_MARKETS) revert InvalidParameter(market, "marketCount");
        _validate(market, p, l);
        _marketCount = market + 1;
        Market storage m = _markets[market];
        m.parameters = p;
        m.liquidation = l;
        m.long.A = m.short.A = uint72(SideIndex.ONE);
        m.totals.accruedAt = uint32(block.timestamp);
        emit MarketListed(market, p, l);
    }

    function setMarket(uint256 market, MarketParameters calldata p, LiquidationParameters calldata l)
        external
        restricted
    {
        if (market >= _marketCount) revert UnknownMarket(market);
        _validate(market, p, l);
        _markets[market].parameters = p;
        _markets[market].liquidation = l;
        delete _coverBases[market]; // the new values are what is meant; terms that follow the fund are set again
        emit MarketParametersSet(market, p, l);
    }

    /// @dev Every parameter has a meaning on its own; then the envelope (DESIGN 2.3).
    function _validate(uint256 market, MarketParameters memory p, LiquidationParameters memory l) private pure {
        if (p.sizeScale == 0) revert InvalidParameter(market, "sizeScale");
        if (p.maintenanceMarginPpm == 0) revert InvalidParameter(market, "maintenanceMarginPpm");
        if (p.initialMarginPpm <= p.maintenanceMarginPpm) revert InvalidParameter(market, "initialMarginPpm");
        if (p.initialMarginPpm > FixedPoint.PPM) revert InvalidParameter(market, "initialMarginPpm");
        if (p.maxMarkAge > 60) revert InvalidParameter(market, "maxMarkAge");
        if (p.markSpeedPpb == 0) revert InvalidParameter(market, "markSpeedPpb");
        if (p.fundingClampPpb > MarginMath.PPB) revert InvalidParameter(market, "fundingClampPpb");
        if (p.bandPpm == 0 || p.bandPpm >= FixedPoint.PPM) revert InvalidParameter(market, "bandPpm");
        if (p.fundSharePpm > FixedPoint.PPM) revert InvalidParameter(market, "fundSharePpm");
        if (p.chargeCapPpm > FixedPoint.PPM) revert InvalidParameter(market, "chargeCapPpm");
        if (p.minBase == 0) revert InvalidParameter(market, "minBase");
        if (l.targetHealthPpm <= FixedPoint.PPM) revert InvalidParameter(market, "targetHealthPpm");
        if (l.minDiscountPpm > l.maxDiscountPpm) revert InvalidParameter(market, "minDiscountPpm");
        if (l.ramp == 0) revert InvalidParameter(market, "ramp");
        if (l.deleverageDelay < l.ramp) revert InvalidParameter(market, "deleverageDelay");
        if (l.checkInterval == 0) revert InvalidParameter(market, "checkInterval");
        if (l.maxStep == 0) revert InvalidParameter(market, "maxStep");
        _checkEnvelope(market, p, l);
        _checkCloseReward(market, p, l);
    }

    /// @dev What an account can lose between two looks at it must be covered by its maintenance margin:
    ///
    ///     move    = speed * checkInterval
    ///     needed  = move + fundingClamp / 8 h * checkInterval + (1 + move) * (discount + surcharge + reward)
    ///
    /// The costs are those of the notional after the move, which for a short is the larger one.
    function _checkEnvelope(uint256 market, MarketParameters memory p, LiquidationParameters memory l) internal pure {
        uint256 move = (uint256(p.markSpeedPpb) * l.checkInterval + 999) / 1000;
        uint256 funding = (uint256(p.fundingClampPpb) * l.checkInterval).mulDivUp(1, MarginMath.FUNDING_PERIOD * 1000);
        uint256 costs = uint256(l.maxDiscountPpm) + l.surchargePpm + l.rewardPpm;
        uint256 needed = move + funding + costs.mulDivUp(FixedPoint.PPM + move, FixedPoint.PPM);
        if (needed > p.maintenanceMarginPpm) revert EnvelopeViolated(market, needed, p.maintenanceMarginPpm);
    }

    /// @dev The reward for closing a bankrupt account out is at most `rewardPpm` of its notional; it may not exceed half
    /// of what the two sides of a position pay the fund in trading fees, or opening pairs would farm it.
    function _checkCloseReward(uint256 market, MarketParameters memory p, LiquidationParameters memory l) private pure {
        uint256 fees = (uint256(p.makerFeePpm) + p.takerFeePpm) * p.fundSharePpm / FixedPoint.PPM;
        if (l.closeRewardCap != 0 && uint256(l.rewardPpm) * 2 > fees) revert InvalidParameter(market, "rewardPpm");
    }
}
