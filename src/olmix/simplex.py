"""Arithmetic on mixtures as points of the simplex.

Legend: ``n`` mixtures, ``D`` domains. Arrays of mixtures are ``(n, D)`` with rows that sum to 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olmix.errors import InfeasibleError

__all__ = [
    "SAME_DECIMALS",
    "Array",
    "distinct_mixtures",
    "fill_to_caps",
    "hellinger",
    "normalise",
    "project_to_caps",
    "sparsify",
    "temper",
    "token_caps",
]

Array = NDArray[np.float64]

SAME_DECIMALS = 6
"""Decimals to which the weights of two runs of one mixture agree."""
_TOLERANCE = 1e-9


def distinct_mixtures(weights: ArrayLike) -> Array:
    """Return the mixtures (n, D) without repeats, in their order."""
    array = np.asarray(weights, dtype=np.float64)
    # Adding 0 turns -0 into 0, so that equal mixtures have equal bytes.
    _, first = np.unique(np.round(array, SAME_DECIMALS) + 0.0, axis=0, return_index=True)
    return np.asarray(array[np.sort(first)])


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


def token_caps(counts: ArrayLike, passes: float, tokens: float) -> Array:
    """Return the weight that the tokens of each domain allow in a run, (D,), at most 1.

    Args:
        counts: (D,) tokens of each domain.
        passes: how often the run may take each token.
        tokens: of the run.
    """
    available = passes * np.asarray(counts, dtype=np.float64)
    return np.asarray(np.minimum(available / tokens, 1.0))


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
    missing = np.maximum(1.0 - clipped.sum(axis=-1, keepdims=True), 0.0)
    share = room / np.maximum(room.sum(axis=-1, keepdims=True), np.finfo(np.float64).tiny)
    return np.asarray(np.minimum(clipped + missing * share, bounded))


def project_to_caps(weights: ArrayLike, caps: ArrayLike) -> Array:
    """Return the mixtures within the caps that are nearest in KL(result || weights).

    The answer is ``min(caps, scale * weights)`` with the one scale that makes it sum to 1: the
    step that keeps mirror descent inside the capped simplex. Domains of weight 0 stay at 0. What is
    left for the domains below their caps is divided by a sum of their own weights, never by a
    difference, so that it is right to the last digit where these are tiny.

    Args:
        weights: (..., D) non-negative.
        caps: (D,) largest allowed weight per domain.

    Raises:
        InfeasibleError: the caps of the domains with positive weight add up to less than 1.
    """
    array = np.asarray(weights, dtype=np.float64)
    live = array > 0
    bounded = np.where(live, np.minimum(np.asarray(caps, dtype=np.float64), 1.0), 0.0)
    rows = bounded.reshape(-1, bounded.shape[-1])
    _check_caps(rows[rows.sum(axis=1).argmin()])
    # Sorted by the scale at which a domain meets its cap, so that the capped ones are a prefix.
    ratio = np.divide(bounded, array, out=np.full(array.shape, np.inf), where=live)
    order = np.argsort(ratio, axis=-1, kind="stable")
    ordered = np.take_along_axis(array, order, axis=-1)
    ceiling = np.take_along_axis(bounded, order, axis=-1)
    below = np.flip(np.cumsum(np.flip(ordered, axis=-1), axis=-1), axis=-1)
    left = np.maximum(1 - (np.cumsum(ceiling, axis=-1) - ceiling), 0.0)
    scale = np.divide(left, below, out=np.full(array.shape, np.inf), where=below > 0)
    fits = np.asarray((scale <= np.take_along_axis(ratio, order, axis=-1)) & (below > 0))
    first = np.expand_dims(fits.argmax(axis=-1), -1)
    # Where none fits, every domain is at its cap.
    chosen = np.where(
        fits.any(axis=-1, keepdims=True), np.take_along_axis(scale, first, -1), np.inf
    )
    scaled = np.multiply(chosen, array, out=np.zeros(array.shape), where=live)
    return np.asarray(np.minimum(bounded, scaled))


def hellinger(left: ArrayLike, right: ArrayLike) -> Array:
    """Return the Hellinger distances of mixtures (n, D) from others (m, D), (n, m).

    ``|sqrt(x) - sqrt(y)| / sqrt(2)``, which is 0 for equal mixtures and 1 for those that share no
    domain. Negative weights count as 0.
    """
    x, y = (np.sqrt(np.maximum(np.asarray(side, dtype=np.float64), 0.0)) for side in (left, right))
    return np.asarray(np.sqrt(np.maximum(1 - x @ y.T, 0.0)))


def sparsify(rows: Array, floor: Array, caps: Array, must: NDArray[np.bool_]) -> Array:
    """Make every weight either 0 or at least its minimum, within the caps; each row has its own.

    Domains below their minimum are dropped and their weight goes to the others; where the caps
    of those do not reach 1, the largest of the dropped ones come back, raised to their minimum.
    A domain whose cap is below its minimum can only be dropped.

    Args:
        rows: (n, D) mixtures.
        floor: (n, D) smallest weights that are not 0.
        caps: (n, D) largest weights, at most 1.
        must: (n, D) True for domains that are raised to their minimum and never dropped.

    Returns:
        (n, D) mixtures; NaN in the rows for which no choice of domains was found.
    """
    caps = np.where(caps < floor, 0.0, caps)
    support = (caps > 0) & (((rows >= floor) & (rows > 0)) | must)
    support = _widen(rows, support, caps)
    bad = (caps * support).sum(axis=1) < 1 - _TOLERANCE
    bad |= (must & (caps <= 0)).any(axis=1)
    over = (floor * support).sum(axis=1) > 1 + _TOLERANCE
    for index in np.flatnonzero(over & ~bad):
        bad[index] = not _narrow(
            rows[index], support[index], floor[index], caps[index], must[index]
        )
    result = np.full_like(rows, np.nan)
    good = ~bad
    if good.any():
        result[good] = _fill_support(rows[good], support[good], floor[good], caps[good])
    return result


def _widen(rows: Array, support: NDArray[np.bool_], caps: Array) -> NDArray[np.bool_]:
    """Add domains to each support until its caps reach 1, the largest drawn weight first."""
    order = np.lexsort((-caps, -rows), axis=-1)
    waiting = np.take_along_axis((caps > 0) & ~support, order, axis=1)
    added = np.cumsum(np.where(waiting, np.take_along_axis(caps, order, axis=1), 0.0), axis=1)
    before = np.concatenate([np.zeros((len(rows), 1)), added[:, :-1]], axis=1)
    reached = (caps * support).sum(axis=1, keepdims=True)
    joins = waiting & (reached + before < 1 - _TOLERANCE)
    wider = support.copy()
    np.put_along_axis(wider, order, np.take_along_axis(support, order, axis=1) | joins, axis=1)
    return wider


def _narrow(
    row: Array, support: NDArray[np.bool_], floor: Array, caps: Array, must: NDArray[np.bool_]
) -> bool:
    """Drop the smallest domains of one support, in place, until its minima fit into 1."""
    while floor[support].sum() > 1 + _TOLERANCE:
        candidates = np.flatnonzero(support & ~must)
        reach = caps[support].sum() - caps[candidates]
        candidates = candidates[reach >= 1 - _TOLERANCE]
        if not candidates.size:
            return False
        support[candidates[np.argmin(row[candidates])]] = False
    return True


def _fill_support(rows: Array, support: NDArray[np.bool_], floor: Array, caps: Array) -> Array:
    """Give every domain of a support its minimum and share out the rest as drawn, (n, D)."""
    base = np.where(support, floor, 0.0)
    free = 1.0 - base.sum(axis=1, keepdims=True)
    room = np.where(support, np.clip(caps - base, 0.0, np.maximum(free, 0.0)), 0.0)
    wanted = np.where(support, np.maximum(rows - floor, 0.0), 0.0)
    total = wanted.sum(axis=1, keepdims=True)
    spare = room.sum(axis=1, keepdims=True)
    tiny = np.finfo(np.float64).tiny
    wanted = np.where(total > 0, wanted / np.maximum(total, tiny), room / np.maximum(spare, tiny))
    clipped = np.minimum(wanted * free, room)
    left = room - clipped
    missing = np.maximum(free - clipped.sum(axis=1, keepdims=True), 0.0)
    share = left / np.maximum(left.sum(axis=1, keepdims=True), tiny)
    filled = np.minimum(clipped + missing * share, room)
    full = base / np.maximum(base.sum(axis=1, keepdims=True), tiny)
    return np.asarray(np.where(free > _TOLERANCE, base + filled, full))
