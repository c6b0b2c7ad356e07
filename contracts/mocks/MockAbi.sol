// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title What a client can get wrong: nested structs, overloads, errors, events, time
/// @dev Only the tests of `backstop.harness` use it.
contract MockAbi {
    enum Kind {
        None,
        Long,
        Short
    }

    struct Leg {
        int128 size;
        uint256 price;
    }

    struct Order {
        address maker;
        bytes32 marketId;
        Kind kind;
        Leg[] legs;
        uint64[2] window;
        bytes memo;
    }

    error TooSmall(address maker, int128 size, uint256 minimum);
    error Plain();

    event Placed(address indexed maker, bytes32 indexed marketId, string indexed label, Leg[] legs, bool from);
    event Counted(uint256 value);

    uint256 public count;
    mapping(address maker => uint256 value) public values;

    constructor(uint256 start) payable {
        count = start;
    }

    function echo(Order calldata order) external pure returns (Order memory) {
        return order;
    }

    function echoAll(Order[] calldata orders) external pure returns (Order[] memory list, uint256 length) {
        return (orders, orders.length);
    }

    function place(Order calldata order, string calldata label) external returns (uint256) {
        for (uint256 i; i < order.legs.length; ++i) {
            if (order.legs[i].size == 0) revert TooSmall(order.maker, order.legs[i].size, 1);
        }
        emit Placed(order.maker, order.marketId, label, order.legs, true);
        return order.legs.length;
    }

    function add(uint256 amount) external payable returns (uint256) {
        count += amount;
        values[msg.sender] += msg.value;
        emit Counted(count);
        return count;
    }

    function add(uint256 amount, uint256 times) external returns (uint256) {
        count += amount * times;
        emit Counted(count);
        return count;
    }

    function pick(uint256) external pure returns (string memory) {
        return "uint256";
    }

    function pick(address) external pure returns (string memory) {
        return "address";
    }

    function pick(bytes calldata) external pure returns (string memory) {
        return "bytes";
    }

    function whoami() external view returns (address sender, uint256 time) {
        return (msg.sender, block.timestamp);
    }

    function onlyAt(uint256 time) external {
        if (block.timestamp != time) revert TooSmall(msg.sender, 0, block.timestamp);
        ++count;
    }

    function nothing() external pure {}

    function fail(uint256 how) external pure {
        if (how == 0) revert Plain();
        if (how == 1) revert("a reason");
        if (how == 2) assert(false);
        if (how == 3) revert();
        if (how == 4) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        how / (how - 5);
        assembly ("memory-safe") {
            mstore(0, shl(224, 0xdeadbeef))
            revert(0, 4)
        }
    }
}
