"""Optimal designs: mixtures placed where a fit learns most, and apart from each other.

Candidates are corners of the feasible set, its middle, uniform points, points between two of them
and Dirichlet draws. The design grows in blocks of `BLOCK` runs: each run of a block is the
candidate that adds most to the criterion, and then every run of the block is exchanged for a better
candidate where there is one (Fedorov 1972). A candidate may only be taken if it keeps a distance
from all runs so far, a share of what the most even spread of as many runs would have; without that,
an optimal design repeats the corners.

Blocks have their own candidates and never look at the number of variants, so a design of more runs
begins with the runs of a smaller one.

Legend: ``n`` mixtures, ``D`` domains, ``N`` candidates, ``S`` draws of the law, ``q`` features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from olmix.generate.constraints import Constraints
from olmix.generate.criteria import RIDGE, Criterion, Information, feature_map
from olmix.generate.polytope import sample_polytope
from olmix.generate.solve import check_feasible, face_of, middle, nearest, vertex
from olmix.simplex import Array
from olmix.text.progress import OnProgress, Steps

__all__ = ["BLOCK", "candidates_of", "distances_to", "optimal_design"]

Draw = Callable[[Sequence[np.random.Generator]], Array]

BLOCK = 32
NUM_UNIFORM = 256
NUM_DRAWN = 192
NUM_CORNERS = 64
NUM_BETWEEN = 256
PASSES = 2
"""Rounds of exchange over a block."""
APART = 0.3
"""Distance kept from other runs, as a share of that of the most even spread."""


def optimal_design(
    rules: Constraints,
    draw: Draw,
    variants: int,
    fixed: Array,
    seed: int,
    criterion: Criterion,
    model: str,
    on_progress: OnProgress | None = None,
) -> Array:
    """Return a design of `variants` mixtures beside those that are run anyway.

    Args:
        rules: the feasible set.
        draw: the Dirichlet design: generators to mixtures.
        variants: number of mixtures wanted.
        fixed: (F, D) references and mixtures run before; they count, and are not repeated.
        seed: seed of the candidates.
        criterion: D or I.
        model: the law that the design is for.
        on_progress: told of every block of runs that is placed.

    Returns:
        (variants, D) mixtures; the first ones are those of a smaller design.

    Raises:
        InfeasibleError: no mixture is feasible.
    """
    check_feasible(rules)
    first, *seeds = np.random.default_rng(seed).spawn(1 + -(-variants // BLOCK))
    reference = sample_polytope(rules, first.spawn(256))
    features = feature_map(model, reference)
    spread = features(reference)
    mean = np.einsum("sni,snj->sij", spread, spread) / len(reference)
    chosen = fixed
    ridge = 1.0 if model == "gp" else RIDGE
    steps = Steps(on_progress, len(seeds))
    for rng in seeds:
        candidates = _candidates(rules, draw, rng)
        block = _grow(candidates, chosen, lambda w: _Bench(features, mean, criterion, ridge, w))
        chosen = np.vstack([chosen, block])
        steps(f"{min(len(chosen) - len(fixed), variants)} of {variants} mixtures")
    return chosen[len(fixed) : len(fixed) + variants]


def candidates_of(rules: Constraints, draw: Draw, seed: int, blocks: int = 4) -> Array:
    """Return feasible mixtures of every kind to choose from, (N, D)."""
    check_feasible(rules)
    rngs = np.random.default_rng(seed).spawn(blocks)
    return np.vstack([_candidates(rules, draw, rng) for rng in rngs])


def _candidates(rules: Constraints, draw: Draw, rng: np.random.Generator) -> Array:
    """Return the candidates of one block, (N, D), none of them twice."""
    even = sample_polytope(rules, rng.spawn(NUM_UNIFORM))
    drawn = draw(rng.spawn(NUM_DRAWN))
    corners = _corners(rules, rng)
    whole = face_of(rules, np.ones(len(rules.domains), dtype=bool))
    inside = middle(whole)
    centre = [] if inside is None else [inside[1]]
    pool = np.vstack([corners, *centre, even, drawn])
    pairs = rng.integers(0, len(corners) + NUM_UNIFORM // 4, size=(NUM_BETWEEN, 2)) % len(pool)
    share = rng.choice([0.5, 0.5, 0.25], size=(NUM_BETWEEN, 1))
    pool = np.vstack([pool, share * pool[pairs[:, 0]] + (1 - share) * pool[pairs[:, 1]]])
    pool = pool[rules.contains(pool, 1e-9)]
    _, unique = np.unique(pool.round(9), axis=0, return_index=True)
    return np.asarray(pool[np.sort(unique)])


def _corners(rules: Constraints, rng: np.random.Generator) -> Array:
    """Return corners of the feasible set in random directions, and towards each domain."""
    D = len(rules.domains)
    relaxed = rules.without_minima()
    face = face_of(relaxed, np.ones(D, dtype=bool))
    towards = -np.eye(D)[rng.permutation(D)[: NUM_CORNERS // 2]]
    costs = np.vstack([towards, rng.standard_normal((NUM_CORNERS - len(towards), D))])
    found = [corner for cost in costs if (corner := vertex(face, cost)) is not None]
    return np.array(
        [
            corner if rules.contains(corner[None], 1e-9)[0] else nearest(rules, corner)
            for corner in found
        ]
    ).reshape(-1, D)


class _Bench:
    """The criterion, and the features of the candidates that it is asked about."""

    def __init__(
        self,
        features: Callable[[Array], Array],
        mean: Array,
        criterion: Criterion,
        ridge: float,
        runs: Array,
    ) -> None:
        self.features = features
        self.information = Information(features(runs), mean, criterion, ridge)


def _grow(candidates: Array, chosen: Array, bench_of: Callable[[Array], _Bench]) -> Array:
    """Choose the runs of one block among the candidates, (BLOCK, D)."""
    bench = bench_of(chosen)
    features = bench.features(candidates)
    information = bench.information
    apart = APART * _even_distance(candidates, chosen)
    between = distances_to(candidates, candidates)
    away = distances_to(candidates, chosen).min(axis=1, initial=np.inf)
    block: list[int] = []
    while len(block) < BLOCK:
        room = np.minimum(away, between[:, block].min(axis=1, initial=np.inf))
        allowed = room >= apart
        if not allowed.any():
            apart = 0.9 * apart if apart > 1e-9 else 0.0
            allowed = room >= apart
            if not allowed.any() or (apart == 0.0 and room.max() <= 0):
                allowed = room >= room.max()
            if not allowed.any():
                continue
        gain = np.where(allowed, information.gain(features), -np.inf)
        best = int(np.argmax(gain))
        information.update(features[:, best])
        block.append(best)
    for _ in range(PASSES):
        if not _exchange(block, information, features, between, away, apart):
            break
    return np.asarray(candidates[block])


def _exchange(
    block: list[int],
    information: Information,
    features: Array,
    between: Array,
    away: Array,
    apart: float,
) -> bool:
    """Exchange runs of a block, in place, for better candidates; says whether any was."""
    changed = False
    for position, old in enumerate(block):
        others = block[:position] + block[position + 1 :]
        room = np.minimum(away, between[:, others].min(axis=1, initial=np.inf))
        allowed = room >= apart
        allowed[old] = True
        information.update(features[:, old], sign=-1.0)
        gain = np.where(allowed, information.gain(features), -np.inf)
        best = int(np.argmax(gain))
        if gain[best] <= gain[old] + 1e-9:
            best = old
        information.update(features[:, best])
        changed |= best != old
        block[position] = best
    return changed


def _even_distance(candidates: Array, chosen: Array) -> float:
    """Return the smallest distance in the most even spread of one more block.

    Candidates are taken one after the other, each the farthest from all before it; that is at
    least half as good as any spread (Gonzalez 1985).
    """
    away = distances_to(candidates, chosen).min(axis=1, initial=np.inf)
    if not len(chosen):
        away = distances_to(candidates, candidates.mean(axis=0)[None])[:, 0]
    least = np.inf
    for _ in range(min(BLOCK, len(candidates))):
        best = int(np.argmax(away))
        least = min(least, float(away[best]))
        away = np.minimum(away, distances_to(candidates, candidates[best][None])[:, 0])
    return least


def distances_to(left: Array, right: Array) -> Array:
    """Return Euclidean distances between mixtures, (n, m)."""
    inner = left @ right.T
    sizes = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None]
    return np.asarray(np.sqrt(np.maximum(sizes - 2 * inner, 0.0)))
