"""Laws judged by what they propose, on the published 39-domain surface of a law of epochs.

FOLDER holds `mariner_uncheatable_fit.json`, the coefficients of 7 tasks x 39 domains that
marin-community/marin published (Apache-2.0). They are the truth here: a swarm is drawn from it
(Dirichlet(1), natural, uniform, and each domain left out; noise 0.001), each law is fitted to the
7 tasks, and its own best mixture without caps and KL is looked up in the truth.

    regret     truth at the proposal minus the least truth that any search found; less is better
    optimism   truth at the proposal minus the promise; above 0 too much was promised

    python benchmarks/epochs.py FOLDER [runs] [worlds]
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from olmix.config import FitConfig
from olmix.fit.crossval import MetricFit
from olmix.fit.propose.feasible import feasible_mixtures
from olmix.fit.propose.gradient import search, starting_points
from olmix.fit.propose.objective import ProposerObjective
from olmix.fit.propose.proposal import build_objective
from olmix.fit.swarm import read_swarm
from olmix.fit.swarm_fit import SwarmFit, fit_laws, one_thread
from olmix.laws.epochs import EpochsShape, FittedEpochs
from olmix.simplex import Array
from olmix.text.csv import Table

NOISE = 0.001
COMPARED = ("log_weight", "gp_sqrt", "epochs", "stacked")


def truths(folder: Path) -> tuple[tuple[str, ...], list[FittedEpochs], Array]:
    """Return the domains, the law of every task, and their weights."""
    plain = json.loads((folder / "mariner_uncheatable_fit.json").read_text())
    passes = np.array(plain["epochs_per_unit_weight"])
    tasks = plain["tasks"]
    tasks = list(tasks.values()) if isinstance(tasks, dict) else tasks
    laws = [
        FittedEpochs(
            passes,
            EpochsShape(task["rate"], task["power"], task["tau"]),
            np.array([*task["alpha"], *task["beta"]]),
            task["intercept"],
            task["floor"],
            task["ridge"],
        )
        for task in tasks
    ]
    return tuple(plain["buckets"]), laws, np.array([task["weight"] for task in tasks])


def mixtures(natural: Array, num: int, rng: np.random.Generator) -> Array:
    """Draw the design of the published swarm, (num, D)."""
    without = natural * (1 - np.eye(len(natural)))
    without /= without.sum(axis=1, keepdims=True)
    fixed = np.vstack([natural, np.full(len(natural), 1 / len(natural)), without])
    return np.vstack([fixed, rng.dirichlet(np.ones(len(natural)), num - len(fixed))])


def fitted(domains: tuple[str, ...], x: Array, values: Array, weights: Array, c: Array) -> SwarmFit:
    """Fit `auto` to a swarm."""
    runs = tuple(f"r{i:03d}" for i in range(len(x)))
    names = tuple(f"task{i}_bpb" for i in range(len(weights)))
    config = FitConfig.from_dict(
        {
            "swarm": {"ratios": "planted", "metrics": "planted"},
            "priors": {
                "token_counts": dict(zip(domains, (1e12 / c).astype(int).tolist(), strict=True))
            },
            "constraints": {"target_tokens": 10**12},
            "filtering": {"obj_weights": dict(zip(names, weights.tolist(), strict=True))},
            "proposer": {"kl_reg": 0},
        }
    )
    tables = (Table("r", runs, runs, domains, x), Table("m", runs, runs, names, values))
    return fit_laws(config, read_swarm(config, tables))


def least(objective: ProposerObjective, fit: SwarmFit, known: Array) -> Array:
    """Return the best mixture that the gradient proposer finds from good starts, (D,)."""
    feasible = feasible_mixtures(fit.config, fit.swarm.live)
    starts = starting_points(feasible, list(known), 8, 0)
    return search(objective, feasible, starts, 0.01)


def with_law(fits: list[MetricFit], law: str) -> list[MetricFit]:
    """Return the fits with one law chosen for every metric."""
    return [replace(one, chosen=law) for one in fits]


def main(folder: Path, num: int, worlds: int) -> None:
    """Print regret and optimism of each law."""
    domains, laws, weights = truths(folder)
    natural = 1 / laws[0].passes / (1 / laws[0].passes).sum()
    found: dict[str, list[tuple[float, float]]] = {}
    shares = weights / weights.sum()

    def truth(x: Array) -> Array:
        return shares @ np.stack([law.predict(np.atleast_2d(x)) for law in laws])

    for world in range(worlds):
        begun = time.perf_counter()
        rng = np.random.default_rng(world)
        x = mixtures(natural, num, rng)
        clean = np.stack([law.predict(x) for law in laws], axis=1)
        values = clean + NOISE * rng.standard_normal(clean.shape)
        with one_thread():
            fit = fitted(domains, x, values, weights, laws[0].passes)
            order = np.argsort(values @ shares)
            starts = np.vstack([natural, x[order[:4]]])
            exact = ProposerObjective(laws, shares, 0.0, natural)
            best = float(truth(least(exact, fit, starts))[0])
            found.setdefault("best run", []).append((float(truth(x[order[0]])[0]) - best, np.nan))
            for name in (*COMPARED, "auto"):
                there = fit if name == "auto" else replace(fit, fits=with_law(fit.fits, name))
                objective = build_objective(there, there.swarm.objective_weights, 0.0)
                mixture = least(objective, fit, starts)
                real, promise = float(truth(mixture)[0]), float(objective.value(mixture[None])[0])
                found.setdefault(name, []).append((real - best, real - promise))
        chosen = [one.chosen for one in fit.fits]
        print(
            f"world {world}: {time.perf_counter() - begun:.0f} s, auto chose {chosen}", flush=True
        )
    print(f"{num} runs, {worlds} worlds    regret            optimism")
    for name, pairs in found.items():
        mean = np.mean(pairs, axis=0)
        error = np.std(pairs, axis=0, ddof=1) / np.sqrt(len(pairs))
        print(f"{name:12} {mean[0]:.4f} ± {error[0]:.4f}   {mean[1]:+.4f} ± {error[1]:.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(argument) for argument in (*sys.argv[2:], "280", "3")[:2]))
