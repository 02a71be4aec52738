"""From configs of Ai2's Olmix to ours, with comments where something changed."""

from olmix.convert.pipeline import Written, convert

__all__ = ["Written", "convert"]
