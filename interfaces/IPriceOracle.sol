// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Index prices from two Chainlink-shaped feeds a market
interface IPriceOracle {
    /// @notice How far a price may be trusted. Ordered: a higher level allows everything a lower one does.
    /// Invalid: no usable price, nothing that needs one may happen.
    /// Reduced: one feed only, feeds that disagree, or a jump beyond the cap: risk may fall, accounts may be liquidated,
    /// nothing may be opened or withdrawn against it.
    /// Full: both feeds fresh and in agreement.
    enum Validity {
        Invalid,
        Reduced,
        Full
    }

    /// @notice Why a feed is not used.
    /// NotSet: no such feed. CallFailed: it reverted, or used up its gas. ShortReturn: less than five words came back
    /// (also: no code). NotPositive: the answer is zero or negative. TooLarge: the answer is not below 2^96.
    /// NoTime: `updatedAt` is zero. Future: `updatedAt` is later than the block. Stale: older than `maxAge`.
    /// OutOfBounds: the price is at or outside `minPrice` or `maxPrice`.
    enum FeedProblem {
        None,
        NotSet,
        CallFailed,
        ShortReturn,
        NotPositive,
        TooLarge,
        NoTime,
        Future,
        Stale,
        OutOfBounds
    }

    /// @notice What the uptime feed of a rollup's sequencer says.
    /// Off: there is none here. Up. Grace: up again, but for no longer than the grace period. Down. Unknown: the uptime
    /// feed fails.
    enum SequencerState {
        Off,
        Up,
        Grace,
        Down,
        Unknown
    }

    /// @param source Chainlink-shaped aggregator (`latestRoundData`), 6 to 18 decimals
    /// @param maxAge seconds an answer stays usable after `updatedAt`; 0 is refused (unset is never unlimited)
    struct Feed {
        address source;
        uint24 maxAge;
    }

    /// @param primary first feed
    /// @param secondary second feed; may be the zero address only if the market is meant to run at `Reduced` for ever
    /// @param maxDeviation largest distance of the two answers, 1e-6 of the smaller one; above 0, below 1e6
    /// @param maxJump largest distance from the caller's reference price at which the reading keeps its level, 1e-6;
    /// above 0, below 1e6
    /// @param minPrice below the smallest price that can be true, WAD, above 0, at most ten significant decimal digits
    /// @param maxPrice above the largest price that can be true, WAD, at most 1e25, likewise
    struct FeedConfig {
        Feed primary;
        Feed secondary;
        uint24 maxDeviation;
        uint24 maxJump;
        uint96 minPrice;
        uint96 maxPrice;
    }

    /// @notice One feed now, for dashboards.
    /// @param price WAD; also of an answer that is too old or out of bounds; 0 if there is none
    /// @param updatedAt as the feed says; 0 if it says nothing
    /// @param age seconds since `updatedAt`; 0 if that is unknown or in the future
    struct FeedStatus {
        FeedProblem problem;
        uint256 price;
        uint256 updatedAt;
        uint256 age;
    }

    /// @notice A reading with what led to it.
    struct MarketStatus {
        FeedStatus primary;
        FeedStatus secondary;
        SequencerState sequencer;
        uint256 indexPrice;
        uint256 observedAt;
        Validity validity;
    }

    event FeedsSet(uint256 indexed market, FeedConfig config);

    error UnknownMarket(uint256 market);
    error InvalidFeedConfig(uint256 market, string field);
    error InvalidSequencerConfig(string field);
    /// @notice The transaction's gas limit does not leave every feed its share: a caller must not be able to choose, by
    /// being stingy, which feeds are heard.
    error NotEnoughGas(uint256 available, uint256 required);

    /// @notice Sets the feeds and bounds of `market`, a new one or an existing one. Restricted: the delay is the access
    /// manager's.
    function setFeeds(uint256 market, FeedConfig calldata config) external;

    /// @notice The index price of `market` now. Never reverts for what a feed does (it may revert, lie, or be gone), nor
    /// for an unknown market (`Invalid`).
    /// @param referencePrice the caller's last accepted price, WAD; 0 if there is none yet (no jump check then)
    /// @return indexPrice WAD quote per base unit; 0 if invalid
    /// @return observedAt the time of the freshest observation used; 0 if invalid
    /// @return validity how far the price may be trusted
    function read(uint256 market, uint256 referencePrice)
        external
        view
        returns (uint256 indexPrice, uint256 observedAt, Validity validity);

    /// @notice The same reading with its reasons.
    function status(uint256 market, uint256 referencePrice) external view returns (MarketStatus memory);

    /// @notice The feeds and bounds of `market`.
    function feeds(uint256 market) external view returns (FeedConfig memory);
}
