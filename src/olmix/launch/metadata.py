"""What is known of a launch: when, by whom, on which machine, from which commit."""

from __future__ import annotations

import getpass
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from olmix.config.secrets import redact
from olmix.launch.foreign import CommandRun
from olmix.launch.plan import Group, Run

__all__ = ["describe_launch"]

_PACKAGES = ("olmix", "jax", "jaxlib", "numpy", "optax", "torch", "ai2-olmo-core", "torchtune")
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "SLURM_CLUSTER_NAME")
"""Variables that say where a launch took place; nothing secret is among them."""


def describe_launch(group: Group, identities: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of `group.json`."""
    return {
        "format": 1,
        "group_id": group.group_id,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "user": _user(),
        "host": platform.node(),
        "machine": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "processor": _processor(),
        },
        "command": redact(sys.argv),
        "git": _git(),
        "packages": _versions(),
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "infra": group.infra.to_plain(),
        "runs": [
            {"name": run.name, "identity": identities[run.name], **_describe(run)}
            for run in group.runs
        ],
    }


def _describe(run: Run) -> dict[str, Any]:
    if isinstance(run, CommandRun):
        return {"command": list(run.words), "params": dict(run.params)}
    mix = run.mix.to_plain() if run.mix is not None else None
    return {"seed": run.training.seed, "mix": mix}


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def _processor() -> str:
    """Return the processor's model name where the system tells it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git() -> dict[str, Any] | None:
    """Return commit, branch and dirtiness of the working folder; `None` outside a checkout."""

    def ask(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return {
            "commit": ask("rev-parse", "HEAD"),
            "branch": ask("rev-parse", "--abbrev-ref", "HEAD"),
            "dirty": bool(ask("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
