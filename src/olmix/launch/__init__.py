"""Launching, watching and cancelling the runs of a group."""

from olmix.launch.local import Event, Launched, launch_local
from olmix.launch.plan import Group, load_group
from olmix.launch.preview import Estimate, estimate, render_commands
from olmix.launch.status import RunReport, cancel, find_group, read_group

__all__ = [
    "Estimate",
    "Event",
    "Group",
    "Launched",
    "RunReport",
    "cancel",
    "estimate",
    "find_group",
    "launch_local",
    "load_group",
    "read_group",
    "render_commands",
]
