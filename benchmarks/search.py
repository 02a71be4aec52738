"""The next batches of a sweep against Ax and Optuna, on public test functions.

Every method gets the same 8 runs of a Sobol sequence, and then batches of 4. What counts is the
regret: how much worse the function is at the run that the method holds for the best than at its
minimum, without noise; less is better. `hartmann6-noisy` measures with a noise of 0.3, a tenth of
the function's range. Ackley lies on [-5, 10], so that its minimum is not in the middle.

    python benchmarks/search.py METHOD,... [seeds] [file of results] [function,...]

Methods: olmix, ax, optuna-gp, optuna-tpe, sobol. Rows of the file that are there are not made
again; the table at the end is of the whole file. Ax and Optuna are in no extra of Olmix: install
`ax-platform` and `optuna` into an environment of their own, with Olmix's `fit`.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FIRST, BATCH = 8, 4
METHODS = ("olmix", "ax", "optuna-gp", "optuna-tpe", "sobol")


def branin(x: np.ndarray) -> float:
    """Return Branin and Hoo's function over its usual ranges."""
    a, b = 15 * x[0] - 5, 15 * x[1]
    bent = b - 5.1 * a**2 / (4 * np.pi**2) + 5 * a / np.pi - 6
    return float(bent**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10)


_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(x: np.ndarray) -> float:
    """Return the Hartmann function of six coordinates."""
    return float(-_ALPHA @ np.exp(-(_A * (x - _P) ** 2).sum(axis=1)))


def ackley5(x: np.ndarray) -> float:
    """Return the Ackley function on [-5, 10]."""
    at = 15 * x - 5
    bowl = -20 * np.exp(-0.2 * np.sqrt(np.mean(at**2)))
    return float(bowl - np.exp(np.mean(np.cos(2 * np.pi * at))) + 20 + np.e)


@dataclass(frozen=True)
class Problem:
    """A function on the unit cube.

    Attributes:
        value: without noise; less is better.
        size: number of coordinates.
        least: its minimum.
        budget: all runs.
        noise: standard deviation of a run.
    """

    value: Callable[[np.ndarray], float]
    size: int
    least: float
    budget: int
    noise: float = 0.0


PROBLEMS = {
    "branin": Problem(branin, 2, 0.397887, 20),
    "hartmann6": Problem(hartmann6, 6, -3.32237, 32),
    "ackley5": Problem(ackley5, 5, 0.0, 32),
    "hartmann6-noisy": Problem(hartmann6, 6, -3.32237, 32, 0.3),
}


class Runs:
    """What was measured."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem = problem
        self._rng = np.random.default_rng(seed)
        self.points: list[np.ndarray] = []
        self.values: list[float] = []

    def measure(self, point: np.ndarray) -> float:
        """Run a point, and return its value."""
        value = self.problem.value(point) + self.problem.noise * float(self._rng.normal())
        self.points.append(point)
        self.values.append(value)
        return value

    @property
    def best(self) -> int:
        """Number of the best run."""
        return int(np.argmin(self.values))


def sobol_points(problem: Problem, seed: int, number: int) -> np.ndarray:
    """Return the beginning of a Sobol sequence, (number, size)."""
    from scipy.stats import qmc

    return qmc.Sobol(problem.size, rng=np.random.default_rng(seed)).random(64)[:number]


def first_points(problem: Problem, seed: int) -> np.ndarray:
    """Return the runs that all methods begin with."""
    return sobol_points(problem, seed, FIRST)


def sobol(problem: Problem, runs: Runs, seed: int) -> np.ndarray:
    """Return the best of a Sobol sequence."""
    for point in sobol_points(problem, seed, problem.budget):
        runs.measure(point)
    return runs.points[runs.best]


def ax(problem: Problem, runs: Runs, seed: int) -> np.ndarray:
    """Return the run that Ax holds for the best."""
    import torch
    from ax.api.client import Client
    from ax.api.configs import RangeParameterConfig

    torch.set_num_threads(1)
    names = [f"x{index}" for index in range(problem.size)]
    client = Client(random_seed=seed)
    client.configure_experiment(
        parameters=[
            RangeParameterConfig(name=name, parameter_type="float", bounds=(0.0, 1.0))
            for name in names
        ]
    )
    client.configure_optimization(objective="-y")
    client.configure_generation_strategy(initialization_budget=FIRST, initialize_with_center=False)

    def measure(index: int, point: np.ndarray) -> None:
        client.complete_trial(index, raw_data={"y": runs.measure(point)})

    for point in first_points(problem, seed):
        at = dict(zip(names, map(float, point), strict=True))
        measure(client.attach_trial(parameters=at), point)
    while len(runs.values) < problem.budget:
        asked: dict[int, np.ndarray] = {}
        while len(asked) < BATCH:  # Ax may hand out fewer at once
            for index, at in client.get_next_trials(max_trials=BATCH - len(asked)).items():
                asked[index] = np.array([at[name] for name in names])
        for index, point in asked.items():
            measure(index, point)
    if not problem.noise:
        return runs.points[runs.best]
    best = client.get_best_parameterization()[0]
    return np.array([best[name] for name in names])


def optuna(problem: Problem, runs: Runs, seed: int, sampler: str) -> np.ndarray:
    """Return the best run of an Optuna sampler."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = [f"x{index}" for index in range(problem.size)]
    space = {name: optuna.distributions.FloatDistribution(0, 1) for name in names}
    if sampler == "gp":
        import torch

        torch.set_num_threads(1)
        kind = optuna.samplers.GPSampler(
            seed=seed, n_startup_trials=FIRST, deterministic_objective=not problem.noise
        )
    else:
        kind = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=FIRST, multivariate=True, constant_liar=True
        )
    study = optuna.create_study(sampler=kind)
    for point in first_points(problem, seed):
        at = dict(zip(names, map(float, point), strict=True))
        value = runs.measure(point)
        study.add_trial(optuna.trial.create_trial(params=at, distributions=space, value=value))
    while len(runs.values) < problem.budget:
        trials = [study.ask(space) for _ in range(BATCH)]
        for trial in trials:
            study.tell(trial, runs.measure(np.array([trial.params[name] for name in names])))
    return runs.points[runs.best]


def olmix(problem: Problem, runs: Runs, seed: int) -> np.ndarray:
    """Return the run that Olmix holds for the best."""
    from olmix.fit.surface.next_batch import believe, choose_batch

    for point in first_points(problem, seed):
        runs.measure(point)
    while True:
        belief = believe(2 * np.array(runs.points) - 1, np.array(runs.values))
        if len(runs.values) >= problem.budget:
            break
        for point in choose_batch(belief, lambda points: points.round(3), BATCH, seed):
            runs.measure((point + 1) / 2)
    if not problem.noise:
        return runs.points[runs.best]
    return (belief.points[int(np.argmin(belief.posterior(belief.points)[0]))] + 1) / 2


def run(method: str, problem: Problem, seed: int) -> tuple[float, float]:
    """Return the regret of a method, and seconds for each run that it proposed."""
    runs = Runs(problem, seed)
    name, _, kind = method.partition("-")
    start = time.monotonic()
    if name == "optuna":
        best = optuna(problem, runs, seed, kind)
    else:
        best = {"olmix": olmix, "ax": ax, "sobol": sobol}[name](problem, runs, seed)
    assert len(runs.values) == problem.budget
    seconds = (time.monotonic() - start) / (problem.budget - FIRST)
    return problem.value(best) - problem.least, seconds


def show(file: Path) -> None:
    """Print the regret of every method."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for line in file.read_text().splitlines():
        problem, method, _, regret, seconds = line.split(",")
        found[problem, method].append((float(regret), float(seconds)))
    print(f"{'function':16} {'method':11} seeds   regret +- s.e.    median   s/run")
    for (problem, method), rows in sorted(found.items()):
        regret, seconds = np.array(rows).T
        error = regret.std(ddof=1) / np.sqrt(len(regret)) if len(regret) > 1 else np.nan
        print(
            f"{problem:16} {method:11} {len(regret):5}  {regret.mean():7.4f} +- {error:6.4f}"
            f"  {np.median(regret):7.4f}  {np.median(seconds):6.2f}"
        )


def main() -> None:
    """Run what is asked for."""
    methods, *rest = sys.argv[1:]
    seeds = int(rest[0]) if rest else 20
    file = Path(rest[1] if len(rest) > 1 else "search.csv")
    problems = rest[2].split(",") if len(rest) > 2 else list(PROBLEMS)
    lines = file.read_text().splitlines() if file.exists() else []
    there = {tuple(line.split(",")[:3]) for line in lines}
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for seed in range(seeds):
        for problem in problems:
            for method in methods.split(","):
                if (problem, method, str(seed)) in there:
                    continue
                regret, seconds = run(method, PROBLEMS[problem], seed)
                with file.open("a") as out:
                    out.write(f"{problem},{method},{seed},{regret:.6g},{seconds:.3g}\n")
    show(file)


if __name__ == "__main__":
    main()
