"""The stakers' part of a duel: their actions, what layer 3 shows of them, and what was reached.

Every owner of accounts may stake too; it acts for itself. The fund's recoveries are here as well:
what comes back reaches the stakers of the time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from eth_abi.abi import encode

from backstop.harness.decoding import checksum
from backstop.harness.expected import Expected
from backstop.harness.rpc import Step
from backstop.harness.world import ChainWorld
from backstop.model.fund import Recovery
from backstop.model.world import World

_LEGS: Final = "(uint256,uint256,uint256,uint256,uint256)[]"
_LOSS: Final = "(uint256,uint256,uint256,uint256,uint256,uint256[],uint256[])"
_RECEIPT: Final = f"(uint256,address,uint256[],{_LEGS},{_LOSS})"

PAYING: Final = ("claimStake", "redeemStake", "withdrawStake")


class StakerActions:
    """Mixed into `Duel`, which brings `act` and these attributes."""

    chain: ChainWorld | None
    world: World
    owners: tuple[bytes, ...]
    milestones: Counter[str]
    act: Callable[..., Expected]
    _stake_views: dict[str, tuple[str, tuple[Any, ...]]]

    # ------------------------------------------------------------------ acting

    def stake(self, assets: int, caller: bytes, delay: int) -> Expected:
        """`StakedTranche.deposit`."""
        return self.act(
            "stake",
            lambda: self.world.stake(assets, caller=caller),
            "tranche",
            "deposit",
            (assets, caller),
            caller,
            delay,
        )

    def mint_stake(self, shares: int, caller: bytes, delay: int) -> Expected:
        """`StakedTranche.mint`."""
        return self.act(
            "mintStake",
            lambda: self.world.mint_stake(shares, caller=caller),
            "tranche",
            "mint",
            (shares, caller),
            caller,
            delay,
        )

    def transfer_stake(self, to: bytes, shares: int, caller: bytes, delay: int) -> Expected:
        """`StakedTranche.transfer`."""
        return self.act(
            "transferStake",
            lambda: self.world.transfer_stake(to, shares, caller=caller),
            "tranche",
            "transfer",
            (to, shares),
            caller,
            delay,
        )

    def fund_stakers(self, assets: int, caller: bytes, delay: int) -> Expected:
        """`InsuranceFund.fundStakers`."""
        return self.act(
            "fundStakers",
            lambda: self.world.fund_stakers(assets, caller=caller),
            "fund",
            "fundStakers",
            (assets,),
            caller,
            delay,
        )

    def request_redeem(self, shares: int, controller: bytes, caller: bytes, delay: int) -> Expected:
        """`StakedTranche.requestRedeem`."""
        return self.act(
            "requestRedeem",
            lambda: self.world.request_redeem(shares, controller, caller=caller),
            "tranche",
            "requestRedeem",
            (shares, controller, caller),
            caller,
            delay,
        )

    def claim_stake(self, request: int, caller: bytes, delay: int) -> Expected:
        """`StakedTranche.claim`."""
        return self.act(
            "claimStake",
            lambda: self.world.claim_stake(request, caller=caller),
            "tranche",
            "claim",
            (request, caller, caller),
            caller,
            delay,
        )

    def redeem_stake(self, shares: int, caller: bytes, delay: int) -> Expected:
        """`StakedTranche.redeem`."""
        return self.act(
            "redeemStake",
            lambda: self.world.redeem_stake(shares, caller=caller),
            "tranche",
            "redeem",
            (shares, caller, caller),
            caller,
            delay,
        )

    def withdraw_stake(self, assets: int, caller: bytes, delay: int) -> Expected:
        """`StakedTranche.withdraw`."""
        return self.act(
            "withdrawStake",
            lambda: self.world.withdraw_stake(assets, caller=caller),
            "tranche",
            "withdraw",
            (assets, caller, caller),
            caller,
            delay,
        )

    def hold_maturity(self, delay: int) -> Expected:
        """`InsuranceFund.holdMaturity`, by its role."""
        return self.act(
            "holdMaturity",
            lambda: self.world.fund.staking.hold_maturity(self.world.now),
            "fund",
            "holdMaturity",
            (),
            b"",
            delay,
        )

    def report_shortfall(self, market: int, caller: bytes, delay: int) -> Expected:
        """`InsuranceFund.reportShortfall` for the engine."""
        engine = self.chain.engine.address if self.chain else ""
        return self.act(
            "reportShortfall",
            lambda: self.world.report_shortfall(market),
            "fund",
            "reportShortfall",
            (engine, market),
            caller,
            delay,
        )

    def recover(self, event: int, assets: int, caller: bytes, delay: int) -> Expected:
        """`InsuranceFund.recover`, with the receipt of the event (none of an unknown one)."""
        record = self.world.fund.recoveries.get(event)
        receipt = _receipt(event, record) if record else b""
        return self.act(
            "recover",
            lambda: self.world.recover(event, assets, caller=caller),
            "fund",
            "recover",
            (event, receipt, assets),
            caller,
            delay,
        )

    def collect(self, holder: bytes, era: int, part: int, caller: bytes, delay: int) -> Expected:
        """`StakedTranche.collect`."""
        return self.act(
            "collect",
            lambda: self.world.collect(holder, era, part),
            "tranche",
            "collect",
            (holder, era, part),
            caller,
            delay,
        )

    # ------------------------------------------------------------------ what was reached

    def _note_stakers(self, expected: Expected) -> None:
        """Counts exits, and losses that fell on some on their way out."""
        reached, kind, result = self.milestones, expected.kind, expected.result
        tranche = self.world.fund.staking
        if kind == "requestRedeem":
            reached["stake asked back"] += 1
            reached["stake asked back after a loss"] += tranche.era > 0
        elif kind in PAYING:
            reached["exit claimed"] += 1
        elif kind == "recover":
            reached["money recovered"] += 1
        elif kind == "collect":
            reached["recovery collected"] += result > 0

    def _note_losses(self, before: int) -> None:
        """Counts losses since there were `before` recoveries on record."""
        for record in list(self.world.fund.recoveries.values())[before:]:
            if record.loss is None:
                continue
            self.milestones["stakers bore a loss"] += 1
            self.milestones["loss shared with exits"] += any(record.loss.cuts)
            self.milestones["series of shares ended"] += record.loss.series_ended

    # ------------------------------------------------------------------ comparing

    def _show_stakers(self) -> dict[str, Any]:
        """Layer 3 of the twin, as views of the contracts show it."""
        tranche, now = self.world.fund.staking, self.world.now
        first = tranche.first_open(now)
        self._shown: dict[str, Any] = {}
        self._view("staked", "totalAssets", (), tranche.total_assets(now))
        self._view("stake shares", "totalSupply", (), tranche.supply)
        self._view("slashable", "slashable", (), tranche.slashable(now))
        self._view("stream", "stream", (), tranche.stream(now))
        self._view("open buckets", "openBuckets", (), (first, tranche.epoch))
        if tranche.era:
            self._view("uncollected", "uncollected", (), tranche.uncollected)
            self._view("era", "era", (), tranche.era)
        for number, bucket in tranche.buckets.items():
            if bucket.assets or number >= first:
                shown = ((bucket.assets, bucket.shares, bucket.maturity), number >= first)
                self._view(f"bucket {number}", "bucket", (number,), shown)
        for i, who in enumerate(self.owners):
            address, name = checksum(who), "0x" + who.hex()
            self._view(f"stake {i}", "balanceOf", (address,), tranche.balance_of(name))
            for number in tranche.buckets:
                if shares := tranche.requested(name, number):
                    state = "claimable" if tranche.is_fixed(number, now) else "pending"
                    at = (number, address)
                    self._view(f"{state} {i} {number}", f"{state}RedeemRequest", at, shares)
        return self._shown

    def _view(self, name: str, function: str, args: tuple[Any, ...], value: Any) -> None:
        self._stake_views[name] = (function, args)
        self._shown[name] = value

    def _probe_stakers(self, chain: ChainWorld) -> dict[str, Step]:
        """All views of layer 3 that anything was compared with so far."""
        return {
            name: chain.tranche[function].step(*args)
            for name, (function, args) in self._stake_views.items()
        }


def _receipt(event: int, record: Recovery) -> bytes:
    """The receipt of an event, as `ReceiptRecorded` has it."""
    loss = record.loss
    borne: tuple[Any, ...] = (0, 0, 0, 0, 0, [], [])
    if loss is not None:
        borne = (loss.era, loss.series, loss.supply, loss.from_active, loss.first)
        borne = (*borne, list(loss.cuts), list(loss.shares))
    legs = [
        (leg.compartment, leg.reserve, leg.staked, leg.backing, leg.reinsurance)
        for leg in record.legs
    ]
    return encode([_RECEIPT], [(event, record.claimant, list(record.markets), legs, borne)])
