"""Parameters and results of the cascade model: plain data, no computation.

The model itself, with its round rule, is stated in `docs/simulation.md` and executed in the
plainest way by `backstop.simulation.reference`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import ParameterError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Columns of a result that exist once per market. Amounts in USD; prices relative to the start.
MARKET_FIELDS = (
    "deficit",
    "drawn_compartment",
    "drawn_operator",
    "drawn_staked",
    "adl",
    "residual",
    "liquidated_notional",
    "surcharge",
    "reward",
    "price_low",
    "price_high",
    "price_end",
)

#: Columns of a result that exist once per path. Counts, except the two fund balances in USD.
PATH_FIELDS = (
    "closed_accounts",
    "partial_liquidations",
    "claims",
    "rounds",
    "longest_cascade",
    "active_minutes",
    "capped_minutes",
    "operator_end",
    "staked_end",
)

LAYERS = ("compartment", "operator", "staked")

AdlBasis = Literal["size", "profit"]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ParameterError(message)


def per_market(value: float | FloatArray | list[float], markets: int, name: str) -> FloatArray:
    """Return `value` as a float64 array of shape (markets,), repeating a scalar.

    Raises ParameterError when a sequence of another length is given.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 0:
        return np.full(markets, float(array))
    _require(array.shape == (markets,), f"{name}: expected {markets} values, got {array.shape}")
    return np.ascontiguousarray(array)


@dataclass(frozen=True, slots=True)
class DepthLaw:
    """How much of the normal order book is left after a move.

    The *stress* of a market is the distance of its log price from an exponential average with
    `halflife` minutes. The side of the book that the move eats (bids in a fall) keeps
    `max(with_floor, exp(-with_slope * |stress|))` of its normal depth, the other side likewise with
    `against_*`. Impact follows as `Y_eff = Y * sqrt(D_normal / D_now)`. Zero slopes: full depth.
    """

    with_slope: float = 0.0
    against_slope: float = 0.0
    with_floor: float = 0.0055
    against_floor: float = 0.22
    halflife: float = 120.0

    def __post_init__(self) -> None:
        _require(self.with_slope >= 0 and self.against_slope >= 0, "depth slopes must be >= 0")
        for name in ("with_floor", "against_floor"):
            _require(0 < getattr(self, name) <= 1, f"{name} must be in (0, 1]")
        _require(self.halflife > 0, "depth halflife must be positive (minutes)")

    @classmethod
    def october_2025(cls) -> DepthLaw:
        """The law fitted to the BTC perpetual's +-5 % depth of 10 October 2025, 20:00-22:00 UTC.

        Least squares through the origin of -log(depth / median depth) on |stress|; floors are the
        day's minima: bids 4.5 M of 821 M USD, asks 130 M of 586 M USD. The eight minutes in which
        the record repeats its last reading (2.1 M, with bids above the market) are left out.
        """
        return cls(with_slope=50.3, against_slope=16.0)


@dataclass(frozen=True, slots=True)
class ImpactParams:
    """Price impact of liquidations.

    Closing the signed quantity Q of a market within one minute moves its log price by
    `-sign(Q) * coefficient * (|Q| * P0 / (volume * depth ratio)) ** exponent`; the sum of past
    impacts is multiplied by `decay` every minute.

    coefficient: Y times the daily volatility; scalar or one per market. volume: USD a day.
    """

    coefficient: float | FloatArray = 0.04
    volume: float | FloatArray = 2e9
    exponent: float = 0.5
    decay: float = 0.95
    depth: DepthLaw = field(default_factory=DepthLaw)

    def __post_init__(self) -> None:
        _require(bool(np.all(np.asarray(self.coefficient) >= 0)), "impact coefficient must be >= 0")
        _require(bool(np.all(np.asarray(self.volume) > 0)), "impact volume must be positive (USD)")
        _require(0 < self.exponent <= 1, "impact exponent must be in (0, 1]")
        _require(0 <= self.decay <= 1, "impact decay must be in [0, 1] (per minute)")


@dataclass(frozen=True, slots=True)
class FundParams:
    """Opening balances (USD) of the fund's layers and the limits of the staked tranche.

    `claim_limit`, `market_limit` and `window_limit` are fractions of the staked tranche at the
    opening of the window: per claim, per market and window, per window. `market_cap` is a limit in
    USD per market and window. Windows start at minute 0 and last `window` minutes.
    """

    compartment: float | FloatArray = 0.0
    operator: float = 0.0
    staked: float = 1e6
    claim_limit: float = 1.0
    market_limit: float = 1.0
    window_limit: float = 1.0
    market_cap: float | FloatArray = math.inf
    window: int = 480

    def __post_init__(self) -> None:
        for name in ("compartment", "operator", "staked", "market_cap"):
            good = bool(np.all(np.asarray(getattr(self, name)) >= 0))
            _require(good, f"fund {name} must be >= 0 (USD)")
        for name in ("claim_limit", "market_limit", "window_limit"):
            _require(getattr(self, name) >= 0, f"fund {name} must be >= 0")
        _require(self.window >= 1, "fund window must be at least one minute")


@dataclass(frozen=True, slots=True)
class LiquidationParams:
    """How an account below maintenance is liquidated.

    `surcharge` (to the market's compartment) and `reward` (to the keeper) are fractions of the
    closed notional, never more than what is left of the account. `target_health` is the ratio of
    equity to maintenance that a partial liquidation restores; 0 closes whole accounts. A part that
    would leave less than `dust` USD of notional, or follows `max_parts` parts of the same minute,
    closes the account whole.
    """

    surcharge: float = 0.005
    reward: float = 0.0
    target_health: float = 0.0
    max_parts: int = 3
    dust: float = 10.0
    max_rounds: int = 500

    def __post_init__(self) -> None:
        _require(0 <= self.surcharge < 1 and 0 <= self.reward < 1, "fees must be in [0, 1)")
        _require(self.surcharge + self.reward < 1, "surcharge + reward must be below 1")
        good = self.target_health == 0 or self.target_health > 1
        _require(good, "target_health must be 0 (close whole accounts) or above 1")
        _require(1 <= self.max_parts <= 200, "max_parts must be in [1, 200]")
        _require(self.dust >= 0, "dust must be >= 0 (USD)")
        _require(self.max_rounds >= 1, "max_rounds must be >= 1")


@dataclass(frozen=True, slots=True)
class AdlParams:
    """How a deficit that the fund leaves is charged to the opposite side of its market.

    basis "size": the same charge per unit, the law of the contracts' side index, at most
    `max_charge` of the mark price per unit and event. basis "profit": in proportion to unrealised
    profit, at most all of it.
    """

    basis: AdlBasis = "size"
    max_charge: float = 1.0

    def __post_init__(self) -> None:
        _require(self.basis in ("size", "profit"), "adl basis must be 'size' or 'profit'")
        _require(0 <= self.max_charge <= 1, "adl max_charge must be in [0, 1]")


@dataclass(frozen=True, slots=True)
class SimulationParams:
    """Everything about a run except the book and the prices."""

    impact: ImpactParams = field(default_factory=ImpactParams)
    fund: FundParams = field(default_factory=FundParams)
    liquidation: LiquidationParams = field(default_factory=LiquidationParams)
    adl: AdlParams = field(default_factory=AdlParams)

    def sha256(self) -> str:
        """Return a hash of all parameter values, equal for equal parameters."""
        digest = hashlib.sha256()
        for name, value in sorted(_flatten(asdict(self))):
            array = np.asarray(value)
            data = array.astype("<f8") if array.dtype.kind in "if" else array
            digest.update(f"{name}:{data.shape}:".encode())
            digest.update(data.tobytes() if data.dtype.kind == "f" else str(value).encode())
        return digest.hexdigest()


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            leaves += _flatten(value, f"{prefix}{name}.")
        else:
            leaves.append((prefix + name, value))
    return leaves


@dataclass(frozen=True, slots=True)
class Events:
    """Every liquidation of one path, in the order minute, round.

    Arrays of one length: `account` and `minute` and `round` (from 0); `fraction` of the position
    closed (1.0: whole account); `equity` and `maintenance` (USD) at the price that triggered it.
    """

    account: IntArray
    minute: IntArray
    round: IntArray
    fraction: FloatArray
    equity: FloatArray
    maintenance: FloatArray

    def sorted(self) -> Events:
        """Return the same events ordered by minute, round, account."""
        order = np.lexsort((self.account, self.round, self.minute))
        return Events(*(getattr(self, f.name)[order] for f in fields(self)))

    def __len__(self) -> int:
        return len(self.account)


@dataclass(frozen=True, slots=True)
class PathResult:
    """Outcome of one price path.

    market: (M, len(MARKET_FIELDS)); path: (len(PATH_FIELDS),). `events` and `prices` (T, M), the
    path with feedback in USD, are only there when asked for.
    """

    market: FloatArray
    path: FloatArray
    events: Events | None = None
    prices: FloatArray | None = None

    def column(self, name: str) -> FloatArray:
        """Return one market field, shape (M,); KeyError for an unknown name."""
        if name not in MARKET_FIELDS:
            raise KeyError(name)
        return self.market[:, MARKET_FIELDS.index(name)]

    def scalar(self, name: str) -> float:
        """Return one path field; KeyError for an unknown name."""
        if name not in PATH_FIELDS:
            raise KeyError(name)
        return float(self.path[PATH_FIELDS.index(name)])

    @property
    def deficit(self) -> float:
        """Bad debt over all markets, USD."""
        return float(self.column("deficit").sum())

    @property
    def drawn(self) -> FloatArray:
        """Paid by the fund, USD, shape (M, 3) in the order of `LAYERS`."""
        return np.stack([self.column(f"drawn_{layer}") for layer in LAYERS], axis=1)

    @property
    def adl(self) -> float:
        """Charged to opposite sides over all markets, USD."""
        return float(self.column("adl").sum())

    @property
    def residual(self) -> float:
        """Borne by nobody, USD."""
        return float(self.column("residual").sum())

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers: path fields, and market fields as lists."""
        out: dict[str, Any] = dict(zip(PATH_FIELDS, map(float, self.path), strict=True))
        for index, name in enumerate(MARKET_FIELDS):
            out[name] = [float(x) for x in self.market[:, index]]
        return out
