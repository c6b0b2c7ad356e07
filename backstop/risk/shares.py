"""Exact integer references of the fund's accounting rules: oracles for tests of contracts.

Pure functions on integers (token units), no rounding but floor division where it says so. They are
written from the rules, not from any contract, and are slow and plain on purpose.

- vault: slashable ERC-4626 shares with virtual shares;
- product-sum: Liquity's compounding deposits with gains in another asset;
- epoch buckets: exits that stay slashable (Symbiotic's split), cancellation that forfeits gains;
- settlement windows: claims that share a short fund pro rata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .errors import BadInput

# --------------------------------------------------------------------------------------------
# slashable vault


@dataclass(frozen=True, slots=True)
class Vault:
    """Assets A (counted, never a token balance), share supply S, 10**decimals virtual shares.

    There is one virtual asset; `floor` is what a loss may not take.
    """

    assets: int = 0
    supply: int = 0
    decimals: int = 3
    floor: int = 0

    @property
    def virtual(self) -> int:
        """Number of virtual shares, V."""
        return int(10**self.decimals)

    def shares_for(self, assets: int) -> int:
        """floor(a (S + V)/(A + 1))."""
        return assets * (self.supply + self.virtual) // (self.assets + 1)

    def assets_for(self, shares: int) -> int:
        """floor(s (A + 1)/(S + V))."""
        return shares * (self.assets + 1) // (self.supply + self.virtual)

    def deposit(self, assets: int) -> tuple[Vault, int]:
        """(new vault, shares minted); refuses a deposit worth no share."""
        shares = self.shares_for(assets)
        if shares <= 0:
            raise BadInput(f"deposit of {assets} mints no share.", "deposit more.")
        return replace(self, assets=self.assets + assets, supply=self.supply + shares), shares

    def redeem(self, shares: int) -> tuple[Vault, int]:
        """(new vault, assets paid)."""
        if not 0 <= shares <= self.supply:
            raise BadInput(f"{shares} of {self.supply} shares.", "redeem what exists.")
        paid = self.assets_for(shares)
        return replace(self, assets=self.assets - paid, supply=self.supply - shares), paid

    def lose(self, amount: int) -> tuple[Vault, int]:
        """(new vault, loss taken): min(L, A - floor); shares do not change."""
        taken = max(min(amount, self.assets - self.floor), 0)
        return replace(self, assets=self.assets - taken), taken

    def earn(self, amount: int) -> Vault:
        """Premium (or, for a vault that counts its token balance, a donation): A += amount."""
        return replace(self, assets=self.assets + amount)


def ends_series(assets_after: int, peak_assets: int) -> bool:
    """Whether a loss closes the series: A < max(1e6, peak * 1e-6) (old shares redeem 0)."""
    return assets_after * 10**6 < max(10**12, peak_assets)


def inflation_attack(deposit: int, donation: int, decimals: int) -> tuple[int, int, int]:
    """First-depositor attack on a vault that counts donations.

    The attacker deposits the least that mints one share, donates, the victim deposits, both
    redeem, the victim first. Returns (victim's shares, victim's assets back, attacker's back).
    """
    vault, attacker = Vault(decimals=decimals).deposit(1)
    vault = vault.earn(donation)
    vault, victim = vault.deposit(deposit)
    vault, to_victim = vault.redeem(victim)
    _, to_attacker = vault.redeem(attacker)
    return victim, to_victim, to_attacker


# --------------------------------------------------------------------------------------------
# product-sum

P_ONE = 10**36
SCALE = 10**9
P_FLOOR = P_ONE // SCALE
#: Scales over which a gain is still counted, and after which a deposit is zero.
GAIN_SPAN, DEPOSIT_SPAN = 2, 8


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A deposit with the pool's product, scale and sum when it was made."""

    deposit: int
    product: int
    scale: int
    sum_at_scale: int


@dataclass(frozen=True)
class ProductSum:
    """Pool whose losses shrink deposits and whose gains are paid in another asset.

    total T; product P in [1e27, 1e36]; sums S per scale. Identity: d0/P0 are shares and P is the
    share price in floating point.
    """

    total: int = 0
    product: int = P_ONE
    scale: int = 0
    sums: Mapping[int, int] = field(default_factory=dict)

    def join(self, amount: int) -> tuple[ProductSum, Snapshot]:
        """Deposit `amount` > 0."""
        if amount <= 0:
            raise BadInput(f"deposit {amount}.", "deposit a positive amount.")
        snapshot = Snapshot(amount, self.product, self.scale, self.sums.get(self.scale, 0))
        return replace(self, total=self.total + amount), snapshot

    def offset(self, loss: int, gain: int) -> ProductSum:
        """Take `loss` < T from all deposits pro rata, hand out `gain` pro rata to deposits before.

        S += P*gain/T; P' = P*(T - loss)/T, multiplied by 1e9 (scale + 1) until P' >= 1e27.
        """
        if not 0 <= loss < self.total or gain < 0:
            raise BadInput(
                f"loss {loss} of {self.total}, gain {gain}.", "leave something in the pool."
            )
        sums = dict(self.sums)
        sums[self.scale] = sums.get(self.scale, 0) + self.product * gain // self.total
        numerator, scale = self.product * (self.total - loss), self.scale
        while numerator // self.total < P_FLOOR:
            numerator *= SCALE
            scale += 1
        return ProductSum(self.total - loss, numerator // self.total, scale, sums)

    def compounded(self, snapshot: Snapshot) -> int:
        """What is left of a deposit: d0 * P/P0 / 1e9^(scale - scale0), 0 after 8 scales."""
        steps = self.scale - snapshot.scale
        if steps > DEPOSIT_SPAN:
            return 0
        return snapshot.deposit * self.product // snapshot.product // int(SCALE**steps)

    def gained(self, snapshot: Snapshot) -> int:
        """Gain since the deposit: d0 (S[s0] - S0 + S[s0+1]/1e9 + S[s0+2]/1e18)/P0."""
        sums = self.sums.get(snapshot.scale, 0) - snapshot.sum_at_scale
        for step in range(1, GAIN_SPAN + 1):
            sums += self.sums.get(snapshot.scale + step, 0) // SCALE**step
        return snapshot.deposit * sums // snapshot.product


# --------------------------------------------------------------------------------------------
# exits


def split_loss(loss: int, active: int, buckets: Sequence[int]) -> tuple[int, list[int]]:
    """A loss over the active layer and every open exit bucket: (cut of active, cuts of buckets).

    cut_e = floor(L' B_e/X), X = A + sum B, L' = min(L, X); the remainder is the active layer's,
    what it cannot bear spills over to the buckets in order.
    """
    if min([loss, active, *buckets]) < 0:
        raise BadInput("negative amounts.", "pass token units.")
    whole = active + sum(buckets)
    taken = min(loss, whole)
    if whole == 0:
        return 0, [0] * len(buckets)
    cuts = [taken * bucket // whole for bucket in buckets]
    rest = taken - sum(cuts)
    from_active = min(rest, active)
    spill = rest - from_active
    for i, bucket in enumerate(buckets):
        extra = min(spill, bucket - cuts[i])
        cuts[i] += extra
        spill -= extra
    return from_active, cuts


@dataclass(frozen=True, slots=True)
class Bucket:
    """Exits of one epoch: assets B still at risk, and shares Bs of them."""

    assets: int = 0
    shares: int = 0

    def join(self, assets: int) -> tuple[Bucket, int]:
        """(new bucket, shares credited): floor(a (Bs + 1)/(B + 1))."""
        credited = assets * (self.shares + 1) // (self.assets + 1)
        return Bucket(self.assets + assets, self.shares + credited), credited

    def cut(self, loss: int) -> Bucket:
        """The bucket after its part of a loss (see `split_loss`)."""
        if not 0 <= loss <= self.assets:
            raise BadInput(f"cut {loss} of {self.assets}.", "split the loss with `split_loss`.")
        return replace(self, assets=self.assets - loss)

    def claim(self, shares: int) -> int:
        """What `shares` of the matured bucket receive: floor(b C/Bs)."""
        return shares * self.assets // self.shares if self.shares else 0


def open_buckets(cooldown: int, epoch: int) -> int:
    """Most exit buckets open at once: ceil(cooldown/epoch) + 1."""
    return -(-cooldown // epoch) + 1


def shares_after_cancel(shares: int, value_at_request: int, assets: int, supply: int) -> int:
    """Shares left after cancelling an exit request, so that the gains since then are forfeited.

    lost = n - v (S - n)/(A - v): afterwards the shares are worth v again. assets and supply are
    the pool's at cancellation, with the request still inside. Rounded down, for the pool.
    """
    if not 0 <= shares < supply or not 0 <= value_at_request < assets:
        raise BadInput("the request is not part of the pool.", "check shares, value and totals.")
    if value_at_request * supply >= shares * assets:
        return shares
    return value_at_request * (supply - shares) // (assets - value_at_request)


# --------------------------------------------------------------------------------------------
# settlement windows


def first_come(capacity: int, claims: Sequence[int]) -> list[int]:
    """First come, first served (what windows avoid)."""
    paid = []
    for claim in claims:
        part = min(claim, capacity)
        paid.append(part)
        capacity -= part
    return paid


def pro_rata_window(capacity: int, claims: Sequence[int]) -> list[int]:
    """Every claim of a window gets floor(C_i * min(1, F/sum C)); dust stays in the fund."""
    if capacity < 0 or min(claims, default=0) < 0:
        raise BadInput("negative capacity or claim.", "pass token units.")
    total = sum(claims)
    if total <= capacity:
        return list(claims)
    return [claim * capacity // total for claim in claims]


def closes_early(
    capacity: int, claims: Sequence[int], numerator: int = 1, denominator: int = 4
) -> bool:
    """True while sum C <= g F (g = 1/4): ordinary days settle at once."""
    return sum(claims) * denominator <= capacity * numerator


def exit_ready_share(cooldown: float, window: float) -> float:
    """Share of the time a staker with a rolling cooldown is ready to leave: w/(c + w)."""
    return window / (cooldown + window)
