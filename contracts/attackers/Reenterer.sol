// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

import {IAggregator} from "../../interfaces/IAggregator.sol";
import {IReinsurance} from "../../interfaces/IReinsurance.sol";
import {IExposureSource} from "../../interfaces/IRiskOracle.sol";
import {ISanctionsList} from "../../interfaces/ISanctionsList.sol";
import {IShortfallClaimant} from "../../interfaces/IShortfallClaimant.sol";

/// @title One attacker in every role from which our contracts can be called back
/// @notice Collateral token with hooks, ERC-1271 wallet, price feed, reinsurer, claimant, sanctions list, source of the fund's
/// target and of the risk oracle's exposure, all at one address. It does its duty in each of them, and on one chosen
/// callback it plays a program: a packed list of calls (20 bytes target, 2 bytes length, data) to whatever it likes.
/// @dev In a static callback (a view of ours, or a view that we ask) only static calls are possible and nothing can be noted:
/// whoever wants to know the outcomes reads the trace. Elsewhere each outcome is an event.
contract Reenterer is ERC20, IERC1271, IAggregator, IReinsurance, ISanctionsList, IShortfallClaimant, IExposureSource {
    /// @param hook selector of the callback that plays; 0: none
    /// @param occurrence how many such callbacks of the transaction go by before
    /// @param start byte of the program with which it begins, `count` how many calls it plays
    /// @param undo every call is undone right after, so that none of them sees another one's doing
    struct Plan {
        bytes4 hook;
        uint32 occurrence;
        uint32 start;
        uint32 count;
        bool undo;
        address program;
    }

    /// @param outcome hash of what was returned, or the first four bytes of what it failed with
    event Played(uint256 position, bytes32 outcome);

    error Undone(bytes32 outcome);

    uint256 private constant MARKS = uint256(keccak256("Reenterer.marks")) >> 96;
    uint256 private constant COLD = 1_000;

    Plan public plan;
    int256 public answer;
    uint256 public debt;
    uint256 public goal;

    constructor(int256 answer_) ERC20("Reenterer", "REENTER") {
        answer = answer_;
        goal = 10 ** 12;
    }

    // ------------------------------------------------------------------ set-up

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setAnswer(int256 answer_) external {
        answer = answer_;
    }

    function setDebt(uint256 debt_) external {
        debt = debt_;
    }

    /// @notice What `target` answers.
    function setGoal(uint256 goal_) external {
        goal = goal_;
    }

    /// @notice Loads a program and says which callback plays it.
    function arm(bytes4 hook, uint32 occurrence, uint32 start, uint32 count, bool undo, bytes calldata program)
        external
    {
        plan = Plan(hook, occurrence, start, count, undo, _store(program));
    }

    /// @notice Acts as its caller wants, outside of any callback.
    function act(address callee, bytes calldata data) external returns (bytes memory returned) {
        bool success;
        (success, returned) = callee.call(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(returned, 32), mload(returned))
            }
        }
    }

    /// @notice Plays a program here and now, call after call.
    function play(bytes calldata program, uint256 count) external {
        _play(_store(program), 0, count, false);
    }

    /// @notice Outcomes of a program of views.
    function look(bytes calldata program, uint256 count) external view returns (bytes32[] memory outcomes) {
        outcomes = new bytes32[](count);
        uint256 at;
        for (uint256 i = 0; i < count; ++i) {
            address callee = address(bytes20(program[at:at + 20]));
            uint256 length = uint16(bytes2(program[at + 20:at + 22]));
            (bool success, bytes memory returned) = callee.staticcall(program[at + 22:at + 22 + length]);
            outcomes[i] = _outcome(success, returned);
            at += 22 + length;
        }
    }

    // ------------------------------------------------------------------ token

    function decimals() public view override(ERC20, IAggregator) returns (uint8) {
        _lookAround();
        return 6;
    }

    function balanceOf(address account) public view override returns (uint256) {
        _lookAround();
        return super.balanceOf(account);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        _callBack();
        super.transfer(to, amount);
        _callBack();
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        _callBack();
        super.transferFrom(from, to, amount);
        _callBack();
        return true;
    }

    function approve(address spender, uint256 amount) public override returns (bool) {
        _callBack();
        super.approve(spender, amount);
        _callBack();
        return true;
    }

    // ------------------------------------------------------------------ the other roles

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        _lookAround();
        return IERC1271.isValidSignature.selector;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        _lookAround();
        return (1, answer, block.timestamp, block.timestamp, 1);
    }

    function isSanctioned(address) external view returns (bool) {
        _lookAround();
        return false;
    }

    function openDeficit(uint256) external view returns (uint256) {
        _lookAround();
        return debt;
    }

    function exposure() external view returns (uint256) {
        _lookAround();
        return goal;
    }

    /// @notice As the fund's risk oracle.
    function target() external view returns (uint256) {
        _lookAround();
        return goal;
    }

    function quote(address, uint256, uint256 wanted) external view returns (uint256) {
        _lookAround();
        return wanted;
    }

    function capacity(address, uint256) external pure returns (uint256) {
        return type(uint256).max;
    }

    /// @dev Pays without the token's hooks: those are callbacks of their own.
    function pay(uint256, address, uint256, uint256 wanted) external returns (uint256) {
        _callBack();
        _mint(msg.sender, wanted);
        _callBack();
        return wanted;
    }

    // ------------------------------------------------------------------ playing

    function _callBack() private {
        if (_isDue()) _play(plan.program, plan.start, plan.count, plan.undo);
    }

    function _lookAround() private view {
        if (!_isDue()) return;
        uint256 at = plan.start;
        address program = plan.program;
        for (uint256 left = plan.count; left != 0; --left) {
            address callee;
            bytes memory data;
            (callee, data, at) = _read(program, at);
            (bool success,) = callee.staticcall(data);
            success;
        }
    }

    function _play(address program, uint256 at, uint256 count, bool undo) private {
        for (uint256 i = 0; i < count; ++i) {
            address callee;
            bytes memory data;
            (callee, data, at) = _read(program, at);
            emit Played(i, undo ? _undone(callee, data) : _do(callee, data));
        }
    }

    function _do(address callee, bytes memory data) private returns (bytes32) {
        (bool success, bytes memory returned) = callee.call(data);
        return _outcome(success, returned);
    }

    function _undone(address callee, bytes memory data) private returns (bytes32 outcome) {
        try this.attempt(callee, data) {}
        catch (bytes memory reason) {
            assembly ("memory-safe") {
                outcome := mload(add(reason, 36))
            }
        }
    }

    /// @notice A call whose effects are undone: reverts with the outcome.
    function attempt(address callee, bytes calldata data) external {
        revert Undone(_do(callee, data));
    }

    function _outcome(bool success, bytes memory returned) private pure returns (bytes32) {
        return success ? keccak256(returned) : bytes32(bytes4(returned));
    }

    /// @dev Whether this is the callback of the plan. It cannot be counted in storage, because it may be static: each
    /// occurrence calls one more address that nobody else calls, and finds by its price that it is the first to do so.
    function _isDue() private view returns (bool) {
        if (msg.sig != plan.hook || plan.count == 0) return false;
        uint256 occurrence = plan.occurrence;
        for (uint256 n = 0; n <= occurrence; ++n) {
            if (_isNew(address(uint160(MARKS + n)))) return n == occurrence;
        }
        return false;
    }

    function _isNew(address mark) private view returns (bool) {
        uint256 cost = gasleft();
        assembly ("memory-safe") {
            pop(staticcall(0, mark, 0, 0, 0, 0))
        }
        return cost - gasleft() > COLD;
    }

    /// @dev The program as the code of an address, behind a byte that stops whoever calls it: reading it is cheap.
    function _store(bytes memory program) private returns (address where) {
        bytes memory code = abi.encodePacked(hex"61", uint16(program.length + 1), hex"80600a3d393df300", program);
        assembly ("memory-safe") {
            where := create(0, add(code, 32), mload(code))
        }
        require(where != address(0), "program too long");
    }

    function _read(address program, uint256 at) private view returns (address callee, bytes memory data, uint256 next) {
        assembly ("memory-safe") {
            extcodecopy(program, 0, add(at, 1), 22)
            let head := mload(0)
            callee := shr(96, head)
            let length := and(shr(80, head), 0xffff)
            data := mload(0x40)
            mstore(data, length)
            extcodecopy(program, add(data, 32), add(at, 23), length)
            mstore(0x40, add(add(data, 32), and(add(length, 31), not(31))))
            next := add(add(at, 22), length)
        }
    }
}
