"""The mixtures of a sweep as the swarm that `olmix fit` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.config.experiment import ExperimentConfig
from olmix.config.fit import FitConfig
from olmix.records.mapping import Mapped
from olmix.records.metric import lower_is_better as direction_of
from olmix.sweep.data_files import count_rows
from olmix.sweep.design import SEED
from olmix.sweep.mixtures import MIX
from olmix.text.csv import write_table
from olmix.text.numbers import counted
from olmix.text.yaml import write_yaml

__all__ = ["OWN_DATA", "write_swarm"]

OWN_DATA = (
    "Each run's loss is measured on its own mixture, and easy data give a low loss; compare a "
    "metric measured on the same data for all runs"
)
_FOLDER = "mixture"
_CONFIG = "fit.yaml"


def write_swarm(
    folder: Path,
    config: ExperimentConfig,
    ranking: Sequence[Mapped],
    final: Mapping[str, float],
    metric: str,
    *,
    lower_is_better: bool,
) -> Path | None:
    """Write `ratios.csv`, `metrics.csv` and the config of their fit; returns the config.

    Only runs that share the best run's other values are taken: a law of the mixture knows nothing
    of them.

    Args:
        folder: of the results.
        config: the experiment.
        ranking: runs that have the metric, best first.
        final: its value, by id.
        metric: its name.
        lower_is_better: its direction.

    Returns:
        `None` where no mixture varies.
    """
    target = folder / _FOLDER
    mixtures = [run.params[MIX] for run in ranking if isinstance(run.params.get(MIX), Mapping)]
    if len({tuple(sorted(mixture.items())) for mixture in mixtures}) < 2:
        (target / _CONFIG).unlink(missing_ok=True)
        return None
    best = _others(ranking[0])
    runs = sorted((run for run in ranking if _others(run) == best), key=lambda run: run.id)
    ids = [run.id for run in runs]
    names = list(config.sources)
    shares = {name: [run.params[MIX].get(name, 0.0) for run in runs] for name in names}
    write_table(target / "ratios.csv", ids, shares)
    write_table(target / "metrics.csv", ids, {metric: [final[name] for name in ids]})
    rows = {name: _rows(config.sources[name]) for name in names}
    is_known = all(rows.values())
    content: dict[str, Any] = {
        "swarm": {"ratios": "ratios.csv", "metrics": "metrics.csv"},
        "priors": {"token_counts": {name: (rows[name] or 1) if is_known else 1 for name in names}},
        "eval": {"type": "offline", "tasks": {metric: [metric]}},
    }
    if direction_of([metric], {}) != lower_is_better or not lower_is_better:
        content["lower_is_better"] = {metric: lower_is_better}
    stand_in = "rows, which stand for tokens" if is_known else "unknown, and taken as equal"
    left_out = len(ranking) - len(runs)
    header = (
        f"Fit with: olmix fit -c {_CONFIG} -o fit\n"
        f"{counted(len(runs), 'run')}; sizes of the sources: {stand_in}."
    )
    if metric == "loss":
        header += f"\n{OWN_DATA}."
    if left_out:
        header += f"\nLeft out: {counted(left_out, 'run')} with other values than the best run's."
    FitConfig.from_dict({**content, **_absolute(target)}, str(target / _CONFIG))
    write_yaml(target / _CONFIG, content, header)
    return target / _CONFIG


def _absolute(target: Path) -> dict[str, object]:
    tables = {"ratios": str(target / "ratios.csv"), "metrics": str(target / "metrics.csv")}
    return {"swarm": tables}


def _others(run: Mapped) -> dict[str, object]:
    """Return what a run has besides its mixture and seed."""
    return {name: value for name, value in run.params.items() if name not in (MIX, SEED)}


def _rows(source: Mapping[str, Any]) -> int | None:
    found, files = source.get("rows"), source.get("data_files")
    if isinstance(found, int):
        return found
    return count_rows(files) if isinstance(files, str) else None
