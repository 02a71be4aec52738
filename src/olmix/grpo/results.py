"""Results of one run and of several: tables and plots from run folders alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from olmix.errors import DataError
from olmix.records.fit.scores import LEVEL
from olmix.records.run import RunFolder, Summary
from olmix.text.csv import write_table
from olmix.text.numbers import per_cent, with_error

__all__ = [
    "RunResult",
    "against_noise",
    "collect_runs",
    "results_table",
    "write_results",
    "write_reward_plot",
]

_COMPARED = {"objective": "objective", "eval/end/accuracy": "accuracy",
             "eval/end/format_rate": "format rate"}  # fmt: skip
"""Numbers that are compared between settings, with their names in words."""


@dataclass(frozen=True)
class RunResult:
    """A run as its folder describes it.

    Attributes:
        name: the folder's path below the one that was searched.
        state: of its status.
        overrides: what it changed, by key.
        seed: of its configuration.
        objective: mean reward of the last tenth of the steps; `None` until it is finished.
        metrics: final metrics by name; empty until it is finished.
    """

    name: str
    state: str
    overrides: Mapping[str, str]
    seed: int | None = None
    objective: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


def collect_runs(folders: Sequence[Path]) -> list[RunResult]:
    """Find the runs in folders, at any depth.

    Raises:
        DataError: a folder holds no run.
    """
    found: list[RunResult] = []
    for folder in folders:
        places = sorted(path.parent for path in folder.rglob("status.json"))
        runs = [place for place in places if (place / ".hydra").is_dir()]
        if not runs:
            raise DataError(f"{folder}: it holds no run of `olmix grpo train`")
        found.extend(_read(place, folder) for place in runs)
    return sorted(found, key=lambda run: [_number(part) for part in run.name.split("/")])


def _number(part: str) -> tuple[int, str]:
    """Sort 2 before 10."""
    return (int(part), "") if part.isdigit() else (10**9, part)


def _read(place: Path, folder: Path) -> RunResult:
    from olmix.text.yaml import read_yaml

    run = RunFolder(place)
    status = run.read_status()
    words = read_yaml(place / ".hydra" / "overrides.yaml").data or []
    overrides = dict(word.partition("=")[::2] for word in words)
    name = place.name if place == folder else str(place.relative_to(folder))
    try:
        summary = run.read_summary() if status.state == "finished" else Summary()
    except DataError:
        summary = Summary()
    seed, objective = map(summary.number, ("seed", "objective"))
    return RunResult(
        name,
        status.state,
        overrides,
        seed=int(seed) if seed is not None and math.isfinite(seed) else None,
        objective=objective,
        metrics=summary.metrics,
    )


def _varied(runs: Sequence[RunResult]) -> list[str]:
    """Return the keys whose values differ between runs, or all where there is one run."""
    keys = dict.fromkeys(key for run in runs for key in run.overrides)
    if len(runs) < 2:
        return list(keys)
    return [key for key in keys if len({run.overrides.get(key) for run in runs}) > 1]


_SHOWN = ("objective", "exact_format", "eval/end/accuracy", "eval/end/format_rate", "kl")


def results_table(runs: Sequence[RunResult]) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of text: what differs between the runs, and what came out."""
    varied = _varied(runs)
    rows = []
    for run in runs:
        values = {**run.metrics, "objective": run.objective}
        values["exact_format"] = run.metrics.get("reward/exact_format")
        cells = [f"{values[n]:.3f}" if values.get(n) is not None else "" for n in _SHOWN]
        rows.append([run.name, run.state, *(run.overrides.get(key, "") for key in varied), *cells])
    return ["run", "state", *varied, *_SHOWN], rows


def against_noise(runs: Sequence[RunResult]) -> list[str]:
    """Return sentences: which settings differ from the best by more than seeds do.

    A setting is what runs share that differ by their seed alone. The noise is the deviation of one
    run, pooled over settings with several seeds; a difference counts where it exceeds the half
    width of Student's interval, whose risk, 1 - `LEVEL`, is divided by the number of comparisons
    (Bonferroni).
    """
    varied = [key for key in _varied(runs) if key != "seed"]
    if not varied:
        return []
    groups: dict[str, list[RunResult]] = {}
    for run in runs:
        if run.objective is not None:
            name = " ".join(f"{key}={run.overrides.get(key, '')}" for key in varied)
            groups.setdefault(name, []).append(run)
    if len(groups) < 2:
        return []
    if all(len(group) < 2 for group in groups.values()):
        return [
            "no setting was run with two seeds, so the noise is unknown: add seed=0,1,2 to the "
            "sweep"
        ]
    lines: list[str] = []
    for key, name in _COMPARED.items():
        values = {
            setting: [v for run in group if (v := _value(run, key)) is not None]
            for setting, group in groups.items()
        }
        if all(values.values()):
            lines.extend(_compared(name, values))
    return lines


def _value(run: RunResult, key: str) -> float | None:
    return run.objective if key == "objective" else run.metrics.get(key)


def _compared(name: str, values: Mapping[str, Sequence[float]]) -> list[str]:
    """Return a sentence for each setting beside the best one."""
    from scipy import stats

    freedom = sum(len(group) - 1 for group in values.values())
    if not freedom:
        return []
    means = {setting: fmean(group) for setting, group in values.items()}
    squares = sum((v - means[s]) ** 2 for s, group in values.items() for v in group)
    noise = math.sqrt(squares / freedom)
    best = max(means, key=lambda setting: means[setting])
    tail = (1 - LEVEL) / 2 / max(1, len(values) - 1)
    quantile = float(stats.t.ppf(1 - tail, freedom))
    lines: list[str] = []
    for setting, group in values.items():
        if setting == best:
            continue
        gap = means[best] - means[setting]
        half = quantile * noise * math.sqrt(1 / len(values[best]) + 1 / len(group))
        verdict = "more than" if gap > half else "no more than"
        lines.append(
            f"{name}: {best} is {with_error(gap, half)} above {setting}, {verdict} the noise "
            f"between seeds ({per_cent(LEVEL)}, {len(values[best])} and {len(group)} runs)"
        )
    return lines


def write_results(runs: Sequence[RunResult], folder: Path) -> None:
    """Write `results.csv` with every metric of every run, and `results.png`."""
    varied = _varied(runs)
    metrics = dict.fromkeys(name for run in runs for name in run.metrics)
    columns: dict[str, Sequence[Any]] = {"state": [run.state for run in runs]}
    columns |= {key: [run.overrides.get(key) for run in runs] for key in varied}
    columns["objective"] = [run.objective for run in runs]
    for name in metrics:
        columns[name] = [run.metrics.get(name) for run in runs]
    write_table(folder / "results.csv", [run.name for run in runs], columns)
    _plot_objectives(runs, varied, folder / "results.png")


def _plot_objectives(runs: Sequence[RunResult], varied: Sequence[str], path: Path) -> None:
    from olmix.plotting import add_caption, new_figure, save_figure, style
    from olmix.plotting.rewards import objective_dots

    finished = {
        " ".join([run.name, *(f"{key}={run.overrides.get(key, '')}" for key in varied)]): (
            run.objective
        )
        for run in runs
        if run.objective is not None
    }
    seeds = sorted({run.seed for run in runs if run.seed is not None})
    with style():
        figure, ax = new_figure(4.5, max(1.0, 0.3 * len(finished)))
        objective_dots(ax, finished)
        caption = f"n = {len(finished)} of {len(runs)} runs, seed {', '.join(map(str, seeds))}."
        add_caption(ax, "What came of each run", caption)
        save_figure(figure, path)


def write_reward_plot(rows: Sequence[Mapping[str, float]], path: Path, *, seed: int) -> None:
    """Draw the rewards of a run; its numbers are in `metrics.jsonl` and, beside it, a CSV file."""
    from olmix.plotting import add_caption, new_figure, save_figure, style
    from olmix.plotting.rewards import reward_curves

    names = dict.fromkeys(name for row in rows for name in row if name.startswith("reward/"))
    curves = {
        # A step in which a reward abstained from all answers is a gap.
        name.removeprefix("reward/"): [row.get(name, math.nan) for row in rows]
        for name in names
    }
    steps = [row["step"] for row in rows]
    write_table(path.with_suffix(".csv"), [str(int(step)) for step in steps], curves)
    with style():
        figure, ax = new_figure(5.0, 2.8)
        reward_curves(ax, steps, curves)
        caption = f"n = {len(rows)} steps of training, seed {seed}; strong: mean of the last tenth."
        add_caption(ax, "Rewards", caption)
        save_figure(figure, path)
