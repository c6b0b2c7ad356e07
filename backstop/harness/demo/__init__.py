"""The demo: a crash is played against the contracts on a node.

- `scenario` (one folder up): what is played
- `book`: who holds what before it
- `impact`: what liquidations do to the next price
- `stage`: the deployment and everybody's accounts on the node
- `flow`: trades that nobody is forced to
- `keeper`: who is liquidated, and how
- `tally`: what happened, from the events
- `checks`: the invariants, to the wei
- `play`: the loop over the steps
- `story`, `table`: what is seen while it runs
- `report`: receipts, who paid what, conservation
- `run`: from settings to an exit code
"""
