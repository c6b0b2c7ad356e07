"""Risk library: tails, price of cover, capital target, deleveraging policies, market parameters.

Pure functions over numbers and arrays. Nothing here imports the rest of the project, opens a
connection or keeps state; every formula names its source, every refusal its remedy. Start at
`docs/risk/README.md`.
"""
