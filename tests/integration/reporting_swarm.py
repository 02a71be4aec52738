"""A swarm of runs of `reporting_trainer.py`, and how tests follow it."""

import subprocess
import sys
from pathlib import Path

import patience
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


def wait_for(condition, what):
    """Wait until a condition holds, which may ask a scheduler, and return what it gives."""
    return patience.wait_for(condition, what, every_s=0.2)


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
