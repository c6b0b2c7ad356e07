// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {MarginMath} from "../../../contracts/libraries/MarginMath.sol";

/// @notice Locked profit is between 0 and the amount, all of it at the start, nothing at the end, and never grows.
/// @custom:domain amount < 2^112, times < 2^40, start <= time, start < end
contract LockedProfitOnlyFalls {
    function prove(uint112 amount, uint40 start, uint40 end, uint40 time) external pure {
        require(start < end && start <= time && time < type(uint40).max);
        uint256 here = MarginMath.lockedUp(amount, start, end, time);
        uint256 next = MarginMath.lockedUp(amount, start, end, uint256(time) + 1);
        assert(here <= amount);
        assert(next <= here);
        if (time == start) assert(here == amount);
        if (time >= end) assert(here == 0);
    }
}

/// @notice Merged locks are released not before the earlier and not after the later of the two ends.
/// @custom:domain amounts < 2^112, seconds < 2^40
contract MergedLocksEndInBetween {
    function prove(uint112 left, uint40 secondsLeft, uint112 added, uint40 lockSeconds) external pure {
        require(uint256(left) + added != 0);
        uint256 merged = MarginMath.mergedRelease(left, secondsLeft, added, lockSeconds);
        uint256 later = secondsLeft > lockSeconds ? secondsLeft : lockSeconds;
        uint256 earlier = secondsLeft > lockSeconds ? lockSeconds : secondsLeft;
        assert(uint256(left) * secondsLeft <= uint256(left) * later);
        assert(uint256(added) * lockSeconds <= uint256(added) * later);
        assert(merged <= later);
        assert(uint256(left) * secondsLeft >= uint256(left) * earlier);
        assert(uint256(added) * lockSeconds >= uint256(added) * earlier);
        assert(merged >= earlier);
    }
}

/// @notice The mark follows the index by at most mark * speed * elapsed, towards it and never past it.
/// @custom:domain prices < 2^96, speed < 2^32 ppb, elapsed < 2^32 s
contract MarkFollowsAtItsSpeed {
    function prove(uint96 mark, uint96 index, uint32 speed, uint32 elapsed) external pure {
        require(mark != 0);
        uint256 next = MarginMath.follow(mark, index, speed, elapsed);
        uint256 most = uint256(mark) * speed * elapsed;
        if (index >= mark) {
            assert(next >= mark && next <= index);
            assert((next - mark) * 1e9 <= most);
        } else {
            assert(next <= mark && next >= index);
            assert((mark - next) * 1e9 <= most);
        }
    }
}

/// @notice The average premium stays between what it was and what is held.
/// @custom:domain premiums of 48 bits, every elapsed time
contract AverageStaysInBetween {
    function prove(int48 average, int48 held, uint40 elapsed) external pure {
        int256 next = MarginMath.averagePremium(average, held, elapsed);
        if (held >= average) assert(next >= average && next <= held);
        else assert(next <= average && next >= held);
    }
}

/// @notice Maintenance margin never exceeds initial margin, and neither the notional; both are 0 for nothing.
/// @custom:domain notional < 2^96, open interest and cap < 2^112, 0 < scale < 2^32, ppm < 2^24, maintenance <= initial
contract MaintenanceIsBelowInitial {
    function prove(
        uint96 notional,
        uint112 openInterest,
        uint112 cap,
        uint32 scale,
        uint24 slope,
        uint24 initialPpm,
        uint24 maintenancePpm
    ) external pure {
        require(scale != 0 && maintenancePpm <= initialPpm);
        (uint256 initial, uint256 maintenance) =
            MarginMath.margins(notional, openInterest, cap, scale, slope, initialPpm, maintenancePpm);
        assert(maintenance <= notional);
        assert(initial <= notional);
        assert(maintenance <= initial);
    }
}

/// @notice What funding charges is at least the exact amount, and less than one wei more.
/// @custom:domain open interest < 2^96, mark < 2^80, premium < 2^32 ppb, elapsed < 2^32 s
contract FundingIsRoundedUp {
    function prove(uint96 openInterest, uint80 mark, uint32 premium, uint32 elapsed) external pure {
        uint256 owed = MarginMath.fundingUp(openInterest, mark, premium, elapsed);
        uint256 unit = 1e18 * 1e9 * 8 hours;
        uint256 rate = uint256(mark) * premium * elapsed;
        uint256 exact = uint256(openInterest) * rate;
        assert(owed * unit >= exact);
        assert(owed * unit - exact < unit);
    }
}
