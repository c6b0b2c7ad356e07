// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IOrderSettlement} from "./IOrderSettlement.sol";

/// @title Backstop's liquidator: who is liquidated, how much, at which price; and the waterfall
/// @notice Permissionless and stateless: every rule is a function of the engine's state and its parameters.
/// All amounts are WAD.
interface ILiquidator {
    /// @notice What happened to a bankrupt account's deficit. The legs sum exactly to `deficit` (RECEIPT_EXACT).
    /// @param eventId the fund's event number; 0 if the fund had nothing to say
    /// @param sideCharged layer 5: charged to the opposite sides
    /// @param recorded layer 6: recorded, nobody has paid it yet
    struct Receipt {
        uint256 eventId;
        uint256 deficit;
        uint256 compartment;
        uint256 reserve;
        uint256 staked;
        uint256 backing;
        uint256 reinsurance;
        uint256 sideCharged;
        uint256 recorded;
    }

    /// @notice A step of a liquidation: `size` (signed) left the account at `price`; surcharge went to the fund, reward to
    /// the keeper.
    event Liquidated(
        bytes32 indexed account,
        bytes32 indexed keeper,
        uint256 indexed market,
        int256 size,
        uint256 price,
        uint256 surcharge,
        uint256 reward
    );
    event ShortfallResolved(bytes32 indexed account, bytes32 indexed keeper, Receipt receipt);

    /// @notice Inventory came (`size` signed base) from `account`, at `price`.
    event InventoryTaken(uint256 indexed market, bytes32 indexed account, int256 size, uint256 price);
    event InventorySold(uint256 indexed market, bytes32 indexed buyer, int256 size, uint256 price);
    /// @notice All inventory of a market was torn up against the opposite side at the mark.
    event InventoryUnwound(
        uint256 indexed market, bytes32 indexed keeper, int256 size, uint256 markPrice, uint256 reward
    );

    error NotOwner(bytes32 account, address caller);
    error SameAccount(bytes32 account);
    /// @notice Equity is at or above maintenance margin.
    error NotLiquidatable(bytes32 account, int256 equity, uint256 maintenanceMargin);
    /// @notice The account is still below maintenance margin: its clock goes on.
    error StillLiquidatable(bytes32 account, int256 equity, uint256 maintenanceMargin);
    /// @notice Equity is negative: only `closeOut` may act.
    error Bankrupt(bytes32 account, int256 equity);
    /// @notice Equity is not negative: `closeOut` does not apply.
    error NotBankrupt(bytes32 account, int256 equity);
    error NoPosition(bytes32 account, uint256 market);
    error PriceNotUsable(uint256 market);
    /// @notice The take-over price is worse than the keeper's limit.
    error LimitPrice(uint256 price, uint256 limit);
    error TooEarly(bytes32 account, uint256 earliest);
    /// @notice The backstop takes nothing of this market now, and it is too early to deleverage.
    error BackstopFull(uint256 market);
    /// @notice The backstop has no position in this market.
    error NoInventory(uint256 market);
    /// @notice What is left under the loss cap still covers the inventory's maintenance margin.
    error InventoryHolds(uint256 market, uint256 cushion, uint256 maintenanceMargin);
    /// @notice None of the orders could be filled.
    error NothingFilled();
    error OrdersAndSignatures(uint256 orders, uint256 signatures);
    /// @notice What the keeper wants is smaller than a position may be, or would leave less than that.
    error StepTooSmall(uint256 base, uint256 minBase);

    /// @notice Starts the clock of an account below maintenance margin. Nothing changes if it runs already.
    function flag(bytes32 account) external;

    /// @notice Stops the clock of an account that is no longer below maintenance margin.
    function unflag(bytes32 account) external;

    /// @notice The caller's account `keeper` takes over part of a position at the mark less a discount.
    /// @param maxBase at most this much base, WAD; what the rules allow is clipped to it
    /// @param limitPrice worst price for the keeper, WAD
    /// @return base what was taken over, WAD
    /// @return price at which, WAD
    function takeOver(bytes32 account, uint256 market, bytes32 keeper, uint256 maxBase, uint256 limitPrice)
        external
        returns (uint256 base, uint256 price);

    /// @notice Closes part of a position against signed orders that the caller brings, best first.
    /// @param keeper account that gets the reward
    /// @return base what was closed, WAD
    function liquidateWithOrders(
        bytes32 account,
        uint256 market,
        bytes32 keeper,
        IOrderSettlement.Order[] calldata orders,
        bytes[] calldata signatures
    ) external returns (uint256 base);

    /// @notice Moves part of a position to the backstop's account, at the discount that the clock has reached, once the
    /// discount had its time (`ramp` seconds from the flag). What does not fit under the backstop's caps is torn up in the
    /// same transaction if `deleverageDelay` has passed too. Inventory whose cushion is used up is torn up first.
    /// @param keeper account that gets the reward
    /// @return taken base that the backstop took, WAD
    /// @return tornUp base that was closed against the opposite side, WAD
    function liquidateToBackstop(bytes32 account, uint256 market, bytes32 keeper)
        external
        returns (uint256 taken, uint256 tornUp);

    /// @notice The caller's account `buyer` takes inventory over at the auction's price; it needs its own margin.
    /// @param maxBase at most this much base, WAD
    /// @param limitPrice worst price for the buyer, WAD
    function buyInventory(uint256 market, bytes32 buyer, uint256 maxBase, uint256 limitPrice)
        external
        returns (uint256 base, uint256 price);

    /// @notice Tears the backstop's inventory up against the opposite side at the mark, once what is left of its equity
    /// or of its loss cap is less than its maintenance margin.
    /// @param keeper account that gets the fixed reward
    function unwindInventory(uint256 market, bytes32 keeper) external returns (uint256 base);

    /// @notice Like `closeOut`, but the backstop takes the positions at the mark as far as its caps allow; what does not
    /// fit is torn up.
    function closeOutToBackstop(bytes32 account, bytes32 keeper) external returns (Receipt memory receipt);

    /// @notice Closes part of a position against the opposite side at the mark, once nobody took it for
    /// `deleverageDelay` seconds after the flag.
    /// @return base what was closed, WAD
    function deleverage(bytes32 account, uint256 market, bytes32 keeper, uint256 maxBase)
        external
        returns (uint256 base);

    /// @notice Closes all positions of an account with negative equity and sends its deficit down the waterfall, in one
    /// transaction. Positions in markets without a usable price stay, and so does the deficit, until they can be closed.
    /// @param keeper account that gets the fixed reward
    /// @param takePositions the keeper takes the positions at the mark into `keeper` (an account of the caller);
    /// otherwise they are torn up against the opposite sides
    function closeOut(bytes32 account, bytes32 keeper, bool takePositions) external returns (Receipt memory receipt);
}
