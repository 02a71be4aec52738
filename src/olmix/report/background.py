"""The background of a fit, from the run folders and the data that they were trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from olmix.errors import DataError, OlmixError
from olmix.records.fit.folder import FitFolder
from olmix.records.group import GroupRecord, read_group_record
from olmix.records.log_readers import number
from olmix.records.prepared import PREPARED_FILE, read_prepared
from olmix.records.run import RunFolder
from olmix.report.figures import Curves
from olmix.text.numbers import count, duration, readable_count

__all__ = [
    "find_manifest",
    "find_runs",
    "read_cost",
    "read_curves",
    "read_data",
    "read_facts",
    "read_machine",
]

_MOST_CURVES = 200
_MACHINE = ("processor", "cores", "platform", "python")
_SIZES = (
    "trainer",
    "d_model",
    "num_layers",
    "num_heads",
    "context_length",
    "batch_size",
    "max_tokens",
    "learning_rate",
)


def read_machine(groups: Sequence[Path]) -> dict[str, str] | None:
    """Return what the launch noted of the machine: no host name, no user."""
    for group in groups:
        try:
            machine = read_group_record(group).machine
        except DataError:
            continue
        if machine:
            return {key: str(machine[key]) for key in _MACHINE if machine.get(key) is not None}
    return None


def read_facts(groups: Sequence[Path]) -> dict[str, str]:
    """Return the size of the proxy model and the code that trained it, as the launch noted them."""
    facts: dict[str, str] = {}
    for group in groups:
        config = _first_config(group)
        training = config.get("training", {}) if config is not None else {}
        sizes = [f"{key} {training[key]}" for key in _SIZES if training.get(key) is not None]
        if sizes:
            facts["Proxy model"] = ", ".join(sizes)
        try:
            record = read_group_record(group)
        except DataError:
            continue
        facts |= _launched(record)
        packages, git = record.packages, record.git or {}
        if packages:
            facts["Trained with"] = ", ".join(f"{name} {v}" for name, v in packages.items())
        if git.get("commit"):
            changed = ", with changes" if git.get("dirty") else ""
            facts["Code"] = f"commit {str(git['commit'])[:12]}{changed}"
        if facts:
            break
    return facts


def _launched(record: GroupRecord) -> dict[str, str]:
    """Return the day of a launch, and who launched it."""
    try:
        day = datetime.fromisoformat(record.time)
    except ValueError:
        return {}
    return {"Launched": f"{day.day} {day:%b %Y}" + (f" by {record.user}" if record.user else "")}


def read_cost(content: FitFolder, verification: Path | None) -> dict[str, str]:
    """Return what all runs took: tokens, and the sum of their training times.

    Args:
        content: the fit folder; what the runs of the swarm took stands beside its tables.
        verification: group of the verification's runs.
    """
    taken = [
        (_number(row.get("tokens")), _number(row.get("seconds")))
        for row in content.run_facts.values()
    ]
    for folder in sorted(verification.glob("*/")) if verification is not None else ():
        try:
            summary = RunFolder(folder).read_summary()
        except DataError:
            continue
        taken.append((summary.number("tokens") or 0.0, summary.number("seconds") or 0.0))
    tokens, seconds = (sum(column) for column in zip(*taken, strict=True)) if taken else (0, 0)
    parts = [f"{readable_count(tokens)} tokens"] if tokens > 0 else []
    parts += [f"{duration(seconds)} of training"] if seconds > 0 else []
    return {"Trained": " · ".join(parts)} if parts else {}


def _number(cell: object) -> float:
    """Return a cell as a number; 0 where it is none."""
    try:
        found = float(str(cell))
    except ValueError:
        return 0.0
    return found if math.isfinite(found) else 0.0


def find_runs(content: FitFolder, verification: Path | None) -> Path | None:
    """Return the group of runs that the swarm's tables were collected from, if it is at hand.

    It is looked for beside the verification's group, and where `olmix quickstart` keeps runs: in
    `runs/` beside the folder of the tables or of the fits. A group counts only if it has the
    folders of the first and the last run.
    """
    ratios = content.settings.swarm.ratios
    roots = [verification.parent] if verification is not None else []
    roots += [Path(ratios).parent.parent / "runs"] if ratios is not None else []
    roots += [content.folder.parent.parent / "runs"]
    ends = content.runs[:1] + content.runs[-1:]
    if not ends or any(Path(run).name != run or run in ("", ".", "..") for run in ends):
        return None
    for root in dict.fromkeys(roots):
        for group in sorted(root.glob("*/group.json")):
            if all((group.parent / run).is_dir() for run in ends):
                return group.parent
    return None


def read_curves(group: Path, runs: Sequence[str]) -> Curves:
    """Return training loss against tokens of the runs whose folders are still there."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for run in runs[:_MOST_CURVES]:
        points = [
            (tokens, loss)
            for record in RunFolder(group / run).read_metrics()
            if (tokens := number(record.get("tokens"))) is not None
            and (loss := number(record.get("loss"))) is not None
        ]
        if points:
            curves[run] = ([tokens for tokens, _ in points], [loss for _, loss in points])
    return curves


def find_manifest(groups: Sequence[Path]) -> Path | None:
    """Return the manifest of the data that some run was trained on, if it is still there."""
    for group in groups:
        config = _first_config(group)
        tokenizer = config.get("data", {}).get("tokenizer") if config is not None else None
        if tokenizer is not None:
            found = Path(str(tokenizer)).parent / PREPARED_FILE
            if found.is_file():
                return found
    return None


def _first_config(group: Path) -> dict[str, Any] | None:
    """Return the launch config of some run of a group."""
    from olmix.config import read_yaml

    for config in sorted(group.glob("*/config.yaml"))[:1]:
        try:
            return dict(read_yaml(config).data)
        except (OlmixError, TypeError, ValueError):
            return None
    return None


def read_data(manifest: Path | None) -> tuple[tuple[str, str, bool], ...]:
    """Return domain, training tokens and whether it is held out, as `olmix prepare` noted them."""
    found = None if manifest is None else read_prepared(manifest.parent)
    if found is None:
        return ()
    return tuple(
        (name, count(float(domain.train_tokens)), domain.held_out)
        for name, domain in found.domains.items()
    )
