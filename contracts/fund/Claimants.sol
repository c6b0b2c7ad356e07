// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {DrawLimits} from "./DrawLimits.sol";

/// @title Who may draw, and how much
/// @notice `set...` may loosen and belongs to a role with a delay; `tighten...` belongs to a role without one and checks
/// field by field that nothing gets looser. A claimant is never removed: its compartments are its own money. Limits of
/// zero stop it from drawing anything shared.
abstract contract Claimants is DrawLimits, AccessManaged {
    /// @inheritdoc IInsuranceFund
    function setClaimant(address claimant, ClaimantLimits calldata limits) external restricted whenFree {
        if (claimant == address(0)) revert ZeroAddress();
        if (limits.window == 0) revert InvalidLimits("window");
        if (limits.perClaim > type(uint112).max) revert InvalidLimits("perClaim");
        if (limits.perWindow > type(uint104).max) revert InvalidLimits("perWindow");
        _storeClaimant(claimant, limits);
    }

    /// @inheritdoc IInsuranceFund
    function tightenClaimant(address claimant, ClaimantLimits calldata limits) external restricted whenFree {
        Claimant storage c = _claimants[claimant];
        if (c.window == 0) revert NotClaimant(claimant);
        if (limits.perClaim > c.perClaim) revert NotTighter("perClaim");
        if (limits.perWindow > c.perWindow) revert NotTighter("perWindow");
        // a longer window drains a bucket more slowly
        if (limits.window < c.window) revert NotTighter("window");
        _storeClaimant(claimant, limits);
    }

    /// @inheritdoc IInsuranceFund
    function setClaimantMarket(address claimant, uint256 market, MarketLimits calldata limits)
        external
        restricted
        whenFree
    {
        if (_claimants[claimant].window == 0) revert NotClaimant(claimant);
        if (limits.compartmentCap > type(uint112).max) revert InvalidLimits("compartmentCap");
        if (limits.perWindow > type(uint104).max) revert InvalidLimits("perWindow");
        _storeMarket(claimant, market, limits);
    }

    /// @inheritdoc IInsuranceFund
    function tightenClaimantMarket(address claimant, uint256 market, MarketLimits calldata limits)
        external
        restricted
        whenFree
    {
        if (_claimants[claimant].window == 0) revert NotClaimant(claimant);
        Market storage m = _markets[claimant][market];
        if (limits.compartmentCap > m.compartmentCap) revert NotTighter("compartmentCap");
        if (limits.perWindow > m.perWindow) revert NotTighter("perWindow");
        _storeMarket(claimant, market, limits);
    }

    /// @dev The bucket drains at the old rate until now, at the new one from now on. The buckets of the claimant's
    /// markets follow a changed window from their last draw on.
    function _storeClaimant(address claimant, ClaimantLimits calldata limits) private {
        Claimant storage c = _claimants[claimant];
        Bucket memory b = c.bucket;
        if (b.used != 0) {
            // forge-lint: disable-next-line(unsafe-typecast)
            c.bucket = Bucket(uint104(_level(b.used, b.usedAt, c.perWindow, c.window)), uint40(block.timestamp));
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        c.perClaim = uint112(limits.perClaim);
        // forge-lint: disable-next-line(unsafe-typecast)
        c.perWindow = uint104(limits.perWindow);
        c.window = limits.window;
        emit ClaimantSet(claimant, limits);
    }

    function _storeMarket(address claimant, uint256 market, MarketLimits calldata limits) private {
        Market storage m = _markets[claimant][market];
        MarketAccount memory a = m.account;
        if (a.used != 0) {
            // forge-lint: disable-next-line(unsafe-typecast)
            m.account.used = uint104(_level(a.used, a.usedAt, m.perWindow, _claimants[claimant].window));
            m.account.usedAt = uint40(block.timestamp);
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        m.compartmentCap = uint112(limits.compartmentCap);
        // forge-lint: disable-next-line(unsafe-typecast)
        m.perWindow = uint104(limits.perWindow);
        emit ClaimantMarketSet(claimant, market, limits);
    }

    /// @inheritdoc IInsuranceFund
    function claimantLimits(address claimant) external view whenFree returns (ClaimantLimits memory) {
        Claimant storage c = _claimants[claimant];
        return ClaimantLimits(c.perClaim, c.perWindow, c.window);
    }

    /// @inheritdoc IInsuranceFund
    function marketLimits(address claimant, uint256 market) external view whenFree returns (MarketLimits memory) {
        Market storage m = _markets[claimant][market];
        return MarketLimits(m.compartmentCap, m.perWindow);
    }
}
