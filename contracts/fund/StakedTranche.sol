// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

import {ISanctionsList} from "../../interfaces/ISanctionsList.sol";
import {ISharedLock} from "../../interfaces/ISharedLock.sol";
import {IStakedTranche} from "../../interfaces/IStakedTranche.sol";
import {Guarded} from "../Guarded.sol";
import {Sanctions} from "../libraries/Sanctions.sol";
import {Exits} from "./staking/Exits.sol";
import {TrancheStorage} from "./staking/TrancheStorage.sol";

/// @title Layer 3 of the fund: staked capital
/// @notice The shell: coming in, terms, interface ids. Shares, losses and income, and the way out are in
/// `contracts/fund/staking/`. The fund deploys this contract and holds its tokens, so that a cover stays one transfer.
contract StakedTranche is Exits, AccessManaged, IERC165 {
    using SafeERC20 for IERC20;

    uint8 private immutable _decimals;
    /// @dev Zero: no list.
    ISanctionsList private immutable SANCTIONS;

    constructor(IERC20 asset_, ISharedLock lock_, address authority_, ISanctionsList sanctions)
        TrancheStorage(asset_, msg.sender)
        Guarded(lock_)
        AccessManaged(authority_)
        ERC20("Backstop stake", "bsSTAKE")
        ERC20Permit("Backstop stake")
    {
        // 1,000 shares a unit at the start, see VIRTUAL_SHARES
        SANCTIONS = sanctions;
        _decimals = IERC20Metadata(address(asset_)).decimals() + 3;
    }

    // ------------------------------------------------------------------ coming in

    /// @inheritdoc IStakedTranche
    function deposit(uint256 assets, address receiver) external locked returns (uint256 shares) {
        (Pool memory p, Flow memory f) = (_pool, _flow);
        bool moved = _accrue(p, f);
        _checkRoom(p, assets);
        shares = _toSharesDown(p, assets);
        _stake(p, assets, shares, receiver);
        if (moved) _storeFlow(f);
    }

    /// @inheritdoc IStakedTranche
    function mint(uint256 shares, address receiver) external locked returns (uint256 assets) {
        (Pool memory p, Flow memory f) = (_pool, _flow);
        bool moved = _accrue(p, f);
        assets = _toAssetsUp(p, _toUint112(shares));
        _checkRoom(p, assets);
        _stake(p, assets, shares, receiver);
        if (moved) _storeFlow(f);
    }

    /// @dev The pull comes first and is measured; until it returns, nothing has changed and the lock is ours.
    function _stake(Pool memory p, uint256 assets, uint256 shares, address receiver) private {
        if (shares == 0) revert ZeroShares();
        Sanctions.check(SANCTIONS, msg.sender, receiver);
        uint256 before = ASSET.balanceOf(FUND);
        ASSET.safeTransferFrom(msg.sender, FUND, assets);
        uint256 afterwards = ASSET.balanceOf(FUND);
        uint256 received = afterwards > before ? afterwards - before : 0;
        if (received != assets) revert WrongAmountReceived(assets, received);
        p.assets = _toUint112(p.assets + assets);
        _mintShares(p, receiver, shares);
        _storePool(p);
        emit Deposit(msg.sender, receiver, assets, shares);
    }

    function _checkRoom(Pool memory p, uint256 assets) private view {
        if (assets == 0) revert ZeroAssets();
        uint256 room = _room(p);
        if (assets > room) revert AboveCap(assets, room);
    }

    function _room(Pool memory p) private view returns (uint256) {
        uint256 cap = _terms.cap;
        return cap > p.assets ? cap - p.assets : 0;
    }

    // ------------------------------------------------------------------ roles

    /// @inheritdoc IStakedTranche
    function setTerms(uint256 cap, uint256 cooldown) external restricted whenFree {
        if (cap > type(uint112).max) revert InvalidTerms("cap");
        if (cooldown < MIN_COOLDOWN || cooldown > MAX_COOLDOWN) revert InvalidTerms("cooldown");
        // forge-lint: disable-next-line(unsafe-typecast)
        _terms.cap = uint112(cap);
        // forge-lint: disable-next-line(unsafe-typecast)
        _terms.cooldown = uint32(cooldown);
        emit TermsSet(cap, cooldown);
    }

    // ------------------------------------------------------------------ views

    function asset() external view returns (address) {
        return address(ASSET);
    }

    function fund() external view returns (address) {
        return FUND;
    }

    /// @notice ERC-7575: the shares are this contract's own.
    function share() external view returns (address) {
        return address(this);
    }

    /// @inheritdoc ERC20
    function decimals() public view override returns (uint8) {
        return _decimals;
    }

    /// @inheritdoc IStakedTranche
    function totalAssets() public view whenFree returns (uint256 assets) {
        (Pool memory p,) = _accrued();
        return p.assets;
    }

    function convertToShares(uint256 assets) public view whenFree returns (uint256 shares) {
        (Pool memory p,) = _accrued();
        return _toSharesDown(p, assets);
    }

    function convertToAssets(uint256 shares) external view whenFree returns (uint256 assets) {
        (Pool memory p,) = _accrued();
        return _toAssetsDown(p, shares);
    }

    function previewDeposit(uint256 assets) external view returns (uint256 shares) {
        return convertToShares(assets);
    }

    function previewMint(uint256 shares) external view whenFree returns (uint256 assets) {
        (Pool memory p,) = _accrued();
        return _toAssetsUp(p, shares);
    }

    function maxDeposit(address) public view whenFree returns (uint256 assets) {
        (Pool memory p,) = _accrued();
        return _room(p);
    }

    function maxMint(address) external view whenFree returns (uint256 shares) {
        (Pool memory p,) = _accrued();
        return _toSharesDown(p, _room(p));
    }

    /// @inheritdoc IStakedTranche
    function bucket(uint256 requestId) external view whenFree returns (Bucket memory state, bool open) {
        state = _buckets[requestId];
        (Pool memory p, Flow memory f) = _accrued();
        open = requestId >= _firstOpen(p, f) && requestId <= p.epoch;
    }

    /// @inheritdoc IStakedTranche
    function openBuckets() external view whenFree returns (uint256 first, uint256 last) {
        (Pool memory p, Flow memory f) = _accrued();
        return (_firstOpen(p, f), p.epoch);
    }

    /// @inheritdoc IStakedTranche
    function stream() external view whenFree returns (uint256 left, uint256 end, uint256 perSecond) {
        (, Flow memory f) = _accrued();
        (left, end) = (f.streamLeft, f.streamEnd);
        perSecond = left == 0 ? 0 : left / (end - block.timestamp);
    }

    /// @inheritdoc IStakedTranche
    function terms()
        external
        view
        whenFree
        returns (uint256 cap, uint256 cooldown, uint256 epochEnd, uint256 heldUntil)
    {
        epochEnd =
            (block.timestamp / EPOCH_TIME + 1) * EPOCH_TIME;
        return (_terms.cap, _terms.cooldown, epochEnd, _flow.heldUntil);
    }

    /// @inheritdoc IStakedTranche
    function series() external view whenFree returns (uint256) {
        return _pool.series;
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 id) external pure returns (bool) {
        // ERC-165, ERC-7540 operators and asynchronous redemption, ERC-7575
        return id == 0x01ffc9a7 || id == 0xe3bc4e65 || id == 0x620ee8e4 || id == 0x2f0a18c5;
    }
}
