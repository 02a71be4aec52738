"""What more runs buy, on public swarms: the table behind `olmix plan` (`olmix/plan/table.py`).

An oracle, a Gaussian process fitted to all runs of a public swarm (RegMix: 512 runs, 17 domains,
mean of 13 losses; DCLM: 127 runs, 24 domains, mean of 110 metrics), gives the objective. Of the
swarm's own mixtures some are drawn and measured with noise of a tenth of the spread; `auto` is
fitted and proposes without a divergence, inside what runs have of each domain. Printed are the
held-out error and the regret of the proposal, both in spreads of the objective ± standard error.

    python benchmarks/plan.py FOLDER [draws]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.gradient import search, starting_points
from olmix.fit.propose.proposal import build_objective
from olmix.fit.swarm_fit import one_thread
from olmix.laws.gp import GpSqrt
from olmix.laws.law import FittedLaw
from olmix.simplex import Array
from proposals import fitted, swarms, with_error

NOISE = 0.1
SIZES = (16, 32, 64, 128, 256)


def least(law: FittedLaw, feasible: Feasible, mixtures: Array, scale: float) -> float:
    """Return the least value of the oracle that a search from its best mixtures finds."""
    from olmix.fit.propose.objective import ProposerObjective

    objective = ProposerObjective([law], np.ones(1), 0.0, mixtures.mean(axis=0))
    best = mixtures[np.argsort(law.predict(mixtures))[:4]]
    found = search(objective, feasible, starting_points(feasible, list(best), 32, 0), scale)
    return float(law.predict(found[None])[0])


def one(mixtures: Array, law: FittedLaw, size: int, seed: int) -> tuple[float, float]:
    """Return the held-out error and the regret of a proposal by `size` runs, in spreads."""
    rng = np.random.default_rng(seed)
    truth = law.predict(mixtures)
    scale = float(truth.std())
    rows = rng.permutation(len(mixtures))[:size]
    fit = fitted(mixtures[rows], truth[rows] + NOISE * scale * rng.standard_normal(size))
    nothing = np.zeros(mixtures.shape[1])
    caps = np.where(fit.swarm.live, mixtures.max(axis=0), 0.0)
    feasible = Feasible(caps, nothing > 0, nothing)
    objective = build_objective(fit, np.ones(1), 0.0)
    starts = starting_points(feasible, list(mixtures[rows][np.argsort(truth[rows])[:4]]), 8, 0)
    proposal = search(objective, feasible, starts, scale)
    every = Feasible(mixtures.max(axis=0), nothing > 0, nothing)
    best = min(least(law, every, mixtures, scale), float(law.predict(proposal[None])[0]))
    regret = (float(law.predict(proposal[None])[0]) - best) / scale
    return fit.fits[0].best.cv.rmse / scale, regret


def main(folder: Path, draws: int) -> None:
    """Print the table."""
    with one_thread():
        for name, (mixtures, values, _) in swarms(folder).items():
            if name == "small_repeats":
                continue
            law = GpSqrt().fit_many(mixtures, values[None], np.ones((1, len(values))))[0]
            print(f"{name}, {mixtures.shape[1]} domains, {draws} draws: runs, error, regret")
            for size in SIZES:
                if size >= 0.8 * len(mixtures):
                    continue
                found = np.array([one(mixtures, law, size, seed) for seed in range(draws)])
                columns = [with_error(column.tolist()) for column in found.T]
                print(f"{size:5d}   {'   '.join(columns)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 12)
