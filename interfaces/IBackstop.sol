// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title The fund's own accounts in the engine: inventory nobody else takes
/// @notice One account a market, so that no market's loss reaches another. The fund deploys collateral into it; the
/// liquidator moves positions in and out; this contract keeps the caps and the books. Amounts named `assets` and all
/// caps are units of the token.
interface IBackstop {
    /// @notice Hard limits and the auction of one market. Unset is zero: nothing is deployed and nothing is taken.
    /// @param capital most collateral that the fund has in the market's account
    /// @param notional largest inventory, of notional at the mark
    /// @param auctionTime seconds in which the asking price falls from premium to floor
    /// @param loss most that the fund may lose since the last `resetLoss`: what it put in less what the account is worth
    /// @param marginPpm part of its notional that inventory needs as cushion when it is taken, 1e-6
    /// @param premiumPpm asking price above the mark when an auction starts, 1e-6 (below the mark for short inventory)
    /// @param maxDiscountPpm the floor: never sold further from the mark than this, 1e-6
    struct Caps {
        uint112 capital;
        uint112 notional;
        uint32 auctionTime;
        uint112 loss;
        uint24 marginPpm;
        uint24 premiumPpm;
        uint24 maxDiscountPpm;
    }

    /// @notice What is remembered of one market.
    /// @param invested what the fund put in less what came back, since the last `resetLoss`; deficits it paid for the
    /// account count as put in
    /// @param auctionStart when the auction of the present inventory would have started, had it all come at once; 0 before
    /// the first
    struct Book {
        uint112 invested;
        uint40 auctionStart;
    }

    /// @notice A market's account and books at once.
    /// @param room what may still be lost until the loss cap; never below 0
    /// @param price what the next buyer pays (gets, for a short) per base, WAD; 0 without inventory
    struct Inventory {
        bytes32 account;
        uint256 invested;
        int256 size;
        uint256 markPrice;
        int256 equity;
        uint256 maintenanceMargin;
        uint256 room;
        uint256 price;
        uint256 auctionStart;
    }

    event CapsSet(uint256 indexed market, Caps caps);
    event CapitalDeployed(uint256 indexed market, uint256 assets, uint256 invested);
    event CapitalReleased(uint256 indexed market, uint256 assets, uint256 invested);
    event AuctionSet(uint256 indexed market, uint256 auctionStart);
    /// @notice The fund paid a deficit of this market's account.
    event DeficitBooked(uint256 indexed market, uint256 assets, uint256 invested);
    /// @notice Governance wrote a loss off: the loss cap is whole again.
    event LossReset(uint256 indexed market, uint256 writtenOff);

    error NotLiquidator(address caller);
    error InvalidCaps(uint256 market, string field);
    error NotTighter(uint256 market, string field);
    /// @notice No room below the capital cap, or the fund may not draw anything.
    error NothingToDeploy(uint256 market);
    /// @notice Nothing above what the market needs, or nothing that may be withdrawn.
    error NothingToRelease(uint256 market);
    /// @notice Losses of this market wait for the fund's money: no new inventory capital.
    error DeficitOpen(uint256 market);

    // ------------------------------------------------------------------ anybody

    /// @notice Brings collateral from the fund into the market's account: compartment first, then the reserve, inside
    /// their draw limits, at most up to the capital cap.
    /// @param maxAssets at most so much
    function deploy(uint256 market, uint256 maxAssets) external returns (uint256 assets);

    /// @notice Takes collateral above the capital cap back to the fund; all that is free while a deficit of the market
    /// is recorded.
    function release(uint256 market, uint256 maxAssets) external returns (uint256 assets);

    // ------------------------------------------------------------------ liquidator

    /// @notice Inventory changed from `before` to `afterwards` (base, signed WAD): moves the auction.
    function noteChange(uint256 market, int256 before, int256 afterwards) external;

    /// @notice The fund paid `assets` of a deficit of `account`, which is one of ours.
    function noteDeficit(bytes32 account, uint256 assets) external;

    // ------------------------------------------------------------------ roles

    /// @notice Sets the caps of a market in any direction.
    function setCaps(uint256 market, Caps calldata caps) external;

    /// @notice Same, but nothing may become looser; meant for a role without delay.
    function tightenCaps(uint256 market, Caps calldata caps) external;

    /// @notice Writes the market's loss off, so that its loss cap is whole again.
    function resetLoss(uint256 market) external returns (uint256 writtenOff);

    // ------------------------------------------------------------------ views (revert while a call is in flight)

    /// @notice The account of a market: this contract's address and the market's number.
    function accountOf(uint256 market) external view returns (bytes32);

    function terms(uint256 market) external view returns (Caps memory caps, Book memory book);

    /// @notice Account, books and asking price of a market now.
    function inventory(uint256 market) external view returns (Inventory memory);
}
