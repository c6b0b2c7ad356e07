// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {InventoryMath} from "../../../contracts/libraries/InventoryMath.sol";

/// @notice The asking price of long inventory never rises while the auction runs.
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
        require(premium < 1e6 && discount < 1e6 && time != 0 && notional != 0 && elapsed < type(uint32).max);
        uint256 here = InventoryMath.price(true, mark, premium, discount, elapsed, time, cushion, notional);
        uint256 next = InventoryMath.price(true, mark, premium, discount, uint256(elapsed) + 1, time, cushion, notional);
        assert(next <= here);
    }
}

/// @notice The asking price of short inventory never falls while the auction runs.
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
        require(premium < 1e6 && discount < 1e6 && time != 0 && notional != 0 && elapsed < type(uint32).max);
        uint256 here = InventoryMath.price(false, mark, premium, discount, elapsed, time, cushion, notional);
        uint256 next = InventoryMath.price(false, mark, premium, discount, uint256(elapsed) + 1, time, cushion, notional);
        assert(next >= here);
    }
}

/// @notice The asking price of long inventory lies between mark * (1 - max discount) and mark * (1 + premium).
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

/// @notice A change of the inventory never adds to the time that its auction has run, and a change of side ends it.
/// @custom:domain elapsed < 2^64, sizes of 112 bits
contract ChangesNeverAgeTheAuction {
    function prove(uint64 elapsed, int112 before, int112 afterwards) external pure {
        require(before != type(int112).min && afterwards != type(int112).min);
        uint256 left = InventoryMath.elapsedDown(elapsed, before, afterwards);
        assert(left <= elapsed);
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
