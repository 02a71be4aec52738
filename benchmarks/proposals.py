"""Whether the best tenth, left out, tells which law proposes well: against truths, planted or held.

Every law of `auto` is fitted to a swarm, and once more without the best tenth of its mixtures, and
judged by what it picks among these (`olmix.fit.evidence.best_tenth`). What it is worth is asked
of the truth:

- planted: the four truths of `fit_coverage.py`, 6 domains, 64 runs (`runs`), noise a tenth of
  the spread. A law proposes (no divergence), and its regret and its optimism are looked up;
- public: RegMix (64 of 512 runs, mean of 13 losses), DCLM (64 of 127, mean of 110 metrics),
  `small_repeats` (45 of 68). A law picks among the other runs, which no fit has seen.

All in spreads of the objective, less is better. The rules that choose one law:

    auto         the least cross-validated loss, as `olmix fit` does
    tenth        the least regret in the best tenth, of equal ones the least loss
    both         the least loss times 1 + (the tenth's regret in spreads)
    promise      the least loss times 1 + (the tenth's optimism in spreads, where above 0)
    stack        always the average of the laws, where there is one

    python benchmarks/proposals.py FOLDER [worlds of each truth] [draws of each swarm] [runs]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fit_coverage import DOMAINS, TRUTHS
from olmix.config import FitConfig
from olmix.fit.evidence.best_tenth import judge_picks, leave_out_best
from olmix.fit.propose.feasible import feasible_mixtures
from olmix.fit.propose.gradient import search, starting_points
from olmix.fit.propose.proposal import build_objective
from olmix.fit.scoring import scores
from olmix.fit.swarm import read_swarm
from olmix.fit.swarm_fit import SwarmFit, fit_laws, one_thread
from olmix.laws.stack import STACKED
from olmix.records.fit.scores import AUTO
from olmix.simplex import Array
from olmix.text.csv import Table, read_table

NOISE = 0.1
RULES = ("auto", "tenth", "both", "promise", "stack")


@dataclass(frozen=True)
class Law:
    """One law in one world, in spreads.

    Attributes:
        loss: cross-validated, over the least of all laws.
        ranks: cross-validated rank correlation.
        tenth: regret and optimism in the best tenth.
        real: regret and optimism of what it proposes.
    """

    loss: float
    ranks: float
    tenth: tuple[float, float]
    real: tuple[float, float]


def fitted(mixtures: Array, values: Array) -> SwarmFit:
    """Fit `auto` to a swarm with one metric."""
    runs = tuple(f"r{index:03}" for index in range(len(mixtures)))
    names = tuple(f"d{index:02}" for index in range(mixtures.shape[1]))
    shares = mixtures.mean(axis=0)
    counts = dict(zip(names, (1e9 * shares + 1e6).astype(int).tolist(), strict=True))
    config = FitConfig.from_dict(
        {
            "swarm": {"ratios": "r.csv", "metrics": "m.csv"},
            "priors": {"token_counts": counts},
            "proposer": {"kl_reg": 0},
        }
    )
    tables = (
        Table("r", runs, runs, names, mixtures / mixtures.sum(axis=1, keepdims=True)),
        Table("m", runs, runs, ("loss",), values[:, None]),
    )
    return fit_laws(config, read_swarm(config, tables))


def judged(
    fit: SwarmFit, scale: float, real: Callable[[str], tuple[float, float]]
) -> dict[str, Law]:
    """Return every law of a fit; `real` gives regret and optimism of a law by name."""
    left_out = leave_out_best(fit)
    if left_out is None:
        raise SystemExit("too few mixtures")
    picks = judge_picks(fit, left_out).laws
    one = fit.fits[0]
    least = min(law.cv_loss for law in one.candidates.values())
    return {
        name: Law(
            law.cv_loss / least,
            law.cv.spearman,
            (picks[name].regret / scale, picks[name].optimism / scale),
            tuple(value / scale for value in real(name)),
        )
        for name, law in one.candidates.items()
    }


def planted(kind: int, seed: int, num_runs: int) -> dict[str, Law]:
    """Judge the laws in a world with a known truth."""
    rng = np.random.default_rng([seed, kind])
    truth = TRUTHS[kind](rng)
    size = len(DOMAINS)
    prior = rng.dirichlet(np.full(size, 3.0))
    strengths = rng.uniform(1.5, 24, num_runs)
    mixtures = np.stack([rng.dirichlet(s * prior + 0.05) for s in strengths])
    clean = truth(mixtures)
    scale = float(clean.std())
    fit = fitted(mixtures, clean + NOISE * scale * rng.standard_normal(num_runs))
    feasible = feasible_mixtures(fit.config, fit.swarm.live)
    found = {}
    for name in fit.fits[0].candidates:
        there = replace(fit, fits=[replace(fit.fits[0], chosen=name)])
        objective = build_objective(there, np.ones(1), 0.0)
        starts = starting_points(feasible, list(mixtures[np.argsort(clean)[:4]]), 8, 0)
        mixture = search(objective, feasible, starts, scale)
        found[name] = (float(truth(mixture[None])[0]), float(objective.value(mixture[None])[0]))
    points = rng.dirichlet(np.full(size, 0.6), 20_000)
    for step in (0.3, 0.1, 0.03, 0.01):
        best = points[np.argsort(truth(points))[:50]]
        towards = rng.dirichlet(np.full(size, 0.3), (200, len(best)))
        points = np.vstack([best, ((1 - step) * best + step * towards).reshape(-1, size)])
    least = min(float(truth(points).min()), *(value for value, _ in found.values()))
    return judged(
        fit, scale, lambda name: (found[name][0] - least, found[name][0] - found[name][1])
    )


def held(mixtures: Array, values: Array, size: int, seed: int) -> dict[str, Law]:
    """Judge the laws by what they pick among runs that they have not seen."""
    order = np.random.default_rng(seed).permutation(len(mixtures))
    seen, rest = order[:size], order[size:]
    fit = fitted(mixtures[seen], values[seen])

    def real(name: str) -> tuple[float, float]:
        predicted = fit.fits[0].candidates[name].law.predict(fit.swarm.collapse(mixtures[rest]))
        pick = int(predicted.argmin())
        truth = float(values[rest][pick])
        return truth - float(values[rest].min()), truth - float(predicted[pick])

    return judged(fit, float(values.std()), real)


def chosen(laws: Mapping[str, Law], rule: str) -> str:
    """Return the law that a rule chooses."""
    keys: dict[str, Callable[[Law], tuple[float, ...]]] = {
        "auto": lambda law: (law.loss,),
        "tenth": lambda law: (law.tenth[0], law.loss),
        "both": lambda law: (law.loss * (1 + law.tenth[0]),),
        "promise": lambda law: (law.loss * (1 + max(law.tenth[1], 0.0)),),
    }
    if rule == "stack":
        return STACKED if STACKED in laws else chosen(laws, AUTO)
    return min(laws, key=lambda name: keys[rule](laws[name]))


def swarms(folder: Path, num_runs: int) -> dict[str, tuple[Array, Array, int]]:
    """Return mixtures, objective, and how many runs are fitted, of the public swarms."""

    def one(ratios: str, metrics: str, size: int) -> tuple[Array, Array, int]:
        left, right = read_table(folder / ratios), read_table(folder / metrics)
        runs = [run for run in left.runs if run in set(right.runs)]
        rows = left.rows(runs)
        return rows / rows.sum(axis=1, keepdims=True), right.rows(runs).mean(axis=1), size

    return {
        "RegMix": one("regmix/train_mixture_1m.csv", "regmix/train_pile_loss_1m.csv", num_runs),
        "DCLM": one("olmix-dclm/dclm_ratios.csv", "olmix-dclm/dclm_metrics.csv", num_runs),
        "small_repeats": one(
            "small_repeats/ratios.csv", "small_repeats/metrics.csv", min(45, num_runs)
        ),
    }


def with_error(values: list[float]) -> str:
    """Return mean and standard error."""
    array = np.array(values)
    return f"{array.mean():+.4f} +- {array.std(ddof=1) / np.sqrt(len(array)):.4f}"


def show(title: str, worlds: list[dict[str, Law]]) -> None:
    """Print what each law was worth, and each rule."""
    print(f"\n{title}: {len(worlds)} swarms")
    print("law           rank corr.  regret               optimism             in the tenth: both")
    for name in worlds[0]:
        laws = [world[name] for world in worlds if name in world]
        real = [with_error([law.real[part] for law in laws]) for part in (0, 1)]
        tenth = [with_error([law.tenth[part] for law in laws]) for part in (0, 1)]
        ranks = float(np.mean([law.ranks for law in laws]))
        print(f"{name:14s} {ranks:8.3f}   {'   '.join([*real, *tenth])}")
    base = [world[chosen(world, AUTO)] for world in worlds]
    for rule in RULES:
        laws = [world[chosen(world, rule)] for world in worlds]
        pairs = list(zip(laws, base, strict=True))
        change = with_error([one.real[0] - other.real[0] for one, other in pairs])
        regret = with_error([law.real[0] for law in laws])
        optimism = with_error([law.real[1] for law in laws])
        print(
            f"rule {rule:9s}            {regret}   {optimism}   regret less that of auto {change}"
        )
    regrets, optimisms = (
        with_error([agreement(world, part) for world in worlds]) for part in (0, 1)
    )
    print(f"the tenth ranks laws by regret {regrets}, by optimism {optimisms}")


def agreement(laws: Mapping[str, Law], part: int) -> float:
    """Return the rank correlation of the tenth with the truth, by regret (0) or optimism (1)."""
    real = np.array([law.real[part] for law in laws.values()])
    return scores(real, np.array([law.tenth[part] for law in laws.values()])).spearman


def main(folder: Path, worlds: int, draws: int, num_runs: int) -> None:
    """Print the tables."""
    with one_thread():
        every = []
        for kind, plant in enumerate(TRUTHS):
            found = [planted(kind, seed, num_runs) for seed in range(worlds)]
            show(f"planted {plant.__name__}", found)
            every += found
        show("planted, all", every)
        every = []
        for name, (mixtures, values, size) in swarms(folder, num_runs).items():
            found = [held(mixtures, values, size, seed) for seed in range(draws)]
            show(f"{name}, {size} of {len(mixtures)} runs", found)
            every += found
        show("public, all", every)


if __name__ == "__main__":
    given = (*sys.argv[2:], *("10", "16", "64")[len(sys.argv) - 2 :])
    main(Path(sys.argv[1]), *(int(number) for number in given))
