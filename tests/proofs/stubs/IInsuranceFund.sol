// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @notice What `DrawLimits` declares of the fund's interface, for the proofs about it alone.
interface IInsuranceFund {
    function drawRoom(address claimant, uint256 market)
        external
        view
        returns (uint256 perClaim, uint256 claimantWindow, uint256 marketWindow);
}
