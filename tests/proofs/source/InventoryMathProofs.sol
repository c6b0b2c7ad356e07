// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPoint} from "../../../contracts/libraries/FixedPoint.sol";
import {InventoryMath} from "../../../contracts/libraries/InventoryMath.sol";

/// @notice No change of the inventory makes an auction older: the part that `elapsedDown` keeps of the time (see
/// `check_a_change_keeps_the_smaller_part_of_the_time`) is at most the time.
/// @custom:domain elapsed < 2^128, smaller <= larger < 2^128, larger > 0
contract ChangesNeverAgeTheAuction {
    function prove(uint128 elapsed, uint128 smaller, uint128 larger) external pure {
        require(smaller <= larger && larger != 0);
        assert(uint256(elapsed) * smaller <= uint256(elapsed) * larger);
        assert(FixedPoint.mulDivDown(elapsed, smaller, larger) <= elapsed);
    }
}

/// @notice The way that the auction has fallen never shrinks with time: fall * t / time <= fall * (t + 1) / time.
/// @custom:domain premium, discount < 10^6 ppm, elapsed < 2^32, 0 < time < 2^32
contract FallNeverShrinks {
    function prove(uint24 premium, uint24 discount, uint32 elapsed, uint32 time) external pure {
        require(premium < 1e6 && discount < 1e6 && time != 0);
        uint256 fall = uint256(premium) * 1e12 + uint256(discount) * 1e12;
        assert(fall * (uint256(elapsed) + 1) / time >= fall * elapsed / time);
    }
}

/// @notice The asking price of long inventory never rises while the auction runs.
/// @custom:quotients first
/// @custom:domain mark < 2^96, premium and discount < 10^6 ppm, elapsed and time < 2^32, cushion, notional < 2^112
contract AskingPriceOfLongsFalls {
    function prove(
        uint96 mark,
        uint24 premium,
        uint24 discount,
        uint32 elapsed,
        uint32 time,
        uint112 cushion,
        uint112 notional
    ) external pure {
        require(premium < 1e6 && discount < 1e6 && time != 0 && notional != 0);
        uint256 fall = uint256(premium) * 1e12 + uint256(discount) * 1e12;
        require(fall * (uint256(elapsed) + 1) / time >= fall * elapsed / time); // FallNeverShrinks
        uint256 here = InventoryMath.price(true, mark, premium, discount, elapsed, time, cushion, notional);
        uint256 next = InventoryMath.price(true, mark, premium, discount, uint256(elapsed) + 1, time, cushion, notional);
        assert(next <= here);
    }
}

/// @notice The asking price of short inventory never falls while the auction runs.
/// @custom:quotients first
/// @custom:domain mark < 2^96, premium and discount < 10^6 ppm, elapsed and time < 2^32, cushion, notional < 2^112
contract AskingPriceOfShortsRises {
    function prove(
        uint96 mark,
        uint24 premium,
        uint24 discount,
        uint32 elapsed,
        uint32 time,
        uint112 cushion,
        uint112 notional
    ) external pure {
        require(premium < 1e6 && discount < 1e6 && time != 0 && notional != 0);
        uint256 fall = uint256(premium) * 1e12 + uint256(discount) * 1e12;
        require(fall * (uint256(elapsed) + 1) / time >= fall * elapsed / time); // FallNeverShrinks
        uint256 here = InventoryMath.price(false, mark, premium, discount, elapsed, time, cushion, notional);
        uint256 next = InventoryMath.price(false, mark, premium, discount, uint256(elapsed) + 1, time, cushion, notional);
        assert(next >= here);
    }
}

/// @notice The asking price of long inventory lies between mark * (1 - max discount) and mark * (1 + premium).
/// @custom:quotients first
/// @custom:domain as above
contract AskingPriceOfLongsIsBounded {
    function prove(
        uint96 mark,
        uint24 premium,
        uint24 discount,
        uint32 elapsed,
        uint32 time,
        uint112 cushion,
        uint112 notional
    ) external pure {
        require(premium < 1e6 && discount < 1e6 && time != 0 && notional != 0);
        uint256 price = InventoryMath.price(true, mark, premium, discount, elapsed, time, cushion, notional);
        assert(price * 1e6 >= mark * (1e6 - uint256(discount)));
        assert(price * 1e6 < mark * (1e6 + uint256(premium)) + 1e6);
    }
}

/// @notice The asking price of short inventory lies between mark * (1 - premium) and mark * (1 + max discount).
/// @custom:quotients first
/// @custom:domain as above
contract AskingPriceOfShortsIsBounded {
    function prove(
        uint96 mark,
        uint24 premium,
        uint24 discount,
        uint32 elapsed,
        uint32 time,
        uint112 cushion,
        uint112 notional
    ) external pure {
        require(premium < 1e6 && discount < 1e6 && time != 0 && notional != 0);
        uint256 price = InventoryMath.price(false, mark, premium, discount, elapsed, time, cushion, notional);
        assert(price * 1e6 <= mark * (1e6 + uint256(discount)));
        assert(price * 1e6 + 1e6 > mark * (1e6 - uint256(premium)));
    }
}

/// @notice What may still be lost is at most the cap, and cap and loss so far add up; the cushion is at most the equity.
/// @custom:domain amounts below 2^120
contract CushionIsInsideTheCaps {
    function prove(uint112 cap, uint112 invested, int120 equity) external pure {
        uint256 room = InventoryMath.lossRoom(cap, invested, equity);
        assert(room <= cap);
        int256 lost = int256(uint256(invested)) - equity;
        if (lost > 0 && room > 0) assert(int256(room) + lost == int256(uint256(cap)));
        uint256 cushion = InventoryMath.cushion(cap, invested, equity);
        assert(cushion <= room);
        assert(cushion == 0 || int256(cushion) <= equity);
    }
}

/// @notice A take-over that fits the room leaves a notional inside the cap and inside cushion / margin.
/// @custom:domain amounts below 2^112, mark below 2^96
contract RoomKeepsTheCaps {
    function prove(uint112 cap, uint24 margin, uint112 cushion, uint96 mark, int112 size) external pure {
        require(mark != 0 && margin != 0 && margin <= 1e6 && size > 0);
        uint256 base = InventoryMath.baseRoomDown(cap, margin, cushion, mark, size, true);
        if (base != 0) {
            uint256 afterwards = uint256(int256(size)) + base;
            assert(afterwards * mark <= uint256(cap) * 1e18);
            assert(afterwards * mark * margin <= uint256(cushion) * 1e6 * 1e18);
        }
    }
}
