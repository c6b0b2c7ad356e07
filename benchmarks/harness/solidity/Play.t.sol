// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IInsuranceFund} from "interfaces/IInsuranceFund.sol";
import {ILiquidator} from "interfaces/ILiquidator.sol";
import {IMarginEngine} from "interfaces/IMarginEngine.sol";
import {IOrderSettlement} from "interfaces/IOrderSettlement.sol";

/// @dev The cheat codes that are used here.
interface Vm {
    function loadAllocs(string calldata path) external;
    function warp(uint256 time) external;
    function prank(address sender) external;
    function sign(uint256 key, bytes32 digest) external returns (uint8 v, bytes32 r, bytes32 s);
    function readFile(string calldata path) external returns (string memory);
    function parseJsonAddress(string calldata json, string calldata key) external returns (address);
    function parseJsonAddressArray(string calldata json, string calldata key) external returns (address[] memory);
    function parseJsonBytesArray(string calldata json, string calldata key) external returns (bytes[] memory);
    function parseJsonBytes32Array(string calldata json, string calldata key) external returns (bytes32[] memory);
    function parseJsonUint(string calldata json, string calldata key) external returns (uint256);
    function parseJsonUintArray(string calldata json, string calldata key) external returns (uint256[] memory);
}

interface Feed {
    function push(int128 answer) external;
}

interface Token {
    function balanceOf(address who) external view returns (uint256);
}

/// @notice A handler in Foundry's manner for the same deployment that the bulk fuzz plays: traders, keepers, feeds.
/// After every action all views of the bulk fuzz are read; there is no twin to compare them with.
contract Handler {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    IMarginEngine public engine;
    IOrderSettlement public settlement;
    ILiquidator public liquidator;
    IInsuranceFund public fund;
    Token public token;
    address public admin;
    bytes32[] public accounts;
    uint256[] public keys;
    address[] public feeds;
    uint256[] public answers;
    address[] public viewTargets;
    bytes[] public views;
    uint256 public time;
    uint256 public actions;
    uint256 public accepted;
    uint64 private nonce = 1;

    constructor(string memory json) {
        engine = IMarginEngine(VM.parseJsonAddress(json, ".engine"));
        settlement = IOrderSettlement(VM.parseJsonAddress(json, ".settlement"));
        liquidator = ILiquidator(VM.parseJsonAddress(json, ".liquidator"));
        fund = IInsuranceFund(VM.parseJsonAddress(json, ".fund"));
        token = Token(VM.parseJsonAddress(json, ".token"));
        admin = VM.parseJsonAddress(json, ".admin");
        accounts = VM.parseJsonBytes32Array(json, ".accounts");
        keys = VM.parseJsonUintArray(json, ".keys");
        feeds = VM.parseJsonAddressArray(json, ".feeds");
        answers = VM.parseJsonUintArray(json, ".answers");
        viewTargets = VM.parseJsonAddressArray(json, ".viewTargets");
        views = VM.parseJsonBytesArray(json, ".views");
        time = VM.parseJsonUint(json, ".time");
        for (uint256 i = 0; i < accounts.length; ++i) {
            _act(_owner(accounts[i]), address(engine), abi.encodeCall(engine.deposit, (accounts[i], 5e9)));
        }
        require(accepted == accounts.length, "a first deposit failed");
    }

    /// @dev Lets time pass, acts, reads every view.
    modifier action(uint256 delay) {
        time += delay % 90;
        VM.warp(time);
        ++actions;
        _;
        for (uint256 i = 0; i < views.length; ++i) {
            (bool ok,) = viewTargets[i].staticcall(views[i]);
            require(ok, "a view failed");
        }
    }

    function deposit(uint256 who, uint256 assets, uint256 delay) external action(delay) {
        bytes32 account = _account(who);
        _act(_owner(account), address(engine), abi.encodeCall(engine.deposit, (account, assets % 1e11)));
    }

    function withdraw(uint256 who, uint256 assets, uint256 delay) external action(delay) {
        bytes32 account = _account(who);
        address owner = _owner(account);
        _act(owner, address(engine), abi.encodeCall(engine.withdraw, (account, assets % 1e10, owner)));
    }

    function trade(uint256 maker, uint256 taker, uint256 market, bool isBuy, uint256 base, uint256 bps, uint256 delay)
        external
        action(delay)
    {
        uint256 m = market % 3;
        uint256 price = answers[m] * 1e10 * (9_900 + bps % 200) / 10_000;
        uint256 size = 1e15 + base % (1e24 / (price / 1e15));
        IOrderSettlement.Order memory order = IOrderSettlement.Order(
            _account(maker), uint8(m), isBuy, false, uint128(size), uint128(price), uint40(time + 600), nonce++
        );
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(keys[maker % accounts.length], settlement.hashOrder(order));
        bytes32 other = _account(taker);
        _act(
            _owner(other),
            address(settlement),
            abi.encodeCall(settlement.fill, (order, abi.encodePacked(r, s, v), other, size))
        );
    }

    function move(uint256 market, uint256 bps, uint256 delay) external action(delay) {
        uint256 m = market % 3;
        answers[m] = answers[m] * (9_500 + bps % 1_000) / 10_000;
        _act(admin, feeds[2 * m], abi.encodeCall(Feed.push, (int128(uint128(answers[m])))));
        _act(admin, feeds[2 * m + 1], abi.encodeCall(Feed.push, (int128(uint128(answers[m] * 100)))));
    }

    function poke(uint256 market, uint256 delay) external action(delay) {
        _act(admin, address(engine), abi.encodeCall(engine.poke, (market % 3)));
    }

    function flag(uint256 who, uint256 delay) external action(delay) {
        _act(admin, address(liquidator), abi.encodeCall(liquidator.flag, (_account(who))));
    }

    function takeOver(uint256 who, uint256 market, uint256 keeper, uint256 base, uint256 delay) external action(delay) {
        bytes32 mine = _account(keeper);
        _act(
            _owner(mine),
            address(liquidator),
            abi.encodeCall(liquidator.takeOver, (_account(who), market % 3, mine, 1 + base % 1e22, type(uint128).max))
        );
    }

    function deleverage(uint256 who, uint256 market, uint256 keeper, uint256 delay) external action(delay) {
        bytes32 mine = _account(keeper);
        _act(
            _owner(mine),
            address(liquidator),
            abi.encodeCall(liquidator.deleverage, (_account(who), market % 3, mine, type(uint128).max))
        );
    }

    function closeOut(uint256 who, uint256 keeper, bool take, uint256 delay) external action(delay) {
        bytes32 mine = _account(keeper);
        _act(_owner(mine), address(liquidator), abi.encodeCall(liquidator.closeOut, (_account(who), mine, take)));
    }

    function _act(address sender, address to, bytes memory data) private {
        VM.prank(sender);
        (bool ok,) = to.call(data);
        if (ok) ++accepted;
    }

    function _account(uint256 seed) private view returns (bytes32) {
        return accounts[seed % accounts.length];
    }

    function _owner(bytes32 account) private pure returns (address) {
        return address(bytes20(account));
    }
}

/// @notice What `forge test` runs.
contract PlayTest {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    Handler private handler;

    function setUp() external {
        VM.loadAllocs("allocs.json");
        handler = new Handler(VM.readFile("setup.json"));
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_fundHoldsWhatItOwes() external view {
        IInsuranceFund fund = handler.fund();
        require(handler.token().balanceOf(address(fund)) >= fund.totalCapital(), "fund");
    }

    function afterInvariant() external view {
        uint256 later = handler.accepted() - 7;
        require(handler.actions() < 50 || later * 8 > handler.actions(), "hardly anything was accepted");
    }
}
