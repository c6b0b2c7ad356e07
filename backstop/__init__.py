"""Insurance fund, margin engine and liquidator for on-chain perpetual futures."""

__version__ = "0.1.0"
