"""What rounds are worth: one shot of runs against the same number in two and four rounds.

Planted are the four truths of `fit_coverage.py` over 6 domains. The first round is a swarm of
`olmix generate`, each later one what `--after` places by the fit to all runs so far. All ways have
as many runs; what counts is the regret of the last proposal: how much worse the truth is there than
at its best, in spreads of the truth over the first design. Less is better.

    python benchmarks/rounds.py [runs] [worlds of each truth]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fit_coverage import DOMAINS, TRUTHS, Truth
from olmix.config import FitConfig, GenerationConfig
from olmix.fit import fit_swarm
from olmix.fit.saved_draws import load_draws
from olmix.generate import sample_swarm
from olmix.simplex import Array
from olmix.text.csv import write_table

NOISE = 0.1
"""Standard deviation of a run's noise, as a share of the metric's spread."""
ROUNDS = (1, 2, 4)
COUNTS = dict.fromkeys(DOMAINS, 10_000_000)


def sampled(number: int, seed: int, after: Path | None = None) -> Array:
    """Return the mixtures of a round, (number, D)."""
    swarm = {"variants": number, "references": [], "seed": seed}
    if after is not None:
        swarm["after"] = str(after)
    config = GenerationConfig.from_dict(
        {
            "data": {"sources": [{"name": name, "paths": ["x"]} for name in DOMAINS]},
            "priors": {"token_counts": COUNTS},
            "swarm": swarm,
            "max_tokens": 1_000_000,
        }
    )
    fit = None if after is None else load_draws(after)
    return np.array([one.mix.weights(DOMAINS) for one in sample_swarm(config, fit=fit)])


def proposed(
    truth: Truth, scale: float, num_runs: int, rounds: int, seed: int, folder: Path
) -> Array:
    """Return the last proposal of `rounds` rounds of `num_runs` runs in all, (D,)."""
    rng = np.random.default_rng([seed, 2])
    mixtures, values = np.empty((0, len(DOMAINS))), np.empty(0)
    after = None
    for _ in range(rounds):
        new = sampled(num_runs // rounds, seed, after)
        mixtures = np.vstack([mixtures, new])
        values = np.append(values, truth(new) + NOISE * scale * rng.standard_normal(len(new)))
        runs = [f"r{index:03}" for index in range(len(values))]
        weights = dict(zip(DOMAINS, mixtures.T.tolist(), strict=True))
        write_table(folder / "ratios.csv", runs, weights)
        write_table(folder / "metrics.csv", runs, {"y": values.tolist()})
        tables = {name: str(folder / f"{name}.csv") for name in ("ratios", "metrics")}
        config = FitConfig.from_dict(
            {
                "swarm": tables,
                "priors": {"token_counts": COUNTS},
                "proposer": {"kl_reg": 0.0},
            }
        )
        fit_swarm(config, folder / "fit")
        after = folder / "fit" / "latest"
    assert after is not None
    return load_draws(after).proposal


def best_of(truth: Truth, rng: np.random.Generator) -> float:
    """Return the least value of a truth, by ever closer search."""
    strengths = np.exp(rng.uniform(-2, 2, (20_000, 1))) * np.ones(len(DOMAINS))
    points = np.array([rng.dirichlet(row) for row in strengths])
    for step in (0.3, 0.1, 0.03, 0.01, 0.003):
        best = points[np.argsort(truth(points))[:50]]
        towards = rng.dirichlet(np.full(len(DOMAINS), 0.3), (200, len(best)))
        points = np.vstack([best, ((1 - step) * best + step * towards).reshape(-1, len(DOMAINS))])
    return float(truth(points).min())


def regret(plant: Callable[[np.random.Generator], Truth], num_runs: int, seed: int) -> list[float]:
    """Return the regret of each number of rounds in one world."""
    rng = np.random.default_rng(seed)
    truth = plant(rng)
    scale = float(truth(sampled(256, 10_000 + seed)).std())
    best = best_of(truth, rng)
    found = []
    for rounds in ROUNDS:
        with tempfile.TemporaryDirectory() as folder:
            mixture = proposed(truth, scale, num_runs, rounds, seed, Path(folder))
        found.append(float(truth(mixture[None])[0] - best) / scale)
    return found


def main(num_runs: int, worlds: int) -> None:
    """Print the mean regret of each way, with its standard error, and of the pairs."""
    print(f"{num_runs} runs in all, {worlds} worlds of each truth, noise {NOISE:g} spreads")
    print("truth          " + "".join(f"{rounds:>8} round(s)" for rounds in ROUNDS) + "   4 - 1")
    every = []
    for plant in TRUTHS:
        rows = np.array([regret(plant, num_runs, seed) for seed in range(worlds)])
        every.append(rows)
        print(_line(plant.__name__, rows), flush=True)
    print(_line("all", np.vstack(every)))


def _line(name: str, rows: Array) -> str:
    columns = [*rows.T, rows[:, -1] - rows[:, 0]]
    errors = [column.std(ddof=1) / np.sqrt(len(column)) for column in columns]
    cells = [f" {c.mean():8.4f} +- {e:.4f}" for c, e in zip(columns, errors, strict=True)]
    return f"{name:<15}" + "".join(cells)


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 64, int(sys.argv[2]) if len(sys.argv) > 2 else 8
    )
