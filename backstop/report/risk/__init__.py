"""The risk lab: studies of the fund's size, stress, price of cover and deleveraging, as reports.

A study reads a platform (a chain, a scenario), prices (a file, or reference figures), computes with
`backstop.risk` and `backstop.simulation`, and leaves a folder: `report.html` without anything
outside it, `summary.json`, and CSV files. The same inputs give the same bytes.
"""
