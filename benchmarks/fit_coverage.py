"""How often the 90% intervals of `olmix fit` hold the truth, on swarms with a known one.

Planted are the two formulas that `auto` fits, and two truths that neither can express: a sum of
power laws (AutoScale) and a law with interactions between domains. Each swarm has natural and
uniform with one replicate and 32 sampled mixtures of 6 domains; noise is given as a share of the
metric's spread.

    python benchmarks/fit_coverage.py [swarms per cell]
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from olmix.config import FitConfig
from olmix.fit.evidence.best_tenth import leave_out_best, leave_out_outermost, widened
from olmix.fit.evidence.judged_proposal import propose_judged
from olmix.fit.swarm import Swarm
from olmix.fit.swarm_fit import fit_laws
from olmix.fit.uncertainty import estimate, gain
from olmix.simplex import Array, normalise

DOMAINS = tuple("abcdef")
SAMPLED = 32
Truth = Callable[[Array], Array]


def log_linear(rng: np.random.Generator) -> Truth:
    """Plant the log-linear law."""
    slopes = rng.normal(0, 1.2, len(DOMAINS))
    return lambda x: np.asarray(2 + np.exp(x @ slopes))


def log_weight(rng: np.random.Generator) -> Truth:
    """Plant the log-weight law."""
    slopes = -0.15 * rng.dirichlet(np.ones(len(DOMAINS))) * len(DOMAINS)
    return lambda x: np.asarray(1.5 + np.exp(np.log(x + 0.02) @ slopes - 0.5))


def power_laws(rng: np.random.Generator) -> Truth:
    """Plant a sum of power laws, one per domain."""
    sizes, powers = rng.dirichlet(np.ones(len(DOMAINS))), rng.uniform(0.2, 0.8, len(DOMAINS))
    return lambda x: np.asarray(2 + ((x + 0.03) ** -powers) @ sizes)


def interactions(rng: np.random.Generator) -> Truth:
    """Plant a quadratic law: a best mixture, and domains that stand in for each other."""
    best, root = rng.dirichlet(np.ones(len(DOMAINS))), rng.normal(0, 1, (len(DOMAINS),) * 2)
    return lambda x: np.asarray(2 + (((np.sqrt(x) - np.sqrt(best)) @ root) ** 2).sum(axis=1))


TRUTHS = (log_linear, log_weight, power_laws, interactions)


def planted_swarm(truth: Truth, noise: float, prior: Array, rng: np.random.Generator) -> Swarm:
    """Draw a swarm and measure the truth with noise, a share of its spread."""
    strengths = rng.uniform(1.5, 24, SAMPLED)
    # Few very small parameters, as `olmix generate` keeps them: the minimum weight is 0.
    sampled = np.stack([rng.dirichlet(s * normalise(np.sqrt(prior))) for s in strengths])
    uniform = np.full(len(DOMAINS), 1 / len(DOMAINS))
    mixtures = np.vstack([prior, uniform, prior, uniform, sampled])
    clean = truth(mixtures)
    values = clean + rng.normal(0, noise * clean.std(), len(clean))
    group = np.array([0, 1, 0, 1, *range(2, 2 + SAMPLED)])
    runs = tuple(f"r{i:02d}" for i in range(len(mixtures)))
    return Swarm(
        domains=DOMAINS,
        live=np.ones(len(DOMAINS), dtype=bool),
        runs=runs,
        names=runs,
        mixtures=mixtures,
        metrics=("y",),
        measured=values[:, None],
        values=values[:, None],
        lower_is_better=(True,),
        objective_weights=np.ones(1),
        group=group,
        held_out=np.zeros(len(runs), dtype=bool),
        dropped={},
        notes=(),
    )


def one(kind: Callable[[np.random.Generator], Truth], noise: float, seed: int) -> dict[str, Array]:
    """Fit one planted swarm; returns errors and widths of its intervals."""
    rng = np.random.default_rng(seed)
    truth = kind(rng)
    prior = rng.dirichlet(np.full(len(DOMAINS), 3.0))
    swarm = planted_swarm(truth, noise, prior, rng)
    counts = {name: int(1e9 * share) + 1 for name, share in zip(DOMAINS, prior, strict=True)}
    config = FitConfig.from_dict(
        {"swarm": {"ratios": "r.csv", "metrics": "m.csv"}, "priors": {"token_counts": counts}}
    )
    fit = fit_laws(config, swarm)
    fit = widened(fit, leave_out_best(fit), leave_out_outermost(fit))
    judged = propose_judged(fit)
    rows, boot = np.stack(list(judged.mixtures.values())), judged.boot
    true = truth(rows)
    gains = [gain(boot, 3, other) for other in range(3)]
    value = estimate(boot, 3)
    real = true[:3] - true[3]
    return {
        "inside": np.array([g.low <= r <= g.high for g, r in zip(gains, real, strict=True)]),
        "z": np.array([(r - g.mean) / g.std_error for g, r in zip(gains, real, strict=True)]),
        "probability": np.array([g.probability for g in gains]),
        "better": real > 0,
        "value": np.array([value.low <= true[3] <= value.high]),
        "log_weight": np.array([fit.fits[0].chosen == "log_weight"]),
        "signal": np.array([fit.fits[0].signal]),
        "share": np.array([real[0] / max(truth(swarm.mixtures).std(), 1e-9)]),
    }


def main(num_swarms: int) -> None:
    """Print the table."""
    print(
        f"{'truth':13s} {'noise':>5s}  {'gain over natural / uniform / best seen inside 90 %':>52s}"
        f"  {'value':>6s}  {'z mean, sd':>11s}  {'P(better)':>15s}  {'gain/sd':>7s}"
        f"  {'signal':>6s} {'lw':>4s}"
    )
    everything = []
    for kind in TRUTHS:
        for noise in (0.1, 0.3, 1.0):
            found = [one(kind, noise, seed) for seed in range(num_swarms)]
            table = {key: np.array([entry[key] for entry in found]) for key in found[0]}
            everything.append(table["inside"])
            inside = " / ".join(f"{100 * share:5.1f}" for share in table["inside"].mean(axis=0))
            print(
                f"{kind.__name__:13s} {noise:5.1f}  {inside:>52s}"
                f"  {100 * table['value'].mean():6.1f}"
                f"  {table['z'].mean():+5.2f} {table['z'].std():5.2f}"
                f"  {table['probability'].mean():5.2f} of {table['better'].mean():5.2f}"
                f"  {table['share'].mean():7.2f}  {table['signal'].mean():6.2f}"
                f" {table['log_weight'].mean():4.2f}",
                flush=True,
            )
    print(f"all: {100 * np.mean(everything):.1f} % of {np.size(everything)} intervals")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
