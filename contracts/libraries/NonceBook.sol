// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title What has become of each nonce of an account, and the account's minimum nonce, in one word while that is possible
/// @notice Every nonce has a state of two bits; 96 consecutive nonces make a block. The block that contains the account's
/// minimum nonce lives beside that minimum, in the head. So an account that numbers its orders consecutively, and moves
/// its minimum along, touches a single word for each of them. Blocks change places when the minimum leaves one; nothing
/// is ever forgotten.
library NonceBook {
    /// @dev States of a nonce. FRESH: never used. PARTLY: some order with this nonce is partly filled. FILLED and
    /// CANCELLED are final. Plain numbers, because an enum is checked again wherever it is passed on.
    uint256 internal constant FRESH = 0;
    uint256 internal constant PARTLY = 1;
    uint256 internal constant FILLED = 2;
    uint256 internal constant CANCELLED = 3;

    uint256 private constant BLOCK = 96;

    /// @param head smallest usable nonce in the low 64 bits; above it the states of the block which that nonce is in
    /// @param blocks states of all other blocks
    struct Book {
        uint256 head;
        mapping(uint256 number => uint256 states) blocks;
    }

    /// @notice Looks `nonce` up.
    /// @return minimum_ smallest usable nonce
    /// @return states of the block that `nonce` is in, for `write`
    /// @return state of `nonce`
    function open(Book storage book, uint256 nonce)
        internal
        view
        returns (uint256 minimum_, uint256 states, uint256 state)
    {
        unchecked {
            uint256 head = book.head;
            minimum_ = uint64(head);
            states = nonce / BLOCK == minimum_ / BLOCK ? head >> 64 : book.blocks[nonce / BLOCK];
            state = (states >> (2 * (nonce % BLOCK))) & 3;
        }
    }

    /// @notice Changes the state of `nonce`.
    /// @param minimum_ as `open` gave it, likewise `states` and `from`: nothing is read again
    function write(Book storage book, uint256 nonce, uint256 minimum_, uint256 states, uint256 from, uint256 to)
        internal
    {
        unchecked {
            states ^= (from ^ to) << (2 * (nonce % BLOCK));
            if (nonce / BLOCK == minimum_ / BLOCK) book.head = (states << 64) | minimum_;
            else book.blocks[nonce / BLOCK] = states;
        }
    }

    /// @notice Smallest usable nonce.
    function minimum(Book storage book) internal view returns (uint256) {
        return uint64(book.head);
    }

    /// @notice Raises the smallest usable nonce.
    function raise(Book storage book, uint64 newMinimum) internal {
        uint256 head = book.head;
        uint256 states = head >> 64;
        uint256 oldNumber = uint64(head) / BLOCK;
        uint256 newNumber = newMinimum / BLOCK;
        if (oldNumber != newNumber) {
            book.blocks[oldNumber] = states;
            states = book.blocks[newNumber];
        }
        book.head = (states << 64) | newMinimum;
    }
}
