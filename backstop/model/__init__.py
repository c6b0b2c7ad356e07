"""Exact integer twins of the contracts. No input or output, no clock, no randomness."""
