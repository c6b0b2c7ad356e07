// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @dev One feed and two numbers of its market in a storage word. From the low end: source 160, maxAge 24, exponent of
/// the scale to WAD 8, tolerance 24, bound 40. The bound is a decimal floating-point number: mantissa 35, exponent 5.
type FeedWord is uint256;

using FeedWords for FeedWord global;

/// @title Packing of a market's feeds and bounds into two words
/// @notice Price bounds are round numbers that people write down; as decimal floating-point numbers of ten digits they
/// leave room for everything else, and a reading loads two words instead of three.
library FeedWords {
    uint256 private constant MANTISSA_LIMIT = 1 << 35;

    /// @notice Packs; the values are in range (`tolerance` below 2^24, `bound` from `packBound`).
    function pack(address source_, uint24 maxAge_, uint256 exponent, uint24 tolerance_, uint40 bound_)
        internal
        pure
        returns (FeedWord)
    {
        return FeedWord.wrap(
            uint256(uint160(source_)) | (uint256(maxAge_) << 160) | (exponent << 184) | (uint256(tolerance_) << 192)
                | (uint256(bound_) << 216)
        );
    }

    /// @notice The bound that stands for exactly `price`.
    /// @return bits mantissa and exponent
    /// @return exact false if `price` needs more significant digits than the mantissa has; the bits are no use then
    function packBound(uint96 price) internal pure returns (uint40 bits, bool exact) {
        uint256 mantissa = price;
        uint256 exponent;
        while (mantissa >= MANTISSA_LIMIT) {
            if (mantissa % 10 != 0) return (0, false);
            mantissa /= 10;
            ++exponent;
        }
        return (uint40((mantissa << 5) | exponent), true);
    }

    function source(FeedWord word) internal pure returns (address) {
        return address(uint160(FeedWord.unwrap(word)));
    }

    function maxAge(FeedWord word) internal pure returns (uint256) {
        return uint24(FeedWord.unwrap(word) >> 160);
    }

    /// @notice WAD per unit of the feed's answer: 10^(18 - decimals), at most 10^12.
    function scale(FeedWord word) internal pure returns (uint256) {
        unchecked {
            return 10 ** uint8(FeedWord.unwrap(word) >> 184);
        }
    }

    function tolerance(FeedWord word) internal pure returns (uint256) {
        return uint24(FeedWord.unwrap(word) >> 192);
    }

    /// @notice The bound, WAD: mantissa * 10^exponent.
    function bound(FeedWord word) internal pure returns (uint256) {
        unchecked {
            uint256 bits = FeedWord.unwrap(word) >> 216;
            return (bits >> 5) * 10 ** (bits & 31);
        }
    }
}
