// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

import {IPriceOracle} from "../interfaces/IPriceOracle.sol";
import {FeedReader} from "./libraries/FeedReader.sol";
import {FeedWord, FeedWords} from "./libraries/FeedWord.sol";
import {TwoFeeds} from "./libraries/TwoFeeds.sol";

/// @title Index prices from two Chainlink-shaped feeds a market
/// @notice Every check is in docs/prices.md. The contract holds nothing and calls nobody but the feeds, by static call.
contract PriceOracle is IPriceOracle, AccessManaged {
    /// @dev Two slots. The primary's word holds maxDeviation and minPrice too, the secondary's maxJump and maxPrice.
    struct Market {
        FeedWord primary;
        FeedWord secondary;
    }

    uint256 private constant PPM = 1e6;
    /// @notice Largest price the margin engine computes with, WAD.
    uint256 public constant MAX_PRICE = 1e25;
    /// @notice Liquidations stand still for the grace period, so it is bounded.
    uint256 public constant MAX_GRACE_PERIOD = 1 hours;
    uint256 private constant MIN_DECIMALS = 6;
    uint256 private constant MAX_DECIMALS = 18;

    /// @notice Uptime feed of the rollup's sequencer; zero where there is none.
    address public immutable sequencerFeed;
    /// @notice Seconds after a restart of the sequencer in which no price is usable.
    uint256 public immutable gracePeriod;

    mapping(uint256 market => Market) private _markets;

    /// @param authority_ the access manager
    /// @param sequencerFeed_ zero on chains without a sequencer; the grace period must be zero then too
    constructor(address authority_, address sequencerFeed_, uint256 gracePeriod_) AccessManaged(authority_) {
        if (sequencerFeed_ != address(0) && sequencerFeed_.code.length == 0) {
            revert InvalidSequencerConfig("sequencerFeed");
        }
        if ((sequencerFeed_ == address(0)) != (gracePeriod_ == 0) || gracePeriod_ > MAX_GRACE_PERIOD) {
            revert InvalidSequencerConfig("gracePeriod");
        }
        sequencerFeed = sequencerFeed_;
        gracePeriod = gracePeriod_;
    }

    /// @inheritdoc IPriceOracle
    function setFeeds(uint256 market, FeedConfig calldata config) external restricted {
        if (config.primary.source == address(0)) revert InvalidFeedConfig(market, "primary.source");
        if (config.secondary.source == config.primary.source) revert InvalidFeedConfig(market, "secondary.source");
        if (config.maxDeviation == 0 || config.maxDeviation >= PPM) revert InvalidFeedConfig(market, "maxDeviation");
        if (config.maxJump == 0 || config.maxJump >= PPM) revert InvalidFeedConfig(market, "maxJump");
        (uint40 low, bool lowExact) = FeedWords.packBound(config.minPrice);
        (uint40 high, bool highExact) = FeedWords.packBound(config.maxPrice);
        if (config.minPrice == 0 || !lowExact) revert InvalidFeedConfig(market, "minPrice");
        if (config.maxPrice <= config.minPrice || config.maxPrice > MAX_PRICE || !highExact) {
            revert InvalidFeedConfig(market, "maxPrice");
        }
        _markets[market] = Market({
            primary: _packFeed(market, config.primary, config.maxDeviation, low, "primary.maxAge", "primary.decimals"),
            secondary: _packFeed(
                market, config.secondary, config.maxJump, high, "secondary.maxAge", "secondary.decimals"
            )
        });
        emit FeedsSet(market, config);
    }

    /// @inheritdoc IPriceOracle
    function read(uint256 market, uint256 referencePrice)
        external
        view
        returns (uint256 indexPrice, uint256 observedAt, Validity validity)
    {
        Validity ceiling = _ceiling(_sequencerState());
        if (ceiling == Validity.Invalid) return (0, 0, Validity.Invalid);
        Market storage m = _markets[market];
        (FeedWord primary, FeedWord secondary) = (m.primary, m.secondary);
        (uint256 a, uint256 aTime, FeedProblem aProblem) = _observe(primary, primary.bound(), secondary.bound());
        if (aProblem != FeedProblem.None) a = 0;
        (uint256 b, uint256 bTime, FeedProblem bProblem) = _observe(secondary, primary.bound(), secondary.bound());
        if (bProblem != FeedProblem.None) b = 0;
        (indexPrice, observedAt, validity) =
            TwoFeeds.combine(a, aTime, b, bTime, referencePrice, primary.tolerance(), secondary.tolerance());
        if (validity > ceiling) validity = ceiling;
    }

    /// @inheritdoc IPriceOracle
    function status(uint256 market, uint256 referencePrice) external view returns (MarketStatus memory result) {
        (result.indexPrice, result.observedAt, result.validity) = this.read(market, referencePrice);
        (FeedWord primary, FeedWord secondary) = (_markets[market].primary, _markets[market].secondary);
        result.primary = _feedStatus(primary, primary.bound(), secondary.bound());
        result.secondary = _feedStatus(secondary, primary.bound(), secondary.bound());
        result.sequencer = _sequencerState();
    }

    /// @inheritdoc IPriceOracle
    function feeds(uint256 market) external view returns (FeedConfig memory) {
        (FeedWord primary, FeedWord secondary) = (_markets[market].primary, _markets[market].secondary);
        if (primary.source() == address(0)) revert UnknownMarket(market);
        return FeedConfig({
            primary: Feed(primary.source(), uint24(primary.maxAge())),
            secondary: Feed(secondary.source(), uint24(secondary.maxAge())),
            maxDeviation: uint24(primary.tolerance()),
            maxJump: uint24(secondary.tolerance()),
            minPrice: uint96(primary.bound()),
            maxPrice: uint96(secondary.bound())
        });
    }

    /// @dev One feed's answer and the first thing that is wrong with it.
    /// @return price WAD; counts only if nothing is wrong
    function _observe(FeedWord feed, uint256 minPrice, uint256 maxPrice)
        private
        view
        returns (uint256 price, uint256 updatedAt, FeedProblem problem)
    {
        int256 answer;
        (problem, answer,, updatedAt) = FeedReader.latestRound(feed.source());
        if (problem != FeedProblem.None) return (0, 0, problem);
        if (answer <= 0) return (0, updatedAt, FeedProblem.NotPositive);
        if (uint256(answer) > type(uint96).max) return (0, updatedAt, FeedProblem.TooLarge);
        unchecked {
            // price = answer * 10^(18 - decimals), exact: below 2^96 * 10^12 < 2^136
            price = uint256(answer) * feed.scale();
            if (updatedAt == 0) return (price, updatedAt, FeedProblem.NoTime);
            if (updatedAt > block.timestamp) return (price, updatedAt, FeedProblem.Future);
            if (block.timestamp - updatedAt > feed.maxAge()) return (price, updatedAt, FeedProblem.Stale);
        }
        if (price <= minPrice || price >= maxPrice) problem = FeedProblem.OutOfBounds;
    }

    function _sequencerState() private view returns (SequencerState) {
        if (sequencerFeed == address(0)) return SequencerState.Off;
        (FeedProblem problem, int256 answer, uint256 startedAt,) = FeedReader.latestRound(sequencerFeed);
        // an uptime feed answers 0 for up and 1 for down; startedAt is when that began
        if (problem != FeedProblem.None || startedAt == 0 || startedAt > block.timestamp) {
            return SequencerState.Unknown;
        }
        if (answer == 1) return SequencerState.Down;
        if (answer != 0) return SequencerState.Unknown;
        return block.timestamp - startedAt <= gracePeriod ? SequencerState.Grace : SequencerState.Up;
    }

    /// @dev The highest level a reading can have. Nobody may be liquidated while it cannot act, nor right after; but a
    /// broken uptime feed must not stop liquidations for ever.
    function _ceiling(SequencerState state) private pure returns (Validity) {
        if (state == SequencerState.Down || state == SequencerState.Grace) return Validity.Invalid;
        return state == SequencerState.Unknown ? Validity.Reduced : Validity.Full;
    }

    /// @dev Checks one feed and packs it with the two numbers that share its word. No source: all of it is unset.
    function _packFeed(
        uint256 market,
        Feed calldata feed,
        uint24 tolerance,
        uint40 bound,
        string memory maxAgeName,
        string memory decimalsName
    ) private view returns (FeedWord) {
        bool isSet = feed.source != address(0);
        if (isSet != (feed.maxAge != 0)) revert InvalidFeedConfig(market, maxAgeName);
        if (!isSet) return FeedWords.pack(address(0), 0, 0, tolerance, bound);
        (bool known, uint256 decimals) = FeedReader.decimalsOf(feed.source);
        if (!known || decimals < MIN_DECIMALS || decimals > MAX_DECIMALS) {
            revert InvalidFeedConfig(market, decimalsName);
        }
        return FeedWords.pack(feed.source, feed.maxAge, MAX_DECIMALS - decimals, tolerance, bound);
    }

    function _feedStatus(FeedWord feed, uint256 minPrice, uint256 maxPrice)
        private
        view
        returns (FeedStatus memory seen)
    {
        (seen.price, seen.updatedAt, seen.problem) = _observe(feed, minPrice, maxPrice);
        if (seen.updatedAt != 0 && seen.updatedAt <= block.timestamp) seen.age = block.timestamp - seen.updatedAt;
    }
}
