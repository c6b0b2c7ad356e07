"""Gas of every operation, as whole transactions: base, calldata, cold access, net of refunds.

`make bench-gas` runs it on a node of its own and writes `benchmarks/results/gas.json` and
`gas.md`. Figures are receipts' `gasUsed` (views: execution only, storage cold) and the same on
every machine. Bounds, peers and aims are those of the project's gas study; a `-` has none.

Every operation starts from the same market: two feeds a market, both sides open, token holders and
nonce words in use, funding at rest unless the row says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backstop.harness.bench import ROOT, Bench
from backstop.harness.gas_fund import FundGas

RESULTS = ROOT / "benchmarks" / "results"
KEEPER, LONG, SHORT, VICTIM, OTHER = 4, 2, 3, 1, 5
ANY = 2**255
SIZE_LIMIT = 24_576


@dataclass(frozen=True)
class Row:
    """One operation. Gas in thousands for `peer`, `bound` and `aim`, in units for `gas`."""

    operation: str
    gas: int
    peer: str
    bound: float | None
    aim: float | None


class GasBench:
    """Measures on one deployed bench; every measurement is undone."""

    def __init__(self, bench: Bench, progress: Callable[[str], None] = lambda line: None) -> None:
        self.bench = bench
        self.progress = progress
        self.rows: list[Row] = []

    def add(
        self, operation: str, gas: int, peer: str = "-", bound: float | None = None,
        aim: float | None = None,
    ) -> None:  # fmt: skip
        """Notes a row."""
        self.rows.append(Row(operation, gas, peer, bound, aim))
        self.progress(f"{operation}: {gas:,}")

    @contextmanager
    def undone(self) -> Iterator[Bench]:
        """The bench; what happens to the chain inside is taken back."""
        nonces = dict(self.bench.nonces)
        with self.bench.rpc.isolated():
            yield self.bench
        self.bench.nonces = nonces

    def prepare(self) -> None:
        """Both sides of eight markets open, everybody known to the token and the settlement."""
        b = self.bench
        while b.engine.marketCount() < 8:
            b.list_market()
        for market in range(8):
            b.set_market(market, maxMarkAge=60)
        for user in (LONG, SHORT, KEEPER, OTHER):
            b.deposit(user, 1_000_000)
            b.system.token.mint(b.users[user], 10**9, sender=b.users[user])
            b.system.token.approve(b.engine.address, ANY, sender=b.users[user])
        for market in range(8):
            b.trade(LONG, SHORT, 100, 100, market)
        b.trade(KEEPER, SHORT, 10, 100)  # the keeper is in the market

    def collateral(self) -> None:
        """Deposits and withdrawals."""
        b = self.bench
        with self.undone():
            fresh = b.account(OTHER, 7)
            for name, bound, aim, peer in (
                ("deposit, first", 63, 72, "74"),
                ("deposit, repeat", 46, 55, "57"),
            ):
                receipt = b.engine.deposit(fresh, 10**6, sender=b.users[OTHER])
                self.add(name, receipt.gas_used, peer, bound, aim)
        with self.undone():
            receipt = b.engine.withdraw(
                b.account(OTHER), 10**6, b.users[OTHER], sender=b.users[OTHER]
            )
            self.add("withdraw, no position", receipt.gas_used, "69", 44, 56)
        for markets, bound, aim, peer in ((1, 54, 70, "81"), (8, 109, 150, "663 (212 early stop)")):
            for name, fresh_marks in (("marks fresh", True), ("marks pulled", False)):
                with self.undone():
                    self.hold(OTHER, markets)
                    self.age_marks(0 if fresh_marks else 600)
                    receipt = b.engine.withdraw(
                        b.account(OTHER), 10**6, b.users[OTHER], sender=b.users[OTHER]
                    )
                    self.add(
                        f"withdraw, {markets} market{'s' * (markets > 1)}, {name}",
                        receipt.gas_used, peer, bound, aim,
                    )  # fmt: skip

    def hold(self, user: int, markets: int) -> None:
        """Gives a user a position in each of the first markets."""
        for market in range(markets):
            self.bench.trade(user, SHORT, 1, 100, market)

    def age_marks(self, seconds: int) -> None:
        """Brings all marks up to date in as few seconds as there are blocks, then waits."""
        b = self.bench
        b.rpc.rpc("anvil_setBlockTimestampInterval", 1)
        for market in range(8):
            b.engine.poke(market, sender=b.owner)
        if seconds:
            b.rpc.warp(seconds)
        b.rpc.rpc("anvil_setBlockTimestampInterval", 12)

    def trades(self) -> None:
        """Fills of one signed order."""
        b = self.bench
        with self.undone():
            b.deposit(6, 100_000)
            b.deposit(7, 100_000)
            for user in (6, 7):  # nonce words in use, no position left
                b.trade(user, LONG, 1, 100, 1)
                b.trade(LONG, user, 1, 100, 1)
            receipt = b.trade(6, 7, 10, 100)
            self.add("open by one signed order, both sides new", receipt.gas_used, "166", 103, 140)
            receipt = b.trade(6, 7, 10, 100)
            self.add("the same, both open", receipt.gas_used, "176", 68, 110)
            b.trade(6, 7, 10, "100.1")
            b.rpc.warp(3600)
            b.trade(6, 7, 10, "100.1")
            receipt = b.trade(6, 7, 10, "100.1")
            self.add("the same, funding flowing", receipt.gas_used)
        with self.undone():
            b.trade(OTHER, KEEPER, 10, 100, 1)
            b.trade(OTHER, KEEPER, 1, 100, 1)
            receipt = b.trade(KEEPER, OTHER, 11, 100, 1)
            self.add("close, both sides to zero", receipt.gas_used, "144", 45, 90)

    def victim(self, price: str, deposit: int = 200) -> None:
        """User 1 long 20 at 100; then the price falls."""
        b = self.bench
        b.deposit(VICTIM, deposit)
        b.trade(VICTIM, SHORT, 20, 100)
        b.price(price, wait=300)

    def take_over(self) -> int:
        """A keeper takes over what the rules give it."""
        b = self.bench
        receipt = b.liquidator.takeOver(
            b.account(VICTIM), 0, b.account(KEEPER), ANY, ANY, sender=b.users[KEEPER]
        )
        return int(receipt.gas_used)

    def liquidations(self) -> None:
        """Solvent accounts."""
        b = self.bench
        with self.undone():
            self.victim("94")
            self.add("liquidate, part", self.take_over(), "107 lending, 136 perp", 86, 118)
        with self.undone():
            self.victim("90.5")
            self.add("liquidate, whole", self.take_over(), "102 lending, 129 perp", 81, 112)
        with self.undone():
            self.victim("94")
            b.liquidator.flag(b.account(VICTIM), sender=b.users[KEEPER])
            b.rpc.warp(700)
            self.add(
                "deleverage, any number of counterparties", self.deleverage(), "136 each", 50, 95
            )

    def inventory(self) -> None:
        """The backstop: takes a position that nobody took, sells it, brings its capital."""
        b = self.bench
        backstop = b.system.backstop
        caps = {
            "capital": 10**9,
            "notional": 10**10,
            "loss": 10**9,
            "marginPpm": 150_000,
            "premiumPpm": 5_000,
            "maxDiscountPpm": 5_000,
        }
        backstop.setCaps(0, {**caps, "auctionTime": 900}, sender=b.owner)
        with self.undone():
            receipt = backstop.deploy(0, ANY, sender=b.users[OTHER])
            self.add("backstop: deploy capital, first", receipt.gas_used)
            for user, name in ((VICTIM, "first"), (8, "repeat")):
                b.deposit(user, 200)
                b.trade(user, SHORT, 20, 100)
                b.price("94", wait=60)
                b.liquidator.flag(b.account(user), sender=b.users[KEEPER])
                b.rpc.warp(310)
                receipt = b.liquidator.liquidateToBackstop(
                    b.account(user), 0, b.account(KEEPER), sender=b.users[KEEPER]
                )
                assert receipt.one("InventoryTaken").size > 0
                self.add(f"backstop: take a position, {name}", receipt.gas_used)
                b.price("100", wait=300)
            half = backstop.inventory(0).size // 2
            for name, base in (("part", half), ("all", ANY)):
                receipt = b.liquidator.buyInventory(
                    0, b.account(KEEPER), base, ANY, sender=b.users[KEEPER]
                )
                self.add(f"backstop: buy inventory, {name}", receipt.gas_used)
            receipt = backstop.release(0, ANY, sender=b.users[OTHER])
            self.add("backstop: release", receipt.gas_used)

    def deleverage(self) -> int:
        """Tears part of the victim's position up."""
        b = self.bench
        receipt = b.liquidator.deleverage(
            b.account(VICTIM), 0, b.account(KEEPER), ANY, sender=b.users[KEEPER]
        )
        return int(receipt.gas_used)

    def close_out(self) -> int:
        """Closes the bankrupt victim out."""
        b = self.bench
        receipt = b.liquidator.closeOut(
            b.account(VICTIM), b.account(KEEPER), False, sender=b.users[KEEPER]
        )
        return int(receipt.gas_used)

    def bankruptcies(self) -> None:
        """The waterfall, with a fund and without."""
        b = self.bench
        with self.undone():
            self.victim("88")
            b.engine.sweepFees(0, sender=b.owner)
            self.add(
                "bankrupt, fund pays tokens", self.close_out(), "253 with a real fund", 108, 140
            )
        with self.undone():
            self.empty_fund()
            self.victim("88")
            self.add(
                "bankrupt, fund empty, charged to the side",
                self.close_out(),
                "321, then O(n)",
                87,
                130,
            )

    def empty_fund(self) -> None:
        """Nothing may be drawn any more and the market's compartment is spent."""
        b = self.bench
        nothing = {"perClaim": 0, "perWindow": 0, "window": 1}
        b.fund.setClaimant(b.engine.address, nothing, sender=b.owner)
        b.engine.sweepFees(0, sender=b.owner)
        b.set_market(
            0,
            openInterestCap=10**9 * 10**18,
            maxMarkAge=60,
            makerFeePpm=0,
            takerFeePpm=0,
            rewardPpm=0,
        )
        tokens = int(b.fund.compartment(b.engine.address, 0)) // 10**6 + 1
        b.deposit(8, tokens * 2)
        b.deposit(9, tokens * 40)
        b.trade(8, 9, (tokens + 5) // 5, 100)
        b.price(85, wait=400)
        b.liquidator.closeOut(b.account(8), b.account(KEEPER), False, sender=b.users[KEEPER])
        assert b.fund.compartment(b.engine.address, 0) == 0
        b.price(100, wait=400)

    def fund_operations(self) -> None:
        """Stake, requests, claims, covers layer by layer."""
        FundGas(self).run()

    def views(self) -> None:
        """Health views: execution only."""
        b = self.bench
        for markets, bound, aim, peer in (
            (1, 13, 22, "53"),
            (3, 29, 48, "167"),
            (8, 68, 105, "361"),
        ):
            for name, wait in (("marks fresh", 0), ("marks pulled", 600)):
                with self.undone():
                    self.hold(OTHER, markets)
                    self.age_marks(wait)
                    step = b.engine.health.step(b.account(OTHER), sender=b.users[OTHER])
                    (outcome,) = b.rpc.simulate([step])
                    data = bytes.fromhex(step.request()["input"][2:])
                    base = 21_000 + sum(16 if byte else 4 for byte in data)
                    self.add(
                        f"health view, {markets} market{'s' * (markets > 1)}, {name} (execution)",
                        outcome.gas_used - base, peer, bound, aim,
                    )  # fmt: skip

    def scaling(self, counts: tuple[int, ...] = (10, 1000)) -> dict[str, dict[int, int]]:
        """Deleverage and deficit charge against so many opposing accounts."""
        b = self.bench
        found: dict[str, dict[int, int]] = {"deleverage": {}, "deficit charge": {}}
        for count in counts:
            with self.undone():
                self.empty_fund()
                b.deposit(10, 10_000_000)
                for sub in range(count):
                    b.deposit(11, 1_000, sub=sub)
                    b.trade(10, 11, 1, 100, seller_sub=sub)
                with b.rpc.isolated():
                    self.victim("94")
                    b.liquidator.flag(b.account(VICTIM), sender=b.users[KEEPER])
                    b.rpc.warp(700)
                    found["deleverage"][count] = self.deleverage()
                b.nonces.pop(b.account(VICTIM), None)
                self.victim("88")
                found["deficit charge"][count] = self.close_out()
        for name, by_count in found.items():
            for count, gas in by_count.items():
                self.add(f"{name}, {count} opposing accounts", gas)
        return found

    def run(self) -> dict[str, Any]:
        """Everything. Returns what is written to the result file."""
        self.prepare()
        for part in (
            self.collateral, self.trades, self.liquidations, self.inventory, self.bankruptcies,
            self.fund_operations, self.views,
        ):  # fmt: skip
            part()
        scaling = self.scaling()
        return {
            "rows": [asdict(row) for row in self.rows],
            "scaling": scaling,
            "sizes": contract_sizes(self.bench),
        }


def contract_sizes(bench: Bench) -> dict[str, int]:
    """Bytes of runtime code, contract by contract."""
    return {
        name: len(bench.rpc.code(contract.address))
        for name, contract in bench.system.contracts.items()
        if name not in ("authority", "token")
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table, thousand gas."""
    lines = [
        "| operation | measured | best peer | lower bound | aim |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        bound, aim = (f"{row[k]:.0f}" if row[k] else "-" for k in ("bound", "aim"))
        lines.append(
            f"| {row['operation']} | {row['gas'] / 1000:.1f} | {row['peer']} | {bound} | {aim} |"
        )
    return "\n".join(lines)


def write(results: dict[str, Any], folder: Path = RESULTS) -> None:
    """Writes `gas.json` and `gas.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gas.json").write_text(json.dumps(results, indent=2) + "\n")
    sizes = "\n".join(
        f"| {name} | {size:,} | {SIZE_LIMIT - size:,} |" for name, size in results["sizes"].items()
    )
    spread = "\n".join(
        f"- {name}: {max(v.values()) / min(v.values()) - 1:.2%} between "
        f"{min(v)} and {max(v)} opposing accounts"
        for name, v in results["scaling"].items()
    )
    (folder / "gas.md").write_text(
        "# Gas\n\nWhole transactions, thousand gas. Written by `make bench-gas`.\n\n"
        f"{table(results['rows'])}\n\n{spread}\n\n"
        "| contract | bytes | below the limit by |\n| --- | ---: | ---: |\n"
        f"{sizes}\n"
    )
