// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title What the fund should hold, by several reporters
/// @notice Reporters compute the capital target off-chain and post it with hashes of what they computed it from. The upper
/// median of the fresh reports is the wish; the target follows it in bounded moves, and never below a share of its own
/// highest value of the last year. Without enough fresh reports the wish can only rise, by a formula on open interest.
/// Amounts are in units of the fund's asset.
interface IRiskOracle {
    /// @param target capital the reporter says the fund should hold
    /// @param postedAt time of the report; 0 if there is none
    /// @param dataHash of the inputs, codeHash of the program
    struct Report {
        uint128 target;
        uint64 postedAt;
        bytes32 dataHash;
        bytes32 codeHash;
    }

    /// @notice One market's part of the target.
    struct Contribution {
        uint64 market;
        uint128 assets;
    }

    /// @param quorum fresh reports needed
    /// @param maxAge seconds a report is fresh
    /// @param perDayBps largest move of the target in a day, in 1e-4 of it
    /// @param perUpdateBps largest move at once
    /// @param floorBps share of the year's highest target that is not undercut
    /// @param fallbackPpm capital per open interest when reports are missing, 1e-6
    struct Rules {
        uint8 quorum;
        uint32 maxAge;
        uint16 perDayBps;
        uint16 perUpdateBps;
        uint16 floorBps;
        uint24 fallbackPpm;
    }

    event ReporterSet(address indexed reporter, bool allowed);
    event RulesSet(Rules rules);
    event ExposureSourceSet(address indexed source);
    event Reported(
        address indexed reporter, uint256 target, bytes32 dataHash, bytes32 codeHash, Contribution[] contributions
    );
    event TargetMoved(uint256 target, uint256 wish, uint256 freshReports);

    error NotReporter(address caller);
    error TooManyReporters();
    error ReportTooLong(uint256 markets, uint256 maximum);
    error TargetTooSmall(uint256 target, uint256 minimum);
    error AboveMaximum(uint256 value, uint256 maximum);
    error InvalidRules(string field);
    error NotEnoughGas(uint256 available, uint256 required);

    /// @notice Posts a report in place of the caller's last one, and moves the target.
    function post(uint256 target_, bytes32 dataHash, bytes32 codeHash, Contribution[] calldata contributions) external;

    /// @notice Moves the target as far as it may by now. Anybody.
    function poke() external returns (uint256 target_);

    function setReporter(address reporter, bool allowed) external;

    function setRules(Rules calldata rules_) external;

    /// @notice Where the open interest for the fallback comes from; zero for nowhere.
    function setExposureSource(address source) external;

    /// @notice The capital target now.
    function target() external view returns (uint256 assets);

    /// @notice Where the target is going: the median, or the fallback, but not below the year's floor.
    /// @return assets the wish
    /// @return fresh number of fresh reports it rests on
    function wish() external view returns (uint256 assets, uint256 fresh);

    /// @notice Upper median of what the fresh reporters say of one market; 0 below the quorum.
    function contribution(uint256 market) external view returns (uint256 assets);

    /// @notice Highest target of the last four quarters and the present one.
    function highest() external view returns (uint256 assets);

    function reporters() external view returns (address[] memory);

    function report(address reporter) external view returns (Report memory);

    function rules() external view returns (Rules memory);
}

/// @title What the fallback rests on
interface IExposureSource {
    /// @notice Open interest of all markets the fund protects, in units of the fund's asset.
    function exposure() external view returns (uint256 assets);
}
