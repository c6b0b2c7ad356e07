// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPoint} from "../../../contracts/libraries/FixedPoint.sol";

/// @notice The assembly of `FixedPoint`, in the code that the compiler makes of it, against the same formulas in checked
/// Solidity. The proofs of the other libraries (../source) are about the latter; this joins them to what is deployed.
/// @custom:domain all a, b, d of 256 bits, d > 0, that pass the test of `OverflowTestIsExact`: a * b < 2^256
contract MulDivEquivalence {
    function check_mulDivDown_is_the_plain_quotient(uint256 a, uint256 b, uint256 d) external pure {
        if (d == 0) return;
        uint256 product;
        unchecked {
            product = a * b;
        }
        if (a != 0 && product / a != b) return;
        assert(FixedPoint.mulDivDown(a, b, d) == product / d);
    }

    function check_mulDivUp_is_the_plain_quotient_rounded_up(uint256 a, uint256 b, uint256 d) external pure {
        if (d == 0) return;
        uint256 product;
        unchecked {
            product = a * b;
        }
        if (a != 0 && product / a != b) return;
        unchecked {
            assert(FixedPoint.mulDivUp(a, b, d) == product / d + (product % d == 0 ? 0 : 1));
        }
    }
}
