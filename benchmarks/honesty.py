"""Whether what `olmix fit` prints holds, on swarms with a known truth and on noise.

    python benchmarks/honesty.py RESULTS [--swarms 40] [--first-seed 0] [--tables FOLDER]
    python benchmarks/honesty.py RESULTS --only "smooth 7" --minutes 7

Every swarm is a line of RESULTS/swarms.jsonl as soon as it is done, and is not run again. So the
whole can be run in parts, by cells or by time, and each part prints the tables of all that
RESULTS holds, each figure with its number of swarms and its standard error:

- coverage: chance that a new run lies inside the 90 % interval of one run, at mixtures that were
  trained (natural, uniform, the best seen, others), at the proposal, at new mixtures, and at
  vertices;
- decisions: regret of the proposal (its truth less the best there is) and its truth less its
  promise, in spreads of the metric over the swarm; the regret of the best run beside them;
- false signals: metrics of pure noise that are said to hold a signal (nominal 5 %);
- with `--tables`, a folder of the DCLM swarm: the worst error of every law on runs that it has not
  seen, in spreads of the metric, over four draws of 64 runs.

Truths: a log-linear law, whose best mixture is a vertex; a sum of power laws; domains that stand in
for each other; and one in which passes over a small domain stop helping and then hurt.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from olmix.fit.session import FittedSwarm, fit_laws, load_swarm, propose
from olmix.laws.best_run import Search
from olmix.laws.gp import GpLog, GpSqrt
from olmix.laws.law import Law
from olmix.laws.lightgbm import LightGbm
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight
from olmix.laws.power_sum import AutoScale, BiMix
from olmix.simplex import Array
from olmix.text.csv import read_table, write_table

Truth = Callable[[Array], Array]
Figures = dict[str, float]
Cell = tuple[str, range, Callable[[int, Path], Figures]]
LAWS = (LogLinear, LogWeight, GpSqrt, GpLog, AutoScale, BiMix, LightGbm, Search)


def vertex(rng: np.random.Generator, size: int) -> Truth:
    """Plant a log-linear law."""
    slopes = -np.abs(rng.normal(0, 0.8, size))
    return lambda x: np.asarray(1 + np.exp(x @ slopes))


def smooth(rng: np.random.Generator, size: int) -> Truth:
    """Plant a sum of power laws, one per domain."""
    sizes, powers = rng.gamma(1, 0.3, size), rng.uniform(0.3, 0.8, size)
    return lambda x: np.asarray(1 + 0.05 * ((x + 0.02) ** -powers) @ sizes)


def interacting(rng: np.random.Generator, size: int) -> Truth:
    """Plant domains that stand in for each other or do not go together."""
    pairs = rng.normal(0, 1, (size, size))
    return lambda x: np.asarray(2 + 0.3 * ((np.sqrt(x) @ pairs) * np.sqrt(x)).sum(axis=-1))


def repeated(rng: np.random.Generator, size: int) -> Truth:
    """Plant domains whose passes stop helping, and then hurt."""
    passes = np.exp(rng.uniform(np.log(0.3), np.log(20), size))
    gains, harm = rng.gamma(1, 0.08, size), rng.gamma(1, 0.02, size)

    def truth(x: Array) -> Array:
        seen = x * passes
        over = np.logaddexp(0, np.log1p(seen) - 1.2) ** 2
        return np.asarray(1 - (1 - np.exp(-0.8 * seen)) @ gains + over @ harm)

    return truth


TRUTHS = (smooth, interacting, repeated, vertex)


def fitted(folder: Path, mixtures: Array, values: Array, natural: Array) -> FittedSwarm:
    """Fit tables as a user's, `auto`."""
    names = [f"d{index}" for index in range(mixtures.shape[1])]
    runs = [f"r{index:03d}" for index in range(len(mixtures))]
    write_table(folder / "ratios.csv", runs, dict(zip(names, mixtures.T.tolist(), strict=True)))
    metrics = {f"m{index}_loss": column.tolist() for index, column in enumerate(values.T)}
    write_table(folder / "metrics.csv", runs, metrics)
    counts = {n: int(1e9 * share) + 1 for n, share in zip(names, natural, strict=True)}
    tables = (folder / "ratios.csv", folder / "metrics.csv")
    return fit_laws(load_swarm(*tables, token_counts=counts))


def planted(
    kind: Callable[[np.random.Generator, int], Truth],
    shape: tuple[int, int, int],
    noise: float,
    seed: int,
    folder: Path,
) -> Figures:
    """Fit one planted swarm and look at what it says.

    Args:
        kind: the truth.
        shape: domains, runs, and replicates of natural and uniform.
        noise: share of the metric's spread.
        seed: of everything.
        folder: for the tables.

    Returns:
        chance that a new run lies inside (per cent), by kind of mixture; regret, optimism and the
        regret of the best run (spreads).
    """
    from scipy.stats import norm

    size, runs, replicates = shape
    rng = np.random.default_rng(seed)
    truth, natural = kind(rng, size), rng.dirichlet(np.full(size, 3.0))

    def draw(count: int) -> Array:
        strengths = np.exp(rng.uniform(np.log(2), np.log(20), count))
        return np.stack([rng.dirichlet(natural * strength) for strength in strengths])

    uniform = np.full((1, size), 1 / size)
    mixtures = np.vstack([natural, *uniform, draw(runs - 2)])
    mixtures = np.vstack([mixtures, *[natural] * replicates, *[uniform] * replicates])
    spread = float(truth(mixtures).std())
    values = truth(mixtures) + noise * spread * rng.normal(size=len(mixtures))
    laws = fitted(folder, mixtures, values[:, None], natural)
    found = propose(laws)
    proposed = np.array([list(found.weights.values())])
    best = mixtures[[values.argmin()]]
    asked = {
        "natural": natural[None],
        "uniform": uniform,
        "best seen": best,
        "other runs": mixtures[2:12],
        "proposed": proposed,
        "new": draw(20),
        "vertices": np.eye(size),
    }
    figures: Figures = {}
    for name, rows in asked.items():
        said = laws.predict(rows)["m0_loss"]
        low, high = ((said[end] - truth(rows)) / (noise * spread) for end in ("low", "high"))
        figures[name] = float(100 * (norm.cdf(high) - norm.cdf(low)).mean())
    # The best there is: the best of many draws, the runs and the proposal, from wide to narrow.
    pool = np.vstack([draw(20_000), np.eye(size), proposed, mixtures])
    for strength in (30, 100, 300, 1000):
        centre = pool[truth(pool).argsort()[:8]]
        near = [rng.dirichlet(strength * row + 0.01, 500) for row in centre]
        pool = np.vstack([pool, *near])
    floor = float(truth(pool).min())
    real, promise = float(truth(proposed)[0]), float(laws.predict(proposed)["m0_loss"]["mean"][0])
    figures["regret"] = (real - floor) / spread
    figures["of the best run"] = (float(truth(best)[0]) - floor) / spread
    figures["truth less promise"] = (real - promise) / spread
    return figures


def pure_noise(shape: tuple[int, int], seed: int, folder: Path) -> Figures:
    """Return the share of three metrics of pure noise, and of their average, that are signals."""
    size, runs = shape
    rng = np.random.default_rng(seed)
    mixtures, values = rng.dirichlet(np.ones(size), runs), rng.normal(2, 0.1, (runs, 3))
    laws = fitted(folder, mixtures, values, np.full(size, 1 / size))
    metrics = [float(score["signal"]) for score in laws.scores.values()]
    average = laws.fit.objective.p_value < 0.05
    return {"metrics": 100 * float(np.mean(metrics)), "averages": 100 * float(average)}


def unseen_runs(law: type[Law], tables: Path, seed: int) -> Figures:
    """Return the worst and the usual error of a law that was fitted to 64 runs of DCLM."""
    ratios, metrics = (read_table(tables / f"dclm_{name}.csv") for name in ("ratios", "metrics"))
    mixtures = ratios.values / ratios.values.sum(axis=1, keepdims=True)
    values = metrics.rows(ratios.runs)
    order = np.random.default_rng(seed).permutation(len(mixtures))
    seen, unseen = order[:64], order[64:]
    ones = np.ones((values.shape[1], 64))
    fits = law().fit_many(mixtures[seen], np.ascontiguousarray(values[seen].T), ones)
    held = np.stack([one.predict(mixtures[unseen]) for one in fits], axis=1)
    misses = np.abs(held - values[unseen]) / values.std(axis=0)
    return {
        "worst error": float(misses.max()),
        "RMSE": float(np.sqrt((misses**2).mean(axis=0)).mean()),
    }


def cells(swarms: range, tables: Path | None) -> Iterator[Cell]:
    """Return what is measured: names, seeds, and what gives the figures of a seed."""
    shapes = [
        (kind, (7, 36, replicates), noise)
        for kind in TRUTHS
        for replicates in (0, 2)
        for noise in (0.02, 0.15)
    ]
    shapes += [(kind, (39, 160, 2), 0.05) for kind in (smooth, interacting, vertex)]
    for kind, shape, noise in shapes:
        size, runs, replicates = shape
        name = f"{kind.__name__} {size} domains, {runs} runs + {2 * replicates}, noise {noise:g}"
        yield name, swarms, partial(planted, kind, shape, noise)
    for size, runs in ((7, 36), (16, 48)):
        yield f"pure noise, {size} domains, {runs} runs", swarms, partial(pure_noise, (size, runs))
    for law in LAWS if tables is not None else ():
        yield f"DCLM {law.name}", range(4), partial(_without_folder, law, tables)


def _without_folder(law: type[Law], tables: Path, seed: int, _: Path) -> Figures:
    return unseen_runs(law, tables, seed)


def measure(cell: Cell, results: Path, until: float) -> None:
    """Add the swarms of a cell to `results` that it lacks, until a time of the clock."""
    name, seeds, figures_of = cell
    done = read_results(results).get(name, {})
    with tempfile.TemporaryDirectory() as folder, results.open("a", encoding="utf-8") as file:
        for seed in seeds:
            if seed not in done and time.monotonic() < until:
                figures = figures_of(seed, Path(folder))
                file.write(json.dumps({"cell": name, "seed": seed, "figures": figures}) + "\n")
                file.flush()


def read_results(path: Path) -> dict[str, dict[int, Figures]]:
    """Return the figures by cell and seed."""
    found: dict[str, dict[int, Figures]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        entry = json.loads(line)
        found.setdefault(entry["cell"], {})[entry["seed"]] = entry["figures"]
    return found


def show(results: Mapping[str, Mapping[int, Figures]]) -> None:
    """Print the figures of every cell: means and standard errors over its swarms."""
    for name, swarms in results.items():
        print(f"{name} ({len(swarms)} swarms, seeds {min(swarms)} to {max(swarms)})")
        keys = next(iter(swarms.values()))
        columns = {key: [figures[key] for figures in swarms.values()] for key in keys}
        print("  " + ", ".join(f"{key} {mean_and_error(own)}" for key, own in columns.items()))


def mean_and_error(values: Iterable[float]) -> str:
    """Return a mean and its standard error in words, to the digits that the error leaves."""
    array = np.array(list(values), dtype=float)
    error = array.std(ddof=1) / np.sqrt(len(array)) if len(array) > 1 else 0.0
    digits = 1 if abs(array.mean()) >= 10 else 3
    return f"{array.mean():.{digits}f} ± {error:.{digits}f}"


def main() -> None:
    """Measure what is asked for and not known yet, and print all that is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of the figures")
    parser.add_argument("--swarms", type=int, default=20, help="swarms of each cell")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default="", help="cells whose names contain this")
    parser.add_argument("--minutes", type=float, default=1e9, help="when to stop")
    parser.add_argument("--tables", type=Path, help="folder of dclm_ratios.csv, dclm_metrics.csv")
    args = parser.parse_args()
    until = time.monotonic() + 60 * args.minutes
    args.results.mkdir(parents=True, exist_ok=True)
    file = args.results / "swarms.jsonl"
    for cell in cells(range(args.first_seed, args.first_seed + args.swarms), args.tables):
        if args.only in cell[0]:
            measure(cell, file, until)
    show(read_results(file))


if __name__ == "__main__":
    main()
