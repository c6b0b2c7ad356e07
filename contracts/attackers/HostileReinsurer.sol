// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {IReinsurance} from "../../interfaces/IReinsurance.sol";

/// @title A reinsurer that can do everything a reinsurer should not
contract HostileReinsurer is IReinsurance {
    /// @notice Honest pays what is asked as far as it goes. Liar says so and pays nothing. Half pays half of it. Generous pays
    /// twice. Burn uses up its gas and reverts; Loop uses up its gas in a loop. Bomb reverts with 50,000 bytes, LongAnswer
    /// answers with as many. Short answers with less than a word. Reenter calls `target` with `data`, notes the result and
    /// pays. ReenterBlindly reverts with the call. Almost burns until little is left, and pays nothing.
    enum Mode {
        Honest,
        Liar,
        Half,
        Generous,
        Revert,
        Burn,
        Loop,
        Bomb,
        LongAnswer,
        Short,
        Reenter,
        ReenterBlindly,
        Almost
    }

    error Refused();

    IInsuranceFund public immutable FUND;
    IERC20 public immutable ASSET;

    Mode public mode;
    address public target;
    bytes public data;
    /// @notice How often it was asked in vain or not, outside of what was undone.
    uint256 public asked;
    bool public succeeded;
    bytes public returned;
    uint256 public gasSeen;

    constructor(IInsuranceFund fund_) {
        FUND = fund_;
        ASSET = IERC20(fund_.asset());
    }

    function set(Mode mode_, address target_, bytes calldata data_) external {
        (mode, target, data) = (mode_, target_, data_);
        (asked, succeeded) = (0, false);
        delete returned;
    }

    function drawPremium(uint256 assets) external {
        FUND.payPremium(assets);
    }

    function pay(uint256, address, uint256, uint256 wanted) external returns (uint256 assets) {
        gasSeen = gasleft();
        ++asked;
        _misbehave();
        if (mode == Mode.Liar || mode == Mode.Almost) return wanted;
        if (mode == Mode.Reenter || mode == Mode.ReenterBlindly) {
            (succeeded, returned) = target.call(data);
            if (!succeeded && mode == Mode.ReenterBlindly) revert Refused();
        }
        assets = wanted;
        if (mode == Mode.Half) assets = wanted / 2;
        if (mode == Mode.Generous) assets = wanted * 2;
        uint256 held = ASSET.balanceOf(address(this));
        if (assets > held) assets = held;
        ASSET.transfer(msg.sender, assets);
        if (mode == Mode.LongAnswer) _answerLong();
    }

    function quote(address, uint256, uint256 wanted) external view returns (uint256) {
        _misbehave();
        if (mode == Mode.LongAnswer) _answerLong();
        if (mode == Mode.Short) {
            assembly ("memory-safe") {
                mstore(0, not(0))
                return(0, 31)
            }
        }
        return mode == Mode.Generous ? wanted * 2 : wanted;
    }

    function capacity(address, uint256) external view returns (uint256) {
        return ASSET.balanceOf(address(this));
    }

    function _misbehave() private view {
        if (mode == Mode.Revert) revert Refused();
        if (mode == Mode.Burn) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        if (mode == Mode.Loop) while (true) {}
        if (mode == Mode.Bomb) {
            assembly ("memory-safe") {
                revert(0, 50000)
            }
        }
        if (mode == Mode.Almost) while (gasleft() > 5_000) {}
    }

    function _answerLong() private pure {
        assembly {
            mstore(0, not(0))
            return(0, 50000)
        }
    }
}
