"""A ladder: the gain of a proposal at several sizes, and what it says of a larger one.

Legend: ``s`` scale (tokens as a multiple of the base's), ``x = ln s``, ``g`` gain over natural with
standard error ``e``, ``K`` rungs of ``S`` paired seeds.

Extrapolation is a line of ``g`` on ``x``, weighted by ``1 / e^2``. Its interval adds two things in
quadrature: the noise of the seeds (Student's t), and that nobody knows how long the trend lasts: it
holds that it stops after the last rung, and that it doubles. Gains of loss curves bend, so a line
alone would be too sure.

As compute: natural itself falls by ``p`` per unit of ``x`` between the two sizes around the rung,
so it needs ``exp(g / p)`` times the tokens (and parameters) to be as good. Beyond the last rung the
progress of the last step is used; as progress slows down, natural needs that much at least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from olmix.errors import ConfigError, Problem, needs
from olmix.records.fit.ladder import GainAtTarget, Ladder, Rung, TokenFactor
from olmix.records.fit.proposal import Gain
from olmix.records.fit.scores import LEVEL
from olmix.simplex import Array
from olmix.text.numbers import counted, gain_of, interval, significant, with_error

__all__ = ["Size", "build_ladder", "check_scales", "extrapolate", "read_scales"]

_DRAWS = 4_000


@dataclass(frozen=True)
class Size:
    """A size by scale and tokens."""

    scale: float
    num_tokens: int


def read_scales(text: str) -> tuple[float, ...]:
    """Return scales from a text such as ``1,4,16``.

    Raises:
        ConfigError: a part is no number.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        what = f"found {text}; numbers with commas, such as 1,4,16"
        raise ConfigError([Problem("--scales", what)]) from None


def check_scales(scales: Sequence[float]) -> tuple[float, ...]:
    """Return scales in order.

    Raises:
        ConfigError: one is not above 0, or there twice.
    """
    ordered = tuple(sorted(scales))
    wrong = [scale for scale in ordered if not (math.isfinite(scale) and scale > 0)]
    if wrong or len(set(ordered)) < len(ordered):
        found = ", ".join(f"{scale:g}" for scale in scales)
        problem = Problem("--scales", f"found {found}; different numbers above 0, such as 1,4,16")
        raise ConfigError([problem])
    return ordered


def build_ladder(rungs: Sequence[Rung], target: Size | None = None) -> Ladder:
    """Put rungs together, smallest first, and say what they mean.

    Args:
        rungs: what was measured.
        target: the size to extrapolate to.

    Raises:
        ConfigError: a target needs two rungs, and lies beyond the last one.
    """
    ordered = sorted(rungs, key=lambda rung: rung.scale)
    last = ordered[-1]
    expected = None
    if target is not None:
        if len(ordered) < 2 or target.scale <= last.scale:
            raise ConfigError(
                [
                    Problem(
                        "--target",
                        f"found {target.scale:g}; a target needs at least two scales and must be "
                        f"above the largest, {last.scale:g}",
                    )
                ]
            )
        gain = extrapolate(
            [rung.scale for rung in ordered],
            [rung.gain for rung in ordered],
            target.scale,
            len(last.verification.seeds),
        )
        expected = GainAtTarget(target.scale, target.num_tokens, gain)
    factors = equal_tokens(ordered)
    told = tuple(
        replace(rung, equal_tokens=factor) for rung, factor in zip(ordered, factors, strict=True)
    )
    return Ladder(level=LEVEL, rungs=told, target=expected, statement=_statement(told, expected))


def extrapolate(
    scales: Sequence[float], gains: Sequence[Gain], target: float, num_seeds: int
) -> Gain:
    """Return the gain to expect at a larger scale.

    Args:
        scales: (K,) of the rungs, K >= 2, rising.
        gains: (K,) with their standard errors.
        target: scale beyond the last one.
        num_seeds: seeds of a rung.
    """
    with needs("fit", "Extrapolating a ladder"):
        from scipy import stats
    x = np.log(np.asarray(scales, dtype=np.float64))
    g = np.array([gain.mean for gain in gains])
    e = np.array([gain.std_error for gain in gains])
    e = np.maximum(e, max(1e-12, 0.1 * float(e.max())))  # no rung counts as if it were certain
    design = np.column_stack([np.ones(len(x)), x]) / e[:, None]
    covariance = np.linalg.inv(design.T @ design)
    line = covariance @ design.T @ (g / e)
    row = np.array([1.0, math.log(target)])
    freedom = len(x) * (num_seeds - 1)
    misfit = float((((g / e) - design @ line) ** 2).sum())
    spare = len(x) - 2
    spread = max(1.0, misfit / spare) if spare else 1.0
    error = math.sqrt(float(row @ covariance @ row) * spread)
    half = float(stats.t.ppf(0.5 + LEVEL / 2, freedom)) * error
    trend = float(line[1]) * (math.log(target) - float(x[-1]))
    mean = float(row @ line)
    wide = math.hypot(half, trend)
    return Gain(mean, error, mean - wide, mean + wide)


def equal_tokens(rungs: Sequence[Rung]) -> tuple[TokenFactor | None, ...]:
    """Return how many times the tokens natural needs at each rung; `None` with one rung alone."""
    if len(rungs) < 2:
        return (None,) * len(rungs)
    x = np.log([rung.scale for rung in rungs])
    sign = 1.0 if rungs[0].verification.lower_is_better else -1.0
    natural = [rung.verification.mixtures["natural"] for rung in rungs]
    rng = np.random.default_rng(0)
    freedom = len(rungs[0].verification.seeds) - 1
    levels = np.array(
        [sign * (mix.mean + mix.std_error * rng.standard_t(freedom, _DRAWS)) for mix in natural]
    )
    known = sign * np.array([[mix.mean] for mix in natural])
    found = []
    for index, rung in enumerate(rungs):
        gain = rung.gain
        draws = gain.mean + gain.std_error * rng.standard_t(freedom, _DRAWS)
        middle = _factors(x, known, index, np.array([gain.mean]))[0]
        all_draws = _factors(x, levels, index, draws)
        low, high = np.quantile(all_draws, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], method="nearest")
        found.append(TokenFactor(*(_finite(float(value)) for value in (middle, low, high))))
    return tuple(found)


def _factors(x: Array, natural: Array, index: int, gains: Array) -> Array:
    """Return factors (N,) of gains (N,) at a rung; infinite where natural makes no progress.

    Args:
        x: (K,) logarithms of the scales.
        natural: (K, N) natural's objective, lower is better.
        index: the rung.
        gains: (N,) of the proposal there.
    """
    # Up from the rung for a gain, down for a loss; at either end the nearest step.
    up = np.where(gains >= 0, min(index + 1, len(x) - 1), max(index, 1)).astype(int)
    column = np.arange(len(gains))
    progress = (natural[up - 1, column] - natural[up, column]) / (x[up] - x[up - 1])
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        factors = np.exp(gains / np.where(progress > 0, progress, np.nan))
    return np.asarray(np.where(progress > 0, factors, np.where(gains > 0, np.inf, 0.0)))


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def _statement(rungs: Sequence[Rung], target: GainAtTarget | None) -> str:
    last = rungs[-1]
    found = last.verification
    gain = last.gain
    size = with_error(gain.mean, gain.std_error, sign=True)
    better = "lower" if found.lower_is_better else "higher"
    parts = [
        f"At {last.num_tokens:,} tokens, {last.scale:g} times those of the base, the proposed "
        f"mixture has a {gain_of(size, found.unit, better)} over natural"
        + ("" if gain.low > 0 or gain.high < 0 else ", which is not distinguishable from no gain")
        + "."
    ]
    factor = last.equal_tokens
    if factor is not None and gain.low > 0 and math.isfinite(factor.mean):
        high = significant(factor.high, 2) if math.isfinite(factor.high) else "any number"
        parts.append(
            f"Natural needs {significant(factor.mean, 2)} ({significant(factor.low, 2)} to {high}) "
            "times the tokens to be as good."
        )
    if target is not None:
        ends = interval(target.gain.low, target.gain.high)
        parts.append(
            f"At {target.num_tokens:,} tokens a gain of {with_error(target.gain.mean, math.nan)} "
            f"({ends}) is to be expected, from {counted(len(rungs), 'size')}."
        )
    return " ".join(parts)
