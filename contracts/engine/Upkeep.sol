// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MarketCaches} from "./MarketCaches.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";

/// @title Upkeep anybody may do: marks and funding, hand-over of what was earned for the fund and the protocol
abstract contract Upkeep is MarketCaches {
    using SafeERC20 for IERC20;

    /// @dev Calls nobody but the oracle (a view), so it does not need the lock, only that nobody else is at work.
    function poke(uint256 market) external whenFree {
        _store(_loadFresh(market));
    }

    /// @dev First repays the market's recorded deficit (the tokens stay here and back it), then hands whole units of the
    /// rest to the fund. A fraction of a unit waits for the next time.
    /// @dev The lock is held from the first word on: a token may call back when it is approved, and what is on its way
    /// then is neither income here nor capital there.
    function sweepFees(uint256 market) external locked {
        if (market >= _marketCount) revert UnknownMarket(market);
        Market storage m = _markets[market];
        uint256 income = m.income.fund;
        uint256 repaid = FixedPoint.min(income, m.recordedDeficit);
        if (repaid != 0) {
            m.recordedDeficit -= repaid;
            emit DeficitRepaid(market, repaid, m.recordedDeficit);
        }
        uint256 assets = (income - repaid) / SCALE;
        m.income.fund = uint120(income - repaid - assets * SCALE);
        if (assets != 0) {
            TOKEN.forceApprove(address(FUND), assets);
            FUND.receiveIncome(market, assets);
        }
        emit FeesSwept(market, assets, repaid);
    }

    function payTreasury(uint256 market, address to) external restricted locked {
        if (market >= _marketCount) revert UnknownMarket(market);
        Market storage m = _markets[market];
        uint256 assets = m.income.treasury / SCALE;
        if (assets == 0) revert ZeroAmount();
        m.income.treasury -= uint120(assets * SCALE);
        emit TreasuryPaid(market, to, assets);
        TOKEN.safeTransfer(to, assets);
    }
}
