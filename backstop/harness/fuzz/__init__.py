"""Bulk differential fuzzing: recorded duels as files, replay, shrinking, campaigns."""
