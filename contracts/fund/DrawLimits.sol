// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {FundStorage} from "./FundStorage.sol";

/// @title How fast the shared layers may be drawn
/// @notice Two leaky buckets guard layers 2 and deeper: one a claimant, one a market. A draw fills both; each drains at
/// `perWindow / window` a second. So what is drawn in any `window` seconds never exceeds twice `perWindow`, what is drawn
/// at one moment never exceeds `perWindow`, and a bucket is empty exactly `window` seconds after it was full. On top, one
/// event may draw `perClaim`. A limit that was never set is 0: nothing may be drawn.
/// A market's compartment is the market's own money: drawing it fills no bucket.
/// @dev A bucket's time moves only when something is drawn, so nobody but the claimant can touch it, and each draw loses
/// less than one unit of leak (rounded down: the limit is never looser than written).
abstract contract DrawLimits is FundStorage {
    /// @inheritdoc IInsuranceFund
    function drawRoom(address claimant, uint256 market)
        external
        view
        whenFree
        returns (uint256 perClaim, uint256 claimantWindow, uint256 marketWindow)
    {
        Claimant storage c = _claimants[claimant];
        perClaim = c.perClaim;
        claimantWindow = _room(c.perWindow, _level(c.bucket.used, c.bucket.usedAt, c.perWindow, c.window));
        Market storage m = _markets[claimant][market];
        marketWindow = _room(m.perWindow, _level(m.account.used, m.account.usedAt, m.perWindow, c.window));
    }

    /// @dev What is left of a limit; 0 if it was tightened below what is used.
    function _room(uint256 perWindow, uint256 used) internal pure returns (uint256) {
        return used < perWindow ? perWindow - used : 0;
    }

    /// @dev used' = max(0, used - floor(perWindow * (now - usedAt) / window))
    function _level(uint256 used, uint256 usedAt, uint256 perWindow, uint256 window) internal view returns (uint256) {
        if (used == 0) return 0;
        // perWindow is below 2^104 and time below 2^40; window is not 0 if anything was ever drawn
        unchecked {
            uint256 leaked = perWindow * (block.timestamp - usedAt) / window;
            return used > leaked ? used - leaked : 0;
        }
    }
}
