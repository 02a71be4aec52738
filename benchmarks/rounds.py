"""What rounds are worth: one shot of runs against the same number in two and four rounds.

Planted are the four truths of `fit_coverage.py` over 6 domains; a run has a noise of a tenth of the
truth's spread. With the folder of RegMix's tables (`train_mixture_1m.csv`,
`train_pile_loss_1m.csv`) there is an oracle instead: a Gaussian process that is fitted to all 512
runs, 17 domains, of the mean of 13 losses, with the noise that it finds in them: 4.5 % of the
distance to the floor, so that good runs are measured better than bad ones. The first round is a
swarm of `olmix generate`, each later one what `--after` places by the fit to all runs so far. One
shot of twice the runs is shown beside them. What counts is the regret of the last proposal: how
much worse the truth is there than at its best, in spreads of the truth over the first design. Less
is better. The last lines compare what `olmix fit` said of another round of 32 runs with what the
next round, of its own size, gained.

    python benchmarks/rounds.py [runs] [worlds of each truth] [folder of RegMix]
    python benchmarks/rounds.py [runs] [worlds] FOLDER flat     the oracle with flat noise instead
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fit_coverage import DOMAINS, TRUTHS, Truth
from olmix.config import FitConfig, GenerationConfig
from olmix.fit import fit_swarm
from olmix.fit.saved_draws import load_draws
from olmix.generate import sample_swarm
from olmix.laws.gp import FittedGaussianProcess, GpSqrt
from olmix.records.fit.proposal import read_proposal
from olmix.simplex import Array
from olmix.text.csv import read_table, write_table

NOISE = 0.1
"""Standard deviation of a run's noise, as a share of the metric's spread."""
FRESH = 100
"""First seed of the worlds of the oracle; how rounds are placed was chosen on smaller ones."""
WAYS = ((1, 1), (1, 2), (1, 4), (2, 1))
"""How many times the runs, in how many rounds."""


@dataclass(frozen=True)
class World:
    """A truth, and what is known of its domains.

    Attributes:
        truth: the objective of mixtures, less is better.
        counts: tokens of each domain.
        measure: what runs of mixtures (n, D) measure, given standard normal numbers (n,); the truth
            and flat noise where it is left out.
    """

    truth: Truth
    counts: Mapping[str, int]
    measure: Callable[[Array, Array], Array] | None = None

    @property
    def domains(self) -> tuple[str, ...]:
        """Names."""
        return tuple(self.counts)


def sampled(world: World, number: int, seed: int, after: Path | None = None) -> Array:
    """Return the mixtures of a round, (number, D)."""
    swarm = {"variants": number, "references": [], "seed": seed}
    if after is not None:
        swarm["after"] = str(after)
    config = GenerationConfig.from_dict(
        {
            "data": {"sources": [{"name": name, "paths": ["x"]} for name in world.domains]},
            "priors": {"token_counts": dict(world.counts)},
            "swarm": swarm,
            "max_tokens": 1_000_000,
        }
    )
    fit = None if after is None else load_draws(after)
    return np.array([one.mix.weights(world.domains) for one in sample_swarm(config, fit=fit)])


@dataclass(frozen=True)
class Proposed:
    """The proposals of rounds.

    Attributes:
        mixtures: (rounds, D) what each round proposed.
        said: what its fit said that another round would gain, NaN where it said nothing.
    """

    mixtures: Array
    said: tuple[float, ...]


def proposed(
    world: World, scale: float, num_runs: int, rounds: int, seed: int, folder: Path
) -> Proposed:
    """Return the proposals of `rounds` rounds of `num_runs` runs in all."""
    rng = np.random.default_rng([seed, 2])
    mixtures, values = np.empty((0, len(world.domains))), np.empty(0)
    after, found, said = None, [], []
    for _ in range(rounds):
        new = sampled(world, num_runs // rounds, seed, after)
        mixtures = np.vstack([mixtures, new])
        normals = rng.standard_normal(len(new))
        if world.measure is None:
            measured = world.truth(new) + NOISE * scale * normals
        else:
            measured = world.measure(new, normals)
        values = np.append(values, measured)
        runs = [f"r{index:03}" for index in range(len(values))]
        weights = dict(zip(world.domains, mixtures.T.tolist(), strict=True))
        write_table(folder / "ratios.csv", runs, weights)
        write_table(folder / "metrics.csv", runs, {"y": values.tolist()})
        tables = {name: str(folder / f"{name}.csv") for name in ("ratios", "metrics")}
        config = FitConfig.from_dict(
            {
                "swarm": tables,
                "priors": {"token_counts": dict(world.counts)},
                "proposer": {"kl_reg": 0.0},
            }
        )
        fit_swarm(config, folder / "fit")
        after = folder / "fit" / "latest"
        proposal = read_proposal(after)
        found.append([proposal.weights("proposed")[name] for name in world.domains])
        more = proposal.another_round
        said.append(float("nan") if more is None else more.gain)
    return Proposed(np.array(found), tuple(said))


def best_of(truth: Truth, size: int, known: Array, rng: np.random.Generator) -> float:
    """Return the least value of a truth over `size` domains, by ever closer search.

    Args:
        truth: the objective, less is better.
        size: D.
        known: (n, D) mixtures to start from too.
        rng: of the search.
    """
    strengths = np.exp(rng.uniform(-2, 2, (20_000, 1))) * np.ones(size)
    points = np.array([rng.dirichlet(row) for row in strengths])
    points = np.vstack([points, known])
    for step in (0.3, 0.1, 0.03, 0.01, 0.003):
        best = points[np.argsort(truth(points))[:50]]
        towards = rng.dirichlet(np.full(size, 0.3), (200, len(best)))
        points = np.vstack([best, ((1 - step) * best + step * towards).reshape(-1, size)])
    return float(truth(points).min())


def regmix(folder: Path, *, flat: bool) -> World:
    """Return an oracle: a law fitted to all runs of RegMix, with its noise or with flat noise."""
    weights = read_table(folder / "train_mixture_1m.csv")
    losses = read_table(folder / "train_pile_loss_1m.csv")
    mixtures = weights.values / weights.values.sum(axis=1, keepdims=True)
    values = losses.rows(weights.runs).mean(axis=1)
    law = GpSqrt().fit_many(mixtures, values[None], np.ones((1, len(values))))[0]
    names = [name.removeprefix("train_the_pile_") for name in weights.columns]
    counts = (1e9 * mixtures.mean(axis=0)).astype(int) + 10_000_000
    if not isinstance(law, FittedGaussianProcess):
        raise TypeError(f"{law.name} is no Gaussian process")
    process = law  # of this type in the function below too
    floor, noise = process.offset or 0.0, process.scale * np.sqrt(process.settings.noise)

    def measure(new: Array, normals: Array) -> Array:
        return np.asarray(floor + (process.predict(new) - floor) * np.exp(noise * normals))

    known = dict(zip(names, counts.tolist(), strict=True))
    return World(law.predict, known, None if flat else measure)


def regret(world: World, num_runs: int, seed: int, said: list[tuple[float, float]]) -> list[float]:
    """Return the regret of each number of rounds in one world.

    Args:
        world: the truth.
        num_runs: runs in all.
        seed: of designs and noise.
        said: gets what each fit said of another round, and what that gained, in spreads.
    """
    rng = np.random.default_rng(seed)
    scale = float(world.truth(sampled(world, 256, 10_000 + seed)).std())
    ways = []
    for times, rounds in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            ways.append(proposed(world, scale, times * num_runs, rounds, seed, Path(folder)))
    every = np.vstack([way.mixtures for way in ways])
    best = best_of(world.truth, len(world.domains), every, rng)
    for way in ways:
        values = world.truth(way.mixtures) / scale
        gained = zip(way.said[:-1], values[:-1] - values[1:], strict=True)
        said += [(promise / scale, float(real)) for promise, real in gained]
    found = [float(world.truth(way.mixtures[-1:])[0] - best) / scale for way in ways]
    print(f"  world {seed}: " + " ".join(f"{value:.4f}" for value in found), flush=True)
    return found


def main(num_runs: int, worlds: int, tables: Path | None, *, flat: bool) -> None:
    """Print the mean regret of each way, with its standard error, and of pairs."""
    what = "of each truth" if tables is None else "of a RegMix oracle"
    noise = f"noise {NOISE:g} spreads" if flat or tables is None else "its own noise"
    print(f"{num_runs} runs in all, {worlds} worlds {what}, {noise}")
    names = [f"{times * num_runs} in {rounds}" for times, rounds in WAYS]
    names += [f"{names[2]} - {names[0]}", *(f"{name} - {names[-1]}" for name in names[1:3])]
    print("truth          " + "".join(f"{name:>20}" for name in names))
    every: list[Array] = []
    said: list[tuple[float, float]] = []
    if tables is not None:
        oracle = regmix(tables, flat=flat)
        seeds = range(FRESH, FRESH + worlds)
        every = [np.array([regret(oracle, num_runs, seed, said) for seed in seeds])]
        print(_line("regmix", every[0]), flush=True)
    for plant in TRUTHS if tables is None else ():
        rows = []
        for seed in range(worlds):
            truth = plant(np.random.default_rng(seed))
            world = World(truth, dict.fromkeys(DOMAINS, 10_000_000))
            rows.append(regret(world, num_runs, seed, said))
        every.append(np.array(rows))
        print(_line(plant.__name__, every[-1]), flush=True)
    if len(every) > 1:
        print(_line("all", np.vstack(every)))
    known = np.array([pair for pair in said if np.isfinite(pair).all()])
    for name, column in zip(("said", "gained"), known.T, strict=True):
        error = column.std(ddof=1) / np.sqrt(len(column))
        print(f"another round, {name}: {column.mean():.4f} +- {error:.4f} ({len(column)} rounds)")


def _line(name: str, rows: Array) -> str:
    one, two, four, twice = rows.T
    columns = [one, two, four, twice, four - one, two - twice, four - twice]
    errors = [column.std(ddof=1) / np.sqrt(len(column)) for column in columns]
    cells = [f" {c.mean():8.4f} +- {e:.4f}" for c, e in zip(columns, errors, strict=True)]
    return f"{name:<15}" + "".join(cells)


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 64,
        int(sys.argv[2]) if len(sys.argv) > 2 else 8,
        Path(sys.argv[3]) if len(sys.argv) > 3 else None,
        flat="flat" in sys.argv[4:],
    )
