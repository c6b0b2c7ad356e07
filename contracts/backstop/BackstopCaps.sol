// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

import {IBackstop} from "../../interfaces/IBackstop.sol";
import {Guarded} from "../Guarded.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";

/// @title The caps of every market
/// @notice `setCaps` may loosen and belongs to a role with a delay; `tightenCaps` belongs to a role without one.
abstract contract BackstopCaps is IBackstop, Guarded, AccessManaged {
    mapping(uint256 market => Caps) internal _caps;

    /// @inheritdoc IBackstop
    function setCaps(uint256 market, Caps calldata caps) external restricted whenFree {
        if (caps.marginPpm > FixedPoint.PPM) revert InvalidCaps(market, "marginPpm");
        if (caps.premiumPpm >= FixedPoint.PPM) revert InvalidCaps(market, "premiumPpm");
        if (caps.maxDiscountPpm >= FixedPoint.PPM) revert InvalidCaps(market, "maxDiscountPpm");
        if (caps.notional != 0) {
            if (caps.marginPpm == 0) revert InvalidCaps(market, "marginPpm");
            if (caps.auctionTime == 0) revert InvalidCaps(market, "auctionTime");
        }
        _storeCaps(market, caps);
    }

    /// @inheritdoc IBackstop
    /// @dev The auction stays as it is: neither a higher nor a lower price is plainly tighter.
    function tightenCaps(uint256 market, Caps calldata caps) external restricted whenFree {
        Caps memory old = _caps[market];
        if (caps.capital > old.capital) revert NotTighter(market, "capital");
        if (caps.notional > old.notional) revert NotTighter(market, "notional");
        if (caps.loss > old.loss) revert NotTighter(market, "loss");
        if (caps.marginPpm < old.marginPpm || caps.marginPpm > FixedPoint.PPM) revert NotTighter(market, "marginPpm");
        if (caps.premiumPpm != old.premiumPpm) revert NotTighter(market, "premiumPpm");
        if (caps.maxDiscountPpm != old.maxDiscountPpm) revert NotTighter(market, "maxDiscountPpm");
        if (caps.auctionTime != old.auctionTime) revert NotTighter(market, "auctionTime");
        _storeCaps(market, caps);
    }

    function _storeCaps(uint256 market, Caps calldata caps) private {
        _caps[market] = caps;
        emit CapsSet(market, caps);
    }
}
