// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Listing} from "./Listing.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {SurchargeCurve} from "../libraries/SurchargeCurve.sol";

/// @title Terms that follow the fund's solvency ratio
/// @notice The emptier the fund, the dearer its cover: with SR the fund's lagged ratio and c the published curve
/// (`SurchargeCurve`, 1 at SR = 1),
///
///     surcharge      = ceil(base * c(SR))
///     fund's share   = min(100 %, ceil(base * max(1, c(SR))))
///     initial margin = min(100 %, base + ceil(base * marginRise * max(0, 1 - SR)))
///
/// Anybody may bring a market's terms up to date; the ratio is lagged, so nothing depends on who does it in which block.
/// What liquidates (maintenance margin) never follows. The fund's share does not fall below its base, because the
/// close-out reward is bounded by it.
/// @dev The effective values live where trades and liquidations read them anyway, so following costs them no gas.
abstract contract CoverTerms is Listing {
    using FixedPoint for uint256;

    function setCoverTerms(uint256 market, uint256 capPpm, uint256 floorPpm, uint256 marginRisePpm)
        external
        restricted
    {
        if (market >= _marketCount) revert UnknownMarket(market);
        SurchargeCurve.check(capPpm * 1e12, floorPpm * 1e12);
        if (marginRisePpm > 10 * FixedPoint.PPM) revert InvalidParameter(market, "marginRisePpm");
        Market storage m = _markets[market];
        CoverBase memory base = _coverBases[market];
        if (base.capPpm == 0) {
            base.surchargePpm = m.liquidation.surchargePpm;
            base.fundSharePpm = m.parameters.fundSharePpm;
            base.initialMarginPpm = m.parameters.initialMarginPpm;
        }
        (base.capPpm, base.floorPpm, base.marginRisePpm) = (uint32(capPpm), uint24(floorPpm), uint24(marginRisePpm));
        _coverBases[market] = base;
        // the dearest surcharge must still fit between two looks at an account
        LiquidationParameters memory l = m.liquidation;
        l.surchargePpm = _surchargeUp(market, base, 0);
        _checkEnvelope(market, m.parameters, l);
        emit CoverTermsSet(market, base);
        _follow(market, base);
    }

    function followFund(uint256 market) external whenFree {
        CoverBase memory base = _coverBases[market];
        if (base.capPpm == 0) revert NoCoverTerms(market);
        _follow(market, base);
    }

    function coverBase(uint256 market) external view whenFree returns (CoverBase memory) {
        return _coverBases[market];
    }

    function _follow(uint256 market, CoverBase memory base) private {
        uint256 ratio = FUND.laggedRatio();
        MarketParameters storage p = _markets[market].parameters;
        uint24 surcharge = _surchargeUp(market, base, ratio);
        _markets[market].liquidation.surchargePpm = surcharge;
        uint256 multiple = _curveUp(base, ratio);
        uint256 share = multiple <= FixedPoint.WAD
            ? base.fundSharePpm
            : FixedPoint.min(FixedPoint.PPM, uint256(base.fundSharePpm).mulDivUp(multiple, FixedPoint.WAD));
        uint256 short = ratio < FixedPoint.WAD ? FixedPoint.WAD - ratio : 0;
        uint256 rise = (uint256(base.initialMarginPpm) * base.marginRisePpm).mulDivUp(short, 1e24);
        uint256 initial = FixedPoint.min(FixedPoint.PPM, base.initialMarginPpm + rise);
        (p.fundSharePpm, p.initialMarginPpm) = (uint24(share), uint24(initial));
        emit FundFollowed(market, ratio, surcharge, share, initial);
    }

    function _surchargeUp(uint256 market, CoverBase memory base, uint256 ratio) private pure returns (uint24) {
        uint256 value = uint256(base.surchargePpm).mulDivUp(_curveUp(base, ratio), FixedPoint.WAD);
        if (value > FixedPoint.PPM) revert InvalidParameter(market, "capPpm");
        return uint24(value);
    }

    /// @dev The curve's multiple of the base, WAD.
    function _curveUp(CoverBase memory base, uint256 ratio) private pure returns (uint256) {
        return
            SurchargeCurve.surchargeUp(
                FixedPoint.WAD, ratio, uint256(base.capPpm) * 1e12, uint256(base.floorPpm) * 1e12
            );
    }
}
