// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title A contract wallet (ERC-1271) whose owner is an EOA, also when it misbehaves
contract MockWallet1271 is IERC1271 {
    /// @notice Honest: valid if the owner signed. Always and Never: whatever was signed. WrongMagic answers something
    /// else than the magic value, ShortReturn less than a word. Probe calls the programmed target and is valid if that
    /// call fails (`expectFailure`) or succeeds (otherwise), and the signature is honest.
    enum Mode {
        Honest,
        Always,
        Never,
        WrongMagic,
        Revert,
        BurnGas,
        ShortReturn,
        Probe
    }

    error NotTheOwner(address caller);
    error Broken();

    address public immutable owner;
    Mode public mode;
    address public target;
    bool public expectFailure;
    bytes public data;

    constructor(address owner_) {
        owner = owner_;
    }

    receive() external payable {}

    function setMode(Mode mode_) external {
        mode = mode_;
    }

    /// @notice What `isValidSignature` calls in mode Probe, by static call as the caller's is one.
    function setProbe(address target_, bytes calldata data_, bool expectFailure_) external {
        (mode, target, data, expectFailure) = (Mode.Probe, target_, data_, expectFailure_);
    }

    /// @notice The owner acts as the wallet.
    function execute(address to, bytes calldata call) external payable returns (bytes memory result) {
        if (msg.sender != owner) revert NotTheOwner(msg.sender);
        bool success;
        (success, result) = to.call{value: msg.value}(call);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(result, 0x20), mload(result))
            }
        }
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        Mode current = mode;
        if (current == Mode.Revert) revert Broken();
        if (current == Mode.WrongMagic) return 0xdeadbeef;
        if (current == Mode.BurnGas) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        if (current == Mode.ShortReturn) {
            bytes4 magic = IERC1271.isValidSignature.selector;
            assembly ("memory-safe") {
                mstore(0, magic)
                return(0, 4)
            }
        }
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(hash, signature);
        bool valid = problem == ECDSA.RecoverError.NoError && recovered == owner;
        if (current == Mode.Always) valid = true;
        if (current == Mode.Never) valid = false;
        if (current == Mode.Probe) {
            (bool success,) = target.staticcall(data);
            valid = valid && success != expectFailure;
        }
        return valid ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}
