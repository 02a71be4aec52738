"""How well each regressor ranks runs it has not seen, on public swarms.

    python benchmarks/fit_public.py FOLDER

FOLDER holds `regmix/train_mixture_1m.csv` and `regmix/train_pile_loss_1m.csv` (RegMix, Liu et al.
2024: github.com/sail-sg/regmix, MIT) and `olmix-dclm/dclm_ratios.csv` and
`olmix-dclm/dclm_metrics.csv` (Olmix, Chen et al. 2026: github.com/allenai/olmix, Apache-2.0).
Prints a table: mean Spearman correlation over the metrics, in per cent, and seconds for fitting all
of them. Two baselines are what others run: LightGBM with the settings of RegMix, and the log-linear
law without a ridge, from 20 random starts, as in "Data Mixing Laws" and Olmix.

- RegMix, 64 runs: fitted to 64 random runs, judged on the other 448; mean of four draws.
- RegMix, 410 runs: fitted to 410 random runs, judged on the other 102.
- DCLM: mean of all 110 metrics as one, 5-fold cross-validation.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from olmix.fit.scoring import scores
from olmix.laws.best_run import Search
from olmix.laws.gp import GpLog, GpSqrt
from olmix.laws.law import Law
from olmix.laws.lightgbm import LightGbm
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight
from olmix.laws.power_sum import AutoScale, BiMix
from olmix.laws.stack import stack_weights
from olmix.text.csv import read_table

LAWS: tuple[Law, ...] = (
    LogLinear(),
    LogWeight(),
    GpSqrt(),
    GpLog(),
    AutoScale(),
    BiMix(),
    LightGbm(),
    Search(),
)
STACKED = ("log_linear", "log_weight", "gp_sqrt", "gp_log")
NUM_FOLDS = 5


def load(ratios: Path, metrics: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return mixtures (R, D), rows summing to 1, and metrics (M, R), joined by run."""
    left, right = read_table(ratios), read_table(metrics)
    runs = [run for run in left.runs if run in set(right.runs)]
    mixtures = left.rows(runs)
    return mixtures / mixtures.sum(axis=1, keepdims=True), right.rows(runs).T


def regmix_lightgbm(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Fit one metric (R,) by LightGBM as RegMix does: 1000 trees at most, stopped early."""
    import lightgbm

    settings = {"objective": "regression", "learning_rate": 1e-2, "seed": 42, "verbosity": -1}
    order = np.random.default_rng(42).permutation(len(x))
    seen, judged = order[len(x) // 10 :], order[: len(x) // 10]
    booster = lightgbm.train(
        {**settings, "num_threads": 1},
        lightgbm.Dataset(x[seen], y[seen]),
        num_boost_round=1000,
        valid_sets=[lightgbm.Dataset(x[judged], y[judged])],
        callbacks=[lightgbm.early_stopping(3, verbose=False)],
    )
    return np.asarray(booster.predict(at))


def plain_log_linear(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Fit one metric (R,) by ``exp(c) + exp(t . x)`` from 20 random starts, with Huber's loss."""
    from scipy import optimize, special

    rng = np.random.default_rng(0)

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        rise = np.exp(np.clip(x @ p[1:], -30, 30))
        residual = np.exp(p[0]) + rise - y
        pull = np.clip(residual, -0.02, 0.02)
        gradient = np.concatenate([[pull.sum() * np.exp(p[0])], (pull * rise) @ x])
        return float(special.huber(0.02, residual).sum()), gradient

    ends = []
    for _ in range(20):
        start = np.append(rng.uniform(-2, 1.5), rng.normal(0, 0.5, x.shape[1]))
        bounds = [(-10, float(np.log(y.min())))] + [(-30, 30)] * x.shape[1]
        ends.append(optimize.minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B"))
    best = min(ends, key=lambda end: end.fun).x
    return np.exp(best[0]) + np.exp(at @ best[1:])


BASELINES = {"LightGBM as in RegMix": regmix_lightgbm, "log-linear, 20 starts": plain_log_linear}


def predict_baseline(name: str, x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Fit all metrics (M, R) by a baseline and predict them at other mixtures, (M, n)."""
    return np.stack([BASELINES[name](x, row, at) for row in y])


def predict(law: Law, x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Fit all metrics (M, R) and predict them at other mixtures, (M, n)."""
    return np.stack([fit.predict(at) for fit in law.fit_many(x, y, np.ones_like(y))])


def held_out(law: Law, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the prediction of every run by the fit without its fold, (M, R)."""
    folds = np.random.default_rng(0).permutation(len(x)) % NUM_FOLDS
    result = np.empty_like(y)
    for fold in range(NUM_FOLDS):
        out = folds == fold
        result[:, out] = predict(law, x[~out], y[:, ~out], x[out])
    return result


def mean_spearman(measured: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean over metrics, in per cent."""
    pairs = zip(measured, predicted, strict=True)
    return 100 * float(np.mean([scores(a, b).spearman for a, b in pairs]))


def split(x: np.ndarray, y: np.ndarray, size: int, seed: int) -> dict[str, tuple[float, float]]:
    """Fit to some runs and judge on the others: score and seconds by law."""
    order = np.random.default_rng(seed).permutation(len(x))
    seen, rest = order[:size], order[size:]
    result, predicted, errors = {}, {}, {}
    for law in LAWS:
        started = time.perf_counter()
        predicted[law.name] = predict(law, x[seen], y[:, seen], x[rest])
        seconds = time.perf_counter() - started
        result[law.name] = (mean_spearman(y[:, rest], predicted[law.name]), seconds)
        if law.name in STACKED:
            errors[law.name] = y[:, seen] - held_out(law, x[seen], y[:, seen])
    for name in BASELINES:
        started = time.perf_counter()
        other = predict_baseline(name, x[seen], y[:, seen], x[rest])
        result[name] = (mean_spearman(y[:, rest], other), time.perf_counter() - started)
    stacked = [
        stack_weights(np.stack([errors[name][metric] for name in STACKED]))
        @ np.stack([predicted[name][metric] for name in STACKED])
        for metric in range(len(y))
    ]
    result["auto"] = (mean_spearman(y[:, rest], np.array(stacked)), np.nan)
    return result


def show(title: str, found: list[dict[str, tuple[float, float]]]) -> None:
    """Print the means of several repetitions."""
    print(f"\n{title}\n{'law':24s} {'Spearman':>9s} {'seconds':>8s}")
    for name in found[0]:
        score, seconds = np.mean([one[name] for one in found], axis=0)
        print(f"{name:24s} {score:9.2f} {seconds:8.2f}")


def main(folder: Path) -> None:
    """Print the tables."""
    x, y = load(folder / "regmix/train_mixture_1m.csv", folder / "regmix/train_pile_loss_1m.csv")
    show("RegMix, 64 runs, 13 metrics", [split(x, y, 64, seed) for seed in range(4)])
    show("RegMix, 410 runs, 13 metrics", [split(x, y, 410, 0)])
    x, y = load(folder / "olmix-dclm/dclm_ratios.csv", folder / "olmix-dclm/dclm_metrics.csv")
    average = y.mean(axis=0)[None]
    rows = {}
    held = {}
    for law in LAWS:
        started = time.perf_counter()
        held[law.name] = held_out(law, x, average)
        rows[law.name] = (mean_spearman(average, held[law.name]), time.perf_counter() - started)
    folds = np.random.default_rng(0).permutation(len(x)) % NUM_FOLDS
    for name in BASELINES:
        started = time.perf_counter()
        other = np.empty_like(average)
        for fold in range(NUM_FOLDS):
            out = folds == fold
            other[:, out] = predict_baseline(name, x[~out], average[:, ~out], x[out])
        rows[name] = (mean_spearman(average, other), time.perf_counter() - started)
    errors = np.stack([(average - held[name])[0] for name in STACKED])
    joined = stack_weights(errors) @ np.stack([held[name][0] for name in STACKED])
    rows["auto"] = (mean_spearman(average, joined[None]), np.nan)
    show("DCLM, 127 runs, mean of 110 metrics, 5 folds", [rows])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
