"""Mixtures spread evenly over the feasible set, by hit-and-run.

A chain starts in the middle of a polytope, picks a direction, and jumps to a uniform point of the
line through it that lies inside; its points become uniform over the polytope (Smith 1984). Each
mixture is the end of a chain of its own, so mixtures are independent of each other, and mixture
``i`` depends on the seed and ``i`` alone.

Two kinds of directions take turns. Domains that all rules but caps and minima treat alike are a
*class*: within it, random pairs trade weight, all pairs at once. Between the classes, one random
domain of each moves, along the directions that keep every pin. A step costs little and forgets
quickly: plain hit-and-run over 64 domains needs many times more of them.

Where weights must be "0 or at least a minimum", the set is a union of polytopes. A mixture is then
first drawn uniformly from the set without minima; what falls below its minimum takes no part, and
the mixture is drawn again, uniformly over those that do.

Legend: ``n`` mixtures, ``D`` domains, ``p`` equalities, ``m`` inequalities.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from olmix.generate.constraints import Constraints, Mask
from olmix.generate.solve import Face, check_feasible, face_of, middle, nearest
from olmix.simplex import Array

__all__ = ["sample_polytope", "walk"]

_CHUNK = 512
_TINY = 1e-12


def num_steps(dimension: int) -> int:
    """Return the length of a chain that forgets its start in `dimension` dimensions."""
    return 40 + 2 * dimension


def sample_polytope(rules: Constraints, rngs: Sequence[np.random.Generator]) -> Array:
    """Draw one mixture per generator, uniformly over the feasible set, (n, D).

    Raises:
        InfeasibleError: no mixture is feasible; names the rules that contradict each other.
    """
    check_feasible(rules)
    relaxed = rules.without_minima()
    everything = np.ones(len(rules.domains), dtype=bool)
    found = middle(face_of(relaxed, everything))
    if found is None:
        check_feasible(relaxed)
        return np.empty((0, len(rules.domains)))
    drawn = walk(*found, rngs)
    if not rules.is_mixed:
        return drawn
    faces: dict[bytes, list[int]] = {}
    supports = (drawn >= rules.minimum) & (drawn > 0) | rules.required
    for index, support in enumerate(supports):
        faces.setdefault(support.tobytes(), []).append(index)
    for members in faces.values():
        inside = middle(face_of(rules, supports[members[0]]))
        if inside is None:
            # Nothing fits these domains alone: take part as the nearest feasible mixture does.
            moved = nearest(rules, drawn[members[0]])
            inside = middle(face_of(rules, moved > 0))
            if inside is None:
                drawn[members] = moved
                continue
        drawn[members] = walk(*inside, [rngs[index] for index in members])
    return drawn


def walk(face: Face, start: Array, rngs: Sequence[np.random.Generator]) -> Array:
    """Return the ends of hit-and-run chains within a face, one per generator, (n, D).

    Args:
        face: the polytope.
        start: (D,) a point inside of it.
        rngs: n sources of randomness.
    """
    live = face.upper - face.lower > _TINY
    if live.sum() <= 1:
        return np.tile(start, (len(rngs), 1))
    chains = _Chains(face, start, live)
    ends = [chains.run(rngs[first : first + _CHUNK]) for first in range(0, len(rngs), _CHUNK)]
    return np.concatenate(ends) if ends else np.empty((0, len(start)))


class _Chains:
    """Chains within one face, over its ``k`` domains that can move.

    Args:
        face: the polytope.
        start: (D,) a point inside of it.
        live: (D,) domains that can move.
    """

    def __init__(self, face: Face, start: Array, live: Mask) -> None:
        self._start, self._live = start, live
        self._lower, self._upper = face.lower[live], face.upper[live]
        self._equal, self._above = face.equal[:, live], face.above[:, live]
        self._equal_to = face.equal_to - face.equal[:, ~live] @ start[~live]
        self._above_to = face.above_to - face.above[:, ~live] @ start[~live]
        columns = np.vstack([self._equal, self._above]).T.round(12)
        kinds, self._class = np.unique(columns, axis=0, return_inverse=True)
        self._class = self._class.ravel()
        sizes = np.bincount(self._class)
        firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        # Behind a sort by class, pairs stand side by side and the first of each class leads it.
        self._lead = firsts
        self._left = np.concatenate(
            [first + np.arange(0, size - 1, 2) for first, size in zip(firsts, sizes, strict=True)]
        ).astype(int)
        self._moves = _null_space(kinds[:, : len(self._equal)].T)

    def run(self, rngs: Sequence[np.random.Generator]) -> Array:
        """Return the ends of one chain per generator, (n, D)."""
        size, pairs, moves = len(self._lower), len(self._left), self._moves.shape[1]
        steps = num_steps(size)
        draws = [
            (rng.random((steps, size + pairs + 1)), rng.standard_normal((steps, moves)))
            for rng in rngs
        ]
        uniform = np.stack([draw[0] for draw in draws])
        normal = np.stack([draw[1] for draw in draws])
        points = np.tile(self._start[self._live], (len(rngs), 1))
        for step in range(steps):
            keys, jumps = uniform[:, step, :size], uniform[:, step, size:]
            order = np.argsort(self._class + keys, axis=1)
            if pairs:
                self._trade(points, order, jumps[:, 1:])
            if moves:
                self._shift(points, order, normal[:, step], jumps[:, 0])
        ends = np.tile(self._start, (len(rngs), 1))
        ends[:, self._live] = self._put_right(points)
        return ends

    def _trade(self, points: Array, order: NDArray[np.intp], jumps: Array) -> None:
        """Let pairs within classes share what they have together anew, in place."""
        left, right = order[:, self._left], order[:, self._left + 1]
        here = np.take_along_axis(points, left, axis=1)
        there = np.take_along_axis(points, right, axis=1)
        both = here + there
        least = np.maximum(self._lower[left], both - self._upper[right])
        most = np.minimum(self._upper[left], both - self._lower[right])
        new = least + jumps * np.maximum(most - least, 0.0)
        np.put_along_axis(points, left, new, axis=1)
        np.put_along_axis(points, right, both - new, axis=1)

    def _shift(self, points: Array, order: NDArray[np.intp], noise: Array, jumps: Array) -> None:
        """Move one domain of each class along a direction that keeps every equality, in place."""
        members = order[:, self._lead]
        direction = noise @ self._moves.T
        direction[np.abs(direction) < _TINY] = 0.0
        here = np.take_along_axis(points, members, axis=1)
        lower, upper = self._lower[members], self._upper[members]
        with np.errstate(divide="ignore", invalid="ignore"):
            down, up = (lower - here) / direction, (upper - here) / direction
            most = np.where(direction > 0, up, np.where(direction < 0, down, np.inf)).min(axis=1)
            least = np.where(direction > 0, down, np.where(direction < 0, up, -np.inf)).max(axis=1)
            if len(self._above):
                whole = np.zeros_like(points)
                np.put_along_axis(whole, members, direction, axis=1)
                slope = whole @ self._above.T
                room = (self._above_to - points @ self._above.T) / slope
                most = np.minimum(most, np.where(slope > _TINY, room, np.inf).min(axis=1))
                least = np.maximum(least, np.where(slope < -_TINY, room, -np.inf).max(axis=1))
        most = np.where(np.isfinite(most), np.maximum(most, 0.0), 0.0)
        least = np.where(np.isfinite(least), np.minimum(least, 0.0), 0.0)
        moved = here + (least + jumps * (most - least))[:, None] * direction
        np.put_along_axis(points, members, np.clip(moved, lower, upper), axis=1)

    def _put_right(self, points: Array) -> Array:
        """Remove the rounding that added up over the steps, so that pins are exact, (n, k)."""
        inverse = np.linalg.pinv(self._equal, rcond=1e-10)
        off = self._equal_to - points @ self._equal.T
        return np.clip(points + off @ inverse.T, self._lower, self._upper)


def _null_space(rows: Array) -> Array:
    """Return an orthonormal basis of the vectors that all rows (p, c) send to 0, (c, c - rank)."""
    _, values, right = np.linalg.svd(rows, full_matrices=True)
    rank = int((values > 1e-10 * max(1.0, values.max(initial=0.0))).sum())
    return np.asarray(right[rank:].T)
