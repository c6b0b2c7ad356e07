// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPoint} from "../../../contracts/libraries/FixedPoint.sol";
import {SideIndex} from "../../../contracts/libraries/SideIndex.sol";

/// @notice A charge takes from the side at least `total`, and less than one unit of K per basis more (that is, less than
/// one wei as long as B < 10^39); K stays inside its type where `roomForCharge` says so.
/// @custom:domain every K of the type, total < 2^112, 0 < B < 2^112
contract ChargeTakesAtLeastTotal {
    function prove(int160 K, uint112 total, uint112 B) external pure {
        require(B != 0 && SideIndex.roomForCharge(K, total, B));
        int256 charged = SideIndex.payUp(K, total, B);
        assert(charged <= K);
        uint256 fall = uint256(K - charged);
        assert(fall * B >= total * SideIndex.K_UNIT);
        assert(fall * B - total * SideIndex.K_UNIT < B);
        assert(FixedPoint.abs(charged) <= SideIndex.K_MAX);
    }
}

/// @notice A credit gives the side at most `total`, and less than one unit of K per basis less.
/// @custom:domain |K| < 2^159, total < 2^112, 0 < B < 2^112
contract CreditGivesAtMostTotal {
    function prove(int160 K, uint112 total, uint112 B) external pure {
        require(B != 0);
        int256 credited = SideIndex.getDown(K, total, B);
        assert(credited >= K);
        uint256 rise = uint256(credited - K);
        assert(rise * B <= total * SideIndex.K_UNIT);
        assert(total * SideIndex.K_UNIT - rise * B < B);
    }
}

/// @notice One event that moves `total` from side to side mints nothing: what the payers lose is at least what the
/// receivers get, both exact, and the difference that stays in the engine is less than (B1 + B2) / K_UNIT wei.
/// @custom:domain |K| < 2^159, total, B1, B2 < 2^112, B1, B2 > 0
contract TransferMintsNothing {
    function prove(int160 K1, int160 K2, uint112 total, uint112 B1, uint112 B2) external pure {
        require(B1 != 0 && B2 != 0);
        uint256 paid = uint256(K1 - SideIndex.payUp(K1, total, B1)) * B1;
        uint256 got = uint256(SideIndex.getDown(K2, total, B2) - K2) * B2;
        assert(paid >= got);
        assert(paid - got < uint256(B1) + B2);
    }
}

/// @notice What two positions show is at most what both together show, and at most one wei less (so that n positions show
/// at most n - 1 wei less, and never more, than the side).
/// @custom:domain basis1 + basis2 < 2^112, |K| * basis < 2^255
contract PartsNeverExceedTheSide {
    function prove(uint112 basis1, uint112 basis2, int136 K) external pure {
        int256 parts = SideIndex.quoteOf(basis1, 0, K) + SideIndex.quoteOf(basis2, 0, K);
        int256 whole = SideIndex.quoteOf(uint256(basis1) + basis2, 0, K);
        assert(parts <= whole);
        assert(whole - parts <= 1);
    }
}

/// @notice A quote that is stored and read back loses at most one wei and gains none.
/// @custom:domain basis < 2^112, |quote| < 2^119, |K| < 2^135
contract StoringAQuoteGainsNothing {
    function prove(uint112 basis, int120 quote, int136 K) external pure {
        int256 stored = SideIndex.quoteAtZeroOf(basis, quote, K);
        int256 back = SideIndex.quoteOf(basis, stored, K);
        assert(back <= quote);
        assert(quote - back <= 1);
    }
}

/// @notice A long's size that is stored and read back never grows.
/// @custom:domain size < 2^112, 0 < A < 2^72
contract StoringALongGainsNothing {
    function prove(uint112 size, uint72 A) external pure {
        require(A != 0);
        uint256 basis = SideIndex.basisOf(size, A, false);
        assert(basis * A <= size * SideIndex.ONE);
        assert(SideIndex.sizeOf(basis, A, false) <= size);
    }
}

/// @notice A short's size that is stored and read back never shrinks.
/// @custom:domain size < 2^112, 0 < A < 2^72
contract StoringAShortLosesNothing {
    function prove(uint112 size, uint72 A) external pure {
        require(A != 0);
        uint256 basis = SideIndex.basisOf(size, A, true);
        assert(basis * A >= size * SideIndex.ONE);
        assert(SideIndex.sizeOf(basis, A, true) >= size);
    }
}

/// @notice A long side that gives up `x` base loses at least that; 0 is left only where there was no more.
/// @custom:domain x, B < 2^112, B > 0, 0 < A < 2^72
contract LongsShrinkByAtLeastX {
    function prove(uint72 A, uint112 x, uint112 B) external pure {
        require(B != 0);
        uint256 left = SideIndex.shrink(A, x, B, false);
        assert(left <= A);
        if (left != 0) {
            assert((A - left) * B >= x * SideIndex.ONE);
            assert((A - left) * B - x * SideIndex.ONE < B);
        } else {
            assert(x * SideIndex.ONE + B > uint256(A) * B || A == 0);
        }
    }
}

/// @notice A short side that gives up `x` base loses at most that.
/// @custom:domain x, B < 2^112, B > 0, 0 < A < 2^72
contract ShortsShrinkByAtMostX {
    function prove(uint72 A, uint112 x, uint112 B) external pure {
        require(B != 0);
        uint256 left = SideIndex.shrink(A, x, B, true);
        assert(left <= A);
        assert((A - left) * B <= x * SideIndex.ONE);
    }
}
