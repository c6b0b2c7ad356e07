// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LiquidationMath} from "../../../contracts/libraries/LiquidationMath.sol";

/// @notice A step closes all of the position, or a part and a rest that are both no smaller than the smallest position.
/// @custom:domain every amount below 2^112, the size not 0
contract StepLeavesNoDust {
    function prove(uint112 enough, uint112 size, uint96 mark, uint32 maxStep, uint112 minBase) external pure {
        require(size != 0 && mark != 0);
        uint256 base = LiquidationMath.stepBase(enough, size, mark, maxStep, minBase);
        assert(base <= size);
        if (base != size) {
            assert(base >= minBase);
            assert(size - base >= minBase);
        }
    }
}

/// @notice The budget is strictly inside what health allows: budget / WAD * notional <= margin * equity / maintenance.
/// @custom:domain every amount below 2^96, maintenance and notional not 0
contract BudgetIsInsideHealth {
    function prove(uint96 equity, uint96 maintenance, uint96 margin, uint96 notional) external pure {
        require(maintenance != 0 && notional != 0);
        uint256 budget = LiquidationMath.budgetDown(equity, maintenance, margin, notional);
        uint256 share = uint256(margin) * equity / maintenance;
        assert(budget * notional <= share * 1e18);
        if (budget != 0) assert(budget * notional < share * 1e18);
    }
}

/// @notice The discount lies between its minimum and its maximum.
/// @custom:domain equity <= maintenance < 2^96, min <= max < 2^24 ppm, elapsed and ramp < 2^32 s
contract DiscountStaysInItsBand {
    function prove(uint96 equity, uint96 maintenance, uint24 least, uint24 most, uint32 elapsed, uint32 ramp)
        external
        pure
    {
        require(equity <= maintenance && maintenance != 0 && least <= most && ramp != 0);
        uint256 discount = LiquidationMath.discountDown(equity, maintenance, least, most, elapsed, ramp);
        assert(discount >= uint256(least) * 1e12);
        assert(discount <= uint256(most) * 1e12);
    }
}
