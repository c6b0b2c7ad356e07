// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

import {TrancheStorage} from "./TrancheStorage.sol";

/// @title The tranche's shares
/// @notice An ERC-20 with permit whose balances belong to a series: when a series ends, all its balances and its supply
/// read 0 from then on, without a `Transfer` for each holder (`SeriesEnded` tells).
abstract contract StakeShares is TrancheStorage, ERC20, ERC20Permit {
    /// @inheritdoc ERC20
    function balanceOf(address account) public view override returns (uint256) {
        Holder storage h = _holders[account];
        return h.series == _pool.series ? h.shares : 0;
    }

    /// @inheritdoc ERC20
    function totalSupply() public view override returns (uint256) {
        return _pool.supply;
    }

    /// @dev Only transfers come here; minting and burning change the supply, which the caller holds in memory.
    function _update(address from, address to, uint256 value) internal override whenFree {
        (uint8 now_, uint8 era_) = (_pool.series, _pool.era);
        Holder memory h = _holders[from];
        _subtract(h, from, now_, era_, value);
        _storeHolder(from, h);
        h = _holders[to];
        _add(h, to, now_, era_, value);
        _storeHolder(to, h);
        emit Transfer(from, to, value);
    }

    function _mintShares(Pool memory p, address to, uint256 shares) internal {
        if (to == address(0)) revert ERC20InvalidReceiver(to);
        p.supply = _toUint112(p.supply + shares);
        Holder memory h = _holders[to];
        _add(h, to, p.series, p.era, shares);
        _storeHolder(to, h);
        emit Transfer(address(0), to, shares);
    }

    /// @param h of `from`; the caller stores it
    function _burnShares(Pool memory p, Holder memory h, address from, uint256 shares) internal {
        _subtract(h, from, p.series, p.era, shares);
        // forge-lint: disable-next-line(unsafe-typecast)
        p.supply -= uint112(shares);
        emit Transfer(from, address(0), shares);
    }

    function _subtract(Holder memory h, address from, uint8 now_, uint8 era_, uint256 shares) private {
        uint256 balance = h.series == now_ ? h.shares : 0;
        if (shares > balance) revert ERC20InsufficientBalance(from, balance, shares);
        _remember(from, h, era_);
        // forge-lint: disable-next-line(unsafe-typecast)
        (h.shares, h.series, h.era) = (uint112(balance - shares), now_, era_);
    }

    function _add(Holder memory h, address to, uint8 now_, uint8 era_, uint256 shares) private {
        uint256 balance = (h.series == now_ ? h.shares : 0) + shares;
        _remember(to, h, era_);
        // the supply was checked against the same maximum
        // forge-lint: disable-next-line(unsafe-typecast)
        (h.shares, h.series, h.era) = (uint112(balance), now_, era_);
    }

    /// @dev To be called before a holder's shares or oldest request change: keeps what they were when the losses since the
    /// last change fell. Without a loss in between there is nothing to keep and nothing is read or written.
    function _remember(address holder, Holder memory h, uint8 era_) internal {
        if (h.era == era_) return;
        if (h.shares != 0) _past[holder][0].push(Past(h.era, era_, h.series, h.shares));
        if (h.requestShares != 0) _past[holder][h.request].push(Past(h.era, era_, 0, h.requestShares));
    }
}
