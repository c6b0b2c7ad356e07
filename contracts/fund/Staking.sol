// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";
import {IShortfallClaimant} from "../../interfaces/IShortfallClaimant.sol";
import {Backing} from "./Backing.sol";

/// @title What the fund does for layer 3
/// @notice Holds and pays the stakers' tokens, gives them their share of income, and keeps exits from maturing while a
/// known shortfall is open.
abstract contract Staking is Backing {
    uint256 internal constant PPM = 1_000_000;

    uint256 internal _stakerSharePpm;

    /// @inheritdoc IInsuranceFund
    function payStaker(address to, uint256 assets) external {
        if (msg.sender != address(TRANCHE)) revert NotTranche(msg.sender);
        _push(to, assets);
    }

    /// @inheritdoc IInsuranceFund
    function fundStakers(uint256 assets) external locked {
        _pull(msg.sender, assets);
        TRANCHE.addIncome(assets);
        emit StakersFunded(msg.sender, assets);
    }

    /// @inheritdoc IInsuranceFund
    function setStakerShare(uint256 ppm) external restricted whenFree {
        if (ppm > PPM) revert InvalidLimits("stakerShare");
        _stakerSharePpm = ppm;
        emit StakerShareSet(ppm);
    }

    /// @inheritdoc IInsuranceFund
    function holdMaturity() external restricted whenFree {
        TRANCHE.holdMaturity();
    }

    /// @inheritdoc IInsuranceFund
    function reportShortfall(address claimant, uint256 market) external whenFree {
        if (_claimants[claimant].window == 0) revert NotClaimant(claimant);
        if (IShortfallClaimant(claimant).openDeficit(market) == 0) revert NoShortfall(claimant, market);
        TRANCHE.holdMaturity();
    }

    /// @inheritdoc IInsuranceFund
    function stakerShare() external view returns (uint256 ppm) {
        return _stakerSharePpm;
    }

    /// @dev toStakers = floor(assets * share)
    function _shareWithStakers(address claimant, uint256 market, uint256 assets) internal returns (uint256 toStakers) {
        toStakers = assets * _stakerSharePpm / PPM;
        if (toStakers == 0) return 0;
        TRANCHE.addIncome(toStakers);
        emit StakerIncome(claimant, market, toStakers);
    }
}
