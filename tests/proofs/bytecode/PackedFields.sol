// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FeedWord, FeedWords} from "../../../contracts/libraries/FeedWord.sol";
import {FixedPoint} from "../../../contracts/libraries/FixedPoint.sol";

/// @notice Bit-exact properties: what is packed into a feed's word comes out again, whatever the neighbours hold; absolute value,
/// minimum and maximum.
/// @custom:domain all inputs
contract PackedFields {
    function check_fields_come_out_as_they_went_in(
        address source,
        uint24 maxAge,
        uint8 exponent,
        uint24 tolerance,
        uint40 bound
    ) external pure {
        FeedWord word = FeedWords.pack(source, maxAge, exponent, tolerance, bound);
        assert(word.source() == source);
        assert(word.maxAge() == maxAge);
        assert(word.tolerance() == tolerance);
        assert(uint8(FeedWord.unwrap(word) >> 184) == exponent);
        assert(uint40(FeedWord.unwrap(word) >> 216) == bound);
    }

    function check_absolute_value(int256 x) external pure {
        uint256 magnitude = FixedPoint.abs(x);
        if (x >= 0) assert(magnitude == uint256(x));
        else assert(magnitude == ~uint256(x) + 1);
        assert(magnitude <= uint256(type(int256).max) + 1);
    }

    function check_minimum_and_maximum(uint256 a, uint256 b, int256 c, int256 d) external pure {
        uint256 least = FixedPoint.min(a, b);
        assert(least <= a && least <= b && (least == a || least == b));
        int256 most = FixedPoint.max(c, d);
        assert(most >= c && most >= d && (most == c || most == d));
    }
}
