"""The tokens of a run, for any trainer."""
