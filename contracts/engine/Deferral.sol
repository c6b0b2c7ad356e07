// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Trades} from "./Trades.sol";
import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {IMarginEngine} from "../../interfaces/IMarginEngine.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {SideIndex} from "../libraries/SideIndex.sol";

/// @title Claims that wait for a fair window
/// @notice A claim that would take more than a quarter of what the fund has left is not filed at once: whoever comes first
/// would take it from those who come a minute later. The deficit goes on down the waterfall meanwhile, and the claim is
/// remembered; `FairWindows` closes the window and gives back. docs/decisions/0010-fair-windows.md.
abstract contract Deferral is Trades {
    using FixedPoint for uint256;
    using SafeCast for uint256;

    /// @dev Markets whose claim of the present event waits: what is charged next is charged for it.
    uint256 private transient _waiting;

    /// @dev Lowers the claims that have to wait to what their market's own money pays. Nothing happens in markets
    /// without windows: the length lies in a slot that is read before.
    /// @return waiting bit n: the rest of market n's claim waits
    function _holdBack(bytes32 account, IInsuranceFund.Claim[] memory claims) internal returns (uint256 waiting) {
        // also where windows were switched off: sides may have open claims from before
        _closedOut = account;
        bool any;
        uint256 taken;
        for (uint256 i = 0; i < claims.length; ++i) {
            IInsuranceFund.Claim memory claim = claims[i];
            if (_markets[claim.market].income.fairWindow == 0) continue;
            any = true;
            // whatever the fund answers or does not answer, the liquidation goes on
            try IMarginEngine(address(this)).claimAtOnce(claim.market, claim.assets, taken) returns (
                uint256 atOnce, uint256 takenAfter
            ) {
                taken = takenAfter;
                if (atOnce < claim.assets) (claim.assets, waiting) = (atOnce, waiting | _bit(claim.market));
            } catch {}
        }
        if (any) _waiting = waiting;
    }

    /// @dev Remembers what the fund was not asked for.
    function _deferAll(
        bytes32 account,
        uint256[] calldata markets,
        uint256[] calldata deficits,
        uint256[5][] memory paid,
        uint256 waiting
    ) internal {
        for (uint256 i = 0; i < markets.length; ++i) {
            if (waiting & _bit(markets[i]) == 0) continue;
            uint256 unpaid = deficits[i];
            for (uint256 layer = 0; layer < 5; ++layer) {
                unpaid -= paid[i][layer];
            }
            if (unpaid != 0) _defer(account, markets[i], unpaid);
        }
    }

    function _defer(bytes32 account, uint256 market, uint256 amount) private {
        FairWindow memory w = _fairWindow;
        bool opens = w.closesAt == 0;
        if (opens) {
            uint256 closesAt = block.timestamp + uint256(_markets[market].income.fairWindow) * 1 minutes;
            w = FairWindow({id: w.id + 1, closesAt: uint40(closesAt), markets: 0, claims: 0});
            emit FairWindowOpened(w.id, closesAt);
        }
        uint112 assets = ((amount + SCALE - 1) / SCALE).toUint112();
        w.markets |= _bit(market);
        w.claims += assets;
        _fairWindow = w;
        MarketClaims storage m = _marketClaims[market];
        m.claims += assets;
        // recorded until a side is charged for it
        m.recorded += amount.toUint128();
        emit ClaimDeferred(w.id, market, account, amount);
        // capital must not leave the fund while it is claimed
        if (opens) try FUND.reportShortfall(address(this), market) {} catch {}
    }

    /// @dev A side was charged for a claim that waits:
    ///
    ///     C += charged * ONE * WAD / B                                                     rounded down
    function _claimForSide(MarketCache memory c, SideCache memory side, bool short, uint256 charged) internal {
        uint256 bit = _bit(c.id);
        if (_waiting & bit == 0) return;
        _waiting &= ~bit;
        SideClaims storage s = _sideClaims[c.id][_tag(side.epoch, short)];
        if (!side.claims) {
            s.window = _fairWindow.id;
            side.claims = c.claims = true;
        }
        s.C += charged.mulDivDown(SideIndex.K_UNIT, side.B);
        MarketClaims storage m = _marketClaims[c.id];
        m.recorded -= charged.toUint128();
        m.side += charged.toUint128();
    }
}
