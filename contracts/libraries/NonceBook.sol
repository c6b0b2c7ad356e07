// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title What has become of each nonce of an account, and the account's minimum nonce, in one word while that is possible
/// @notice Every nonce has a state of two bits; 96 consecutive nonces make a block. The block that contains the account's
/// minimum nonce lives beside that minimum, in the head. So an account that numbers its orders consecutively, and moves
/// its minimum along, touches a single word for each of them. Blocks change places when the minimum leaves one; nothing
/// is ever forgotten.
library NonceBook {
    /// @dev Fresh: never used. Partly: some order with this nonce is partly filled. The other two are final.
    enum State {
        Fresh,
        Partly,
        Filled,
        Cancelled
    }

    /// @param head smallest usable nonce in the low 64 bits; above it the states of the block which that nonce is in
    /// @param blocks states of all other blocks
    struct Book {
        uint256 head;
        mapping(uint256 number => uint256 states) blocks;
    }

    /// @dev A book opened at one nonce, so that writing there does not read it again.
    struct Page {
        uint256 minimum;
        uint256 states;
    }

    uint256 private constant BLOCK = 96;

    /// @notice Opens the book at `nonce`.
    function open(Book storage book, uint256 nonce) internal view returns (Page memory page) {
        uint256 head = book.head;
        page.minimum = uint64(head);
        page.states = nonce / BLOCK == page.minimum / BLOCK ? head >> 64 : book.blocks[nonce / BLOCK];
    }

    /// @notice What has become of `nonce`, which `page` was opened at.
    function stateOf(Page memory page, uint256 nonce) internal pure returns (State) {
        unchecked {
            return State((page.states >> (2 * (nonce % BLOCK))) & 3);
        }
    }

    /// @notice Gives `nonce`, which `page` was opened at, another state.
    function write(Book storage book, Page memory page, uint256 nonce, State state) internal {
        unchecked {
            uint256 shift = 2 * (nonce % BLOCK);
            uint256 states = (page.states & ~(3 << shift)) | (uint256(state) << shift);
            if (nonce / BLOCK == page.minimum / BLOCK) book.head = (states << 64) | page.minimum;
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
