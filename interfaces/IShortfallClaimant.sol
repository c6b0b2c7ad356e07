// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title What the fund may ask of a system it protects
/// @dev The fund calls this only outside of `cover`, so a claimant that reverts can hurt nobody's liquidation.
interface IShortfallClaimant {
    /// @notice Losses of `market` that nobody has paid yet, in units of the fund's asset, rounded up.
    function openDeficit(uint256 market) external view returns (uint256 assets);
}
