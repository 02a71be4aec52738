"""Whether what `olmix fit` prints holds, on swarms with a known truth and on noise.

    python benchmarks/honesty.py [swarms per cell] [folder of the DCLM tables]
    python benchmarks/honesty.py 40 --only "smooth 7"

It prints, each with its number of swarms:

- coverage: chance that a new run lies inside the 90 % interval of one run, at mixtures that were
  trained (natural, uniform, the best seen, others), at the proposal, at new mixtures, and at
  vertices; mean and standard error over the swarms;
- decisions: regret of the proposal (its truth less the best there is) and its promise less its
  truth, in spreads of the metric over the swarm; the regret of the best run beside them;
- false signals: metrics of pure noise that are said to hold a signal (nominal 5 %);
- with the tables of a public swarm: the worst error of every law on runs that it has not seen, in
  spreads of the metric, over four draws of 64 runs.

Truths: a log-linear law, whose best mixture is a vertex; a sum of power laws; domains that stand in
for each other; and one in which passes over a small domain stop helping and then hurt.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from olmix.fit.session import FittedSwarm, fit_laws, load_swarm, propose
from olmix.laws.best_run import Search
from olmix.laws.gp import GpLog, GpSqrt
from olmix.laws.lightgbm import LightGbm
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight
from olmix.laws.power_sum import AutoScale, BiMix
from olmix.simplex import Array
from olmix.text.csv import read_table, write_table

Truth = Callable[[Array], Array]
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
) -> tuple[dict[str, list[float]], tuple[float, float, float]]:
    """Fit one planted swarm and look at what it says.

    Args:
        kind: the truth.
        shape: domains, runs, and replicates of natural and uniform.
        noise: share of the metric's spread.
        seed: of everything.
        folder: for the tables.

    Returns:
        chance that a new run lies inside, by kind of mixture; regret, optimism and regret of
        the best run.
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
        "vertex": np.eye(size),
    }
    inside: dict[str, list[float]] = {}
    for name, rows in asked.items():
        said = laws.predict(rows)["m0_loss"]
        low, high = ((said[end] - truth(rows)) / (noise * spread) for end in ("low", "high"))
        inside[name] = (norm.cdf(high) - norm.cdf(low)).tolist()
    # The best there is: the best of many draws, the runs and the proposal, from wide to narrow.
    pool = np.vstack([draw(20_000), np.eye(size), proposed, mixtures])
    for strength in (30, 100, 300, 1000):
        centre = pool[truth(pool).argsort()[:8]]
        near = [rng.dirichlet(strength * row + 0.01, 500) for row in centre]
        pool = np.vstack([pool, *near])
    floor = float(truth(pool).min())
    real, promise = float(truth(proposed)[0]), float(laws.predict(proposed)["m0_loss"]["mean"][0])
    figures = (real - floor, real - promise, float(truth(best)[0]) - floor)
    return inside, (figures[0] / spread, figures[1] / spread, figures[2] / spread)


def mean_and_error(values: Iterable[float], digits: int = 3) -> str:
    """Return a mean and its standard error in words."""
    array = np.array(list(values), dtype=float)
    error = array.std(ddof=1) / np.sqrt(len(array))
    return f"{array.mean():.{digits}f} ± {error:.{digits}f}"


def coverage_and_decisions(num_swarms: int, folder: Path, only: str) -> None:
    """Print both tables, of the cells whose names contain `only`."""
    cells = [
        (kind, (7, 36, replicates), noise)
        for kind in TRUTHS
        for noise in (0.02, 0.15)
        for replicates in (0, 2)
    ]
    cells += [(kind, (39, 160, 2), 0.05) for kind in (smooth, interacting, vertex)]
    for kind, shape, noise in cells:
        if only not in f"{kind.__name__} {shape[0]}":
            continue
        some = num_swarms if shape[0] < 20 else max(2, num_swarms // 5)
        held, figures = defaultdict(list), []
        for seed in range(some):
            inside, one = planted(kind, shape, noise, seed, folder)
            figures.append(one)
            for name, hits in inside.items():
                held[name].append(100 * float(np.mean(hits)))
        shown = "  ".join(f"{name} {mean_and_error(hits, 0)}" for name, hits in held.items())
        regret, optimism, best = (mean_and_error(column) for column in zip(*figures, strict=True))
        size, runs, replicates = shape
        print(
            f"{kind.__name__} {size} domains, {runs} runs + {2 * replicates}, noise {noise:g}, "
            f"{some} swarms\n  inside (%): {shown}\n"
            f"  regret {regret}, of the best run {best}; truth less promise {optimism}",
            flush=True,
        )


def false_signals(num_swarms: int, folder: Path) -> None:
    """Print how many metrics of pure noise, and averages of them, are called a signal."""
    for size, runs in ((7, 36), (16, 48)):
        metrics, averages = [], []
        for seed in range(num_swarms):
            rng = np.random.default_rng(seed)
            mixtures, values = rng.dirichlet(np.ones(size), runs), rng.normal(2, 0.1, (runs, 3))
            laws = fitted(folder, mixtures, values, np.full(size, 1 / size))
            metrics += [score["signal"] for score in laws.scores.values()]
            averages.append(laws.fit.objective.p_value < 0.05)
        print(
            f"noise, {size} domains, {runs} runs: {100 * np.mean(metrics):.1f} % of {len(metrics)} "
            f"metrics and {100 * np.mean(averages):.1f} % of {len(averages)} averages are signals",
            flush=True,
        )


def worst_errors(tables: Path) -> None:
    """Print the worst held-out error of every law over four draws of 64 runs."""
    ratios, metrics = (read_table(tables / f"dclm_{name}.csv") for name in ("ratios", "metrics"))
    mixtures = ratios.values / ratios.values.sum(axis=1, keepdims=True)
    values = metrics.rows(ratios.runs)
    spread = values.std(axis=0)
    for law in LAWS:
        worst, error = [], []
        for seed in range(4):
            order = np.random.default_rng(seed).permutation(len(mixtures))
            seen, unseen = order[:64], order[64:]
            ones = np.ones((values.shape[1], 64))
            fits = law().fit_many(mixtures[seen], np.ascontiguousarray(values[seen].T), ones)
            held = np.stack([one.predict(mixtures[unseen]) for one in fits], axis=1)
            misses = np.abs(held - values[unseen]) / spread
            worst.append(misses.max())
            error.append(np.sqrt((misses**2).mean(axis=0)).mean())
        print(
            f"{law.name}: worst error {max(worst):.1f} spreads, mean RMSE {np.mean(error):.3f} "
            f"({values.shape[1]} metrics, 4 draws)",
            flush=True,
        )


def main() -> None:
    """Print everything."""
    import tempfile

    num_swarms = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    part = sys.argv[3] if sys.argv[2:3] == ["--only"] else ""
    with tempfile.TemporaryDirectory() as folder:
        coverage_and_decisions(num_swarms, Path(folder), part)
        if not part:
            false_signals(2 * num_swarms, Path(folder))
    if len(sys.argv) > 2 and not part:
        worst_errors(Path(sys.argv[2]))


if __name__ == "__main__":
    main()
