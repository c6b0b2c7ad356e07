// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that can do everything a token should not
/// @dev Each vice is switched on by a test: blocklist, fee on transfer, `false` instead of a revert, a revert in
/// any words, a shrinking balance, and calls back into whatever it is told to call, from the middle of a transfer.
contract HostileToken is ERC20 {
    uint8 internal immutable DECIMALS;

    mapping(address account => bool) public blocked;
    uint256 public feeBps;
    bool public refuses;
    /// @notice What a transfer reverts with, if anything.
    bytes public reason;

    address public callbackTarget;
    bytes public callbackData;
    /// @notice What the last callback did: 0 none, 1 success, 2 failure.
    uint256 public callbackResult;
    bytes public callbackReturned;

    error Blocked(address account);

    constructor(uint8 decimals_) ERC20("Hostile", "HOST") {
        DECIMALS = decimals_;
    }

    function decimals() public view override returns (uint8) {
        return DECIMALS;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function burn(address from, uint256 amount) external {
        _burn(from, amount);
    }

    function setBlocked(address account, bool value) external {
        blocked[account] = value;
    }

    function setFee(uint256 bps) external {
        feeBps = bps;
    }

    function setRefuses(bool value) external {
        refuses = value;
    }

    function setReason(bytes calldata value) external {
        reason = value;
    }

    function setCallback(address target, bytes calldata data) external {
        callbackTarget = target;
        callbackData = data;
        callbackResult = 0;
        delete callbackReturned;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (refuses) return false;
        _giveReason();
        _callBack();
        return super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (refuses) return false;
        _callBack();
        return super.transferFrom(from, to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (blocked[from]) revert Blocked(from);
        if (blocked[to]) revert Blocked(to);
        super._update(from, to, amount);
        uint256 fee = from == address(0) || to == address(0) ? 0 : amount * feeBps / 10_000;
        if (fee != 0) super._update(to, address(0), fee);
    }

    function _giveReason() private view {
        bytes memory given = reason;
        if (given.length == 0) return;
        assembly ("memory-safe") {
            revert(add(given, 32), mload(given))
        }
    }

    function _callBack() private {
        address target = callbackTarget;
        if (target == address(0)) return;
        callbackTarget = address(0);
        (bool success, bytes memory returned) = target.call(callbackData);
        callbackResult = success ? 1 : 2;
        callbackReturned = returned;
    }
}
