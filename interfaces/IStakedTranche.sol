// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Layer 3 of the fund: staked capital
/// @notice Shares are an ERC-20 with permit. Coming in is the deposit side of ERC-4626; going out is the redeem side of
/// ERC-7540: a request burns the shares at once and moves their assets into the bucket of the running epoch, where they
/// earn nothing, stay slashable until the bucket matures, and are fixed from then on. The tokens are held by the fund.
/// A request's shares are counted in shares of its bucket: everybody in a bucket gets the same for each of them.
interface IStakedTranche {
    /// @notice All requests of one epoch. `assets` and `shares` fall as matured requests are claimed.
    struct Bucket {
        uint112 assets;
        uint112 shares;
        uint32 maturity;
    }

    /// @notice How a loss fell on those who stood for it, so that a recovery can reach them.
    /// @param era number of the loss, from 1; 0 for one that is not on record
    /// @param series the active stake was in, and `supply` its shares then
    /// @param fromActive what the active stake bore
    /// @param firstBucket number of the first open bucket; `cuts` what each bore, `shares` the shares of each
    struct Loss {
        uint256 era;
        uint256 series;
        uint256 supply;
        uint256 fromActive;
        uint256 firstBucket;
        uint256[] cuts;
        uint256[] shares;
    }

    event Deposit(address indexed sender, address indexed owner, uint256 assets, uint256 shares);
    event Withdraw(
        address indexed sender, address indexed receiver, address indexed owner, uint256 assets, uint256 shares
    );
    event RedeemRequest(
        address indexed controller, address indexed owner, uint256 indexed requestId, address sender, uint256 shares
    );
    event OperatorSet(address indexed controller, address indexed operator, bool approved);
    /// @notice A loss. `cuts` are the parts of the buckets `firstBucket`, `firstBucket + 1`, ...
    event Slashed(uint256 indexed series, uint256 loss, uint256 fromActive, uint256 firstBucket, uint256[] cuts);
    /// @notice Shares of this series are worth nothing any more; `rest` went to the operator's reserve.
    event SeriesEnded(uint256 indexed series, uint256 rest);
    /// @notice Of what came back for loss `era`, `assets` are for those who held `part` then (0: shares, else a bucket).
    event LossRecovered(uint256 indexed era, uint256 indexed part, uint256 assets);
    event RecoveryCollected(address indexed holder, uint256 indexed era, uint256 indexed part, uint256 assets);
    event IncomeAdded(uint256 assets, uint256 streaming, uint256 streamEnd);
    event MaturityHeld(uint256 until);
    event TermsSet(uint256 cap, uint256 cooldown);

    error NotFund(address caller);
    error NotController(address controller, address caller);
    error ZeroAssets();
    error ZeroShares();
    error AboveCap(uint256 assets, uint256 room);
    error AboveMaximum(uint256 value, uint256 maximum);
    error InvalidTerms(string field);
    error WrongAmountReceived(uint256 expected, uint256 received);
    /// @notice Nothing of that size can be claimed: no such request, not mature, or claimed already.
    error NotClaimable(address controller, uint256 requestId, uint256 shares, uint256 claimable);
    /// @notice ERC-7540: what a redemption will pay is not known before it matures.
    error PreviewUnknown();
    error NothingToCollect(address holder, uint256 era, uint256 part);

    /// @notice Takes exactly `assets` and mints shares for them, rounded down.
    function deposit(uint256 assets, address receiver) external returns (uint256 shares);

    /// @notice Mints exactly `shares` for assets, rounded up.
    function mint(uint256 shares, address receiver) external returns (uint256 assets);

    /// @notice Burns `shares` of `owner` and queues their assets for `controller`. Irrevocable.
    function requestRedeem(uint256 shares, address controller, address owner) external returns (uint256 requestId);

    /// @notice Pays `shares` of the controller's first request, if it is mature: the oldest one, or the first made after
    /// that was claimed. Any other is paid by `claim`.
    function redeem(uint256 shares, address receiver, address controller) external returns (uint256 assets);

    /// @notice Pays exactly `assets` of the same request as `redeem`, if it is mature.
    function withdraw(uint256 assets, address receiver, address controller) external returns (uint256 shares);

    /// @notice Pays all of one request.
    function claim(uint256 requestId, address receiver, address controller) external returns (uint256 assets);

    function setOperator(address operator, bool approved) external returns (bool);

    /// @notice Pays a holder its part of what has come back for loss `era`; anybody may call, the holder is paid.
    /// @param part 0 for the shares it held when the loss fell, else the number of the bucket its request was in
    function collect(address holder, uint256 era, uint256 part) external returns (uint256 assets);

    /// @notice Sets the largest active stake and the time from the end of an epoch to the maturity of its bucket.
    /// Buckets that exist keep their maturity.
    function setTerms(uint256 cap, uint256 cooldown) external;

    // ------------------------------------------------------------------ fund only

    /// @notice Takes `loss` from the active stake and all open buckets, each in proportion to its assets.
    /// @return rest what is left of a series that this loss ended; it leaves the tranche too
    /// @return record how it fell
    function slash(uint256 loss) external returns (uint256 rest, Loss memory record);

    /// @notice Gives `assets` back to those who bore a loss, in proportion. The fund vouches for `record`.
    function recover(Loss calldata record, uint256 assets) external;

    /// @notice Adds `assets` to what streams to the active stake over the next `STREAM_TIME` seconds.
    function addIncome(uint256 assets) external;

    /// @notice Stops open buckets from maturing for `HOLD_TIME`; none is held longer than `MAX_HOLD` altogether.
    function holdMaturity() external;

    // ------------------------------------------------------------------ views

    /// @notice Everything a loss can take now: active stake and open buckets.
    function slashable() external view returns (uint256 assets);

    /// @notice Whether a known shortfall keeps exits from maturing.
    function isHeld() external view returns (bool);

    /// @notice Active stake, streamed income included; open buckets are not part of it.
    function totalAssets() external view returns (uint256 assets);

    /// @notice Number of the last loss on record.
    function era() external view returns (uint256);

    /// @notice What `collect` would pay now.
    function collectable(address holder, uint256 era, uint256 part) external view returns (uint256 assets);

    /// @notice Recovered tokens that nobody has collected yet.
    function uncollected() external view returns (uint256 assets);

    function bucket(uint256 requestId) external view returns (Bucket memory state, bool open);

    /// @notice Buckets `first` to `last` may still be slashed; there is none if `first` is above `last`.
    function openBuckets() external view returns (uint256 first, uint256 last);

    /// @notice Income that still streams, when it ends, and how much a second until then (rounded down).
    function stream() external view returns (uint256 left, uint256 end, uint256 perSecond);

    function terms() external view returns (uint256 cap, uint256 cooldown, uint256 epochEnd, uint256 heldUntil);

    function series() external view returns (uint256);
}
