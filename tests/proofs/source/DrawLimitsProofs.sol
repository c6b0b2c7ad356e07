// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {DrawLimits} from "../../../contracts/fund/DrawLimits.sol";

/// @notice A draw inside the room never lifts the bucket above its limit.
/// @custom:domain limit, used < 2^104, times < 2^40, window < 2^32
contract BucketNeverOverflows is DrawLimits {
    function prove(uint104 limit, uint104 used, uint40 usedAt, uint32 window, uint256 amount) external view {
        require(window != 0 && used <= limit && usedAt <= block.timestamp && block.timestamp < 2 ** 40);
        uint256 level = _level(used, usedAt, limit, window);
        assert(level <= used);
        require(amount <= _room(limit, level));
        assert(level + amount <= limit);
    }
}

/// @notice What a bucket lets through is paid for by its level or by its leak: amount <= rise of the level + limit * time
/// / window. Summed over draws: at most the limit, and limit * T / window more in any time T, so never more than twice
/// the limit in one window.
/// @custom:domain limit, used < 2^104, times < 2^40, window < 2^32
contract DrawsArePaidByTheLeak is DrawLimits {
    function prove(uint104 limit, uint104 used, uint40 usedAt, uint32 window, uint256 amount) external view {
        require(window != 0 && used <= limit && usedAt <= block.timestamp && block.timestamp < 2 ** 40);
        uint256 level = _level(used, usedAt, limit, window);
        require(amount <= _room(limit, level));
        uint256 leak = uint256(limit) * (block.timestamp - usedAt);
        assert((amount + used) * window <= (level + amount) * window + leak);
    }
}

/// @notice A bucket is empty a window after the last draw, and the room is then the whole limit.
/// @custom:domain limit, used < 2^104, times < 2^40, window < 2^32
contract BucketEmptiesInOneWindow is DrawLimits {
    function prove(uint104 limit, uint104 used, uint40 usedAt, uint32 window) external view {
        require(window != 0 && used <= limit && usedAt <= block.timestamp && block.timestamp < 2 ** 40);
        require(block.timestamp - usedAt >= window);
        assert(uint256(limit) * (block.timestamp - usedAt) >= uint256(limit) * window);
        uint256 level = _level(used, usedAt, limit, window);
        assert(level == 0);
        assert(_room(limit, level) == limit);
    }
}

/// @notice The leak is never rounded in the drawer's favour: the level is at least the exact one.
/// @custom:domain limit, used < 2^104, times < 2^40, window < 2^32
contract LeakIsRoundedDown is DrawLimits {
    function prove(uint104 limit, uint104 used, uint40 usedAt, uint32 window) external view {
        require(window != 0 && usedAt <= block.timestamp && block.timestamp < 2 ** 40);
        uint256 level = _level(used, usedAt, limit, window);
        assert(level * window + uint256(limit) * (block.timestamp - usedAt) >= uint256(used) * window);
    }
}
