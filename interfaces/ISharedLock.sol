// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title One reentrancy lock for all contracts of a deployment
/// @notice The lock lives in transient storage, so it is free at the start of every transaction. Every entry point that
/// moves money acquires it; every view that feeds a decision refuses to answer while somebody else holds it.
interface ISharedLock {
    /// @notice Somebody holds the lock: the call came from inside another call of ours.
    error Locked(address holder);
    /// @notice Only the contracts named at construction may hold the lock.
    error NotMember(address caller);
    /// @notice The caller does not hold the lock.
    error NotHolder(address caller, address holder);
    /// @notice A contract was constructed with a lock that does not exist.
    error NotALock(address lock);

    /// @notice Takes the lock for the caller. Reverts if it is held.
    function acquire() external;

    /// @notice Gives the lock back. Reverts if the caller does not hold it.
    function release() external;

    /// @notice Who holds the lock now; zero when it is free.
    function holder() external view returns (address);

    /// @notice True for the contracts that may hold the lock. They are parts of one machine: while one of them holds the
    /// lock, the others may be called by it and may ask each other.
    function isMember(address caller) external view returns (bool);
}
