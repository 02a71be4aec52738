"""Exact answers about the feasible set, by linear and mixed-integer programming (HiGHS).

Whether a swarm is feasible, which rules contradict each other, the feasible mixture nearest to a
given one, and a point in the middle. Only this module needs scipy; plain swarms never reach it.

Legend: ``D`` domains, ``G`` minima of inner nodes. The unknowns of a program are ``x = [w, z, y,
e]``: weights, whether a domain takes part, whether an inner node does, and distances.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from olmix.errors import InfeasibleError, needs
from olmix.generate.constraints import Constraints, Mask
from olmix.simplex import Array

__all__ = ["Face", "check_feasible", "face_of", "middle", "nearest", "nearest_on", "vertex"]

_GAP = 0.05
"""How far from the nearest mixture the search over supports may stop, as a share."""
_ON = 1e-9


def _optimise() -> Any:
    with needs("design", "Sampling within these constraints"):
        import scipy.optimize
    return scipy.optimize


@contextmanager
def _silent() -> Iterator[None]:
    """Keep standard output for data: HiGHS 1.12 prints a line of its own now and then.

    The line is printed by compiled code, so the descriptor itself is turned aside, and what libc
    holds back is flushed before it is turned back.
    """
    libc = ctypes.CDLL(None)
    try:
        libc.fflush(None)
        kept = os.dup(1)
    except (OSError, AttributeError):
        yield
        return
    aside = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(aside, 1)
        yield
    finally:
        libc.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(aside)


@dataclass(frozen=True)
class _Rule:
    """One row ``low <= row . x <= high`` and what it says."""

    label: str
    row: Array
    low: float
    high: float


def _links(rules: Constraints) -> Iterator[_Rule]:
    """Yield the rows that hold by the meaning of the unknowns; none can be given up."""
    D, G = len(rules.domains), len(rules.floors)
    width = 2 * D + G
    row = np.zeros(width)
    row[:D] = 1
    yield _Rule("", row, 1, 1)
    for d in range(D):
        row = np.zeros(width)
        row[d], row[D + d] = 1, -1
        yield _Rule("", row, -np.inf, 0)
    for g, floor in enumerate(rules.floors):
        row = np.zeros(width)
        row[:D][floor.members] = 1
        row[2 * D + g] = -1
        yield _Rule("", row, -np.inf, 0)


def _wishes(rules: Constraints) -> Iterator[_Rule]:
    """Yield the rows that stand for what the config asks for."""
    D, G = len(rules.domains), len(rules.floors)
    width = 2 * D + G
    for rule in rules.linear:
        yield _Rule(rule.label, np.concatenate([rule.row, np.zeros(D + G)]), rule.low, rule.high)
    for d, name in enumerate(rules.domains):
        if rules.required[d]:
            row = np.zeros(width)
            row[d] = 1
            label = f"{name} needs at least {rules.minimum[d]:.4g} (swarm.nonzero_weight)"
            yield _Rule(label, row, float(rules.minimum[d]), np.inf)
    for g, floor in enumerate(rules.floors):
        row = np.zeros(width)
        row[:D] = floor.members - floor.share * floor.parent
        if floor.required:
            yield _Rule(floor.label, row, 0.0, np.inf)
            continue
        # Where the node takes no part (y = 0), the row asks for nothing.
        row[2 * D + g] = -floor.share
        yield _Rule(floor.label, row, -floor.share, np.inf)
    for d, name in enumerate(rules.domains):
        if rules.minimum[d] > 0:
            row = np.zeros(width)
            row[d], row[D + d] = 1, -rules.minimum[d]
            label = f"{name} is 0 or at least {rules.minimum[d]:.4g} (swarm.minimum_weight)"
            yield _Rule(label, row, 0.0, np.inf)
    for d in range(D):
        if rules.caps[d] < 1:
            row = np.zeros(width)
            row[d] = 1
            yield _Rule(rules.cap_labels[d], row, -np.inf, float(rules.caps[d]))


def _solve(rules: Constraints, rows: list[_Rule], target: Array | None = None) -> Array | None:
    """Solve a mixed-integer program; returns x, or ``None`` where nothing satisfies the rows."""
    optimise = _optimise()
    D, G = len(rules.domains), len(rules.floors)
    matrix = np.array([rule.row for rule in rows])
    low, high = np.array([r.low for r in rows]), np.array([r.high for r in rows])
    cost = np.zeros(2 * D + G)
    integer = np.concatenate([np.zeros(D), np.ones(D + G)])
    if not rules.is_mixed:
        integer[:] = 0
    if target is not None:
        matrix, low, high = _with_distance(matrix, low, high, target)
        cost = np.concatenate([cost, np.ones(D)])
        integer = np.concatenate([integer, np.zeros(D)])
    with _silent():
        found = optimise.milp(
            cost,
            integrality=integer,
            bounds=optimise.Bounds(0, 1),
            constraints=optimise.LinearConstraint(matrix, low, high),
            options={"mip_rel_gap": _GAP},
        )
    return None if found.x is None else np.asarray(found.x)


def _with_distance(
    matrix: Array, low: Array, high: Array, target: Array
) -> tuple[Array, Array, Array]:
    """Add unknowns ``e >= |w - target|`` behind the others."""
    D, width = len(target), matrix.shape[1]
    eye, rest = np.eye(D), np.zeros((D, width - D))
    return (
        np.block([[matrix, np.zeros((len(matrix), D))], [eye, rest, -eye], [eye, rest, eye]]),
        np.concatenate([low, np.full(D, -np.inf), target]),
        np.concatenate([high, target, np.full(D, np.inf)]),
    )


def check_feasible(rules: Constraints) -> None:
    """Make sure that at least one mixture is feasible.

    Raises:
        InfeasibleError: lists a smallest set of rules that contradict each other: each of them
            could be met if one of the others were given up.
    """
    links, wishes = list(_links(rules)), list(_wishes(rules))
    if _solve(rules, links + wishes) is not None:
        return
    # Deletion filter: whatever is not needed for the contradiction goes, large pieces first; caps
    # before minima before bounds and pins, so that what the user wrote is what is named.
    core = wishes[::-1]
    for size in (64, 16, 4, 1):
        start = 0
        while start < len(core):
            without = core[:start] + core[start + size :]
            if len(core) > size and _solve(rules, links + without) is None:
                core = without
            else:
                start += size
    lines = "\n".join(f"  - {rule.label}" for rule in core)
    raise InfeasibleError(
        f"no mixture satisfies the swarm. These rules contradict each other:\n{lines}\n"
        "  Drop or loosen one of them."
    )


@dataclass(frozen=True)
class Face:
    """One polytope of the feasible set: the mixtures over a given choice of domains.

    Attributes:
        lower: (D,) smallest weights; 0 with `upper` 0 for domains that take no part.
        upper: (D,) largest weights.
        equal: (p, D) rows with ``equal @ w = equal_to``; the first is the sum.
        equal_to: (p,) right-hand sides.
        above: (m, D) rows with ``above @ w <= above_to``.
        above_to: (m,) right-hand sides.
    """

    lower: Array
    upper: Array
    equal: Array
    equal_to: Array
    above: Array
    above_to: Array


def face_of(rules: Constraints, support: Mask) -> Face:
    """Return the polytope of the mixtures over the domains in `support`, (D,)."""
    D = len(rules.domains)
    part = support | rules.required
    equal, equal_to = [np.ones(D)], [1.0]
    above: list[Array] = []
    above_to: list[float] = []
    for rule in rules.linear:
        if rule.low == rule.high:
            equal.append(rule.row)
            equal_to.append(rule.low)
            continue
        if np.isfinite(rule.high):
            above.append(rule.row)
            above_to.append(rule.high)
        if np.isfinite(rule.low):
            above.append(-rule.row)
            above_to.append(-rule.low)
    for floor in rules.floors:
        if floor.required or (part & floor.members).any():
            above.append(np.asarray(floor.share * floor.parent - floor.members, dtype=float))
            above_to.append(0.0)
    return Face(
        np.where(part, rules.minimum, 0.0),
        np.where(part, rules.caps, 0.0),
        np.array(equal),
        np.array(equal_to),
        np.array(above).reshape(-1, D),
        np.array(above_to),
    )


def _linear_program(cost: Array, face: Face, extra: int = 0, **rows: Any) -> Array | None:
    """Solve a linear program over a face; `extra` further unknowns stand behind the weights."""
    bounds = np.column_stack([face.lower, face.upper])
    if (bounds[:, 0] > bounds[:, 1]).any():
        return None
    bounds = np.concatenate([bounds, np.tile([0.0, np.inf], (extra, 1))])
    pad = np.zeros((len(face.above), extra))
    above, above_to = np.hstack([face.above, pad]), face.above_to
    if "above" in rows:
        above = np.vstack([above, rows["above"]])
        above_to = np.concatenate([above_to, rows["above_to"]])
    found = _optimise().linprog(
        cost,
        A_ub=above if len(above) else None,
        b_ub=above_to if len(above) else None,
        A_eq=np.hstack([face.equal, np.zeros((len(face.equal), extra))]),
        b_eq=face.equal_to,
        bounds=bounds,
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10},
    )
    return np.asarray(found.x) if found.status == 0 else None


def _polish(weights: Array, face: Face) -> Array:
    """Remove the solver's rounding: bounds and pins hold to the last digits."""
    weights = np.clip(weights, face.lower, face.upper)
    weights[weights < 1e-12] = 0.0
    inner = (weights > face.lower + _ON) & (weights < face.upper - _ON)
    for movable in (inner, weights > 0):
        off = face.equal_to - face.equal @ weights
        if np.abs(off).max() < 1e-15 or not movable.any():
            break
        step = np.linalg.lstsq(face.equal[:, movable], off, rcond=None)[0]
        weights[movable] += step
    return np.maximum(weights, 0.0)


def nearest_on(face: Face, target: Array) -> Array | None:
    """Return the mixture of a face that moves the fewest tokens from `target`, or ``None``."""
    D = len(target)
    eye = np.eye(D)
    found = _linear_program(
        np.concatenate([np.zeros(D), np.ones(D)]),
        face,
        D,
        above=np.block([[eye, -eye], [-eye, -eye]]),
        above_to=np.concatenate([target, -target]),
    )
    return None if found is None else _polish(found[:D], face)


def _rounded(rules: Constraints, target: Array) -> Array | None:
    """Try the choices of domains that the nearest mixture without minima suggests."""
    loose = nearest_on(face_of(rules.without_minima(), np.ones(len(target), dtype=bool)), target)
    if loose is None:
        return None
    for share in (1.0, 0.5, 0.0):
        face = face_of(rules, (loose >= share * rules.minimum) & (loose > 0))
        found = nearest_on(face, target)
        if found is not None:
            return found
    return None


def nearest(rules: Constraints, target: Array) -> Array:
    """Return the feasible mixture that moves (nearly) the fewest tokens from `target`, (D,).

    Raises:
        InfeasibleError: no mixture is feasible; says which rules contradict each other.
    """
    D = len(target)
    found = nearest_on(face_of(rules, (target >= rules.minimum) & (target > 0)), target)
    if found is None:
        found = _rounded(rules, target)
    if found is None:
        x = _solve(rules, [*_links(rules), *_wishes(rules)], target)
        if x is None:
            check_feasible(rules)
            raise InfeasibleError("no mixture satisfies the swarm")
        taking_part = (x[D : 2 * D] > 0.5) if rules.is_mixed else np.ones(D, dtype=bool)
        found = nearest_on(face_of(rules, taking_part & (x[:D] > 1e-7)), target)
        if found is None:
            found = nearest_on(face_of(rules, taking_part), target)
    if found is None:
        raise InfeasibleError("no mixture satisfies the swarm within the solver's tolerance")
    return found


def vertex(face: Face, cost: Array) -> Array | None:
    """Return the corner of a face at which ``cost . w`` is least, (D,)."""
    found = _linear_program(cost, face)
    return None if found is None else _polish(found, face)


def middle(face: Face) -> tuple[Face, Array] | None:
    """Return a face and a point well inside of it, (D,), or ``None`` where the face is empty.

    The point keeps the largest common distance from all inequalities, in units of the room that
    each has. Where some of them cannot be strict (caps that add up to exactly 1), they are written
    into the face that is returned as equalities, and the point is the mean of corners.
    """
    D = len(face.lower)
    live = face.upper > face.lower
    room = np.where(live, np.minimum(face.upper - face.lower, 2.0 / max(live.sum(), 1)), 0.0)
    eye = np.eye(D)[live]
    scale = np.abs(face.above).max(axis=1, initial=1e-9) / D
    found = _linear_program(
        np.concatenate([np.zeros(D), [-1.0]]),
        face,
        1,
        above=np.vstack(
            [
                np.hstack([-eye, room[live, None]]),
                np.hstack([eye, room[live, None]]),
                np.hstack([face.above, scale[:, None]]),
            ]
        ),
        above_to=np.concatenate([-face.lower[live], face.upper[live], face.above_to]),
    )
    if found is None:
        return None
    if found[D] > 1e-7:
        return face, _polish(found[:D], face)
    costs = np.vstack([np.eye(D), -np.eye(D), face.above])
    corners = [corner for cost in costs if (corner := vertex(face, cost)) is not None]
    point = np.mean(corners, axis=0) if corners else _polish(found[:D], face)
    return _tightened(face, point), point


def _tightened(face: Face, point: Array) -> Face:
    """Write the inequalities that leave no room into a face as equalities."""
    fixed = (point - face.lower < _ON) | (face.upper - point < _ON)
    tight = face.above_to - face.above @ point < _ON
    return Face(
        np.where(fixed, point, face.lower),
        np.where(fixed, point, face.upper),
        np.vstack([face.equal, face.above[tight]]),
        np.concatenate([face.equal_to, face.above_to[tight]]),
        face.above[~tight],
        face.above_to[~tight],
    )
