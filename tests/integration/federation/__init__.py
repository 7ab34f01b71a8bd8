"""
The three sites of the federation suites: what must go where (matrix), a ledger of what went where, steady traffic for faults, and readers of
the streams between the sites.
"""
