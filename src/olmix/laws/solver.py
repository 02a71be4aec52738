"""One batched solver for every law of the form offset + exp(linear).

Both laws of this release are ``y = c + exp(a + b . phi(x))`` with their own features ``phi``.
Fitted in that form they are ill-conditioned: as ``c`` falls the curve straightens, ``exp`` and
``c`` grow without limit against each other and the slopes lose their meaning ("exploding" fits).
The solver works on the same family in the form

    f(x) = mu + (exp(k eta) - 1) / k,     eta = alpha + beta . (phi(x) - phi_mean),     c = mu - 1/k

where `mu` is the mean of the metric. `alpha` and `beta` are effects in the units of the metric, `k`
is the curvature: 0 would be a straight line, ``1 / (mu - min y)`` puts the offset at the best run.
That makes a ridge on `beta` mean the same at every offset, and bounds on `k` bound the law.

Minimised is

    sum_i w_i huber(y_i - f(x_i), delta)  +  ridge |beta|^2 / 2

by weighted least squares of ``log(1 + k (y - mu)) / k`` for a grid of `k` (a closed form for each),
then by Levenberg-Marquardt steps in ``(alpha, beta, k)`` with the weights of the Huber loss (Huber
1964; iterative reweighting majorises it, so an accepted step never raises the loss).

Problems are stacked: metrics, folds, bootstraps and settings are one batch, solved together.

Legend: ``P`` problems, ``G`` designs, ``n`` rows, ``p`` features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from olmix.simplex import Array

__all__ = ["Curves", "Problems", "concatenate", "hat_diagonal", "huber", "mean_value", "solve"]

IntArray = NDArray[np.intp]
_GRID = 6
_FINE_GRID = 10
_MAX_STEPS = 60
_TOLERANCE = 1e-12
_MEMORY = 3_000_000
"""Numbers in the largest array of a chunk."""
_FLOOR = 1e-3
"""Smallest ``1 + k (y - mu)`` of which a logarithm is taken for a start."""


@dataclass(frozen=True)
class Problems:
    """A batch of regressions.

    Attributes:
        designs: (G, n, p) features, centred.
        design: (P,) which design a problem uses.
        y: (P, n) measured values; anything where the weight is 0.
        row_weights: (P, n) weight of each row, 0 for rows that take no part.
        ridge: (P,) strength of the ridge, per unit of weight.
        delta: (P,) where the Huber loss turns from squares to absolute values.
        lowest: (P,) smallest offset that is allowed; -inf for none.
        reach: (P,) how far below the mean the offset stays at least, as a share of the way to the
            best run: at 1 it lies below every run, less lets it lie above some.
    """

    designs: Array
    design: IntArray
    y: Array
    row_weights: Array
    ridge: Array
    delta: Array
    lowest: Array
    reach: Array

    def __len__(self) -> int:
        return len(self.design)

    def take(self, index: IntArray | slice) -> Problems:
        """Return some of the problems."""
        rows = {
            field.name: getattr(self, field.name)[index]
            for field in fields(self)
            if field.name != "designs"
        }
        return Problems(self.designs, **rows)


@dataclass(frozen=True)
class Curves:
    """Solutions of a batch.

    Attributes:
        mu: (P,) mean of the metric, the constant of the form above.
        alpha: (P,) value at the mean of the features, above `mu`.
        beta: (P, p) slopes in units of the metric.
        curvature: (P,) `k`.
        loss: (P,) what was minimised.
    """

    mu: Array
    alpha: Array
    beta: Array
    curvature: Array
    loss: Array

    def take(self, index: IntArray | slice | NDArray[np.bool_]) -> Curves:
        """Return some of the solutions."""
        return Curves(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @property
    def offset(self) -> Array:
        """`c`, shape (P,)."""
        return np.asarray(self.mu - 1 / self.curvature)


def concatenate(parts: Sequence[Curves]) -> Curves:
    """Join solutions of several batches."""
    return Curves(
        **{
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            for f in fields(Curves)
        }
    )


def huber(residuals: Array, delta: Array) -> Array:
    """Return the Huber loss: half the square up to `delta`, linear beyond."""
    size = np.abs(residuals)
    return np.where(size <= delta, 0.5 * residuals**2, delta * (size - 0.5 * delta))


def solve(
    problems: Problems,
    start: Curves | None = None,
    max_steps: int = _MAX_STEPS,
    *,
    thorough: bool = False,
) -> Curves:
    """Fit every problem of a batch.

    Args:
        problems: what to fit.
        start: where to begin, such as the fit to all rows when rows are resampled; by default the
            best closed-form solution over a grid of curvatures.
        max_steps: most Levenberg-Marquardt steps.
        thorough: whether to go down from every curvature of a finer grid, and from `start`. The
            loss has local minima where few runs have a domain, or a little of it changes much.
    """
    _, n, p = problems.designs.shape
    size = max(1, _MEMORY // (n * (p + 2)))
    parts = []
    for first in range(0, len(problems), size):
        chunk = slice(first, first + size)
        part = problems.take(chunk)
        mu, low, high = _curvature_bounds(part)
        begin = _start(part, mu, low, high) if start is None else start.take(chunk)
        end = _descend(part, begin, low, high, max_steps)
        parts.append(_from_everywhere(part, end, low, high) if thorough else end)
    return concatenate(parts)


def _from_everywhere(problems: Problems, best: Curves, low: Array, high: Array) -> Curves:
    """Return the best of the ends reached from a grid of curvatures, and of `best`."""
    for share in np.linspace(0, 1, _FINE_GRID):
        begin = _closed_form(problems, best.mu, low ** (1 - share) * high**share)
        end = _descend(problems, begin, low, high, _MAX_STEPS // 2)
        better = end.loss < best.loss
        best = _put(best, np.flatnonzero(better), end.take(better))
    return _descend(problems, best, low, high, _MAX_STEPS)


def mean_value(problems: Problems) -> Array:
    """Return the weighted mean of the measured values, (P,)."""
    y = np.where(problems.row_weights > 0, problems.y, 0.0)
    return np.asarray((problems.row_weights * y).sum(axis=1) / problems.row_weights.sum(axis=1))


def _curvature_bounds(problems: Problems) -> tuple[Array, Array, Array]:
    """Return the mean of the metric and the smallest and largest curvature, each (P,)."""
    live = problems.row_weights > 0
    mu = mean_value(problems)
    best = np.where(live, problems.y, np.inf).min(axis=1)
    worst = np.where(live, problems.y, -np.inf).max(axis=1)
    spread = np.maximum(worst - best, 1e-9 * np.maximum(np.abs(mu), 1e-3))
    high = 1 / np.maximum(problems.reach * (mu - best), 1e-3 * spread)
    low = np.maximum(1 / (20 * spread), 1 / np.maximum(mu - problems.lowest, 1e-300))
    return mu, np.minimum(low, high), high


def _start(problems: Problems, mu: Array, low: Array, high: Array) -> Curves:
    """Return the best of the closed-form solutions over a grid of curvatures."""
    best: Curves | None = None
    for share in np.linspace(0, 1, _GRID):
        curvature = low ** (1 - share) * high**share
        found = _closed_form(problems, mu, curvature)
        if best is None:
            best = found
            continue
        better = found.loss < best.loss
        best = Curves(
            mu=mu,
            alpha=np.where(better, found.alpha, best.alpha),
            beta=np.where(better[:, None], found.beta, best.beta),
            curvature=np.where(better, found.curvature, best.curvature),
            loss=np.where(better, found.loss, best.loss),
        )
    return best if best is not None else _closed_form(problems, mu, low)


def _closed_form(problems: Problems, mu: Array, curvature: Array) -> Curves:
    """Solve for the slopes at a given curvature by weighted least squares of the logarithm."""
    inner = 1 + curvature[:, None] * (problems.y - mu[:, None])
    inner = np.where(problems.row_weights > 0, np.maximum(inner, _FLOOR), 1.0)
    target = np.log(inner) / curvature[:, None]
    # The logarithm stretches errors by 1 / inner.
    stretched = problems.row_weights * inner**2
    design = problems.designs[problems.design]
    ones = np.ones((*design.shape[:2], 1))
    full = np.concatenate([ones, design], axis=2)
    weighted = full * stretched[:, :, None]
    gram = np.swapaxes(weighted, 1, 2) @ full
    gram += _penalty(problems, full.shape[2])
    right = (weighted * target[:, :, None]).sum(axis=1)
    theta = np.linalg.solve(gram, right[..., None])[..., 0]
    found = Curves(mu, theta[:, 0], theta[:, 1:], curvature, np.zeros(len(mu)))
    return replace(found, loss=_loss(problems, found))


def _penalty(problems: Problems, size: int) -> Array:
    """Return the Hessian of the ridge with a trace on the other parameters, (P, size, size).

    The first parameter is `alpha`, then come the slopes; the trace keeps matrices solvable.
    """
    _, _, p = problems.designs.shape
    total = problems.row_weights.sum(axis=1)
    diagonal = np.full((len(problems), size), 1e-12) * total[:, None]
    diagonal[:, 1 : p + 1] += (problems.ridge * total)[:, None]
    return np.asarray(diagonal[:, :, None] * np.eye(size))


def _effect(problems: Problems, curves: Curves) -> Array:
    """Return `eta`, (P, n)."""
    design = problems.designs[problems.design]
    return np.asarray(curves.alpha[:, None] + (design @ curves.beta[..., None])[..., 0])


def _residuals(problems: Problems, curves: Curves, eta: Array) -> Array:
    k = curves.curvature[:, None]
    raw = problems.y - curves.mu[:, None] - np.expm1(np.minimum(k * eta, 50.0)) / k
    return np.where(problems.row_weights > 0, raw, 0.0)


def _loss(problems: Problems, curves: Curves) -> Array:
    residuals = _residuals(problems, curves, _effect(problems, curves))
    fit = (problems.row_weights * huber(residuals, problems.delta[:, None])).sum(axis=1)
    total = problems.row_weights.sum(axis=1)
    return np.asarray(fit + 0.5 * problems.ridge * total * (curves.beta**2).sum(axis=1))


def _descend(problems: Problems, start: Curves, low: Array, high: Array, max_steps: int) -> Curves:
    """Take Levenberg-Marquardt steps from `start` until no problem gains anything."""
    curves = replace(start, curvature=np.clip(start.curvature, low, high))
    curves = replace(curves, loss=_loss(problems, curves))
    damping = np.full(len(problems), 1e-3)
    active = np.arange(len(problems))
    result = curves
    for _ in range(max_steps):
        part = problems.take(active)
        now = result.take(active)
        step = _propose_step(part, now, damping[active], low[active], high[active])
        gain = now.loss - step.loss
        better = gain > 0
        result = _put(result, active[better], step.take(better))
        damping[active] = np.where(better, damping[active] * 0.2, damping[active] * 8)
        done = (better & (gain <= _TOLERANCE + 1e-10 * now.loss)) | (damping[active] > 1e8)
        active = active[~done]
        if not active.size:
            break
    return result


def _put(curves: Curves, index: IntArray, values: Curves) -> Curves:
    """Return the solutions with those at `index` replaced."""
    changed = {}
    for field in fields(Curves):
        array = getattr(curves, field.name).copy()
        array[index] = getattr(values, field.name)
        changed[field.name] = array
    return Curves(**changed)


def jacobian(problems: Problems, curves: Curves) -> tuple[Array, Array]:
    """Return residuals (P, n) and the derivatives of the law by its parameters, (P, n, p + 2).

    The order of the parameters is `alpha`, the slopes, `k`.
    """
    eta = _effect(problems, curves)
    residuals = _residuals(problems, curves, eta)
    k = curves.curvature[:, None]
    bent = np.minimum(k * eta, 50.0)
    rise = np.exp(bent)
    by_curvature = (bent * rise - np.expm1(bent)) / k**2
    design = problems.designs[problems.design]
    columns = [rise[..., None], rise[..., None] * design, by_curvature[..., None]]
    return residuals, np.concatenate(columns, axis=2)


def hat_diagonal(problems: Problems, curves: Curves) -> tuple[Array, Array]:
    """Return residuals and leverages of the rows at a solution, each (P, n).

    The leverage is how far a row's own value moves its fitted value; with ``r / (1 - leverage)`` it
    gives the residual of the fit without the row, to first order.
    """
    residuals, derivatives, weighted, hessian = _normal_equations(problems, curves)
    solved = np.linalg.solve(hessian, np.swapaxes(weighted, 1, 2))
    return residuals, np.einsum("pnk,pkn->pn", derivatives, solved)


def _normal_equations(problems: Problems, now: Curves) -> tuple[Array, Array, Array, Array]:
    residuals, derivatives = jacobian(problems, now)
    pull = problems.delta[:, None] / np.maximum(np.abs(residuals), problems.delta[:, None])
    weighted = derivatives * (problems.row_weights * pull)[:, :, None]
    hessian = np.swapaxes(weighted, 1, 2) @ derivatives + _penalty(problems, derivatives.shape[2])
    return residuals, derivatives, weighted, hessian


def _propose_step(
    problems: Problems, now: Curves, damping: Array, low: Array, high: Array
) -> Curves:
    """Return the end of one damped step for each problem, with its loss."""
    residuals, _, weighted, hessian = _normal_equations(problems, now)
    p = now.beta.shape[1]
    gradient = (weighted * residuals[:, :, None]).sum(axis=1)
    total = problems.row_weights.sum(axis=1)
    gradient[:, 1 : p + 1] -= (problems.ridge * total)[:, None] * now.beta
    stuck = ((now.curvature <= low) & (gradient[:, -1] < 0)) | (
        (now.curvature >= high) & (gradient[:, -1] > 0)
    )
    hessian[stuck, -1, :] = 0.0
    hessian[stuck, :, -1] = 0.0
    hessian[stuck, -1, -1] = 1.0
    gradient[stuck, -1] = 0.0
    diagonal = np.einsum("pii->pi", hessian)
    diagonal += damping[:, None] * diagonal + 1e-14
    move = np.linalg.solve(hessian, gradient[..., None])[..., 0]
    curvature = np.clip(now.curvature + move[:, -1], low, high)
    moved = Curves(now.mu, now.alpha + move[:, 0], now.beta + move[:, 1:-1], curvature, now.loss)
    return replace(moved, loss=_loss(problems, moved))
