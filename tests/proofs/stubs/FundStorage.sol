// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IInsuranceFund} from "../../interfaces/IInsuranceFund.sol";

/// @notice What `DrawLimits` reads of the fund's ledger, for the proofs about it alone: its own file is as it ships.
abstract contract FundStorage is IInsuranceFund {
    struct Claimant {
        uint112 perClaim;
        uint104 perWindow;
        uint32 window;
        Bucket bucket;
    }

    struct Bucket {
        uint104 used;
        uint40 usedAt;
    }

    struct Market {
        MarketAccount account;
        uint112 compartmentCap;
        uint104 perWindow;
    }

    struct MarketAccount {
        uint112 balance;
        uint104 used;
        uint40 usedAt;
    }

    mapping(address claimant => Claimant) internal _claimants;
    mapping(address claimant => mapping(uint256 market => Market)) internal _markets;

    modifier whenFree() {
        _;
    }
}
