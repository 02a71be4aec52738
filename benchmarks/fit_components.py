"""What components that metrics share add to a stack of laws, on public swarms.

    python benchmarks/fit_components.py FOLDER [DRAWS]

FOLDER is that of `fit_public.py`. Fitted to 64 random runs, judged on the others: mean over the
metrics of the Spearman correlation, in per cent, and of the error over the spread, for the stack of
the four laws of `auto`, for components alone, and for the stack of all five; differences with their
standard error over the draws.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fit_public import NUM_FOLDS, load, mean_spearman, predict
from olmix.fit.swarm_fit import one_thread
from olmix.laws.components import fit_components
from olmix.laws.gp import GpLog, GpSqrt
from olmix.laws.law import Law
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight
from olmix.laws.stack import stack_weights

LAWS: tuple[Law, ...] = (LogLinear(), LogWeight(), GpSqrt(), GpLog())


def every_law(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return predictions of all laws, components last, (5, M, n)."""
    shared = [law.predict(at) for law in fit_components(x, y, np.ones_like(y))]
    return np.stack([*(predict(law, x, y, at) for law in LAWS), np.stack(shared)])


def draw(x: np.ndarray, y: np.ndarray, size: int, seed: int) -> dict[str, tuple[float, float]]:
    """Fit to some runs and judge on the others: correlation and error by stack."""
    order = np.random.default_rng(seed).permutation(len(x))
    seen, rest = order[:size], order[size:]
    predicted = every_law(x[seen], y[:, seen], x[rest])
    folds = np.random.default_rng(0).permutation(size) % NUM_FOLDS
    held = np.empty((len(LAWS) + 1, len(y), size))
    for fold in range(NUM_FOLDS):
        out = folds == fold
        held[:, :, out] = every_law(x[seen][~out], y[:, seen][:, ~out], x[seen][out])
    errors = y[:, seen] - held
    found = {}
    for name, members in (
        ("four laws", slice(0, 4)),
        ("components", slice(4, 5)),
        ("all five", slice(0, 5)),
    ):
        joined = np.array(
            [stack_weights(errors[members, m]) @ predicted[members, m] for m in range(len(y))]
        )
        rest_y = y[:, rest]
        rmse = np.sqrt(((rest_y - joined) ** 2).mean(axis=1)) / rest_y.std(axis=1)
        found[name] = (mean_spearman(rest_y, joined), 100 * float(rmse.mean()))
    return found


def main(folder: Path, draws: int) -> None:
    """Print a table for each swarm."""
    swarms = {
        "DCLM, 110 metrics": ("olmix-dclm/dclm_ratios.csv", "olmix-dclm/dclm_metrics.csv"),
        "RegMix, 13 metrics": ("regmix/train_mixture_1m.csv", "regmix/train_pile_loss_1m.csv"),
    }
    for title, (ratios, metrics) in swarms.items():
        x, y = load(folder / ratios, folder / metrics)
        with one_thread():
            found = [draw(x, y, 64, seed) for seed in range(draws)]
        print(f"\n{title}, 64 runs, {draws} draws: Spearman (%), error (% of the spread)")
        base = np.array([one["four laws"] for one in found])
        for name in found[0]:
            own = np.array([one[name] for one in found])
            change = own - base
            error = change.std(axis=0, ddof=1) / np.sqrt(draws)
            means, changes = own.mean(axis=0), change.mean(axis=0)
            print(
                f"{name:12s} {means[0]:6.2f} {means[1]:6.2f}   change {changes[0]:+.2f} +- "
                f"{error[0]:.2f}, {changes[1]:+.2f} +- {error[1]:.2f}"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 4)
