"""Whether another round of runs is worth it: what the best mixture gains by knowing more.

Laws that could as well be true (`uncertainty`) are drawn at mixtures around the proposal, and taken
as normal: a mean and a covariance of the objective there. The next round is what `olmix generate
--after` would place, the mixture that each draw thinks best. What its runs would measure, with
noise, moves the mean as Gaussian conditioning says, and the best mixture by the moved mean is
proposed. The expected gain is how much better that is, on average over what could be measured (the
preposterior analysis of Raiffa and Schlaifer 1961; for a batch of runs the knowledge gradient of Wu
and Frazier 2016). Knowing everything bounds it.

It knows of errors only what the draws know: not of laws that are all wrong in the same way.

Legend: ``C`` candidates, the first of them the proposal, ``B`` draws, ``n`` runs of the round.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from olmix.fit.evidence.judged_proposal import JudgedProposal
from olmix.fit.noise import noise_between
from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.references import objective_noise
from olmix.fit.results import objective_of
from olmix.fit.swarm import Swarm
from olmix.fit.swarm_fit import SwarmFit
from olmix.fit.uncertainty import draw_average
from olmix.records.fit.proposal import AnotherRound
from olmix.simplex import Array
from olmix.text.numbers import significant

__all__ = ["another_round", "expected_gain"]

NUM_RUNS = 32
"""Runs of the round that is judged."""
_NUM_CANDIDATES = 192
_NUM_DRAWS = 128
_NUM_OUTCOMES = 1_000
_STEPS = (0.03, 0.6)
"""How far candidates lie from the proposal, as a share of the way to another mixture."""
_STREAM = 14
"""Keeps these draws apart from others of the fit."""
_TAIL = 0.02
"""Share of the draws at either end that count as if they lay where the others end: refits of some
laws explode."""


def another_round(fit: SwarmFit, judged: JudgedProposal) -> AnotherRound:
    """Judge another round of runs after a proposal."""
    swarm, seed = fit.swarm, fit.config.regression.seed
    candidate_rng, outcome_rng = np.random.default_rng([seed, _STREAM]).spawn(2)
    at = _candidates(swarm.unique_mixtures, judged, candidate_rng)
    draws = _draws(fit, at)
    objective = judged.found.objective
    penalty = objective.value(at) - objective.average(at)
    noise = _noise(swarm)
    # What the laws leave over is a part of the noise, so the gain is then at most this.
    least = math.sqrt(judged.boot.fit.train_mse) if math.isnan(noise) else noise
    gain, most = expected_gain(draws, penalty, least, NUM_RUNS, outcome_rng)
    return AnotherRound(
        runs=NUM_RUNS,
        gain=gain,
        most=most,
        noise=noise,
        worth=gain > noise,
        statement=_statement(gain, noise, objective_of(swarm).unit),
    )


def expected_gain(
    draws: Array, penalty: Array, noise: float, num_runs: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return what a round gains in expectation, and what knowing everything would gain.

    Args:
        draws: (B, C) the objective by drawn laws, less is better.
        penalty: (C,) what the proposer adds to it, such as the divergence from the prior.
        noise: standard deviation of one run.
        num_runs: runs of the round.
        rng: of what the runs measure.
    """
    low, high = np.quantile(draws, [_TAIL, 1 - _TAIL], axis=0)
    tame = np.clip(draws, low, high)
    mean = tame.mean(axis=0)
    covariance = np.atleast_2d(np.cov(tame, rowvar=False))
    now = float((mean + penalty).min())
    most = now - float((tame + penalty).min(axis=1).mean())
    where = _placed(tame + penalty, num_runs)
    measured = covariance[np.ix_(where, where)]
    measured = measured + (noise**2 + 1e-9 * np.trace(covariance) / len(mean)) * np.eye(len(where))
    root = np.linalg.cholesky(measured + 1e-300 * np.eye(len(where)))
    # What is measured less its mean is root z; the mean moves by cov(., S) root^-T z.
    moves = np.linalg.solve(root, covariance[where]).T
    moved = mean + rng.standard_normal((_NUM_OUTCOMES, len(where))) @ moves.T
    gain = now - float((moved + penalty).min(axis=1).mean())
    return max(gain, 0.0), max(most, gain, 0.0)


def _draws(fit: SwarmFit, at: Array) -> Array:
    """Return the objective at mixtures (C, D), less is better, by drawn laws (B, C)."""
    swarm = fit.swarm
    if swarm.parts is not None:
        return np.asarray(np.tensordot(swarm.objective_weights, fit.draw(at), axes=1))
    known = [
        (fitted.best.law, float(weight))
        for fitted, weight in zip(fit.fits, swarm.objective_weights, strict=True)
    ]
    seed = fit.config.regression.seed
    return draw_average(swarm, known, fit.candidates, at, _NUM_DRAWS, seed)


def _placed(values: Array, num_runs: int) -> NDArray[np.intp]:
    """Return the candidates that a round runs: what each draw thinks best, one after another."""
    free = np.ones(values.shape[1], dtype=bool)
    chosen = []
    for row in values[: min(num_runs, values.shape[0])]:
        if not free.any():
            break
        pick = int(np.argmin(np.where(free, row, np.inf)))
        free[pick] = False
        chosen.append(pick)
    return np.array(chosen, dtype=np.intp)


def _candidates(runs: Array, judged: JudgedProposal, rng: np.random.Generator) -> Array:
    """Return allowed mixtures around the proposal, itself the first, (C, D)."""
    proposal, feasible = judged.found.mixture, judged.feasible
    half = _NUM_CANDIDATES // 2
    low, high = np.log(_STEPS)
    step = np.exp(rng.uniform(low, high, (2, half, 1)))
    towards, one, other = runs[rng.integers(0, len(runs), (3, half))]
    between = (1 - step[0]) * proposal + step[0] * towards
    moved = np.maximum(proposal + step[1] * (one - other), 0.0)
    moved /= moved.sum(axis=1, keepdims=True)
    inside = [_into(feasible, row) for row in np.vstack([between, moved])]
    return np.vstack([proposal, *inside])


def _into(feasible: Feasible, mixture: Array) -> Array:
    return feasible.expand(feasible.restrict(mixture))


def _noise(swarm: Swarm) -> float:
    """Return the standard deviation of one run: of replicates or by standard errors, else NaN.

    Metrics of a run seldom err against one another, but two pairs of replicates may look so by
    chance: it is at least that of an average of metrics that err independently.
    """
    used = swarm.objective_weights > 0
    shares, ones = swarm.objective_weights[used], np.ones(len(swarm.values))
    found, _ = noise_between(swarm.values[:, used] @ shares, ones, swarm.group)
    if found is not None:
        each = [noise_between(one, ones, swarm.group)[0] or 0.0 for one in swarm.values[:, used].T]
        return max(found, float(np.linalg.norm(shares * each)))
    _, known = objective_noise(swarm)
    return math.sqrt(known) if known > 0 else math.nan


def _statement(gain: float, noise: float, unit: str) -> str:
    size = f"{significant(gain, 2)}{f' {unit}' if unit else ''}"
    if math.isnan(noise):
        return (
            f"Another {NUM_RUNS} runs are expected to gain at most {size}. Whether that is more "
            "than noise is unknown, since no mixture was trained twice: verify, or train "
            "replicates."
        )
    if gain > noise:
        return (
            f"Another {NUM_RUNS} runs are expected to gain {size}, above the noise of "
            f"{significant(noise, 2)}: run them with olmix generate --after, then fit again."
        )
    return (
        f"Another {NUM_RUNS} runs are expected to gain {size}, below the noise of "
        f"{significant(noise, 2)}: stop and verify."
    )
