"""Folders of checkpoints: what they belong to, whether to resume from one, and reading it again.

Beside Orbax's checkpoints stands ``run.json``: the configuration and where the base model is, so
that an evaluation or an export needs the folder alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.errors import DataError, LaunchError
from olmix.grpo.config import RunConfig
from olmix.text.files import digest, read_json, write_json

__all__ = [
    "SavedRun",
    "identity",
    "list_updates",
    "open_checkpoints",
    "read_saved_run",
    "saved_base",
]

logger = logging.getLogger(__name__)

_FREE = {
    "training": ("checkpoint_dir", "checkpoint_interval", "max_checkpoints", "resume",
                 "samples_per_step"),
}  # fmt: skip
_FREE_SECTIONS = ("project_name", "experiment_name", "tags", "logging", "output_dir", "evaluation")


def identity(config: RunConfig) -> str:
    """Return a hash of all that the trained weights depend on."""
    plain = {key: value for key, value in config.to_plain().items() if key not in _FREE_SECTIONS}
    for section, keys in _FREE.items():
        plain[section] = {k: v for k, v in plain[section].items() if k not in keys}
    return digest(plain, 16)


def list_updates(folder: Path) -> tuple[int, ...]:
    """Return the updates after which there are whole checkpoints, without importing anything."""
    actor = folder / "actor"
    names = [entry.name for entry in actor.iterdir()] if actor.is_dir() else []
    return tuple(sorted(int(name) for name in names if name.isdigit()))


def open_checkpoints(
    config: RunConfig, folder: Path, base: Path, sources: Mapping[str, str] | None = None
) -> None:
    """Decide by `training.resume` whether to resume from the checkpoints in a folder.

    Args:
        config: of the run.
        folder: of the checkpoints.
        base: folder of the base model.
        sources: reward of one's own to a hash of its source: one that has changed is warned about.

    Raises:
        LaunchError: there are some and there must not be, the other way round, or they are of a run
            with another configuration.
    """
    found, resume = list_updates(folder), config.training.resume
    if found and resume == "never":
        raise LaunchError(
            f"training.resume=never, but {folder} holds checkpoints of {len(found)} steps; choose "
            "another training.checkpoint_dir, or remove them"
        )
    if not found and resume == "must":
        raise LaunchError(
            f"training.resume=must, but {folder} holds no checkpoint; set training.checkpoint_dir "
            "to that of the run to continue, or use training.resume=auto"
        )
    file = folder / "run.json"
    if found and file.is_file():
        saved = _read_run(file)
        if saved["identity"] != identity(config):
            changed = _differences(saved["config"], config.to_plain())
            raise LaunchError(
                f"{folder} holds checkpoints of another configuration; it differs in "
                f"{', '.join(changed) or 'older settings'}. Choose another "
                "training.checkpoint_dir, or go back to that configuration."
            )
        for name, source in saved.get("rewards", {}).items():
            if (sources or {}).get(name) != source:
                logger.warning(
                    "grpo.rewards.%s: its source has changed since the checkpoints were written; "
                    "steps before and after are rewarded differently",
                    name,
                )
    write_json(
        file,
        {
            "identity": identity(config),
            "base": str(base.resolve()),
            "config": config.to_plain(),
            "rewards": dict(sources or {}),
        },
    )


def saved_base(folder: Path) -> Path | None:
    """Return the base model of the checkpoints in a folder, if there are any and it is there."""
    if not list_updates(folder) or not (folder / "run.json").is_file():
        return None
    base = Path(_read_run(folder / "run.json")["base"])
    return base if base.is_dir() else None


def _read_run(file: Path) -> dict[str, Any]:
    """Return what `open_checkpoints` wrote.

    Raises:
        DataError: the file holds something else.
    """
    kinds = {"identity": str, "base": str, "config": dict}
    found = read_json(file)
    if not isinstance(found, dict):
        found = {}
    wrong = [name for name, kind in kinds.items() if not isinstance(found.get(name), kind)]
    if wrong:
        raise DataError(
            f"{file}: {', '.join(wrong)} missing or damaged, so these checkpoints are of no known "
            "run; bring the file back from a copy, or use another training.checkpoint_dir"
        )
    return found


def _differences(
    old: Mapping[str, object], new: Mapping[str, object], prefix: str = ""
) -> list[str]:
    """Return the dotted keys in which two configurations differ, those without effect left out."""
    found: list[str] = []
    for key in dict.fromkeys([*old, *new]):
        name = f"{prefix}{key}"
        section, _, rest = name.partition(".")
        if name in _FREE_SECTIONS or rest in _FREE.get(section, ()):
            continue
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found.extend(_differences(before, after, f"{name}."))
        elif before != after:
            found.append(f"{name} ({before} then, {after} now)")
    return found


@dataclass(frozen=True)
class SavedRun:
    """A run that wrote checkpoints.

    Attributes:
        config: of the run.
        base: folder of its base model.
        checkpoints: folder of its checkpoints.
        update: the one that was asked for.
    """

    config: RunConfig
    base: Path
    checkpoints: Path
    update: int

    @property
    def step(self) -> int:
        """Steps of the checkpoint."""
        return self.update // self.config.grpo.num_iterations


def read_saved_run(path: Path, step: int | None) -> SavedRun:
    """Find the checkpoints of a run below its folder, or in the folder itself.

    Raises:
        DataError: there are none, or none of that step.
    """
    places = (path, path / "checkpoints", path.parent)
    folder = next((place for place in places if (place / "run.json").is_file()), None)
    if folder is None:
        raise DataError(
            f"--checkpoint-dir {path}: there is no run.json in it or in checkpoints/; give the "
            "folder of a run (outputs/PROJECT/DATE/TIME) or its checkpoints"
        )
    saved = _read_run(folder / "run.json")
    config = RunConfig.from_dict(saved["config"], str(folder / "run.json"))
    updates = list_updates(folder)
    per_step = config.grpo.num_iterations
    if not updates:
        raise DataError(f"{folder}: the run has written no checkpoint yet")
    wanted = updates[-1] if step is None else step * per_step
    if wanted not in updates:
        listed = ", ".join(str(update // per_step) for update in updates)
        raise DataError(f"{folder}: there is no checkpoint of step {step}; there are: {listed}")
    base = Path(saved["base"])
    beside = folder.parent / "base"
    if not base.is_dir() and beside.is_dir():
        base = beside  # the run's folder has been moved
    return SavedRun(config, base, folder, wanted)
