"""Arithmetic on mixtures as points of the simplex.

Legend: ``n`` mixtures, ``D`` domains. Arrays of mixtures are ``(n, D)`` with rows that sum to 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olmix.errors import InfeasibleError

__all__ = ["Array", "fill_to_caps", "normalise", "project_to_caps", "sparsify", "temper"]

Array = NDArray[np.float64]

_TOLERANCE = 1e-9


def normalise(weights: ArrayLike) -> Array:
    """Scale non-negative weights so that the last axis sums to 1.

    Args:
        weights: (..., D) non-negative, with at least one positive entry along the last axis.

    Returns:
        (..., D) mixtures.

    Raises:
        ValueError: an entry is negative or not finite, or a row sums to 0.
    """
    array = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError("weights must be finite and not negative")
    total = array.sum(axis=-1, keepdims=True)
    if (total <= 0).any():
        raise ValueError("at least one weight must be positive")
    # Twice, because the sum of tiny weights may lose digits in the first division.
    scaled = array / total
    return np.asarray(scaled / scaled.sum(axis=-1, keepdims=True))


def temper(prior: ArrayLike, temperature: float) -> Array:
    """Raise a prior to the power `temperature` and normalise it.

    1 leaves it as it is, 0 makes it uniform over the domains that it gives any weight.
    """
    array = normalise(prior)
    powered = np.where(array > 0, np.power(np.maximum(array, 1e-300), temperature), 0.0)
    return normalise(powered)


def _check_caps(caps: Array) -> None:
    if caps.sum() < 1 - _TOLERANCE:
        raise InfeasibleError(
            f"the caps add up to {caps.sum():.4g}, less than 1: no mixture fits them. "
            "Raise the repetition factor, lower the token budget, or add data."
        )


def fill_to_caps(weights: ArrayLike, caps: ArrayLike) -> Array:
    """Move mixtures inside the caps, giving what is cut off to domains with room.

    What is cut off is shared out in proportion to the room that each domain has left, so a
    mixture inside the caps is returned as it was and no draw is ever thrown away.

    Args:
        weights: (n, D) mixtures, or (D,) for one.
        caps: (D,) largest allowed weight per domain; entries above 1 mean no cap.

    Returns:
        mixtures of the same shape; each row sums to 1 and stays within the caps.

    Raises:
        InfeasibleError: the caps add up to less than 1.
    """
    array = np.asarray(weights, dtype=np.float64)
    bounded = np.minimum(np.asarray(caps, dtype=np.float64), 1.0)
    _check_caps(bounded)
    clipped = np.minimum(array, bounded)
    room = bounded - clipped
    missing = 1.0 - clipped.sum(axis=-1, keepdims=True)
    share = room / np.maximum(room.sum(axis=-1, keepdims=True), np.finfo(np.float64).tiny)
    return np.asarray(np.minimum(clipped + missing * share, bounded))


def project_to_caps(weights: ArrayLike, caps: ArrayLike) -> Array:
    """Return the mixture within the caps that is nearest in KL(result || weights).

    The answer is ``min(caps, scale * weights)`` with the one scale that makes it sum to 1: the
    step that keeps mirror descent inside the capped simplex. Domains of weight 0 stay at 0.

    Args:
        weights: (D,) non-negative.
        caps: (D,) largest allowed weight per domain.

    Raises:
        InfeasibleError: the caps of the domains with positive weight add up to less than 1.
    """
    array = normalise(weights)
    bounded = np.where(array > 0, np.minimum(np.asarray(caps, dtype=np.float64), 1.0), 0.0)
    _check_caps(bounded)
    # Sorted by the scale at which a domain meets its cap, so the capped ones are a prefix.
    live = np.flatnonzero(array > 0)
    order = live[np.argsort(bounded[live] / array[live], kind="stable")]
    result = np.zeros_like(array)
    # Sums of what is left, never differences, which lose all digits where shares are tiny.
    masses = np.cumsum(array[order][::-1])[::-1]
    left = 1.0
    for position, domain in enumerate(order):
        scale = left / float(masses[position])
        if scale * array[domain] <= bounded[domain] + 1e-15:
            rest = order[position:]
            result[rest] = np.minimum(scale * array[rest], bounded[rest])
            break
        result[domain] = bounded[domain]
        left = max(left - float(bounded[domain]), 0.0)
    return result


def sparsify(
    weights: ArrayLike, minimum: ArrayLike, caps: ArrayLike, required: ArrayLike = False
) -> Array:
    """Make every weight either 0 or at least its minimum, within the caps.

    Domains below their minimum are dropped and their weight goes to the others; where the caps
    of those do not reach 1, the largest of the dropped ones come back, raised to their minimum.
    A domain whose cap is below its minimum can only be dropped.

    Args:
        weights: (n, D) mixtures, or (D,) for one.
        minimum: (D,) smallest weight that is not 0, or one number for all.
        caps: (D,) largest allowed weight per domain.
        required: (D,) True for domains that are raised to their minimum and never dropped.

    Returns:
        mixtures of the same shape, each row within the rules.

    Raises:
        InfeasibleError: no choice of domains reaches a total of 1.
    """
    array = np.asarray(weights, dtype=np.float64)
    rows = np.atleast_2d(array)
    shape = (rows.shape[1],)
    floor = np.broadcast_to(np.asarray(minimum, dtype=np.float64), shape)
    must = np.broadcast_to(np.asarray(required, dtype=bool), shape)
    bounded = np.minimum(np.asarray(caps, dtype=np.float64), 1.0)
    bounded = np.where(bounded < floor, 0.0, bounded)
    _check_caps(bounded)
    result = np.empty_like(rows)
    for index, row in enumerate(rows):
        support = _support(row, floor, bounded, must)
        result[index] = _fill_support(row, support, floor, bounded)
    return result.reshape(array.shape)


def _support(row: Array, floor: Array, caps: Array, must: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Choose the domains of a mixture that get any weight, shape (D,)."""
    allowed = caps > 0
    support = allowed & (((row >= floor) & (row > 0)) | must)
    # Largest drawn weight first; ties by the larger cap, so that few domains come back.
    waiting = [d for d in np.lexsort((-caps, -row)) if allowed[d] and not support[d]]
    while caps[support].sum() < 1 - _TOLERANCE:
        support[waiting.pop(0)] = True
    # The minima of the support may now add up to more than 1: drop the smallest that may go.
    while floor[support].sum() > 1 + _TOLERANCE:
        candidates = np.flatnonzero(support & ~must)
        reach = caps[support].sum() - caps[candidates]
        candidates = candidates[reach >= 1 - _TOLERANCE]
        if not candidates.size:
            raise InfeasibleError(
                "the minimum weights of the domains that are needed add up to more than 1. "
                "Lower the minimum weight or raise the repetition factor."
            )
        support[candidates[np.argmin(row[candidates])]] = False
    return np.asarray(support)


def _fill_support(row: Array, support: NDArray[np.bool_], floor: Array, caps: Array) -> Array:
    """Give every domain of the support its minimum and share out the rest as drawn."""
    base = np.where(support, floor, 0.0)
    room = np.where(support, caps - base, 0.0)
    free = 1.0 - base.sum()
    if free <= _TOLERANCE:
        return np.asarray(base / base.sum())
    wanted = np.where(support, np.maximum(row - floor, 0.0), 0.0)
    wanted = wanted / wanted.sum() if wanted.sum() > 0 else room / room.sum()
    return np.asarray(base + free * fill_to_caps(wanted, room / free))
