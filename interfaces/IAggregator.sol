// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title The part of a Chainlink price feed (and of a sequencer uptime feed) that we ask
interface IAggregator {
    /// @notice Decimals of the answers.
    function decimals() external view returns (uint8);

    /// @notice The newest answer. Only `answer`, `updatedAt` and, for an uptime feed, `startedAt` are looked at.
    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);
}
