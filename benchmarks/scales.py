"""Values at a larger scale from small runs and a few larger ones, on RegMix.

FOLDER holds `train_mixture_1m.csv`, `train_pile_loss_1m.csv`, `test_mixture_60m.csv` and
`test_pile_loss_60m.csv` of RegMix (Liu et al. 2024: github.com/sail-sg/regmix, MIT). Some runs of
1M parameters give the shape of the laws, k of 60M their map, and the other runs of 60M judge: error
in spreads of each metric (mean of 13), and share inside the 90 % intervals of one run. Each line is
the mean over draws of the runs, with its standard error.

    python benchmarks/scales.py FOLDER [draws of 1M runs] [draws of 60M runs for each]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from olmix import load_swarm
from olmix.config.scales import SwarmScale
from olmix.fit.scales.lift import lift
from olmix.fit.scales.read import ScaleRuns
from olmix.fit.swarm_fit import SwarmFit, fit_laws, one_thread
from olmix.simplex import Array, hellinger
from olmix.text.csv import Table, read_table

COUNTS = (4, 8, 16, 32, 64)
SMALL = (128, 512)


def some(table: Table, chosen: Array) -> dict[str, list[float] | list[str]]:
    """Return rows of a table as columns."""
    columns = dict(zip(table.columns, table.values[chosen].T.tolist(), strict=True))
    return {"run": [table.runs[i] for i in chosen], **columns}


def small_fit(ratios: Table, metrics: Table, chosen: Array) -> SwarmFit:
    """Fit the runs of 1M parameters."""
    loaded = load_swarm(
        some(ratios, chosen),
        some(metrics, chosen),
        token_counts=dict.fromkeys(ratios.columns, 1),
    )
    with one_thread():
        return fit_laws(loaded.config, loaded.swarm)


def judged(fit: SwarmFit, mixtures: Array, values: Array, chosen: Array) -> tuple[float, float]:
    """Return error in spreads and coverage on the runs that were not chosen."""
    runs = ScaleRuns(
        scale=SwarmScale(name="60m"),
        runs=tuple(f"r{i}" for i in chosen),
        num_runs=len(chosen),
        mixtures=mixtures[chosen],
        values=values[chosen],
        dropped={},
    )
    with one_thread():
        there = lift(fit, runs)
    if there is None:
        raise SystemExit("too few runs to place any value")
    others = np.setdiff1d(np.arange(len(mixtures)), chosen)
    far = hellinger(mixtures[others], there.swarm.fitted_mixtures).min(axis=1)
    errors, inside = [], []
    for measured, spread, fitted in zip(
        values[others].T, values.std(axis=0), there.fits, strict=True
    ):
        predicted = fitted.best.law.predict(mixtures[others])
        low, high = fitted.calibration.interval(predicted, far)
        errors.append(float(np.sqrt(((measured - predicted) ** 2).mean())) / spread)
        inside.append(float(((low <= measured) & (measured <= high)).mean()))
    return float(np.mean(errors)), float(np.mean(inside))


def main(folder: Path, num_small: int, num_large: int) -> None:
    """Print a table: a line for each number of small and of larger runs."""
    names = ("train_mixture_1m", "train_pile_loss_1m", "test_mixture_60m", "test_pile_loss_60m")
    ratios, metrics, larger, measured = (read_table(folder / f"{name}.csv") for name in names)
    print("1M runs  60M runs  error in spreads   inside 90 %")
    for size in SMALL:
        found: dict[int, list[tuple[float, float]]] = {count: [] for count in COUNTS}
        for draw in range(num_small if size < len(ratios.runs) else 1):
            rng = np.random.default_rng([draw, size])
            fit = small_fit(ratios, metrics, rng.choice(len(ratios.runs), size, replace=False))
            rows = larger.select(fit.swarm.domains)
            mixtures = rows / rows.sum(axis=1, keepdims=True)
            values = measured.select(fit.swarm.metrics)
            for count in COUNTS:
                for _ in range(num_large):
                    chosen = rng.choice(len(rows), count, replace=False)
                    found[count].append(judged(fit, mixtures, values, chosen))
        for count, scores in found.items():
            error, inside = np.mean(scores, axis=0)
            deviation = np.std(scores, axis=0, ddof=1) / np.sqrt(len(scores))
            print(
                f"{size:7} {count:9}      {error:.3f} ± {deviation[0]:.3f}   "
                f"{100 * inside:.1f} ± {100 * deviation[1]:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(argument) for argument in (*sys.argv[2:], "4", "10")[:2]))
