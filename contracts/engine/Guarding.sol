// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EngineStorage} from "./EngineStorage.sol";

/// @title What the guardian may do at once, and how it is undone
/// @notice Nothing here can make a healthy account liquidatable or keep anybody from leaving (docs/decisions/0005).
abstract contract Guarding is EngineStorage {
    function tightenMarket(uint256 market, uint24 initialMarginPpm, uint24 bandPpm, uint24 profitLock)
        external
        restricted
    {
        _requireListed(market);
        MarketParameters memory p = _markets[market].parameters;
        // tighter, but not so tight that nobody can leave: at most 50 %, at least 0.5 %, at most a week
        if (initialMarginPpm < p.initialMarginPpm || initialMarginPpm > 500_000) {
            revert NotTighter(market, "initialMarginPpm");
        }
        if (bandPpm > p.bandPpm || bandPpm < 5000) revert NotTighter(market, "bandPpm");
        if (profitLock < p.profitLock || profitLock > 7 days) revert NotTighter(market, "profitLock");
        (p.initialMarginPpm, p.bandPpm, p.profitLock) = (initialMarginPpm, bandPpm, profitLock);
        // what is tight now must not follow the fund back to where it was. The price of cover stays where it is, or goes up
        // to its base: nothing here makes it cheaper
        CoverBase memory base = _coverBases[market];
        if (base.capPpm != 0) {
            LiquidationParameters storage l = _markets[market].liquidation;
            if (l.surchargePpm < base.surchargePpm) l.surchargePpm = base.surchargePpm;
            delete _coverBases[market];
        }
        _markets[market].parameters = p;
        emit MarketParametersSet(market, p, _markets[market].liquidation);
    }

    function pauseRisk(uint256 market) external restricted {
        _setPaused(market, true);
    }

    function resumeRisk(uint256 market) external restricted {
        _setPaused(market, false);
    }

    function _setPaused(uint256 market, bool paused) private {
        _requireListed(market);
        _markets[market].income.riskPaused = paused;
        emit RiskPaused(market, paused);
    }

    function _requireListed(uint256 market) internal view {
        if (market >= _marketCount) revert UnknownMarket(market);
    }
}
