"""Cascades of liquidations and Monte Carlo over price paths. Pure: no chain, no network."""
