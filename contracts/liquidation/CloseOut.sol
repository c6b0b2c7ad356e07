// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {InventoryDesk} from "./InventoryDesk.sol";
import {ILiquidator} from "../../interfaces/ILiquidator.sol";
import {IMarginEngineTypes} from "../../interfaces/IMarginEngineTypes.sol";
import {IPriceOracle} from "../../interfaces/IPriceOracle.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";

/// @title The close-out of a bankrupt account, and the waterfall
/// @notice All positions are closed at the marks, so the deficit is the account's negative equity, netted over its markets
/// and counted once. It is split over the markets by maintenance margin and goes, market by market, to the compartment,
/// the shared layers of the fund, the opposite side, and what is left is recorded.
abstract contract CloseOut is InventoryDesk {
    using FixedPoint for uint256;

    /// @dev Who gets the positions of a bankrupt account.
    enum Taker {
        OppositeSide,
        Keeper,
        Backstop
    }

    /// @dev The parts of a deficit, one entry a market.
    struct Split {
        uint256[] markets;
        uint256[] deficits;
        uint256 rewardAssets;
    }

    /// @inheritdoc ILiquidator
    function closeOut(bytes32 account, bytes32 keeper, bool takePositions)
        external
        locked
        returns (Receipt memory receipt)
    {
        if (takePositions) _requireOwner(keeper);
        return _closeOut(account, keeper, takePositions ? Taker.Keeper : Taker.OppositeSide);
    }

    /// @inheritdoc ILiquidator
    function closeOutToBackstop(bytes32 account, bytes32 keeper) external locked returns (Receipt memory receipt) {
        if (address(BACKSTOP) == address(0) || _isOurs(account)) revert SameAccount(account);
        return _closeOut(account, keeper, Taker.Backstop);
    }

    function _closeOut(bytes32 account, bytes32 keeper, Taker taker) private returns (Receipt memory receipt) {
        if (keeper == account) revert SameAccount(account);
        IMarginEngineTypes.AccountState memory s = ENGINE.touch(account);
        if (s.equity >= DUST_EQUITY || s.equity >= 0 && s.positions.length == 0) revert NotBankrupt(account, s.equity);
        if (s.validity == IPriceOracle.Validity.Invalid) {
            _closeUsable(account, s);
            return receipt;
        }
        _largestFirst(s.positions);
        receipt.deficit = s.equity < 0 ? uint256(-s.equity) : 0;
        Split memory split = _split(s, receipt.deficit);
        uint256[5][] memory paid;
        (receipt.eventId, paid) =
            ENGINE.coverFromFund(account, keeper, split.markets, split.deficits, split.rewardAssets);
        _addLegs(receipt, paid);
        _closeAll(account, keeper, taker, s, split, paid, receipt);
        if (_isOurs(account)) _noteDeficit(account, receipt);
        if (s.flaggedAt != 0) ENGINE.setFlag(account, false);
        emit ShortfallResolved(account, keeper, receipt);
    }

    /// @dev The reward is that of the first position: a speck in another market must not make it nothing.
    function _largestFirst(IMarginEngineTypes.PositionState[] memory positions) private pure {
        uint256 largest;
        for (uint256 i = 1; i < positions.length; ++i) {
            if (positions[i].notional > positions[largest].notional) largest = i;
        }
        if (largest != 0) (positions[0], positions[largest]) = (positions[largest], positions[0]);
    }

    /// @dev What the fund paid for the backstop's own account counts towards the market's loss cap, rounded up.
    function _noteDeficit(bytes32 account, Receipt memory r) private {
        uint256 paid = r.compartment + r.reserve + r.staked + r.backing + r.reinsurance;
        if (paid != 0) BACKSTOP.noteDeficit(account, (paid + SCALE - 1) / SCALE);
    }

    /// @dev Closes what has a usable price and leaves the rest, with the deficit, for later: it is netted once.
    function _closeUsable(bytes32 account, IMarginEngineTypes.AccountState memory s) private {
        bool closed;
        for (uint256 i = 0; i < s.positions.length; ++i) {
            IMarginEngineTypes.PositionState memory p = s.positions[i];
            if (p.validity == IPriceOracle.Validity.Invalid || p.size == 0) continue;
            ENGINE.deleverage(account, p.market, FixedPoint.abs(p.size), 0);
            closed = true;
        }
        if (!closed) revert PriceNotUsable(s.positions[0].market);
    }

    /// @dev deficit_i = floor(deficit * margin_i / sum of margins); the last market gets the remainder. Without margins
    /// (only positions closed by the end of their side) the last market gets all; without markets, market 0 does.
    function _split(IMarginEngineTypes.AccountState memory s, uint256 deficit)
        private
        view
        returns (Split memory split)
    {
        uint256 n = s.positions.length;
        if (n == 0) {
            split.markets = new uint256[](1);
            split.deficits = new uint256[](1);
            split.deficits[0] = deficit;
            return split;
        }
        split.markets = new uint256[](n);
        split.deficits = new uint256[](n);
        uint256 left = deficit;
        for (uint256 i = 0; i < n; ++i) {
            IMarginEngineTypes.PositionState memory p = s.positions[i];
            split.markets[i] = p.market;
            uint256 part = i + 1 == n ? left : _share(deficit, p.maintenanceMargin, s.maintenanceMargin);
            split.deficits[i] = part;
            left -= part;
        }
        // of the first market only: its compartment pays it, and no compartment pays for another market
        split.rewardAssets = _rewardDown(s.positions[0]) / SCALE;
    }

    function _share(uint256 deficit, uint256 margin, uint256 margins) private pure returns (uint256) {
        return margins == 0 ? 0 : deficit.mulDivDown(margin, margins);
    }

    /// @dev Fixed reward for bringing a bankrupt position: min(cap, reward fraction * notional), rounded down.
    function _rewardDown(IMarginEngineTypes.PositionState memory p) private view returns (uint256) {
        if (p.size == 0) return 0;
        (IMarginEngineTypes.LiquidationParameters memory l,) = ENGINE.liquidationTerms(p.market);
        return
            FixedPoint.min(
                uint256(l.closeRewardCap) * FixedPoint.WAD, p.notional.mulDivDown(l.rewardPpm, FixedPoint.PPM)
            );
    }

    function _addLegs(Receipt memory receipt, uint256[5][] memory paid) private pure {
        for (uint256 i = 0; i < paid.length; ++i) {
            receipt.compartment += paid[i][0];
            receipt.reserve += paid[i][1];
            receipt.staked += paid[i][2];
            receipt.backing += paid[i][3];
            receipt.reinsurance += paid[i][4];
        }
    }

    /// @dev Layers 5 and 6, market by market: the opposite side is charged what the fund left, as far as it can bear it,
    /// before it takes the position (or the keeper does); the rest is recorded.
    function _closeAll(
        bytes32 account,
        bytes32 keeper,
        Taker taker,
        IMarginEngineTypes.AccountState memory s,
        Split memory split,
        uint256[5][] memory paid,
        Receipt memory receipt
    ) private {
        uint256[] memory recorded = new uint256[](split.markets.length);
        for (uint256 i = 0; i < split.markets.length; ++i) {
            recorded[i] = split.deficits[i] - paid[i][0] - paid[i][1] - paid[i][2] - paid[i][3] - paid[i][4];
            if (i < s.positions.length) {
                uint256 charged = _close(account, keeper, taker, s.positions[i], recorded[i]);
                recorded[i] -= charged;
                receipt.sideCharged += charged;
            }
            receipt.recorded += recorded[i];
        }
        if (receipt.sideCharged != 0) ENGINE.settleDeficit(account, split.markets[0], receipt.sideCharged, 0);
        for (uint256 i = 0; i < recorded.length && receipt.recorded != 0; ++i) {
            if (recorded[i] != 0) ENGINE.settleDeficit(account, split.markets[i], 0, recorded[i]);
        }
    }

    function _close(
        bytes32 account,
        bytes32 keeper,
        Taker taker,
        IMarginEngineTypes.PositionState memory p,
        uint256 charge
    ) private returns (uint256 charged) {
        uint256 base = FixedPoint.abs(p.size);
        if (taker == Taker.OppositeSide || base == 0) return ENGINE.deleverage(account, p.market, base, charge);
        if (charge != 0) charged = ENGINE.chargeSide(p.market, p.size < 0, charge);
        if (taker == Taker.Keeper) {
            ENGINE.takeOver(account, keeper, p.market, base, p.markPrice, 0);
            return charged;
        }
        uint256 taken = _offer(account, p, base);
        if (taken != base) ENGINE.deleverage(account, p.market, base - taken, 0);
    }

    /// @dev Offers a position to the backstop at the mark.
    function _offer(bytes32 account, IMarginEngineTypes.PositionState memory p, uint256 base)
        private
        returns (uint256 taken)
    {
        if (p.validity != IPriceOracle.Validity.Full) return 0;
        Desk memory desk = _openDesk(p.market);
        if (_exhausted(desk)) return 0;
        return _take(desk, account, p.size, base, p.markPrice, p.markPrice);
    }
}
