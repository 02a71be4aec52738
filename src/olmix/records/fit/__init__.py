"""The files of a fit folder as code: `fit.json`, `proposal.json`, `verification.json`, the tables.

A module per file or kind of file. `olmix fit` and `olmix verify` build and write these records; the
report, the command line and `olmix generate` read them.
"""
