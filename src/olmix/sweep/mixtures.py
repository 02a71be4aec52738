"""Mixtures of data sets as a variable: which mixtures become runs, and how they are given.

`sources` names data sets, `dataset_mix` says how much of each a run trains on. Swept, it is a list
of mixtures, or a design that makes one: draws of a Dirichlet, or the mixtures from which a
quadratic law in the shares is learned best.

Legend: ``n`` mixtures, ``K`` sources.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from olmix.errors import nearest
from olmix.simplex import Array
from olmix.sweep.errors import ExperimentSchemaError, Finding, Location
from olmix.sweep.scalars import kind_of, render_flow

__all__ = [
    "MIX",
    "check_mixtures",
    "is_design",
    "is_mixture",
    "mixtures_of",
    "repetitions",
]

MIX = "dataset_mix"
_DESIGNS = ("dirichlet", "optimal")
_KEYS = ("design", "runs", "seed", "prior")
_STRENGTH = (0.5, 5.0)
_SMALLEST = 0.02
"""A smaller share becomes 0: a run of a small model cannot show what it does."""
_STEPS = (4, 5, 10, 20, 50, 100)
"""Lattices that candidates of the optimal design lie on, by the steps of an edge."""
_MOST_POINTS = 5_000
_PASSES = 4
_RIDGE = 1e-6
_TOLERANCE = 0.01
_MOST = 200
"""Entries of a list in which sources are repeated."""


def is_design(value: object) -> bool:
    """Whether the mixtures of a variable are given as ``{design, runs, seed, prior}``."""
    return isinstance(value, Mapping) and "design" in value


def is_mixture(name: str, value: object) -> bool:
    """Whether a parameter is a mixture that is written as shares."""
    return name == MIX and isinstance(value, Mapping)


def mixtures_of(value: Any, sources: Sequence[str]) -> list[dict[str, float]]:
    """Return the mixtures that a variable stands for.

    Args:
        value: a list of mixtures, or a design that `check_mixtures` has passed.
        sources: names of the data sets.
    """
    if not is_design(value):
        return [_complete(mixture, sources) for mixture in value]
    rng = np.random.default_rng(value.get("seed", 0))
    prior = _complete(value.get("prior") or {name: 1 / len(sources) for name in sources}, sources)
    centre = np.array([prior[name] for name in sources])
    number = int(value["runs"])
    if value["design"] == "dirichlet":
        drawn = _draw(rng, centre, number)
    else:
        drawn = _optimal(rng, len(sources), number)
    return [dict(zip(sources, _round(row), strict=True)) for row in drawn]


def _complete(mixture: Mapping[str, float], sources: Sequence[str]) -> dict[str, float]:
    return {name: float(mixture.get(name, 0.0)) for name in sources}


def _round(row: Array) -> list[float]:
    """Return shares of four digits that sum to 1, none of them tiny."""
    kept = np.where(row < _SMALLEST, 0.0, row)
    shares = [round(float(share), 4) for share in kept / kept.sum()]
    largest = shares.index(max(shares))
    shares[largest] = round(1 - math.fsum(shares[:largest] + shares[largest + 1 :]), 4)
    return shares


def _draw(rng: np.random.Generator, centre: Array, number: int) -> Array:
    """Draw mixtures around one, sparse ones and even ones: (n, K)."""
    low, high = np.log(_STRENGTH)
    strength = np.exp(rng.uniform(low, high, size=number))
    alphas = np.maximum(centre, 1e-3)[None, :] * len(centre) * strength[:, None]
    return np.stack([rng.dirichlet(alpha) for alpha in alphas])


def _optimal(rng: np.random.Generator, size: int, number: int) -> Array:
    """Return the mixtures with the largest determinant of the information, each one once: (n, K).

    Candidates are the points of a lattice, so that no two runs are nearly equal; each is exchanged
    for a better one as long as there is one (Fedorov 1972).
    """
    points = _lattice(size, number)
    pairs = itertools.combinations(range(size), 2)
    features = np.column_stack([points, *(points[:, i] * points[:, j] for i, j in pairs)])
    chosen = list(rng.choice(len(points), size=min(number, len(points)), replace=False))
    for _ in range(_PASSES):
        before = list(chosen)
        for place in range(len(chosen)):
            others = [index for k, index in enumerate(chosen) if k != place]
            rest = features[others]
            inverse = np.linalg.inv(rest.T @ rest + _RIDGE * np.eye(features.shape[1]))
            gain = np.einsum("ij,jk,ik->i", features, inverse, features)
            gain[others] = -np.inf
            chosen[place] = int(np.argmax(gain))
        if chosen == before:
            break
    return np.asarray(points[sorted(chosen)], dtype=np.float64)


def _lattice(size: int, number: int) -> Array:
    """Return the coarsest lattice on the simplex with half as many points again as runs: (N, K)."""
    steps = [s for s in _STEPS if math.comb(s + size - 1, size - 1) <= _MOST_POINTS]
    enough = [s for s in steps if math.comb(s + size - 1, size - 1) >= 1.5 * number]
    fine = (enough or steps or _STEPS[:1])[0 if enough else -1]
    bars = itertools.combinations(range(fine + size - 1), size - 1)
    edges = [(-1, *places, fine + size - 1) for places in bars]
    return np.array([[b - a - 1 for a, b in itertools.pairwise(row)] for row in edges]) / fine


def repetitions(weights: Mapping[str, float], rows: Mapping[str, int]) -> dict[str, int]:
    """Return how often each source is taken, so that its rows are near its share of all rows.

    The shortest list that meets every share to 0.01 is taken, or else the nearest of at most 200.
    It is empty where a share needs more than that.

    Args:
        weights: shares, which sum to 1.
        rows: rows of each source, above 0.
    """
    rates = {name: weight / rows[name] for name, weight in weights.items() if weight > 0}
    smallest = min(rates.values())
    best: tuple[float, dict[str, int]] | None = None
    for unit in range(1, _MOST + 1):
        counts = {name: max(1, round(unit * rate / smallest)) for name, rate in rates.items()}
        if sum(counts.values()) > _MOST:
            break
        total = sum(count * rows[name] for name, count in counts.items())
        gap = max(abs(count * rows[name] / total - weights[name]) for name, count in counts.items())
        if best is None or gap < best[0] - 1e-12:
            best = gap, counts
        if gap <= _TOLERANCE:
            break
    return best[1] if best is not None else {}


def check_mixtures(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with `sources`, and with `dataset_mix` in variables and controls."""
    sources = raw.get("sources")
    names = list(sources) if isinstance(sources, dict) else []
    sections = ((key, raw.get(key)) for key in ("variables", "controls"))
    places = [
        ((key, MIX), section[MIX])
        for key, section in sections
        if isinstance(section, dict) and MIX in section
    ]
    if names and not places:
        what = f"nothing says how to mix them; give {MIX} in controls or variables"
        yield Finding(ExperimentSchemaError, what, ("sources",))
    for where, value in places:
        if not names:
            what = "a mixture needs `sources`, data sets by name: {web: {data_files: web.jsonl}}"
            yield Finding(ExperimentSchemaError, what, where)
        elif is_design(value) and where[0] == "variables":
            yield from _check_design(where, value, names)
        elif where[0] == "controls":
            yield from _check_mixture(where, value, names)
        else:
            for index, entry in enumerate(value if isinstance(value, list) else []):
                yield from _check_mixture((*where, index), entry, names)


def _check_design(where: Location, value: Mapping[str, Any], names: list[str]) -> Iterator[Finding]:
    unknown = [key for key in value if key not in _KEYS]
    runs, seed = value.get("runs"), value.get("seed", 0)
    problems = [
        (bool(unknown), f"unknown keys {', '.join(unknown)}; allowed: {', '.join(_KEYS)}"),
        (
            value["design"] not in _DESIGNS,
            f"design is {render_flow(value['design'])}; allowed: {', '.join(_DESIGNS)}",
        ),
        (kind_of(runs) != "int" or (runs or 0) < 2, "runs, a whole number from 2 on, is needed"),
        (kind_of(seed) != "int" or seed < 0, "seed must be a whole number of 0 or more"),
        (len(names) < 2, "a design needs two sources or more"),
    ]
    yield from (
        Finding(ExperimentSchemaError, what, where) for is_wrong, what in problems if is_wrong
    )
    if "prior" in value:
        yield from _check_mixture((*where, "prior"), value["prior"], names)


def _check_mixture(where: Location, value: Any, names: list[str]) -> Iterator[Finding]:
    def bad(what: str, *key: str) -> Finding:
        return Finding(ExperimentSchemaError, what, (*where, *key))

    if not isinstance(value, Mapping) or not value:
        yield bad(f"a mixture is written {{{names[0]}: 0.7, ...}}; found {render_flow(value)}")
        return
    for name, share in value.items():
        if name not in names:
            guess = nearest(str(name), names)
            hint = f"did you mean `{guess}`?" if guess else f"there are: {', '.join(names)}"
            yield bad(f"there is no source {name}; {hint}", str(name))
        elif kind_of(share) not in ("int", "float") or not 0 <= share <= 1:
            yield bad(f"found {render_flow(share)}; a share from 0 to 1 is needed", str(name))
            return
    total = math.fsum(share for share in value.values() if kind_of(share) in ("int", "float"))
    if abs(total - 1) > 1e-6:
        yield bad(f"the shares add up to {total:.6g}, not to 1")
