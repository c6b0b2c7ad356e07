"""A mutation run over the Solidity libraries: are wrong libraries told from right ones?

`mutants` makes the changes, `probe` makes a library callable, `cases` says what must come out,
`compiler` and `judge` decide, `table` writes the results. `make mutants` runs it.
"""
