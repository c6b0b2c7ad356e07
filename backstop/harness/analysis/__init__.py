"""Static analysis, proofs and coverage of the contracts: commands of their own, no tests.

`python -m backstop.harness.analysis` runs Slither, `.prove` the proofs, `.coverage` the coverage.
"""
