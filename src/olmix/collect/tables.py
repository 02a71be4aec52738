"""Collecting a group: `ratios.csv`, `metrics.csv`, and `runs.csv` with the fate of each run.

`ratios.csv` holds the token shares as trained, which differ from the weights asked for by less than
one sequence. Only finished runs enter the two tables; all others are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.errors import DataError
from olmix.io.files import read_json
from olmix.io.runs import RunFolder
from olmix.io.tables import write_table

__all__ = ["Collected", "collect"]


@dataclass(frozen=True)
class Collected:
    """What was collected.

    Attributes:
        ratios: path of the table of mixtures.
        metrics: path of the table of metrics.
        runs: runs in the tables, in the order of their launch.
        domains: domains, in the order of the configs.
        metric_names: metrics, in the order of the configs.
        incomplete: why each run that was launched is not in the tables.
    """

    ratios: Path
    metrics: Path
    runs: tuple[str, ...]
    domains: tuple[str, ...]
    metric_names: tuple[str, ...]
    incomplete: Mapping[str, str]


def collect(groups: Sequence[str | Path], output: str | Path) -> Collected:
    """Read the run folders of one or several groups and write the tables.

    Args:
        groups: group folders, such as ``runs/1a2b3c4d``.
        output: folder of the tables.

    Raises:
        DataError: a folder is no group, two groups hold a run of the same name, no run is finished,
            or finished runs measured different metrics.
    """
    summaries: dict[str, dict[str, Any]] = {}
    incomplete: dict[str, str] = {}
    entries: list[tuple[str, dict[str, Any]]] = []
    for group in groups:
        for entry in _launched(Path(group)):
            name = entry["name"]
            if name in summaries or name in incomplete:
                raise DataError(f"{group}: the run {name} is in two groups; rename one of them")
            run = RunFolder(Path(group) / name)
            status = run.read_status()
            entries.append((name, {"seed": entry["seed"], "state": status.state}))
            if status.state == "finished" and status.identity == entry["identity"]:
                summaries[name] = read_json(run.summary)
            else:
                incomplete[name] = status.error or status.state
    if not summaries:
        listed = ", ".join(f"{name} ({why})" for name, why in list(incomplete.items())[:5])
        raise DataError(f"no run is finished yet: {listed}. Go on with `olmix launch run`.")
    domains = _same_order(summaries, "weights")
    metrics = _check_metrics(summaries)
    out = Path(output)
    names = tuple(summaries)
    _write(out / "ratios.csv", names, domains, summaries, "token_shares")
    _write(out / "metrics.csv", names, metrics, summaries, "metrics")
    _write_runs(out / "runs.csv", entries, summaries, domains)
    return Collected(out / "ratios.csv", out / "metrics.csv", names, domains, metrics, incomplete)


def _launched(group: Path) -> list[dict[str, Any]]:
    file = group / "group.json"
    if not file.is_file():
        raise DataError(f"{group}: this is no group of runs; it has no group.json")
    entries: list[dict[str, Any]] = read_json(file)["runs"]
    return entries


def _same_order(summaries: Mapping[str, dict[str, Any]], key: str) -> tuple[str, ...]:
    """Return all names under `key` in the order of their first appearance."""
    return tuple(dict.fromkeys(name for summary in summaries.values() for name in summary[key]))


def _check_metrics(summaries: Mapping[str, dict[str, Any]]) -> tuple[str, ...]:
    names = _same_order(summaries, "metrics")
    partial = [run for run, summary in summaries.items() if set(summary["metrics"]) != set(names)]
    if partial:
        raise DataError(
            f"{len(partial)} runs, such as {partial[0]}, lack some of {', '.join(names)}; "
            "collect groups with the same eval section together"
        )
    return names


def _write(
    path: Path,
    runs: Sequence[str],
    columns: Sequence[str],
    summaries: Mapping[str, dict[str, Any]],
    key: str,
) -> None:
    values = {
        column: [float(summaries[run][key].get(column, 0.0)) for run in runs] for column in columns
    }
    write_table(path, runs, values)


def _write_runs(
    path: Path,
    entries: Sequence[tuple[str, dict[str, Any]]],
    summaries: Mapping[str, dict[str, Any]],
    domains: Sequence[str],
) -> None:
    """Write one row for every run that was launched, finished or not."""
    columns: dict[str, list[Any]] = {
        "state": [entry["state"] for _, entry in entries],
        "seed": [entry["seed"] for _, entry in entries],
    }
    for key in ("tokens", "seconds", "tokens_per_second", "final_loss"):
        columns[key] = [summaries[run].get(key) if run in summaries else None for run, _ in entries]
    for domain in domains:
        columns[f"asked:{domain}"] = [
            summaries[run]["weights"].get(domain, 0.0) if run in summaries else None
            for run, _ in entries
        ]
        columns[f"passes:{domain}"] = [
            summaries[run]["epochs"].get(domain, 0.0) if run in summaries else None
            for run, _ in entries
        ]
    write_table(path, [run for run, _ in entries], columns)
