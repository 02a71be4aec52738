"""A module per file of the contract between stages (docs/files.md)."""
