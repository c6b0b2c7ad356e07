"""What a keeper tells Prometheus. docs/keeper.md explains each metric."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

_FAST = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Metrics:
    """A registry of its own, so that several keepers can live in one process (tests)."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"backstop_keeper_{name}", text, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"backstop_keeper_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...] = _FAST) -> Histogram:
            return Histogram(f"backstop_keeper_{name}", text, buckets=buckets, registry=registry)

        self.head = gauge("head_block", "Newest block looked at")
        self.accounts = gauge("accounts", "Accounts known")
        self.candidates = gauge("candidates", "Accounts looked at after every new price")
        self.at_risk = gauge("accounts_liquidatable", "Accounts below maintenance margin")
        self.uneconomic = gauge("accounts_uneconomic", "Liquidatable accounts that no way pays for")
        self.in_flight = gauge("transactions_in_flight", "Transactions not mined yet")
        self.budget_left = gauge("gas_budget_left_coins", "Coins that may be spent now")
        self.journal_ok = gauge("journal_ok", "1 while the journal is on disk, else 0")
        self.node_ok = gauge("node_ok", "1 while the node answers, else 0")
        self.own_equity = gauge("own_equity_tokens", "Equity of the keeper's account")
        self.own_margin = gauge("own_initial_margin_tokens", "Its initial margin")
        self.transactions = counter(
            "transactions", "Transactions by way and outcome", "way", "outcome"
        )
        self.refused = counter("not_sent", "Transactions not sent, by reason", "reason")
        self.reverts = counter("reverts", "Refusals of the contracts, by error", "error")
        self.gas_spent = counter("gas_spent_coins", "Coins spent on gas")
        self.expected_profit = counter(
            "expected_profit_tokens", "Expected profit of mined transactions, where positive"
        )
        self.reorganisations = counter("reorganisations", "Reorganisations noticed")
        self.refresh_seconds = histogram("refresh_seconds", "Looking at all accounts")
        self.decision_seconds = histogram("decision_seconds", "From new prices to who is at risk")
        self.look_seconds = histogram("look_seconds", "One look at the chain with all it led to")
        self.wait_blocks = histogram(
            "wait_blocks",
            "Blocks from an account's first being seen below maintenance to its first transaction"
            " mined",
            (0, 1, 2, 3, 5, 10, 30, 100, 300),
        )

    def serve(self, port: int, address: str = "127.0.0.1") -> None:
        """Answer `GET /metrics` in a thread of its own; OSError if the port is taken."""
        start_http_server(port, address, registry=self.registry)
