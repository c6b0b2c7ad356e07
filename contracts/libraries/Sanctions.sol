// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ISanctionsList} from "../../interfaces/ISanctionsList.sol";

/// @title The compliance hook on deposits and stakes
/// @notice Fixed at deployment and off where no list is given. It looks only at who brings money and for whom: nothing
/// that is inside is held, and nobody is liquidated, slashed or paid differently because of it. A list that fails stops
/// deposits and stakes, and nothing else.
library Sanctions {
    error Sanctioned(address who);

    function check(ISanctionsList list, address payer, address owner) internal view {
        if (address(list) == address(0)) return;
        if (list.isSanctioned(payer)) revert Sanctioned(payer);
        if (owner != payer && list.isSanctioned(owner)) revert Sanctioned(owner);
    }
}
