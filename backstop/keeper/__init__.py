"""The keeper: an automated liquidation engine. docs/keeper.md says how to run it."""
