"""A swarm of runs of `reporting_trainer.py`, and how tests follow it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from olmix.config import GenerationConfig, LaunchConfig
from olmix.generate import generate
from olmix.launch import load_group, read_group

TRAINER = Path(__file__).with_name("reporting_trainer.py")


def build_swarm(tiny, infra):
    """Return a group of 5 runs over the tiny data, carried out where `infra` says."""
    command = f"{sys.executable} {TRAINER} {{mix_json}} {{seed}}"
    training = {"trainer": "command", "command": command, "max_tokens": 6400}
    base = {**LaunchConfig.from_yaml(tiny.launch).to_plain(), "training": training}
    config = LaunchConfig.from_dict({**base, "infra": infra})
    plan = GenerationConfig.from_yaml(tiny.generation)
    return load_group(generate(plan, tiny.folder / "variants", config).folder)


def wait_for(condition, what, timeout_s=90):
    """Wait until a condition holds, and return what it gives."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"no {what} within {timeout_s} s")
        time.sleep(0.2)
    return found


def states(folder):
    """Return the state of every run by name, as `olmix launch status` shows it."""
    return {report.name: report.status.state for report in read_group(folder)}


def ended(folder):
    """Whether all runs of a group have ended."""
    return set(states(folder).values()) <= {"finished", "failed", "cancelled"}


def squeue(*words):
    """Return what `squeue` prints, by words."""
    command = ["squeue", "-h", "--array", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
