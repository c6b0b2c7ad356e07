// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Cover from outside: layer 4 of the insurance fund
/// @notice What a reinsurer has to offer. The fund trusts none of the answers: it counts the tokens that arrive, calls with
/// a fixed amount of gas and reads no more than one word. All amounts are in units of the fund's asset.
/// @dev `pay` and `quote` are called while the deployment's lock is held: the fund's and the engine's views revert then,
/// for everybody. An implementation has to know what it needs to know.
interface IReinsurance {
    /// @notice What `pay` would send now. Reverting means nothing.
    /// @param claimant registered claimant of the fund whose deficit it is
    /// @param market number that the claimant gives the market
    /// @param wanted what the fund's own layers leave of the claim
    function quote(address claimant, uint256 market, uint256 wanted) external view returns (uint256 assets);

    /// @notice Sends at most `wanted` to the fund, in this call. Only the fund calls it. What is above `wanted` is a gift
    /// that counts for nothing; reverting means that nothing is paid, and that nobody asks again in the same event.
    /// @param eventId the fund's number of the event
    function pay(uint256 eventId, address claimant, uint256 market, uint256 wanted) external returns (uint256 assets);

    /// @notice The most that all of its cover for this market could still pay, whatever the price.
    function capacity(address claimant, uint256 market) external view returns (uint256 assets);
}
