// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IBackstop} from "../../interfaces/IBackstop.sol";
import {ILiquidator} from "../../interfaces/ILiquidator.sol";
import {IMarginEngineTypes} from "../../interfaces/IMarginEngineTypes.sol";
import {IPriceOracle} from "../../interfaces/IPriceOracle.sol";
import {AccountId} from "../libraries/AccountId.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {InventoryMath} from "../libraries/InventoryMath.sol";
import {LiquidatorBase} from "./LiquidatorBase.sol";

/// @title The backstop's inventory: what is taken into it, sold from it, and handed over to deleveraging
/// @notice Nothing here is needed by any other way of liquidation: where the backstop is off, full, short of margin or
/// its price not fully trusted, it takes nothing.
abstract contract InventoryDesk is LiquidatorBase {
    using FixedPoint for uint256;

    /// @dev One market's account while it is dealt with.
    /// @param cushion min(equity, room of the loss cap)
    struct Desk {
        uint256 market;
        bytes32 account;
        IBackstop.Caps caps;
        uint256 auctionStart;
        int256 equity;
        uint256 cushion;
        uint256 maintenanceMargin;
        uint256 flaggedAt;
        int256 size;
        uint256 markPrice;
        uint256 notional;
        IPriceOracle.Validity validity;
    }

    /// @inheritdoc ILiquidator
    function buyInventory(uint256 market, bytes32 buyer, uint256 maxBase, uint256 limitPrice)
        external
        locked
        returns (uint256 base, uint256 price)
    {
        _requireOwner(buyer);
        Desk memory desk = _openDesk(market);
        if (desk.size == 0) revert NoInventory(market);
        if (desk.validity != IPriceOracle.Validity.Full) revert PriceNotUsable(market);
        bool long = desk.size > 0;
        uint256 held = FixedPoint.abs(desk.size);
        base = FixedPoint.min(maxBase, held);
        if (base != held) {
            (, uint256 minBase) = ENGINE.liquidationTerms(market);
            if (base < minBase || held - base < minBase) revert StepTooSmall(base, minBase);
        }
        price = InventoryMath.price(
            long,
            desk.markPrice,
            desk.caps.premiumPpm,
            desk.caps.maxDiscountPpm,
            block.timestamp - desk.auctionStart,
            desk.caps.auctionTime,
            desk.cushion,
            desk.notional
        );
        if (long ? price > limitPrice : price < limitPrice) revert LimitPrice(price, limitPrice);
        ENGINE.takeOver(desk.account, buyer, market, base, price, 0);
        int256 left = long ? desk.size - int256(base) : desk.size + int256(base);
        BACKSTOP.noteChange(market, desk.size, left);
        emit InventorySold(market, buyer, desk.size - left, price);
    }

    /// @inheritdoc ILiquidator
    function unwindInventory(uint256 market, bytes32 keeper) external locked returns (uint256 base) {
        Desk memory desk = _openDesk(market);
        if (desk.size == 0) revert NoInventory(market);
        if (!_exhausted(desk)) revert InventoryHolds(market, desk.cushion, desk.maintenanceMargin);
        if (desk.validity == IPriceOracle.Validity.Invalid) revert PriceNotUsable(market);
        if (desk.equity < DUST_EQUITY) revert Bankrupt(desk.account, desk.equity);
        return _unwind(desk, keeper);
    }

    /// @dev The market's account with its marks and funding up to date.
    function _openDesk(uint256 market) internal returns (Desk memory desk) {
        if (address(BACKSTOP) == address(0)) revert NoInventory(market);
        IBackstop.Book memory book;
        (desk.caps, book) = BACKSTOP.terms(market);
        (desk.market, desk.auctionStart) = (market, book.auctionStart);
        desk.account = BACKSTOP.accountOf(market);
        IMarginEngineTypes.AccountState memory s = ENGINE.touch(desk.account);
        (desk.equity, desk.maintenanceMargin, desk.flaggedAt) = (s.equity, s.maintenanceMargin, s.flaggedAt);
        desk.cushion = InventoryMath.cushion(desk.caps.loss * SCALE, book.invested * SCALE, s.equity);
        if (s.positions.length == 0) return desk;
        // no account of the backstop is ever in another market
        IMarginEngineTypes.PositionState memory p = s.positions[0];
        (desk.size, desk.markPrice, desk.notional, desk.validity) = (p.size, p.markPrice, p.notional, p.validity);
    }

    /// @dev Inventory is handed over to deleveraging while its cushion still pays for the worst move until the next look.
    function _exhausted(Desk memory desk) internal pure returns (bool) {
        return desk.size != 0 && desk.cushion < desk.maintenanceMargin;
    }

    /// @dev Tears all inventory up against the opposite side at the mark; the keeper gets the fixed reward.
    function _unwind(Desk memory desk, bytes32 keeper) internal returns (uint256 base) {
        base = FixedPoint.abs(desk.size);
        ENGINE.deleverage(desk.account, desk.market, base, 0);
        (IMarginEngineTypes.LiquidationParameters memory l,) = ENGINE.liquidationTerms(desk.market);
        uint256 reward = FixedPoint.min(
            uint256(l.closeRewardCap) * FixedPoint.WAD, desk.notional.mulDivDown(l.rewardPpm, FixedPoint.PPM)
        );
        reward = FixedPoint.min(reward, desk.cushion);
        if (reward != 0) ENGINE.chargeLiquidation(desk.account, keeper, desk.market, 0, reward);
        if (desk.flaggedAt != 0) ENGINE.setFlag(desk.account, false);
        BACKSTOP.noteChange(desk.market, desk.size, 0);
        emit InventoryUnwound(desk.market, keeper, desk.size, desk.markPrice, reward);
    }

    /// @dev Takes up to `base` of a position into the inventory at `price`, or nothing: all of it, or what fits under the
    /// caps if neither part is dust.
    function _take(Desk memory desk, bytes32 account, int256 position, uint256 base, uint256 markPrice, uint256 price)
        internal
        returns (uint256 taken)
    {
        bool long = position > 0;
        uint256 room = InventoryMath.baseRoomDown(
            desk.caps.notional * SCALE, desk.caps.marginPpm, desk.cushion, markPrice, desk.size, long
        );
        taken = FixedPoint.min(base, room);
        if (taken != base) {
            (, uint256 minBase) = ENGINE.liquidationTerms(desk.market);
            if (taken < minBase || FixedPoint.abs(position) - taken < minBase) return 0;
        }
        // the engine has the last word: without initial margin the way does not exist
        try ENGINE.takeOver(account, desk.account, desk.market, taken, price, 0) {
            int256 afterwards = long ? desk.size + int256(taken) : desk.size - int256(taken);
            BACKSTOP.noteChange(desk.market, desk.size, afterwards);
            emit InventoryTaken(desk.market, account, afterwards - desk.size, price);
        } catch {
            return 0;
        }
    }

    function _isOurs(bytes32 account) internal view returns (bool) {
        return address(BACKSTOP) != address(0) && AccountId.ownerOf(account) == address(BACKSTOP);
    }
}
