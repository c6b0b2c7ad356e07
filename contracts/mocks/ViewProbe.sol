// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @notice Reads a list of views and hands out what has changed since the last look: sixty views after every action of a
/// simulated sequence in one call, most of them answered by silence.
contract ViewProbe {
    /// @param place in the list
    /// @param ok false if the view reverted; `data` is the reason then
    struct Reading {
        uint256 place;
        bool ok;
        bytes data;
    }

    struct Watched {
        address target;
        bytes32 last;
        bytes call;
    }

    Watched[] private _watched;

    /// @notice Add views to the list.
    function watch(address[] calldata targets, bytes[] calldata calls) external {
        for (uint256 i = 0; i < targets.length; ++i) {
            _watched.push(Watched(targets[i], 0, calls[i]));
        }
    }

    /// @notice The views that show something else than at the last call; the first one hands out all.
    function changed() external returns (Reading[] memory readings) {
        uint256 length = _watched.length;
        readings = new Reading[](length);
        uint256 found = 0;
        for (uint256 i = 0; i < length; ++i) {
            Watched storage one = _watched[i];
            (bool ok, bytes memory data) = one.target.staticcall(one.call);
            bytes32 now_ = keccak256(abi.encodePacked(ok, data));
            if (now_ == one.last) continue;
            one.last = now_;
            readings[found++] = Reading(i, ok, data);
        }
        assembly ("memory-safe") {
            mstore(readings, found)
        }
    }
}
