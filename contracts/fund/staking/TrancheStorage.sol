// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IStakedTranche} from "../../../interfaces/IStakedTranche.sol";
import {Guarded} from "../../Guarded.sol";

/// @title The tranche's ledger
/// @notice Active stake, its shares, streamed income and the exit buckets, by internal counters only.
/// @dev One slot each for what every action reads; packed so that a request writes four slots and a deposit two.
abstract contract TrancheStorage is IStakedTranche, Guarded {
    /// @notice Length of an epoch. A constant: the time a request takes cannot change after it was made.
    uint256 public constant EPOCH_TIME = 7 days;
    /// @notice Time over which new income reaches the active stake.
    uint256 public constant STREAM_TIME = 7 days;
    /// @notice How long one report of an open shortfall holds maturities back.
    uint256 public constant HOLD_TIME = 3 days;
    /// @notice Longest time a bucket can be held back altogether.
    uint256 public constant MAX_HOLD = 14 days;
    uint256 public constant MIN_COOLDOWN = 1 days;
    /// @notice Bounds the number of open buckets: ceil(28 / 7) + 1 = 5, two more while maturities are held for
    /// MAX_HOLD, and one more for each series or bucket that becomes worthless.
    uint256 public constant MAX_COOLDOWN = 28 days;

    /// @dev Virtual shares against one virtual unit of assets: a share is worth 1/1000 of a unit at the start, so a
    /// first depositor cannot round away what the second brings.
    uint256 internal constant VIRTUAL_SHARES = 1_000;
    /// @dev A series ends when its price falls below this part of where it started; a bucket is joined no more.
    uint256 internal constant PRICE_FALL = 1_000_000;

    /// @param epoch number of the bucket that new requests join
    /// @param era number of the last loss on record
    struct Pool {
        uint112 assets;
        uint112 supply;
        uint8 series;
        uint16 epoch;
        uint8 era;
    }

    /// @param streamLeft income not yet credited at `accruedAt`
    /// @param heldUntil no bucket matures before, except by `MAX_HOLD`
    /// @param oldestOpen all buckets before this one are mature for good
    /// @param week in which requests join bucket `epoch`: time / EPOCH_TIME
    struct Flow {
        uint112 streamLeft;
        uint32 accruedAt;
        uint32 streamEnd;
        uint32 heldUntil;
        uint24 oldestOpen;
        uint24 week;
    }

    /// @param lastMaturity of the newest bucket; no later one matures earlier
    struct Terms {
        uint112 cap;
        uint32 cooldown;
        uint32 lastMaturity;
    }

    /// @dev Shares of a series that ended count as none. A controller's first request is kept here, further
    /// ones in `_laterRequests`.
    /// @param request number of the epoch, 0 if there has been none; stays when all of it is claimed
    /// @param requestShares in shares of that bucket
    /// @param era shares and request are what they are since this loss; what they were before is in `_past`
    struct Holder {
        uint112 shares;
        uint8 series;
        uint16 request;
        uint112 requestShares;
        uint8 era;
    }

    /// @dev What a holder had of a part (0: shares, else a bucket) when the losses after `from` and up to `upTo` fell.
    struct Past {
        uint8 from;
        uint8 upTo;
        uint8 series;
        uint112 units;
    }

    /// @dev What came back for a part of a loss, and for how many units (shares, of `series` if part 0).
    struct Returned {
        uint128 assets;
        uint112 units;
        uint8 series;
    }

    struct LaterRequest {
        uint112 shares;
        uint8 era;
    }

    IERC20 internal immutable ASSET;
    address internal immutable FUND;

    Pool internal _pool;
    Flow internal _flow;
    Terms internal _terms;
    mapping(address holder => Holder) internal _holders;
    mapping(uint256 requestId => Bucket) internal _buckets;
    mapping(address controller => mapping(uint256 requestId => LaterRequest)) internal _laterRequests;
    mapping(address holder => mapping(uint256 part => Past[])) internal _past;
    mapping(uint256 era => mapping(uint256 part => Returned)) internal _returned;
    mapping(address holder => mapping(uint256 era => mapping(uint256 part => uint256 assets))) internal _collected;
    uint256 internal _uncollected;
    mapping(address controller => mapping(address operator => bool)) internal _operators;

    constructor(IERC20 asset_, address fund_) {
        ASSET = asset_;
        FUND = fund_;
        // bucket 0 does not exist: a holder without a request has request 0
        _pool.epoch = 1;
        _flow.oldestOpen = 1;
    }

    modifier onlyFund() {
        if (msg.sender != FUND) revert NotFund(msg.sender);
        _;
    }

    /// @dev Brings the state up to now: streamed income credited. Income waits while nobody is staked.
    /// @return moved whether there was anything to do: both slots have to be written then
    function _accrue(Pool memory p, Flow memory f) internal view returns (bool moved) {
        if (f.streamLeft == 0 || f.accruedAt == block.timestamp) return false;
        uint32 time = uint32(block.timestamp);
        if (p.supply == 0) {
            f.streamEnd += time - f.accruedAt;
        } else {
            // credited = floor(left * (now - accruedAt) / (end - accruedAt)), all of it from the end on
            uint256 left = f.streamLeft;
            uint256 credited = time >= f.streamEnd ? left : left * (time - f.accruedAt) / (f.streamEnd - f.accruedAt);
            p.assets = _toUint112(p.assets + credited);
            // forge-lint: disable-next-line(unsafe-typecast)
            f.streamLeft = uint112(left - credited);
        }
        f.accruedAt = time;
        return true;
    }

    /// @dev The same for views. What writes loads the two itself: a function that returns a struct clears one first.
    function _accrued() internal view returns (Pool memory p, Flow memory f) {
        (p, f) = (_pool, _flow);
        _accrue(p, f);
    }

    /// @dev One write a slot; the compiler would write every field of its own.
    function _storePool(Pool memory p) internal {
        uint256 word = uint256(p.assets) | uint256(p.supply) << 112 | uint256(p.series) << 224 | uint256(p.epoch) << 232
            | uint256(p.era) << 248;
        assembly ("memory-safe") {
            sstore(_pool.slot, word)
        }
    }

    function _storeFlow(Flow memory f) internal {
        uint256 word = uint256(f.streamLeft) | uint256(f.accruedAt) << 112 | uint256(f.streamEnd) << 144
            | uint256(f.heldUntil) << 176 | uint256(f.oldestOpen) << 208 | uint256(f.week) << 232;
        assembly ("memory-safe") {
            sstore(_flow.slot, word)
        }
    }

    function _storeHolder(address holder, Holder memory h) internal {
        uint256 word = uint256(h.shares) | uint256(h.series) << 112 | uint256(h.request) << 120
            | uint256(h.requestShares) << 136 | uint256(h.era) << 248;
        Holder storage stored = _holders[holder];
        assembly ("memory-safe") {
            sstore(stored.slot, word)
        }
    }

    function _storeBucket(uint256 id, uint256 assets, uint256 shares, uint256 maturity) internal {
        uint256 word = uint256(_toUint112(assets)) | uint256(_toUint112(shares)) << 112 | maturity << 224;
        Bucket storage b = _buckets[id];
        assembly ("memory-safe") {
            sstore(b.slot, word)
        }
    }

    /// @dev A bucket is fixed once it reached its maturity while nothing held it, or was held `MAX_HOLD`.
    function _isMature(uint256 maturity, uint256 heldUntil) internal view returns (bool) {
        return block.timestamp >= maturity && (block.timestamp >= heldUntil || block.timestamp >= maturity + MAX_HOLD);
    }

    /// @dev First bucket that is not mature; maturities never fall from one bucket to the next.
    function _firstOpen(Pool memory p, Flow memory f) internal view returns (uint256 id) {
        id = f.oldestOpen;
        while (id <= p.epoch) {
            uint256 maturity = _buckets[id].maturity;
            // the newest may not exist yet
            if (maturity == 0 && id == p.epoch) break;
            if (!_isMature(maturity, f.heldUntil)) break;
            ++id;
        }
    }

    /// @dev shares = floor(assets * (S + V) / (A + 1))
    function _toSharesDown(Pool memory p, uint256 assets) internal pure returns (uint256) {
        return assets * (p.supply + VIRTUAL_SHARES) / (uint256(p.assets) + 1);
    }

    /// @dev assets = floor(shares * (A + 1) / (S + V))
    function _toAssetsDown(Pool memory p, uint256 shares) internal pure returns (uint256) {
        return shares * (uint256(p.assets) + 1) / (p.supply + VIRTUAL_SHARES);
    }

    /// @dev assets = ceil(shares * (A + 1) / (S + V))
    function _toAssetsUp(Pool memory p, uint256 shares) internal pure returns (uint256) {
        uint256 divisor = p.supply + VIRTUAL_SHARES;
        return (shares * (uint256(p.assets) + 1) + divisor - 1) / divisor;
    }

    function _toUint112(uint256 value) internal pure returns (uint112) {
        if (value > type(uint112).max) revert AboveMaximum(value, type(uint112).max);
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint112(value);
    }
}
