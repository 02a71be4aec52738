"""How long `olmix fit` takes on large swarms, how much memory, and whether a subset loses anything.

    python benchmarks/fit_large.py 1000 50 100      # runs, domains, metrics: time and memory
    python benchmarks/fit_large.py FOLDER           # loss of choosing settings on 256 RegMix runs

Planted laws with noise of a tenth of the spread, regression `auto`, one core. FOLDER is that of
`fit_public.py`: Gaussian processes and exponential laws are fitted to 410 RegMix runs with their
settings from all of them and from 256, and judged on the other 102 (mean of four draws).
"""

from __future__ import annotations

import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fit_public import load, mean_spearman, predict
from olmix.config import FitConfig
from olmix.fit import fit_swarm
from olmix.laws import law as laws
from olmix.laws.gp import GpLog, GpSqrt
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight
from olmix.report import write_report
from olmix.text.csv import write_table


def plant(folder: Path, runs: int, domains: int, metrics: int) -> FitConfig:
    """Write a swarm of power laws, of which each metric knows three domains in ten."""
    rng = np.random.default_rng(0)
    strengths = rng.uniform(4, 32, runs)
    x = np.stack([rng.dirichlet(np.full(domains, s / domains)) for s in strengths])
    names = [f"d{i:03d}" for i in range(domains)]
    ids = [f"r{i:05d}" for i in range(runs)]
    columns = {}
    for metric in range(metrics):
        slopes = rng.normal(0, 0.1, domains) * (rng.random(domains) < 0.3)
        slopes[metric % domains] = 0.2
        y = 2 + np.exp(-1 + np.log(x + 0.03) @ slopes)
        columns[f"m{metric:03d}_loss"] = y + 0.1 * y.std() * rng.standard_normal(runs)
    write_table(folder / "ratios.csv", ids, dict(zip(names, x.T.tolist(), strict=True)))
    write_table(folder / "metrics.csv", ids, {k: v.tolist() for k, v in columns.items()})
    return FitConfig.from_dict(
        {
            "swarm": {key: str(folder / f"{key}.csv") for key in ("ratios", "metrics")},
            "priors": {"token_counts": dict.fromkeys(names, 10**9)},
        }
    )


def large(runs: int, domains: int, metrics: int) -> None:
    """Print the processor time of a fit, of its figures, and the largest memory."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as place:
        config = plant(Path(place), runs, domains, metrics)
        started = time.process_time()
        result = fit_swarm(config, Path(place) / "fit")
        fitted = time.process_time()
        write_report(result.folder)
        drawn = time.process_time()
        sizes = {f.name: f.stat().st_size / 1e6 for f in result.folder.iterdir()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{runs} x {domains} x {metrics}: fit {fitted - started:.0f} s, report "
        f"{drawn - fitted:.0f} s, {peak:.1f} GB, models.json {sizes['models.json']:.0f} MB, "
        f"report.html {sizes['report.html']:.1f} MB"
    )


def subset(folder: Path) -> None:
    """Print scores with settings from all of 410 runs and from 256 of them."""
    x, y = load(folder / "regmix/train_mixture_1m.csv", folder / "regmix/train_pile_loss_1m.csv")
    whole = laws.MOST_IN_FULL
    for law in (GpSqrt(), GpLog(), LogWeight(), LogLinear()):
        found: dict[str, list[float]] = {"all": [], "256": []}
        for seed in range(4):
            order = np.random.default_rng(seed).permutation(len(x))
            seen, rest = order[:410], order[410:]
            for name, most in (("all", whole), ("256", 300)):
                laws.MOST_IN_FULL = most
                found[name].append(
                    mean_spearman(y[:, rest], predict(law, x[seen], y[:, seen], x[rest]))
                )
        change = np.array(found["256"]) - np.array(found["all"])
        print(
            f"{law.name}: all {np.mean(found['all']):.2f}, 256 {np.mean(found['256']):.2f}, "
            f"change {change.mean():+.3f} +- {change.std(ddof=1) / 2:.3f}"
        )
    laws.MOST_IN_FULL = whole


if __name__ == "__main__":
    if len(sys.argv) == 2:
        subset(Path(sys.argv[1]))
    else:
        large(*(int(number) for number in sys.argv[1:4]))
