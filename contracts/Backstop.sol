// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IBackstop} from "../interfaces/IBackstop.sol";
import {IInsuranceFund} from "../interfaces/IInsuranceFund.sol";
import {IMarginEngine} from "../interfaces/IMarginEngine.sol";
import {IMarginEngineTypes} from "../interfaces/IMarginEngineTypes.sol";
import {ISharedLock} from "../interfaces/ISharedLock.sol";
import {IShortfallClaimant} from "../interfaces/IShortfallClaimant.sol";
import {Guarded} from "./Guarded.sol";
import {BackstopCaps} from "./backstop/BackstopCaps.sol";
import {FixedPoint} from "./libraries/FixedPoint.sol";
import {InventoryMath} from "./libraries/InventoryMath.sol";

/// @title The fund's accounts in the engine
/// @notice It owns one account a market, holds no tokens between two calls, and cannot move a position: only the
/// liquidator can, under the caps kept here (`contracts/liquidation/InventoryDesk.sol`). `docs/backstop-inventory.md`
/// explains it with numbers.
/// @dev Not a member of the shared lock: `deploy` and `release` start only while it is free, and their calls to fund and
/// engine take it one after the other, with nothing half-written in between.
contract Backstop is BackstopCaps {
    using SafeERC20 for IERC20;

    IMarginEngine internal immutable ENGINE;
    IInsuranceFund internal immutable FUND;
    address internal immutable LIQUIDATOR;
    /// @dev WAD per unit of the token.
    uint256 internal immutable SCALE;

    mapping(uint256 market => Book) internal _books;

    /// @param authority AccessManager that says who may call the restricted functions, and after which delay
    constructor(
        IMarginEngine engine,
        IInsuranceFund fund,
        address liquidator,
        ISharedLock lock_,
        address token,
        address authority
    ) Guarded(lock_) AccessManaged(authority) {
        (ENGINE, FUND, LIQUIDATOR) = (engine, fund, liquidator);
        SCALE = 10 ** (18 - IERC20Metadata(token).decimals());
        // both take only from who calls them; once for all, because a token may call back when it is approved
        IERC20(token).forceApprove(address(engine), type(uint256).max);
        IERC20(token).forceApprove(address(fund), type(uint256).max);
    }

    modifier onlyLiquidator() {
        if (msg.sender != LIQUIDATOR) revert NotLiquidator(msg.sender);
        _;
    }

    // ------------------------------------------------------------------ capital

    /// @inheritdoc IBackstop
    /// @dev room = capital - max(invested, equity): lost capital is not replaced, and profit counts as capital.
    function deploy(uint256 market, uint256 maxAssets) external whenFree returns (uint256 assets) {
        if (_openDeficit(market) != 0) revert DeficitOpen(market);
        (uint256 held,) = _worth(market);
        uint256 invested = _books[market].invested;
        if (held < invested) held = invested;
        uint256 cap = _caps[market].capital;
        assets = FixedPoint.min(maxAssets, cap > held ? cap - held : 0);
        if (assets != 0) assets = FUND.deployCapital(address(ENGINE), market, assets);
        if (assets == 0) revert NothingToDeploy(market);
        invested = _setInvested(market, invested + assets);
        emit CapitalDeployed(market, assets, invested);
        ENGINE.deposit(accountOf(market), assets);
    }

    /// @inheritdoc IBackstop
    function release(uint256 market, uint256 maxAssets) external whenFree returns (uint256 assets) {
        (, uint256 worth) = _worth(market);
        uint256 need = _openDeficit(market) == 0 ? _caps[market].capital : 0;
        bytes32 account = accountOf(market);
        assets = FixedPoint.min(maxAssets, worth > need ? worth - need : 0);
        if (assets != 0) assets = FixedPoint.min(assets, ENGINE.withdrawable(account));
        if (assets == 0) revert NothingToRelease(market);
        uint256 invested = _books[market].invested;
        invested = _setInvested(market, invested > assets ? invested - assets : 0);
        emit CapitalReleased(market, assets, invested);
        ENGINE.withdraw(account, assets, address(this));
        FUND.returnCapital(address(ENGINE), market, assets);
    }

    /// @inheritdoc IBackstop
    function resetLoss(uint256 market) external restricted whenFree returns (uint256 writtenOff) {
        (uint256 worth,) = _worth(market);
        uint256 invested = _books[market].invested;
        if (invested > worth) {
            writtenOff = invested - worth;
            _setInvested(market, worth);
            FUND.writeOffCapital(address(ENGINE), market, writtenOff);
        }
        emit LossReset(market, writtenOff);
    }

    // ------------------------------------------------------------------ liquidator

    /// @inheritdoc IBackstop
    function noteChange(uint256 market, int256 before, int256 afterwards) external onlyLiquidator {
        Book storage book = _books[market];
        uint256 elapsed = InventoryMath.elapsedDown(block.timestamp - book.auctionStart, before, afterwards);
        // forge-lint: disable-next-line(unsafe-typecast)
        book.auctionStart = uint40(block.timestamp - elapsed);
        emit AuctionSet(market, book.auctionStart);
    }

    /// @inheritdoc IBackstop
    function noteDeficit(bytes32 account, uint256 assets) external onlyLiquidator {
        uint256 market = uint96(uint256(account));
        emit DeficitBooked(market, assets, _setInvested(market, _books[market].invested + assets));
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IBackstop
    function accountOf(uint256 market) public view returns (bytes32) {
        return bytes32(bytes20(address(this))) | bytes32(uint256(uint96(market)));
    }

    /// @inheritdoc IBackstop
    function terms(uint256 market) external view whenFree returns (Caps memory, Book memory) {
        return (_caps[market], _books[market]);
    }

    /// @inheritdoc IBackstop
    function inventory(uint256 market) external view whenFree returns (Inventory memory i) {
        (Caps memory caps, Book memory book) = (_caps[market], _books[market]);
        i.account = accountOf(market);
        i.invested = book.invested;
        i.auctionStart = book.auctionStart;
        IMarginEngineTypes.AccountState memory s = ENGINE.accountState(i.account);
        (i.equity, i.maintenanceMargin) = (s.equity, s.maintenanceMargin);
        (uint256 lossCap, uint256 invested) = (caps.loss * SCALE, book.invested * SCALE);
        i.room = InventoryMath.lossRoom(lossCap, invested, s.equity);
        if (s.positions.length == 0 || s.positions[0].size == 0) return i;
        IMarginEngineTypes.PositionState memory p = s.positions[0];
        (i.size, i.markPrice) = (p.size, p.markPrice);
        i.price = InventoryMath.price(
            p.size > 0,
            p.markPrice,
            caps.premiumPpm,
            caps.maxDiscountPpm,
            block.timestamp - book.auctionStart,
            caps.auctionTime,
            InventoryMath.cushion(lossCap, invested, s.equity),
            p.notional
        );
    }

    /// @dev What the account is worth in units of the token, rounded up and down; 0 if it owes.
    function _worth(uint256 market) private view returns (uint256 up, uint256 down) {
        (int256 equity,,) = ENGINE.health(accountOf(market));
        if (equity > 0) (up, down) = ((uint256(equity) + SCALE - 1) / SCALE, uint256(equity) / SCALE);
    }

    function _openDeficit(uint256 market) private view returns (uint256) {
        return IShortfallClaimant(address(ENGINE)).openDeficit(market);
    }

    /// @dev Saturates: nothing here may stop a liquidation.
    function _setInvested(uint256 market, uint256 invested) private returns (uint256) {
        if (invested > type(uint112).max) invested = type(uint112).max;
        // forge-lint: disable-next-line(unsafe-typecast)
        _books[market].invested = uint112(invested);
        return invested;
    }
}
