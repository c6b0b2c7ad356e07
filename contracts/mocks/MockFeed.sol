// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IAggregator} from "../../interfaces/IAggregator.sol";

/// @title A price feed (or sequencer uptime feed) under the test's control, also when it misbehaves
contract MockFeed is IAggregator {
    /// @notice ShortReturn answers four words instead of five, LongReturn a hundred, NoReturn none. BurnGas uses up all
    /// it gets. RevertLong reverts with a hundred words. Future dates the answer one second after the block. Frozen
    /// ignores `push`.
    enum Mode {
        Normal,
        Revert,
        RevertLong,
        BurnGas,
        ShortReturn,
        LongReturn,
        NoReturn,
        Future,
        Zero,
        Negative,
        Frozen
    }

    /// @dev One slot, like a cheap feed of real life.
    struct Round {
        int128 answer;
        uint40 startedAt;
        uint40 updatedAt;
        uint8 decimals;
        Mode mode;
    }

    error Broken();

    Round public round;

    constructor(uint8 decimals_, int128 answer) {
        round = Round(answer, uint40(block.timestamp), uint40(block.timestamp), decimals_, Mode.Normal);
    }

    /// @notice A new answer, now.
    function push(int128 answer) external {
        if (round.mode == Mode.Frozen) return;
        (round.answer, round.startedAt, round.updatedAt) = (answer, uint40(block.timestamp), uint40(block.timestamp));
    }

    /// @notice Any answer with any time.
    function set(int128 answer, uint40 startedAt, uint40 updatedAt) external {
        (round.answer, round.startedAt, round.updatedAt) = (answer, startedAt, updatedAt);
    }

    function setMode(Mode mode) external {
        round.mode = mode;
    }

    function setDecimals(uint8 decimals_) external {
        round.decimals = decimals_;
    }

    /// @inheritdoc IAggregator
    function decimals() external view returns (uint8) {
        Round memory r = round;
        if (r.mode == Mode.Revert) revert Broken();
        if (r.mode == Mode.NoReturn) _answerWords(0, 0);
        return r.decimals;
    }

    /// @inheritdoc IAggregator
    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        Round memory r = round;
        (roundId, answer, startedAt, updatedAt, answeredInRound) = (1, r.answer, r.startedAt, r.updatedAt, 1);
        if (r.mode == Mode.Normal || r.mode == Mode.Frozen) {
            return (roundId, answer, startedAt, updatedAt, answeredInRound);
        }
        if (r.mode == Mode.Revert) revert Broken();
        if (r.mode == Mode.RevertLong) {
            assembly ("memory-safe") {
                revert(mload(0x40), 3200)
            }
        }
        if (r.mode == Mode.BurnGas) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        if (r.mode == Mode.Future) updatedAt = block.timestamp + 1;
        if (r.mode == Mode.Zero) answer = 0;
        if (r.mode == Mode.Negative) answer = -answer;
        uint256 words = r.mode == Mode.ShortReturn ? 4 : r.mode == Mode.LongReturn ? 100 : 5;
        if (r.mode == Mode.NoReturn) words = 0;
        bytes memory data = abi.encode(roundId, answer, startedAt, updatedAt, answeredInRound);
        uint256 start;
        assembly ("memory-safe") {
            start := add(data, 0x20)
        }
        _answerWords(start, words);
    }

    function _answerWords(uint256 start, uint256 words) private pure {
        assembly {
            return(start, mul(words, 0x20))
        }
    }
}
