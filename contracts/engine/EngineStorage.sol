// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Guarded} from "../Guarded.sol";
import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {IMarginEngineTypes} from "../../interfaces/IMarginEngineTypes.sol";
import {IPriceOracle} from "../../interfaces/IPriceOracle.sol";
import {ISanctionsList} from "../../interfaces/ISanctionsList.sol";
import {ISharedLock} from "../../interfaces/ISharedLock.sol";
import {SideIndex} from "../libraries/SideIndex.sol";

/// @title State and wiring of the margin engine
/// @dev Each struct named "one slot" is exactly one storage word; gas rests on it (docs/gas.md).
abstract contract EngineStorage is IMarginEngineTypes, Guarded, AccessManaged {
    /// @notice Contracts of a deployment; fixed, because a new version is a new deployment.
    struct Wiring {
        address authority;
        IERC20 token;
        IPriceOracle oracle;
        IInsuranceFund fund;
        address settlement;
        address liquidator;
        ISharedLock lock;
        ISanctionsList sanctions;
    }

    /// @dev One slot. `markets`: bit n is set while the account may have a position in market n.
    struct Account {
        int120 collateral;
        uint64 markets;
        uint40 flaggedAt;
        bool hasLock;
    }

    /// @dev One slot. Realised profit that is not withdrawable yet.
    struct ProfitLock {
        uint112 amount;
        uint40 start;
        uint40 end;
    }

    /// @dev One slot. Exact sums of the sides' basis, and until when funding is accrued.
    struct Totals {
        uint112 basisLong;
        uint112 basisShort;
        uint32 accruedAt;
    }

    /// @dev One slot. The mark, and the premium that funding is charged on (1e-9).
    struct Mark {
        uint88 price;
        uint32 time;
        uint32 observedAt;
        uint32 premiumTime;
        int32 heldPremium;
        int32 averagePremium;
        IPriceOracle.Validity validity;
    }

    /// @dev One slot. Income waiting to be handed over, the guardian's switch, and the length of the market's fair windows
    /// in minutes (0: none).
    struct Income {
        uint120 fund;
        uint120 treasury;
        bool riskPaused;
        uint8 fairWindow;
    }

    /// @dev K at the end of a side's epoch; `claims`: deferred claims of the side were open, and are.
    struct EndedSide {
        int160 K;
        bool claims;
    }

    /// @dev What an account did on a side with open claims: `left` is the claim it took along, `joined` what it paid in.
    struct WindowRecord {
        uint128 left;
        uint128 joined;
    }

    struct Market {
        Totals totals;
        SideIndex.Side long;
        SideIndex.Side short;
        Mark mark;
        MarketParameters parameters; // two slots
        Income income;
        LiquidationParameters liquidation; // one slot
        uint256 recordedDeficit;
    }

    /// @notice Most markets that can be listed: one bit each in an account's slot.
    uint256 internal constant MAX_MARKETS = 64;
    /// @notice Most markets one account may be in, so that no valuation grows beyond a bound.
    uint256 internal constant MAX_MARKETS_PER_ACCOUNT = 16;
    /// @notice Largest price, WAD: 1e7 quote per base. Keeps every product of the index inside its type.
    uint256 internal constant MAX_PRICE = 1e25;

    IERC20 internal immutable TOKEN;
    /// @dev WAD per unit of the token.
    uint256 internal immutable SCALE;
    IPriceOracle internal immutable ORACLE;
    IInsuranceFund internal immutable FUND;
    address internal immutable SETTLEMENT;
    address internal immutable LIQUIDATOR;
    /// @dev Zero: no list.
    ISanctionsList internal immutable SANCTIONS;

    uint256 internal _marketCount;
    mapping(uint256 market => Market) internal _markets;
    mapping(bytes32 account => Account) internal _accounts;
    mapping(bytes32 account => mapping(uint256 market => SideIndex.Position)) internal _positions;
    mapping(bytes32 account => ProfitLock) internal _profitLocks;
    /// @dev By the tag that the positions of the side carry.
    mapping(uint256 market => mapping(uint256 tag => EndedSide)) internal _ended;
    mapping(uint256 market => CoverBase) internal _coverBases;

    FairWindow internal _fairWindow;
    mapping(uint256 market => MarketClaims) internal _marketClaims;
    mapping(uint256 market => mapping(uint256 tag => SideClaims)) internal _sideClaims;
    mapping(uint256 window => mapping(uint256 market => WindowRate)) internal _windowRates;
    mapping(bytes32 account => mapping(uint256 market => mapping(uint256 window => WindowRecord))) internal
        _windowRecords;
    /// @dev The account that is being closed out: the claims it leaves behind are its markets'.
    bytes32 internal transient _closedOut;

    constructor(Wiring memory w) Guarded(w.lock) AccessManaged(w.authority) {
        if (address(w.token).code.length == 0) revert UnsupportedAsset(address(w.token), "no code");
        uint256 decimals = IERC20Metadata(address(w.token)).decimals();
        if (decimals < 6 || decimals > 18) revert UnsupportedAsset(address(w.token), "decimals outside 6..18");
        TOKEN = w.token;
        SCALE = 10 ** (18 - decimals);
        ORACLE = w.oracle;
        FUND = w.fund;
        SETTLEMENT = w.settlement;
        LIQUIDATOR = w.liquidator;
        SANCTIONS = w.sanctions;
    }

    modifier onlySettlement() {
        if (msg.sender != SETTLEMENT) revert NotSettlement(msg.sender);
        _;
    }

    modifier onlyLiquidator() {
        if (msg.sender != LIQUIDATOR) revert NotLiquidator(msg.sender);
        _;
    }
}
