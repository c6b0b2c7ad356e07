// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

import {IMarginEngine} from "../interfaces/IMarginEngine.sol";
import {IMarginEngineTypes} from "../interfaces/IMarginEngineTypes.sol";
import {IExposureSource} from "../interfaces/IRiskOracle.sol";

/// @title Open interest of the margin engine, for the risk oracle's fallback
contract EngineExposure is IExposureSource {
    IMarginEngine public immutable ENGINE;
    uint256 private immutable SCALE;

    constructor(IMarginEngine engine) {
        ENGINE = engine;
        SCALE = 10 ** (18 - IERC20Metadata(engine.token()).decimals());
    }

    /// @inheritdoc IExposureSource
    /// @dev ceil(sum of openLong * mark); at most 64 markets can be listed
    function exposure() external view returns (uint256 assets) {
        uint256 count = ENGINE.marketCount();
        uint256 sum;
        for (uint256 i = 0; i < count; ++i) {
            IMarginEngineTypes.MarketState memory s = ENGINE.marketState(i);
            sum += (s.openLong * s.markPrice + 1e18 - 1) / 1e18;
        }
        return (sum + SCALE - 1) / SCALE;
    }
}
