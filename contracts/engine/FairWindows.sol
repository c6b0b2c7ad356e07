// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {MarketCaches} from "./MarketCaches.sol";
import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {SideIndex} from "../libraries/SideIndex.sol";

/// @title The close of a fair window
/// @notice Claims that waited share what the fund can pay, pro rata to what they may draw of the shared layers:
///
///     rho = min(1, capacity / sum of drawable)       capacity: shared layers, at most the room of the claimant's window
///
/// Each market files its part as one event under the limits of that moment; the compartment pays first and on top. Where
/// the fund has a reinsurer, what is left is filed once more when every market has its part. What comes is a rate
/// `paid / claims` for the market. Positions that are there get `rate * C` per basis unit through K in one step; a record
/// of one that left pays `rate * left`, of one that joined `(1 - rate) * joined`, because through K it got what it had no
/// part in. So nobody gains or loses by leaving early or joining late. docs/laws.md has an example.
abstract contract FairWindows is MarketCaches {
    using FixedPoint for uint256;
    using SafeCast for uint256;
    using SafeCast for int256;

    function setFairWindow(uint256 market, uint8 minutes_) external restricted {
        if (market >= _marketCount) revert UnknownMarket(market);
        _markets[market].income.fairWindow = minutes_;
        emit FairWindowSet(market, minutes_);
    }

    function closeFairWindow() external locked {
        FairWindow memory w = _fairWindow;
        if (w.closesAt == 0) revert NoFairWindow();
        if (block.timestamp < w.closesAt) revert FairWindowIsOpen(w.id, w.closesAt);
        _fairWindow.closesAt = 0;
        uint256[] memory paid = _fileShares(w);
        bool reinsured = FUND.reinsurer() != address(0);
        uint256 bits = w.markets;
        for (uint256 id = 0; bits != 0; ++id) {
            if (bits & 1 != 0) {
                uint256 rest = _marketClaims[id].claims - paid[id];
                // no layer is passed over: what the shared ones leave is asked of the reinsurer
                if (reinsured && rest != 0) paid[id] += _file(w, id, rest, rest);
                _payMarket(w, id, paid[id]);
            }
            bits >>= 1;
        }
    }

    /// @dev Every market's part of what the shared layers can pay, and what its compartment holds. A claim counts as far as
    /// the limits of its market let it draw, so that nobody waits beside money that others cannot have:
    ///
    ///     asked = claims                                                 if capacity >= sum of drawable
    ///           = min(claims, floor(drawable * capacity / sum) + compartment)       else
    function _fileShares(FairWindow memory w) private returns (uint256[] memory paid) {
        paid = new uint256[](_marketCount);
        (uint256[] memory drawable, uint256 sum, uint256 capacity) = _drawable(w.markets);
        uint256 bits = w.markets;
        for (uint256 id = 0; bits != 0; ++id) {
            if (bits & 1 != 0) {
                uint256 claims = _marketClaims[id].claims;
                uint256 asked = claims;
                if (capacity < sum) {
                    uint256 share = drawable[id].mulDivDown(capacity, sum);
                    asked = FixedPoint.min(claims, share + FUND.compartment(address(this), id));
                }
                paid[id] = _file(w, id, claims, asked);
            }
            bits >>= 1;
        }
    }

    /// @dev What each market's claims may draw of the shared layers: min(claims, perClaim, room of the market's window); and
    /// what these layers hold and the claimant's window lets through.
    function _drawable(uint256 bits) private view returns (uint256[] memory drawable, uint256 sum, uint256 capacity) {
        drawable = new uint256[](_marketCount);
        for (uint256 id = 0; bits != 0; ++id) {
            if (bits & 1 != 0) {
                (uint256 perClaim, uint256 room, uint256 marketRoom) = FUND.drawRoom(address(this), id);
                drawable[id] = FixedPoint.min(_marketClaims[id].claims, FixedPoint.min(perClaim, marketRoom));
                sum += drawable[id];
                capacity = room;
            }
            bits >>= 1;
        }
        capacity = FixedPoint.min(capacity, FUND.totalCapital() - FUND.totalCompartments());
    }

    /// @dev Shares what came for a market:
    ///
    ///     to record  = floor(recorded * paid / claims)         it repays the recorded deficit
    ///     to sides   = ceil(side * paid / claims)              into the pot, from where they are paid
    ///
    /// What rounding leaves of the tokens is income of the market.
    function _payMarket(FairWindow memory w, uint256 market, uint256 paid) private {
        MarketClaims memory m = _marketClaims[market];
        Market storage stored = _markets[market];
        uint256 repaid = FixedPoint.min(stored.recordedDeficit, uint256(m.recorded).mulDivDown(paid, m.claims));
        uint256 toSides = uint256(m.side).mulDivUp(paid, m.claims);
        if (repaid != 0) {
            stored.recordedDeficit -= repaid;
            emit DeficitRepaid(market, repaid, stored.recordedDeficit);
        }
        stored.income.fund = (stored.income.fund + paid * SCALE - toSides - repaid).toUint120();
        WindowRate memory rate = WindowRate({paid: paid.toUint112(), claims: m.claims});
        _windowRates[w.id][market] = rate;
        MarketCache memory c = _loadStored(market);
        uint256 pot = m.pot + toSides;
        pot -= _repaySide(c, LONG, rate);
        pot -= _repaySide(c, SHORT, rate);
        _marketClaims[market] = MarketClaims({claims: 0, side: 0, recorded: 0, pot: pot.toUint128()});
        _store(c);
    }

    /// @dev The receipt names the window where others name an account (no account number is that small).
    /// @param claims what the market still claims; `asked` is at most that
    function _file(FairWindow memory w, uint256 market, uint256 claims, uint256 asked) private returns (uint256 paid) {
        uint256 eventId;
        if (asked != 0) {
            IInsuranceFund.Claim[] memory filed = new IInsuranceFund.Claim[](1);
            filed[0] = IInsuranceFund.Claim({market: market, assets: asked});
            IInsuranceFund.Legs[] memory legs;
            (eventId, legs,) = FUND.cover(bytes32(uint256(w.id)), filed, 0);
            if (eventId == 0) revert FundDidNotPay(market);
            IInsuranceFund.Legs memory l = legs[0];
            paid = l.compartment + l.reserve + l.staked + l.backing + l.reinsurance;
        }
        emit FairWindowPaid(w.id, market, eventId, claims, paid);
    }

    function _repaySide(MarketCache memory c, uint256 which, WindowRate memory rate) private returns (uint256 amount) {
        SideCache memory side = c.sides[which];
        if (!side.claims) return 0;
        uint256 tag = _tag(side.epoch, which == SHORT);
        (side.claims, side.changed) = (false, true);
        (side.K, amount) = _repay(c.id, tag, side.K, side.B, rate);
    }

    /// @dev A side gets its part back, rounded so that the positions together never get more than leaves the pot:
    ///
    ///     amount = floor(B * floor(C * rate) / (ONE * WAD)),   K += floor(amount * ONE * WAD / B)
    function _repay(uint256 market, uint256 tag, int256 K, uint256 B, WindowRate memory rate)
        private
        returns (int256, uint256 amount)
    {
        uint256 C = _sideClaims[market][tag].C;
        delete _sideClaims[market][tag];
        if (B != 0) amount = B.mulDivDown(C.mulDivDown(rate.paid, rate.claims), SideIndex.K_UNIT);
        if (amount == 0 || !SideIndex.roomForCharge(K, amount, B)) return (K, 0);
        emit SideRepaid(market, tag & 1 == 0, tag >> 1, amount);
        return (SideIndex.getDown(K, amount, B), amount);
    }

    function repayEnded(uint256 market, uint256 tag) external whenFree returns (uint256 amount) {
        EndedSide memory e = _ended[market][tag];
        SideClaims memory s = _sideClaims[market][tag];
        if (!e.claims) revert NoWindowClaim(bytes32(0), market, s.window);
        WindowRate memory rate = _closedRate(market, s.window);
        int256 K;
        (K, amount) = _repay(market, tag, e.K, s.basis, rate);
        // room was checked
        // forge-lint: disable-next-line(unsafe-typecast)
        _ended[market][tag] = EndedSide(int160(K), false);
        _marketClaims[market].pot -= amount.toUint128();
    }

    /// @dev amount = floor(left * paid / claims) + floor(joined * (claims - paid) / claims)
    function collectWindow(bytes32 account, uint256 market, uint256 window) external whenFree returns (uint256 amount) {
        WindowRecord memory r = _windowRecords[account][market][window];
        if (r.left == 0 && r.joined == 0) revert NoWindowClaim(account, market, window);
        WindowRate memory rate = _closedRate(market, window);
        delete _windowRecords[account][market][window];
        amount = uint256(r.left).mulDivDown(rate.paid, rate.claims)
            + uint256(r.joined).mulDivDown(rate.claims - rate.paid, rate.claims);
        _marketClaims[market].pot -= amount.toUint128();
        if (account == bytes32(0)) {
            Income storage income = _markets[market].income;
            income.fund = (income.fund + amount).toUint120();
        } else {
            Account storage a = _accounts[account];
            a.collateral = (int256(a.collateral) + int256(amount)).toInt120();
        }
        emit WindowCollected(window, market, account, amount);
    }

    function _closedRate(uint256 market, uint256 window) private view returns (WindowRate memory rate) {
        rate = _windowRates[window][market];
        if (rate.claims == 0) revert FairWindowIsOpen(window, _fairWindow.closesAt);
    }

    /// @dev A claim is filed at once if its part beyond the compartment is at most a quarter of what is left for it:
    ///
    ///     left = min(shared layers, claimant's window) - claims that wait - taken,  at most the room of the market's window
    ///
    /// Where there is nothing to share nobody waits: the reinsurer is asked at the price of now.
    function claimAtOnce(uint256 market, uint256 assets, uint256 taken)
        external
        view
        whenFree
        returns (uint256 atOnce, uint256 takenAfter)
    {
        uint256 own = FUND.compartment(address(this), market);
        if (assets <= own) return (assets, taken);
        (, uint256 room, uint256 marketRoom) = FUND.drawRoom(address(this), market);
        uint256 left = FixedPoint.min(room, FUND.totalCapital() - FUND.totalCompartments());
        if (left == 0 || marketRoom == 0) return (assets, taken);
        left -= FixedPoint.min(left, _fairWindow.closesAt == 0 ? taken : taken + _fairWindow.claims);
        if ((assets - own) * 4 > FixedPoint.min(left, marketRoom)) return (own, taken);
        return (assets, taken + assets - own);
    }

    function fairWindow() external view whenFree returns (FairWindow memory) {
        return _fairWindow;
    }

    function marketClaims(uint256 market) external view whenFree returns (MarketClaims memory, uint256 minutes_) {
        return (_marketClaims[market], _markets[market].income.fairWindow);
    }

    function sideClaims(uint256 market, uint256 tag) external view whenFree returns (SideClaims memory) {
        return _sideClaims[market][tag];
    }

    function windowRate(uint256 window, uint256 market) external view whenFree returns (WindowRate memory) {
        return _windowRates[window][market];
    }

    function windowRecord(bytes32 account, uint256 market, uint256 window)
        external
        view
        whenFree
        returns (uint256 left, uint256 joined)
    {
        WindowRecord memory r = _windowRecords[account][market][window];
        return (r.left, r.joined);
    }
}
