// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IAggregator} from "../../interfaces/IAggregator.sol";
import {IPriceOracle} from "../../interfaces/IPriceOracle.sol";

/// @title Asking a feed that may revert, lie, burn gas or be gone
library FeedReader {
    /// @notice Gas one feed may use: several times what a proxy in front of an aggregator needs.
    uint256 internal constant FEED_GAS = 100_000;
    /// @notice Gas that must be left before a feed is asked, so that it can get FEED_GAS. A call can pass on 63/64 of
    /// what is left after its own price (2,600 for a cold account): 102_000 * 63 / 64 > FEED_GAS.
    uint256 internal constant GAS_BEFORE_FEED = 105_000;

    /// @notice The newest round of `source`. Never reverts for what `source` does.
    /// @dev The two middle values are meaningless unless `problem` is None.
    function latestRound(address source)
        internal
        view
        returns (IPriceOracle.FeedProblem problem, int256 answer, uint256 startedAt, uint256 updatedAt)
    {
        if (source == address(0)) return (IPriceOracle.FeedProblem.NotSet, 0, 0, 0);
        uint256 available = gasleft();
        if (available < GAS_BEFORE_FEED) revert IPriceOracle.NotEnoughGas(available, GAS_BEFORE_FEED);
        bytes4 selector = IAggregator.latestRoundData.selector;
        uint256 feedGas = FEED_GAS;
        bool success;
        uint256 size;
        // five words at most are copied, however long the answer is
        assembly ("memory-safe") {
            let start := mload(0x40)
            mstore(start, selector)
            success := staticcall(feedGas, source, start, 4, start, 0xa0)
            size := returndatasize()
            answer := mload(add(start, 0x20))
            startedAt := mload(add(start, 0x40))
            updatedAt := mload(add(start, 0x60))
        }
        if (!success) return (IPriceOracle.FeedProblem.CallFailed, 0, 0, 0);
        if (size < 160) return (IPriceOracle.FeedProblem.ShortReturn, 0, 0, 0);
    }

    /// @notice The decimals of `source`'s answers.
    /// @return known false if it has no code or does not answer with a number
    /// @return decimals the number
    function decimalsOf(address source) internal view returns (bool known, uint256 decimals) {
        (bool success, bytes memory data) = source.staticcall(abi.encodeCall(IAggregator.decimals, ()));
        if (!success || data.length < 32) return (false, 0);
        return (true, abi.decode(data, (uint256)));
    }
}
