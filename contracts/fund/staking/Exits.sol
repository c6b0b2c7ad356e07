// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IInsuranceFund} from "../../../interfaces/IInsuranceFund.sol";
import {IStakedTranche} from "../../../interfaces/IStakedTranche.sol";
import {Recovering} from "./Recovering.sol";

/// @title The way out: requests, buckets, claims
/// @notice A request joins the bucket of the running epoch, which matures `cooldown` after the epoch's end. Until then
/// the bucket bears losses like the active stake; afterwards its assets belong to its requests.
abstract contract Exits is Recovering {
    /// @inheritdoc IStakedTranche
    function requestRedeem(uint256 shares, address controller, address owner)
        external
        whenFree
        returns (uint256 requestId)
    {
        if (shares == 0) revert ZeroShares();
        if (controller == address(0)) revert NotController(controller, msg.sender);
        if (msg.sender != owner && !_operators[owner][msg.sender]) _spendAllowance(owner, msg.sender, shares);
        (Pool memory p, Flow memory f) = (_pool, _flow);
        bool moved = _accrue(p, f);
        if (shares > p.supply) revert ERC20InsufficientBalance(owner, balanceOf(owner), shares);
        // a = floor(s * (A + 1) / (S + V))
        uint256 assets = _toAssetsDown(p, shares);
        if (assets == 0) revert ZeroAssets();
        Holder memory h = _holders[owner];
        _burnShares(p, h, owner, shares);
        // at most A, because the shares are at most S
        // forge-lint: disable-next-line(unsafe-typecast)
        p.assets -= uint112(assets);
        uint256 bucketShares;
        (requestId, bucketShares) = _join(p, f, assets);
        if (controller != owner) {
            _storeHolder(owner, h);
            h = _holders[controller];
        }
        _queue(h, controller, requestId, bucketShares, p.era);
        _storeHolder(controller, h);
        _storePool(p);
        if (moved) _storeFlow(f);
        emit RedeemRequest(controller, owner, requestId, msg.sender, shares);
    }

    /// @inheritdoc IStakedTranche
    function redeem(uint256 shares, address receiver, address controller) external locked returns (uint256 assets) {
        return _claim(_holders[controller].request, shares, receiver, controller);
    }

    /// @inheritdoc IStakedTranche
    function withdraw(uint256 assets, address receiver, address controller) external locked returns (uint256 shares) {
        uint256 id = _holders[controller].request;
        Bucket memory b = _buckets[id];
        // shares = ceil(assets * Bs / B): what is paid is never more than they are worth
        if (assets > b.assets) shares = type(uint256).max;
        else if (assets != 0) shares = (assets * b.shares + b.assets - 1) / b.assets;
        _checkClaim(id, shares, controller);
        _take(id, shares, assets, receiver, controller);
    }

    /// @inheritdoc IStakedTranche
    function claim(uint256 requestId, address receiver, address controller) external locked returns (uint256 assets) {
        return _claim(requestId, _requested(controller, requestId), receiver, controller);
    }

    /// @inheritdoc IStakedTranche
    function setOperator(address operator, bool approved) external whenFree returns (bool) {
        _operators[msg.sender][operator] = approved;
        emit OperatorSet(msg.sender, operator, approved);
        return true;
    }

    // ------------------------------------------------------------------ views

    function isOperator(address controller, address operator) external view returns (bool) {
        return _operators[controller][operator];
    }

    /// @notice Shares of a request that is not mature yet.
    function pendingRedeemRequest(uint256 requestId, address controller) external view whenFree returns (uint256) {
        return _isFixed(requestId) ? 0 : _requested(controller, requestId);
    }

    /// @notice Shares of a mature request.
    function claimableRedeemRequest(uint256 requestId, address controller) public view whenFree returns (uint256) {
        return _isFixed(requestId) ? _requested(controller, requestId) : 0;
    }

    function maxRedeem(address controller) public view returns (uint256 shares) {
        return claimableRedeemRequest(_holders[controller].request, controller);
    }

    function maxWithdraw(address controller) external view returns (uint256 assets) {
        Bucket memory b = _buckets[_holders[controller].request];
        return b.shares == 0 ? 0 : maxRedeem(controller) * b.assets / b.shares;
    }

    function previewRedeem(uint256) external pure returns (uint256) {
        revert PreviewUnknown();
    }

    function previewWithdraw(uint256) external pure returns (uint256) {
        revert PreviewUnknown();
    }

    // ------------------------------------------------------------------ inside

    /// @dev Adds `assets` to the bucket of the running epoch; starts a new epoch if that is over.
    /// b = floor(a * (Bs + 1) / (B + 1))
    function _join(Pool memory p, Flow memory f, uint256 assets) private returns (uint256 id, uint256 bucketShares) {
        uint256 week = block.timestamp / EPOCH_TIME;
        id = p.epoch;
        Bucket storage b = _buckets[id];
        (uint256 held, uint256 issued, uint256 maturity) = (b.assets, b.shares, b.maturity);
        if (week != f.week) {
            // forge-lint: disable-next-line(unsafe-typecast)
            f.week = uint24(week);
            if (maturity != 0) {
                // forge-lint: disable-next-line(unsafe-typecast)
                p.epoch = uint16(++id);
                (held, issued, maturity) = (0, 0, 0);
            }
        }
        if (maturity == 0) {
            // buckets that matured meanwhile are closed here, so that a loss never has to step over many of them
            // forge-lint: disable-next-line(unsafe-typecast)
            f.oldestOpen = uint24(_firstOpen(p, f));
            // end of the epoch + cooldown, but not before the bucket before it
            maturity = (week + 1) * EPOCH_TIME + _terms.cooldown;
            if (maturity < _terms.lastMaturity) maturity = _terms.lastMaturity;
            // forge-lint: disable-next-line(unsafe-typecast)
            _terms.lastMaturity = uint32(maturity);
            _storeFlow(f);
        }
        bucketShares = assets * (issued + 1) / (held + 1);
        if (bucketShares == 0) revert ZeroShares();
        _storeBucket(id, held + assets, issued + bucketShares, maturity);
    }

    /// @dev One request a controller and epoch: a second one in the same epoch adds to it, wherever it is kept. The
    /// place in the holder's slot is free before the first request and again when what was there has been claimed.
    /// @param h of the controller; the caller stores it
    function _queue(Holder memory h, address controller, uint256 id, uint256 bucketShares, uint8 era_) private {
        bool inSlot = h.request == 0 || h.request == id;
        if (!inSlot && h.requestShares == 0) inSlot = _laterRequests[controller][id].shares == 0;
        if (inSlot) {
            _remember(controller, h, era_);
            // both fit: the number of the running bucket, and at most all of its shares
            // forge-lint: disable-next-line(unsafe-typecast)
            (h.request, h.requestShares, h.era) = (uint16(id), h.requestShares + uint112(bucketShares), era_);
        } else {
            _changeLater(controller, id, _laterRequests[controller][id].shares + bucketShares, era_);
        }
    }

    function _changeLater(address controller, uint256 id, uint256 shares, uint8 era_) private {
        LaterRequest memory later = _laterRequests[controller][id];
        if (later.era != era_ && later.shares != 0) {
            _past[controller][id].push(Past(later.era, era_, 0, later.shares));
        }
        _laterRequests[controller][id] = LaterRequest(_toUint112(shares), era_);
    }

    function _requested(address controller, uint256 id) private view returns (uint256) {
        Holder storage h = _holders[controller];
        return id != 0 && h.request == id ? h.requestShares : _laterRequests[controller][id].shares;
    }

    function _isFixed(uint256 id) private view returns (bool) {
        if (id < _flow.oldestOpen) return true;
        uint256 maturity = _buckets[id].maturity;
        return maturity != 0 && _isMature(maturity, _flow.heldUntil);
    }

    /// @dev a = floor(b * B / Bs)
    function _claim(uint256 id, uint256 shares, address receiver, address controller) private returns (uint256 assets) {
        _checkClaim(id, shares, controller);
        Bucket memory b = _buckets[id];
        assets = shares * b.assets / b.shares;
        _take(id, shares, assets, receiver, controller);
    }

    function _checkClaim(uint256 id, uint256 shares, address controller) private view {
        if (msg.sender != controller && !_operators[controller][msg.sender]) {
            revert NotController(controller, msg.sender);
        }
        uint256 claimable = _isFixed(id) ? _requested(controller, id) : 0;
        if (shares == 0 || shares > claimable) revert NotClaimable(controller, id, shares, claimable);
    }

    /// @dev Takes `shares` out of a mature request and pays `assets` for them.
    function _take(uint256 id, uint256 shares, uint256 assets, address receiver, address controller) private {
        // maturities are in order: all buckets before a mature one are mature
        // forge-lint: disable-next-line(unsafe-typecast)
        if (_flow.oldestOpen <= id) _flow.oldestOpen = uint24(id + 1);
        _unqueue(controller, id, shares);
        Bucket memory b = _buckets[id];
        _storeBucket(id, b.assets - assets, b.shares - shares, b.maturity);
        emit Withdraw(msg.sender, receiver, controller, assets, shares);
        if (assets != 0) IInsuranceFund(FUND).payStaker(receiver, assets);
    }

    function _unqueue(address controller, uint256 id, uint256 shares) private {
        Holder memory h = _holders[controller];
        uint8 era_ = _pool.era;
        if (h.request != id) {
            _changeLater(controller, id, _laterRequests[controller][id].shares - shares, era_);
            return;
        }
        _remember(controller, h, era_);
        // at most what is there, see `_checkClaim`
        // forge-lint: disable-next-line(unsafe-typecast)
        (h.requestShares, h.era) = (h.requestShares - uint112(shares), era_);
        _storeHolder(controller, h);
    }
}
