"""Launching, watching and cancelling the runs of a group."""

from olmix.launch.chosen_group import ChosenGroup, choose_group
from olmix.launch.cluster import Submitted, submit_group
from olmix.launch.folders import check_checkpoints, missing_runs, read_launch
from olmix.launch.group_plan import Group, identity_of, load_group
from olmix.launch.inputs import check_inputs, missing_inputs, wild_rate
from olmix.launch.local.engine import Event, Launched, launch_local
from olmix.launch.matching import Matching, matching_of
from olmix.launch.metadata import (
    changed_since,
    contents_of,
    describe_launch,
    wandb_group,
    write_launch,
)
from olmix.launch.preview import LaunchEstimate, estimate, render_launch, render_training
from olmix.launch.status import RunReport, cancel, find_group, read_group, read_log
from olmix.records.group import read_jobs

__all__ = [
    "ChosenGroup",
    "Event",
    "Group",
    "LaunchEstimate",
    "Launched",
    "Matching",
    "RunReport",
    "Submitted",
    "cancel",
    "changed_since",
    "check_checkpoints",
    "check_inputs",
    "choose_group",
    "contents_of",
    "describe_launch",
    "estimate",
    "find_group",
    "identity_of",
    "launch_local",
    "load_group",
    "matching_of",
    "missing_inputs",
    "missing_runs",
    "read_group",
    "read_jobs",
    "read_launch",
    "read_log",
    "render_launch",
    "render_training",
    "submit_group",
    "wandb_group",
    "wild_rate",
    "write_launch",
]
