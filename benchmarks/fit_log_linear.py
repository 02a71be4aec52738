"""Loss and time of the log-linear law against many restarts of L-BFGS, on the RegMix swarm.

    python benchmarks/fit_log_linear.py FOLDER

FOLDER holds `regmix/train_mixture_1m.csv` and `regmix/train_pile_loss_1m.csv` (RegMix, Liu et al.
2024), and `regmix/loglinear_reference.csv`: for every metric the Huber loss (sum, delta 0.02) that
up to 300 random restarts of L-BFGS reached. Fitted without a ridge and to the weights as they stand
in the file, as the reference was: these are rounded, and their sums range from 0.996 to 1.003.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import numpy as np

from olmix.fit.swarm_fit import one_thread
from olmix.laws.log_linear import LogLinear
from olmix.text.csv import read_table

DELTA = 0.02


def huber_sum(residuals: np.ndarray) -> float:
    """Return the sum of Huber's loss with the delta of the papers."""
    size = np.abs(residuals)
    return float(np.where(size <= DELTA, 0.5 * size**2, DELTA * (size - 0.5 * DELTA)).sum())


def main(folder: Path) -> None:
    """Print the losses and the seconds."""
    ratios = read_table(folder / "regmix/train_mixture_1m.csv")
    table = read_table(folder / "regmix/train_pile_loss_1m.csv")
    x, y = ratios.rows(table.runs), table.rows(table.runs).T
    with (folder / "regmix/loglinear_reference.csv").open() as stream:
        reference = {
            row["metric"]: float(row["huber_sum_delta_0.02"]) for row in csv.DictReader(stream)
        }
    law = LogLinear(ridges=(0.0,))
    with one_thread():
        law.fit_many(x[:64], y[:, :64], np.ones((len(y), 64)))
        started = time.perf_counter()
        fitted = law.fit_many(x, y, np.ones_like(y))
        seconds = time.perf_counter() - started
    print(f"{'metric':32s} {'ours':>9s} {'L-BFGS':>9s} {'ratio':>8s}")
    for name, row, fit in zip(table.columns, y, fitted, strict=True):
        short = name.removeprefix("metric/the_pile_").removesuffix("_val_loss")
        ours, best = huber_sum(row - fit.predict(x)), reference[f"{short}_loss"]
        print(f"{short:32s} {ours:9.5f} {best:9.5f} {ours / best:8.5f}")
    print(f"{len(y)} metrics x {len(x)} runs x {x.shape[1]} domains on one core: {seconds:.2f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
