// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Signed orders (EIP-712): filling one, matching two, cancelling
interface IOrderSettlement {
    /// @notice An order of an account's owner.
    /// @param account the account that trades (owner address in the top 20 bytes, subaccount number in the low 12)
    /// @param market market number in the engine
    /// @param isBuy true to buy base
    /// @param reduceOnly the order only ever shrinks the account's position; it is clipped to it
    /// @param base quantity, WAD
    /// @param limitPrice worst price, WAD quote per base
    /// @param expiry last second at which it may be filled
    /// @param nonce any number the owner has not used and that is not below the account's minimum
    struct Order {
        bytes32 account;
        uint8 market;
        bool isBuy;
        bool reduceOnly;
        uint128 base;
        uint128 limitPrice;
        uint40 expiry;
        uint64 nonce;
    }

    /// @notice What has become of an order.
    enum Status {
        Open,
        PartlyFilled,
        Filled,
        Cancelled,
        Expired
    }

    event OrderFilled(
        bytes32 indexed orderHash,
        bytes32 indexed account,
        bytes32 indexed counterparty,
        uint256 market,
        bool isBuy,
        uint256 base,
        uint256 fillPrice
    );
    event NonceCancelled(bytes32 indexed account, uint256 nonce);
    event MinimumNonceRaised(bytes32 indexed account, uint256 minimumNonce);

    error NotOwner(bytes32 account, address caller);
    error NotLiquidator(address caller);
    error OrderExpired(bytes32 orderHash, uint256 expiry);
    error NonceUsed(bytes32 account, uint256 nonce);
    error NonceBelowMinimum(bytes32 account, uint256 nonce, uint256 minimumNonce);
    /// @notice Nonces have 64 bits.
    error NonceTooLarge(uint256 nonce);
    error MinimumNonceNotRaised(uint256 current, uint256 given);
    error InvalidSignature(bytes32 orderHash, address owner);
    error SameAccount(bytes32 account);
    error NothingToFill(bytes32 orderHash);
    error DifferentMarkets(uint256 first, uint256 second);
    error SameSide();
    /// @notice The two orders do not cross: the buyer's limit is below the seller's.
    error NotCrossing(uint256 buyLimit, uint256 sellLimit);
    /// @notice A reduce-only order of an account that has no position on the other side.
    error NothingToReduce(bytes32 account, uint256 market);

    /// @notice Fills one signed (maker) order against `taker`, an account of the caller, at the maker's limit price.
    /// The quantity is clipped to what is left of the order (and, if it is reduce-only, to the maker's position).
    /// @return filled base quantity, WAD
    function fill(Order calldata maker, bytes calldata signature, bytes32 taker, uint256 base)
        external
        returns (uint256 filled);

    /// @notice Matches two signed orders at the maker's limit price. Anybody may call.
    /// @return filled base quantity, WAD: at most what is left of either
    function matchOrders(
        Order calldata maker,
        bytes calldata makerSignature,
        Order calldata taker,
        bytes calldata takerSignature,
        uint256 base
    ) external returns (uint256 filled);

    /// @notice Fills a signed order against an account in liquidation. Only the liquidator, which holds the lock.
    /// @return filled base quantity, WAD
    function fillLiquidation(Order calldata maker, bytes calldata signature, bytes32 liquidated, uint256 base)
        external
        returns (uint256 filled);

    /// @notice Makes one nonce of the caller's account unusable.
    function cancel(bytes32 account, uint256 nonce) external;

    /// @notice Makes all nonces of the caller's account below `newMinimum` unusable.
    function cancelAll(bytes32 account, uint256 newMinimum) external;

    /// @notice EIP-712 digest that the owner signs.
    function hashOrder(Order calldata order) external view returns (bytes32);

    /// @notice Filled quantity (WAD) and status of an order. It does not look at signatures or margin.
    function orderStatus(Order calldata order) external view returns (uint256 filled, Status status);

    /// @notice Smallest usable nonce of an account.
    function minimumNonce(bytes32 account) external view returns (uint256);
}
