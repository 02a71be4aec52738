"""The hierarchical Dirichlet design: how the mixtures of a swarm are drawn by default.

A mixture is drawn from the top down, as in the Olmix paper (Chen et al. 2026) and RegMix (Liu et
al. 2024): the shares of the sources come from a Dirichlet around their prior shares, those of the
topics within a source from another one, and the weight of a domain is the product along its path.
The concentration of every Dirichlet ("strength") is drawn log-uniformly, anew for each mixture, so
that a swarm holds sparse mixtures as well as ones close to the prior.

What differs: no draw is ever rejected. Weights beyond what a domain's tokens allow are moved to
domains with room, and weights below the minimum become 0 (see `olmix.simplex`). What breaks
a rule even then is moved to the nearest mixture that breaks none (see `olmix.generate.solve`), so
any swarm that is feasible at all is drawn.

Legend: ``n`` mixtures, ``D`` domains, ``K`` children of a node.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from olmix.config import SwarmConfig
from olmix.config.swarm import pin_of
from olmix.domains import Node, domain_names, iter_domains, iter_nodes, join
from olmix.errors import InfeasibleError
from olmix.generate.constraints import Constraints
from olmix.generate.solve import check_feasible, nearest
from olmix.simplex import Array, sparsify, temper

__all__ = ["draw_dirichlet", "move_into", "prior_mixture"]

_TINY = 1e-12
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class _Split:
    """The children of one node, whose shares are drawn together.

    Attributes:
        path: nodes down to the parent; empty at the top.
        children: the siblings.
        prior: (K,) prior shares.
        pinned: (K,) pinned shares, NaN where free.
        free: positions of the siblings whose share is drawn.
        prior_free: their prior shares, which sum to 1.
        left: what pins leave for them.
    """

    path: tuple[Node, ...]
    children: tuple[Node, ...]
    prior: Array
    pinned: Array
    free: NDArray[np.intp]
    prior_free: Array
    left: float


def _splits(tree: Sequence[Node], natural: Mapping[str, float], swarm: SwarmConfig) -> list[_Split]:
    """Return all splits of the tree from the top down."""
    found = []

    def visit(path: tuple[Node, ...], children: Sequence[Node]) -> None:
        prior = _prior_shares(path, children, natural, swarm)
        pins = [pin_of((*path, child), swarm) for child in children]
        pinned = np.array([np.nan if share is None else share for share in pins])
        free = np.flatnonzero(np.isnan(pinned) & (prior > 0))
        among = prior[free] / prior[free].sum() if free.size else prior[free]
        left = float(1.0 - np.nansum(pinned))
        found.append(_Split(path, tuple(children), prior, pinned, free, among, left))
        for child in children:
            if not child.is_domain:
                visit((*path, child), child.children)

    visit((), tree)
    return found


def _prior_shares(
    path: tuple[Node, ...],
    children: Sequence[Node],
    natural: Mapping[str, float],
    swarm: SwarmConfig,
) -> Array:
    """Return the prior shares of siblings, shape (K,), after manual priors and temperature.

    Siblings that a manual prior does not name keep their natural proportions within what the named
    and the pinned ones leave.
    """
    names = [join((*path, child)) for child in children]
    manual = swarm.manual_topic_prior if path else swarm.manual_prior
    shares = np.array([_mass((*path, child), natural) for child in children])
    named = np.array([name in manual for name in names])
    if named.any():
        pins = [pin_of((*path, child), swarm) for child in children]
        given = np.array([manual.get(name, 0.0) for name in names])
        taken = [g if pin is None else pin for g, pin in zip(given, pins, strict=True)]
        rest = np.where(named | [pin is not None for pin in pins], 0.0, shares)
        left = (1.0 - sum(taken)) / rest.sum() if rest.any() else 0.0
        shares = given + left * rest
    return temper(shares, swarm.temperature("topic_" if path else "source_"))


def _mass(path: tuple[Node, ...], natural: Mapping[str, float]) -> float:
    """Return the natural share of everything at or below a node.

    Names alone do not tell: beside a topic `a` there may be one named `a:x`.
    """
    inner = (below for _, below in iter_domains(path[-1:]))
    return sum(natural[join((*path[:-1], *below))] for below in inner)


def _multiply(tree: Sequence[Node], splits: Sequence[_Split], shares: Sequence[Array]) -> Array:
    """Return weights (n, D) as products of the shares (n, K) along each path."""
    rows = len(shares[0])
    below: dict[str, Array] = {"": np.ones(rows)}
    for split, drawn in zip(splits, shares, strict=True):
        above = below[join(split.path)]
        for index, child in enumerate(split.children):
            below[join((*split.path, child))] = above * drawn[:, index]
    return np.column_stack([below[name] for name, path in iter_nodes(tree) if path[-1].is_domain])


def prior_mixture(
    tree: Sequence[Node], natural: Mapping[str, float], swarm: SwarmConfig
) -> dict[str, float]:
    """Return the weights around which mixtures are drawn: priors, temperature and pins applied."""
    splits = _splits(tree, natural, swarm)
    shares = []
    for split in splits:
        values = np.nan_to_num(split.pinned)
        if split.left > _TINY and split.free.size:
            values[split.free] = split.left * split.prior_free
        shares.append((values / values.sum() if values.sum() > 0 else split.prior)[None])
    weights = _multiply(tree, splits, shares)[0]
    return dict(zip(domain_names(tree), weights.tolist(), strict=True))


def _draw_split(
    split: _Split, bounds: tuple[float, float], out: Array, rng: np.random.Generator
) -> None:
    """Draw the shares of siblings once into `out`, (K,), leaving pinned ones as they are.

    Args:
        split: the siblings.
        bounds: logarithms of the smallest and the largest strength.
        out: (K,) written to; holds the pinned shares, and 0 for free ones.
        rng: source of randomness.
    """
    strength = math.exp(rng.uniform(*bounds))
    if split.left <= _TINY or not split.prior_free.size:
        total = out.sum()
        out[:] = out / total if total > 0 else split.prior
        return
    drawn = rng.standard_gamma(strength * split.prior_free)
    total = drawn.sum()
    if total <= 0:  # all gammas underflowed: the limit of small strength is one domain
        drawn[rng.choice(len(drawn), p=split.prior_free)] = total = 1.0
    out[split.free] = split.left * drawn / total


def draw_dirichlet(
    tree: Sequence[Node],
    natural: Mapping[str, float],
    swarm: SwarmConfig,
    rngs: Sequence[np.random.Generator],
) -> Array:
    """Draw one mixture per generator, before any rule but the pins is applied.

    Args:
        tree: the data tree.
        natural: natural share of each domain.
        swarm: the sampling parameters.
        rngs: n sources of randomness, one for each mixture.

    Returns:
        (n, D) weights in the order of the tree.
    """
    splits = _splits(tree, natural, swarm)
    shares = [np.tile(np.nan_to_num(split.pinned), (len(rngs), 1)) for split in splits]
    bounds = [_log_strengths(swarm, "topic_" if split.path else "source_") for split in splits]
    for row, rng in enumerate(rngs):
        for split, limits, drawn in zip(splits, bounds, shares, strict=True):
            _draw_split(split, limits, drawn[row], rng)
    for index, split in enumerate(splits):
        floor = swarm.minimum_topic_weight if split.path else swarm.minimum_source_weight
        if floor and np.isnan(split.pinned).all():
            shares[index] = _sparse_shares(shares[index], floor)
    return _multiply(tree, splits, shares)


def _log_strengths(swarm: SwarmConfig, group: str) -> tuple[float, float]:
    low, high = swarm.strengths(group)
    return float(np.log(low)), float(np.log(high))


def _sparse_shares(shares: Array, floor: float) -> Array:
    """Drop the shares of siblings below a minimum, where that leaves any."""
    ones, none = np.ones_like(shares), np.zeros(shares.shape, dtype=bool)
    sparse = sparsify(shares, np.full_like(shares, floor), ones, none)
    return np.where(np.isnan(sparse), shares, sparse)


def move_into(
    weights: Array, tree: Sequence[Node], swarm: SwarmConfig, rules: Constraints
) -> Array:
    """Move mixtures (n, D) into the feasible set, keeping the totals of pinned nodes.

    Domains below the minimum become 0, required ones are raised to it, and what is beyond a cap
    goes to domains with room. Where a share is pinned, this happens inside and outside of the
    pinned node separately, so that its total stays. Mixtures for which this is not enough become
    the nearest feasible ones.

    Raises:
        InfeasibleError: no mixture is feasible; names the rules that contradict each other.
    """
    moved = np.zeros_like(weights)
    for members in _blocks(tree, swarm):
        total = weights[:, members].sum(axis=1, keepdims=True)
        safe = np.maximum(total, _TINY)
        part = sparsify(
            weights[:, members] / safe,
            np.minimum(rules.minimum[members] / safe, 1.0),
            np.minimum(rules.caps[members] / safe, 1.0),
            np.broadcast_to(rules.required[members], (len(weights), len(members))),
        )
        moved[:, members] = np.where(total > _TINY, total * part, 0.0)
    broken = np.isnan(moved).any(axis=1) | ~rules.contains(np.nan_to_num(moved), _TOLERANCE)
    for index, row in enumerate(np.flatnonzero(broken)):
        if index == 0:
            check_feasible(rules)
        moved[row] = nearest(rules, weights[row])
    _check_moved(moved, rules)
    return moved


def _check_moved(moved: Array, rules: Constraints) -> None:
    """Raise where a mixture breaks a rule all the same; it never should."""
    worst = float(rules.violation(moved).max(initial=0.0))
    if worst > 1e-7:
        raise InfeasibleError(
            f"the nearest mixture found breaks a rule by {worst:.2g}. The rules leave hardly any "
            "room; loosen one of them."
        )


def _blocks(tree: Sequence[Node], swarm: SwarmConfig) -> list[list[int]]:
    """Group the domains such that weight may move within a group and not between groups.

    A pinned node, and a node with a pinned child, is a group of its own (less those below it);
    everything that is free up to the root is one group. So every pinned share stays exact.
    """
    groups: dict[str, list[int]] = {}
    position = 0

    def visit(path: tuple[Node, ...], owner: str) -> None:
        nonlocal position
        node = path[-1]
        closed = pin_of(path, swarm) is not None or any(
            child.weight is not None for child in node.children
        )
        here = join(path) if closed else owner
        if node.is_domain:
            groups.setdefault(here, []).append(position)
            position += 1
        for child in node.children:
            visit((*path, child), here)

    for source in tree:
        visit((source,), "")
    return list(groups.values())
