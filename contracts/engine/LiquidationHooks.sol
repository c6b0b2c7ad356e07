// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {AccountStates} from "./AccountStates.sol";
import {Deferral} from "./Deferral.sol";
import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {SideIndex} from "../libraries/SideIndex.sol";

/// @title What the liquidator may do to accounts
/// @notice The liquidator decides who, how much and at which price; the engine keeps the books and never lets any of
/// these steps create quote. All of them run at the stored marks, which `touch` refreshed earlier in the transaction.
abstract contract LiquidationHooks is Deferral, AccountStates {
    using FixedPoint for uint256;
    using SafeCast for uint256;
    using SafeCast for int256;

    function touch(bytes32 account) external onlyLiquidator returns (AccountState memory) {
        uint256 bits = _accounts[account].markets;
        for (uint256 id = 0; bits != 0; ++id) {
            if (bits & 1 != 0) _store(_loadFresh(id));
            bits >>= 1;
        }
        return _accountState(account);
    }

    function setFlag(bytes32 account, bool flagged) external onlyLiquidator {
        if (flagged) {
            _accounts[account].flaggedAt = uint40(block.timestamp);
            emit Flagged(account, block.timestamp);
        } else {
            _accounts[account].flaggedAt = 0;
            emit Unflagged(account);
        }
    }

    function takeOver(bytes32 account, bytes32 keeper, uint256 market, uint256 base, uint256 price, uint256 surcharge)
        external
        onlyLiquidator
    {
        MarketCache memory c = _loadStored(market);
        (int256 held,) = _position(c, account);
        _accounts[account] = _exchange(c, account, held > 0, base, price, surcharge).a;
        Leg memory taker = _exchange(c, keeper, held < 0, base, price, 0);
        _bookSurcharge(market, surcharge);
        _store(c);
        Valuation memory v = _valuateWith(c, taker.a, keeper);
        _requireMargin(keeper, v.equity - FixedPoint.max(taker.gain, 0), v.initialMargin);
        _accounts[keeper] = taker.a;
    }

    /// @dev One side of a take-over: the buyer pays the quote rounded up, the seller gets it rounded down.
    function _exchange(MarketCache memory c, bytes32 account, bool sells, uint256 base, uint256 price, uint256 fee)
        private
        returns (Leg memory)
    {
        return sells
            ? _move(c, account, -int256(base), int256(base.mulDivDown(price, FixedPoint.WAD)), fee)
            : _move(c, account, int256(base), -int256(base.mulDivUp(price, FixedPoint.WAD)), fee);
    }

    function chargeLiquidation(bytes32 account, bytes32 keeper, uint256 market, uint256 surcharge, uint256 reward)
        external
        onlyLiquidator
    {
        _addCollateral(account, -int256(surcharge + reward));
        if (reward != 0) _addCollateral(keeper, int256(reward));
        _bookSurcharge(market, surcharge);
    }

    function deleverage(bytes32 account, uint256 market, uint256 base, uint256 charge)
        external
        onlyLiquidator
        returns (uint256 charged)
    {
        MarketCache memory c = _loadStored(market);
        (int256 held,) = _position(c, account);
        if (held != 0) charged = _charge(c, held > 0, charge);
        _tearUp(c, account, held, FixedPoint.min(base, FixedPoint.abs(held)));
        _store(c);
    }

    /// @dev A tear-up at the mark. Each step rounds for the engine:
    ///
    ///     opposite side   K += or -= x * mark * ONE * WAD / B,   A -= x * ONE / B
    ///     account         size to zero by `base`, quote += or -= base * mark
    ///
    /// `x` is `base`, or the whole opposite side if that is a few wei smaller (sides differ by dust only).
    function _tearUp(MarketCache memory c, bytes32 account, int256 held, uint256 base) private {
        bool short = held < 0;
        uint256 x = FixedPoint.min(base, _openInterest(c.sides[short ? LONG : SHORT], false));
        int256 quote = short ? _tearUpLongs(c, base, x) : _tearUpShorts(c, x);
        if (x != 0) _shrink(c, !short, x);
        int256 change = short ? int256(base) : -int256(base);
        _accounts[account] = _move(c, account, change, quote, 0).a;
        emit Deleveraged(account, c.id, change, c.markPrice, x);
    }

    /// @dev Longs sell `x` at the mark, rounded down; the account pays for all of its `base`, rounded up.
    function _tearUpLongs(MarketCache memory c, uint256 base, uint256 x) private pure returns (int256) {
        SideCache memory longs = c.sides[LONG];
        if (x != 0) longs.K = SideIndex.getDown(longs.K, x.mulDivDown(c.markPrice, FixedPoint.WAD), longs.B);
        return -int256(base.mulDivUp(c.markPrice, FixedPoint.WAD));
    }

    /// @dev A change of a position that no order of its account asked for.
    function _move(MarketCache memory c, bytes32 account, int256 baseChange, int256 quoteChange, uint256 fee)
        private
        returns (Leg memory leg)
    {
        leg = _trade(c, account, baseChange, quoteChange, fee);
        emit PositionChanged(account, c.id, baseChange, quoteChange, leg.realised);
    }

    /// @dev Shorts buy `x` back at the mark, rounded up; the account gets what they pay, rounded down.
    function _tearUpShorts(MarketCache memory c, uint256 x) private pure returns (int256) {
        if (x == 0) return 0;
        SideCache memory shorts = c.sides[SHORT];
        shorts.K = SideIndex.payUp(shorts.K, x.mulDivUp(c.markPrice, FixedPoint.WAD), shorts.B);
        return int256(x.mulDivDown(c.markPrice, FixedPoint.WAD));
    }

    /// @dev Takes `x` off a side; a side of which less than one wei is left ends its epoch.
    function _shrink(MarketCache memory c, bool short, uint256 x) private {
        SideCache memory side = c.sides[short ? SHORT : LONG];
        side.A = SideIndex.shrink(side.A, x, side.B, short);
        side.changed = true;
        if (_openInterest(side, false) == 0) _endEpoch(c, short);
    }

    function chargeSide(uint256 market, bool longs, uint256 amount) external onlyLiquidator returns (uint256 charged) {
        MarketCache memory c = _loadStored(market);
        charged = _charge(c, !longs, amount);
        _store(c);
    }

    /// @dev Charges a side, all positions by size, at most `chargeCap` of the mark per base unit:
    ///
    ///     charged <= openInterest * mark * chargeCap;  K -= charged * ONE * WAD / B        rounded up
    function _charge(MarketCache memory c, bool short, uint256 amount) private returns (uint256 charged) {
        SideCache memory side = c.sides[short ? SHORT : LONG];
        if (amount == 0 || side.B == 0) return 0;
        uint256 open = _openInterest(side, false);
        uint256 bearable =
            open.mulDivDown(c.markPrice, FixedPoint.WAD).mulDivDown(_at(c).parameters.chargeCapPpm, FixedPoint.PPM);
        charged = FixedPoint.min(amount, bearable);
        if (charged == 0 || !SideIndex.roomForCharge(side.K, charged, side.B)) return 0;
        side.K = SideIndex.payUp(side.K, charged, side.B);
        side.changed = true;
        _claimForSide(c, side, short, charged);
        emit SideCharged(c.id, !short, charged);
    }

    /// @dev Income that this market earned for the fund and that was not handed over yet is the compartment's first money.
    /// The fund can neither block nor starve a liquidation: if it fails in any way it has paid nothing. (Starving it of
    /// gas on purpose leaves the caller a 64th of it, far less than the rest of the transaction needs; where it asks a
    /// reinsurer for a fixed amount of gas it says itself that there is too little, and that is passed on.)
    function coverFromFund(
        bytes32 account,
        bytes32 keeper,
        uint256[] calldata markets,
        uint256[] calldata deficits,
        uint256 rewardAssets
    ) external onlyLiquidator returns (uint256 eventId, uint256[5][] memory paid) {
        paid = new uint256[5][](markets.length);
        IInsuranceFund.Claim[] memory claims = new IInsuranceFund.Claim[](markets.length);
        for (uint256 i = 0; i < markets.length; ++i) {
            paid[i][0] = _payFromIncome(account, markets[i], deficits[i]);
            uint256 rest = deficits[i] - paid[i][0];
            claims[i] = IInsuranceFund.Claim({market: markets[i], assets: (rest + SCALE - 1) / SCALE});
        }
        uint256 waiting = _holdBack(account, claims);
        try FUND.cover(account, claims, rewardAssets) returns (
            uint256 id, IInsuranceFund.Legs[] memory legs, uint256 rewardPaid
        ) {
            eventId = id;
            uint256 credited;
            for (uint256 i = 0; i < markets.length; ++i) {
                credited += _bookLegs(paid[i], legs[i], markets[i], deficits[i]);
            }
            if (credited != 0) _addCollateral(account, int256(credited));
            if (rewardPaid != 0) _addCollateral(keeper, int256(rewardPaid * SCALE));
            emit FundPaid(account, id, credited, rewardPaid);
        } catch (bytes memory reason) {
            // the fund says so only where it is true, and a caller who brings more gas never hears it
            if (bytes4(reason) == IInsuranceFund.NotEnoughGas.selector) {
                assembly ("memory-safe") {
                    revert(add(reason, 32), mload(reason))
                }
            }
        }
        if (waiting != 0) _deferAll(account, markets, deficits, paid, waiting);
    }

    /// @dev Adds the fund's legs of one market to what was paid. The claim was rounded up to a whole unit, so that no
    /// fraction of one is left to the opposite side while the fund has money; what the last leg paid above the deficit is
    /// income of the market again.
    /// @return credited what the account gets, WAD
    function _bookLegs(uint256[5] memory paid, IInsuranceFund.Legs memory legs, uint256 market, uint256 deficit)
        private
        returns (uint256 credited)
    {
        uint256 before = paid[0];
        paid[0] += legs.compartment * SCALE;
        uint256[5] memory assets;
        // a struct of five words and an array of five words are the same in memory
        assembly ("memory-safe") {
            assets := legs
        }
        uint256 sum = paid[0];
        for (uint256 i = 1; i < 5; ++i) {
            paid[i] = assets[i] * SCALE;
            sum += paid[i];
        }
        if (sum > deficit) {
            uint256 last = 4;
            while (paid[last] == 0) --last;
            paid[last] -= sum - deficit;
            _bookSurcharge(market, sum - deficit);
            sum = deficit;
        }
        return sum - before;
    }

    function _payFromIncome(bytes32 account, uint256 market, uint256 deficit) private returns (uint256 paid) {
        uint256 income = _markets[market].income.fund;
        paid = FixedPoint.min(income, deficit);
        if (paid == 0) return 0;
        _markets[market].income.fund = uint120(income - paid);
        _addCollateral(account, int256(paid));
    }

    /// @dev Crediting above zero would create quote, so it is refused (NO_MINT).
    function settleDeficit(bytes32 account, uint256 market, uint256 charged, uint256 recorded) external onlyLiquidator {
        _addCollateral(account, int256(charged + recorded));
        if (_accounts[account].collateral > 0) revert NotFlat(account);
        if (recorded != 0) {
            uint256 sum = _markets[market].recordedDeficit + recorded;
            _markets[market].recordedDeficit = sum;
            emit DeficitRecorded(market, recorded, sum);
        }
    }

    function _addCollateral(bytes32 account, int256 amount) private {
        Account storage a = _accounts[account];
        a.collateral = (int256(a.collateral) + amount).toInt120();
    }

    function _bookSurcharge(uint256 market, uint256 surcharge) private {
        if (surcharge == 0) return;
        Income storage income = _markets[market].income;
        income.fund = (uint256(income.fund) + surcharge).toUint120();
    }
}
