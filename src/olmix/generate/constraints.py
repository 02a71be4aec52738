"""The mixtures that a swarm may hold: the exact feasible set, as arrays.

A mixture is feasible when

    it sums to 1                                            the simplex
    w_d <= caps_d                       tokens x repetition / (target_tokens or max_tokens)
    w_d = 0 or w_d >= minimum_d                             swarm.minimum_weight
    w(node) = 0 or w(node) >= share x w(its parent)         minimum_source_weight, ..topic..
    w(node) = share x w(its parent)                         pins: `weight`, fixed_source_weights
    low <= sum of some weights <= high                      swarm.group_bounds
    w(names) between min and max multiples of w(over)       swarm.ratio_bounds

"0 or at least" makes it a union of polytopes, one for each choice of domains that take part.

Legend: ``D`` domains, ``n`` mixtures, ``w(node)`` total weight of the domains at or below a node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from olmix.config import GenerationConfig, SwarmConfig
from olmix.config.swarm import pin_of
from olmix.domains import Node, domain_names, iter_domains, iter_nodes, join
from olmix.errors import InfeasibleError
from olmix.simplex import Array, token_caps
from olmix.text.numbers import readable_count

__all__ = ["Constraints", "Floor", "Linear", "build_constraints", "rank"]

Mask = NDArray[np.bool_]

REQUIRED_MINIMUM = 1e-4
"""The least weight of a required domain where no minimum weight is given."""
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Linear:
    """A rule ``low <= row . w <= high``.

    Attributes:
        label: the rule in words, with its numbers.
        row: (D,) coefficients.
        low: smallest value; equal to `high` for a pinned share.
        high: largest value.
    """

    label: str
    row: Array
    low: float
    high: float


@dataclass(frozen=True)
class Floor:
    """A node that has nothing, or at least a share of what is above it.

    Attributes:
        label: the rule in words, with its numbers.
        members: (D,) domains at or below the node.
        parent: (D,) domains at or below its parent; all of them for a source.
        share: smallest share of the parent.
        required: whether "nothing" is not allowed.
    """

    label: str
    members: Mask
    parent: Mask
    share: float
    required: bool = False


@dataclass(frozen=True)
class Constraints:
    """All rules of a swarm.

    Attributes:
        domains: (D,) names.
        caps: (D,) largest weights.
        minimum: (D,) smallest weights that are not 0.
        required: (D,) domains that every mixture has.
        floors: minima of sources and topics.
        linear: pins and bounds.
        cap_labels: (D,) why each cap is what it is, in words.
    """

    domains: tuple[str, ...]
    caps: Array
    minimum: Array
    required: Mask
    floors: tuple[Floor, ...]
    linear: tuple[Linear, ...]
    cap_labels: tuple[str, ...]

    @property
    def is_mixed(self) -> bool:
        """Whether any rule says "0 or at least"."""
        return bool((self.minimum > 0).any() or self.floors)

    @property
    def num_free(self) -> int:
        """How many domains a fit has to tell apart: those with room, less one for each pin."""
        # With weights that sum to 1, ``row . w = share`` is ``(row - share) . w = 0``.
        pins = [rule.row - rule.low for rule in self.linear if rule.low == rule.high]
        room = self.caps > 0
        return int(room.sum()) - (rank(np.array(pins)[:, room]) if pins else 0)

    def without_minima(self) -> Constraints:
        """Return the rules without "0 or at least": one polytope that holds all the others."""
        return replace(
            self,
            minimum=np.where(self.required, self.minimum, 0.0),
            floors=tuple(floor for floor in self.floors if floor.required),
        )

    def violation(self, weights: Array) -> Array:
        """Return by how much mixtures (n, D) break the rule that they break most, (n,)."""
        rows = np.atleast_2d(weights)
        worst = np.abs(rows.sum(axis=1) - 1)

        def note(amount: Array) -> None:
            np.maximum(worst, amount, out=worst)

        note((rows - self.caps).max(axis=1))
        note((-rows).max(axis=1))
        note(np.minimum(rows, self.minimum - rows).max(axis=1))
        if self.required.any():
            note((self.minimum - rows)[:, self.required].max(axis=1))
        for rule in self.linear:
            value = rows @ rule.row
            note(np.maximum(value - rule.high, rule.low - value))
        for floor in self.floors:
            value = rows[:, floor.members].sum(axis=1)
            short = floor.share * rows[:, floor.parent].sum(axis=1) - value
            note(short if floor.required else np.minimum(value, short))
        return np.asarray(worst)

    def contains(self, weights: Array, tolerance: float = 1e-8) -> Mask:
        """Return which of the mixtures (n, D) are feasible, (n,)."""
        return np.asarray(self.violation(weights) <= tolerance)


def rank(rows: Array) -> int:
    """Return how many of the rows (p, D) are independent of each other."""
    return int(np.linalg.matrix_rank(rows, tol=1e-8)) if rows.size else 0


def build_constraints(
    config: GenerationConfig, prior: Mapping[str, float] | None = None
) -> Constraints:
    """Work out the feasible set of a generation config.

    Args:
        config: the generation config.
        prior: prior weight of each domain; those of prior 0 are never sampled.

    Raises:
        InfeasibleError: names every domain that single rules leave no weight, with the numbers.
    """
    tree, swarm = config.data.tree(), config.swarm
    domains = domain_names(tree)
    caps, labels = _caps(config, prior or {})
    below = _members(tree, domains)
    minimum, required, floors = _minima(tree, domains, below, swarm)
    linear = (*_pins(tree, below, swarm), *_bounds(below, swarm))
    found = Constraints(domains, caps, minimum, required, tuple(floors), linear, labels)
    _check_singly(config, found)
    return found


def _caps(config: GenerationConfig, prior: Mapping[str, float]) -> tuple[Array, tuple[str, ...]]:
    """Return caps (D,) and the reason of each in words."""
    swarm, domains = config.swarm, config.data.domains
    counts = config.priors.counts(domains)
    caps = np.ones(len(domains))
    labels = [f"{name} is at most the whole mixture" for name in domains]
    if swarm.enable_bound:
        passes = swarm.repetition_factor if swarm.allow_repetition else 1.0
        caps = token_caps(counts, passes, config.pass_tokens)
        budget = readable_count(config.pass_tokens)
        labels = [
            f"{readable_count(count)} tokens x {passes:.1f} repetition over {budget} "
            f"allow {name} {cap:.4g}"
            for name, count, cap in zip(domains, counts, caps, strict=True)
        ]
    for index, name in enumerate(domains):
        if prior.get(name, 1.0) <= 0:
            caps[index] = 0.0
            labels[index] = f"the manual prior gives {name} no weight"
    return caps, tuple(labels)


def _members(tree: Sequence[Node], domains: Sequence[str]) -> dict[str, Mask]:
    """Return which domains lie at or below each node; "" stands for the whole mixture."""
    found = {name: np.zeros(len(domains), dtype=bool) for name, _ in iter_nodes(tree)}
    for index, (_, path) in enumerate(iter_domains(tree)):
        for depth in range(len(path)):
            found[join(path[: depth + 1])][index] = True
    return {"": np.ones(len(domains), dtype=bool), **found}


def _parent(path: Sequence[Node]) -> str:
    """Return the name of what a node is part of; its own may hold separators."""
    return join(path[:-1])


def _is_settled(path: Sequence[Node], tree: Sequence[Node], swarm: SwarmConfig) -> bool:
    """Return whether pins alone settle a node's share, so that no minimum is asked of it."""
    if not path:
        return True
    if pin_of(path, swarm) is not None:
        return True
    above = tuple(path[:-1])
    siblings = above[-1].children if above else tree
    free = [node for node in siblings if pin_of((*above, node), swarm) is None]
    return len(free) == 1 and _is_settled(above, tree, swarm)


def _minima(
    tree: Sequence[Node], domains: Sequence[str], below: Mapping[str, Mask], swarm: SwarmConfig
) -> tuple[Array, Mask, list[Floor]]:
    """Return minimum weights (D,), required domains (D,) and the minima of inner nodes."""
    paths = dict(iter_domains(tree))
    minimum = np.array(
        [0.0 if _is_settled(paths[d], tree, swarm) else swarm.minimum_weight for d in domains]
    )
    required = np.zeros(len(domains), dtype=bool)
    floors = []
    for name, path in iter_nodes(tree):
        share = swarm.minimum_source_weight if len(path) == 1 else swarm.minimum_topic_weight
        if share and pin_of(path, swarm) is None:
            kind = "the mixture" if len(path) == 1 else _parent(path)
            label = f"{name} is 0 or at least {share:g} of {kind}"
            floors.append(Floor(label, below[name], below[_parent(path)], share))
        if name not in swarm.nonzero_weight:
            continue
        least = swarm.minimum_weight or REQUIRED_MINIMUM
        if name in paths:
            index = domains.index(name)
            required[index] = True
            if minimum[index] == 0 and pin_of(path, swarm) is None:
                minimum[index] = least
        else:
            label = f"{name} needs at least {least:g} (swarm.nonzero_weight)"
            floors.append(Floor(label, below[name], below[""], least, required=True))
        if share and pin_of(path, swarm) is None:
            label = f"{name} needs at least {share:g} of what is above it (swarm.nonzero_weight)"
            floors.append(Floor(label, below[name], below[_parent(path)], share, required=True))
    return minimum, required, floors


def _pins(tree: Sequence[Node], below: Mapping[str, Mask], swarm: SwarmConfig) -> list[Linear]:
    found = []
    for name, path in iter_nodes(tree):
        share = pin_of(path, swarm)
        if share is None:
            continue
        if len(path) == 1:
            label = f"{name} is pinned to {share:.4g}"
            found.append(Linear(label, below[name].astype(float), share, share))
        else:
            label = f"{name} is pinned to {share:.4g} of {_parent(path)}"
            row = below[name] - share * below[_parent(path)]
            found.append(Linear(label, row, 0.0, 0.0))
    return found


def _bounds(below: Mapping[str, Mask], swarm: SwarmConfig) -> list[Linear]:
    def union(names: Sequence[str]) -> Array:
        return np.asarray(np.any([below[name] for name in names], axis=0), dtype=np.float64)

    found = []
    for group in swarm.group_bounds:
        label = f"{' + '.join(group.names)} lies between {group.min:g} and {group.max:g}"
        found.append(Linear(label, union(group.names), group.min, group.max))
    for ratio in swarm.ratio_bounds:
        top, under = union(ratio.names), union(ratio.over)
        what = f"{' + '.join(ratio.names)} is at {{}} {{:g}} x {' + '.join(ratio.over)}"
        if ratio.min > 0:
            label = what.format("least", ratio.min)
            found.append(Linear(label, ratio.min * under - top, -np.inf, 0.0))
        if ratio.max is not None:
            label = what.format("most", ratio.max)
            found.append(Linear(label, top - ratio.max * under, -np.inf, 0.0))
    return found


def _check_singly(config: GenerationConfig, rules: Constraints) -> None:
    """Refuse what single rules make impossible, naming the domain and the numbers."""
    swarm, budget = config.swarm, config.pass_tokens
    length = "max_tokens" if config.target_tokens is None else "target_tokens"
    passes = swarm.repetition_factor if swarm.allow_repetition else 1.0
    counts = config.priors.counts(rules.domains)
    problems = []
    for index, name in enumerate(rules.domains):
        low, cap = rules.minimum[index], rules.caps[index]
        if rules.required[index] and cap < low - _TOLERANCE:
            if cap == 0:
                problems.append(f"{name} needs at least {low:g} but {rules.cap_labels[index]}.")
                continue
            problems.append(
                f"{name} needs at least {low:.4g} but {readable_count(counts[index])} tokens x "
                f"{passes:.1f} repetition over {readable_count(budget)} allow {cap:.4g}. "
                f"Lower swarm.minimum_weight or {length}."
            )
    for rule in rules.linear:
        reach = rules.caps[rule.row > 0].sum()
        if rule.low == rule.high > 0 and reach < rule.low - _TOLERANCE:
            problems.append(
                f"{rule.label} of the mixture, but the tokens below it allow only {reach:.4g} (x "
                f"{passes:.1f} repetition over {readable_count(budget)}). Lower the weight, or "
                "raise swarm.repetition_factor."
            )
    usable = rules.caps[rules.caps >= rules.minimum]
    if rules.caps.sum() < 1 - _TOLERANCE and (rules.caps > 0).all():
        total = config.priors.total_tokens
        problems.append(
            f"{total:,} tokens x {passes:g} passes are less than {length} = {budget:,}. "
            f"Lower {length}, or raise swarm.repetition_factor to "
            f"{np.ceil(10 * budget / total) / 10:g}."
        )
    elif usable.sum() < 1 - _TOLERANCE:
        problems.append(
            "the domains with enough tokens for their minimum weight add up to "
            f"{usable.sum():.4g} of the mixture. Lower swarm.minimum_weight or {length}, or raise "
            "swarm.repetition_factor."
        )
    needed = rules.minimum[rules.required].sum()
    if needed > 1 + _TOLERANCE:
        problems.append(
            f"swarm.nonzero_weight names {rules.required.sum()} domains that need "
            f"{needed:.4g} together, above 1. Lower swarm.minimum_weight."
        )
    if problems:
        raise InfeasibleError("\n".join(problems))
