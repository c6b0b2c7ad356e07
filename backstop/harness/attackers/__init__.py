"""Economic attackers: agents that search for profit on the contracts.

`arena` is the deployment with honest people in it, `play` one attempt and what everybody has
afterwards, `attacks` the ideas and their parameters, `search` looks for the most profitable ones.
"""
