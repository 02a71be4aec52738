"""The folder of an experiment: its files, and what stands in `run_mapping.yaml`.

experiment.yaml          the file as it was written
configs/run_000.yaml     a complete config for each run
run_mapping.yaml         id, params, config, output_dir, recipe, hash and command of each run
validation_report.txt    what was checked, and what was found
replaced/                configs of runs that the experiment no longer has
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.config.experiment import ExperimentConfig
from olmix.records.mapping import MAPPING, Mapped, read_mapping_record
from olmix.sweep.scalars import render_flow

__all__ = [
    "MAPPING",
    "Mapped",
    "choose_folder",
    "ids_with_results",
    "read_mapping",
    "render_mapping",
    "set_aside",
    "used_ids",
]

EXPERIMENT = "experiment.yaml"
REPORT = "validation_report.txt"
CONFIGS = "configs"
REPLACED = "replaced"
RESULTS = "runs"


def choose_folder(config: ExperimentConfig, output_dir: str | Path | None) -> Path:
    """Return the folder of an experiment.

    It is `output_dir`, else ``output.experiment_dir``, else a new one named after the
    experiment and the time.
    """
    if output_dir is not None:
        return Path(output_dir)
    if config.output.experiment_dir is not None:
        return Path(config.output.experiment_dir)
    name = config.output.experiment_name
    name = config.experiment.name if name is None else name
    # Folders are read by people where they are: the time is local.
    stamp = dt.datetime.now().astimezone().strftime("%Y%m%d_%H%M%S")
    first = Path(config.output.base_dir) / f"{name}_{stamp}"
    folder, number = first, 2
    while folder.exists():
        folder = first.with_name(f"{first.name}_{number}")
        number += 1
    return folder


def render_mapping(rows: Sequence[Mapped], about: Mapping[str, object]) -> str:
    """Return the text of `run_mapping.yaml`.

    Args:
        rows: the runs.
        about: what all of them share, such as the name of the experiment.
    """
    lines = [f"{key}: {render_flow(value)}\n" for key, value in about.items()]
    lines.append("runs:\n" if rows else "runs: []\n")
    for row in rows:
        fields: dict[str, object] = {
            "params": dict(row.params),
            "config": row.config,
            "output_dir": row.output_dir,
            "recipe": row.recipe,
            "hash": row.hash,
        }
        if row.command:
            fields["command"] = list(row.command)
        lines.append(f"  - id: {row.id}\n")
        lines += [f"    {key}: {render_flow(value)}\n" for key, value in fields.items()]
    return "".join(lines)


def read_mapping(folder: Path) -> tuple[list[Mapped], dict[str, Any]]:
    """Return the runs of an experiment's folder, and what they share.

    Raises:
        DataError: the folder holds no experiment, or its mapping cannot be read.
    """
    record = read_mapping_record(folder)
    about = {
        "experiment": record.experiment,
        "framework": record.framework,
        "base_config": record.base_config,
    }
    return list(record.runs), about


def used_ids(folder: Path, results: Iterable[str] = ()) -> set[str]:
    """Return the ids of runs that an experiment has or once had, killed or not.

    Args:
        folder: of the experiment.
        results: folders that hold one folder for each run, relative to it.
    """
    files = (folder / CONFIGS).glob("run_*")
    return _ids(files) | ids_with_results(folder, results)


def ids_with_results(folder: Path, results: Iterable[str] = ()) -> set[str]:
    """Return the ids of runs that may have results: configs set aside, and run folders."""
    files = [*(folder / REPLACED).glob("run_*")]
    for place in (RESULTS, *results):
        files += (entry for entry in (folder / place).glob("run_*") if entry.is_dir())
    return _ids(files)


def _ids(files: Iterable[Path]) -> set[str]:
    names = (re.match(r"run_\d+", file.name) for file in files)
    return {match[0] for match in names if match is not None}


def set_aside(folder: Path, files: Sequence[Path]) -> None:
    """Move config files of runs that are no more to `replaced/`; nothing is deleted."""
    for file in files:
        target = folder / REPLACED / file.name
        number = 2
        while target.exists():
            target = target.with_name(f"{file.stem}_{number}{file.suffix}")
            number += 1
        target.parent.mkdir(exist_ok=True)
        shutil.move(file, target)
