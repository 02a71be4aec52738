"""The hierarchical Dirichlet design: how the mixtures of a swarm are drawn.

A mixture is drawn from the top down, as in the Olmix paper (Chen et al. 2026) and RegMix (Liu et
al. 2024): the shares of the sources come from a Dirichlet around their prior shares, those of the
topics within a source from another one, and the weight of a domain is the product along its path.
The concentration of every Dirichlet ("strength") is drawn log-uniformly, anew for each mixture, so
that a swarm holds sparse mixtures as well as ones close to the prior.

What differs: no draw is ever rejected. Weights beyond what a domain's tokens allow are moved to
domains with room, and weights below the minimum become 0 (see `olmix.simplex`), so any swarm that
is feasible at all is drawn, in the same time.

Legend: ``D`` domains, ``K`` children of a node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from olmix.config import PriorsConfig, SwarmConfig
from olmix.domains import SEPARATOR, Node, domain_names, join
from olmix.errors import InfeasibleError
from olmix.simplex import Array, sparsify, temper

__all__ = ["Bounds", "bounds", "draw_mixture", "reference_mixture"]

_TINY = 1e-12


@dataclass(frozen=True)
class Bounds:
    """What weights a mixture may give.

    Attributes:
        caps: (D,) largest weight per domain; 1 where nothing limits it.
        minimum: (D,) smallest weight that is not 0.
        required: (D,) True for domains that every mixture has.
    """

    caps: Array
    minimum: Array
    required: np.ndarray


def bounds(
    tree: Sequence[Node], priors: PriorsConfig, swarm: SwarmConfig, max_tokens: int
) -> Bounds:
    """Work out what weights the token counts and the swarm's settings allow.

    Raises:
        InfeasibleError: names what stands in the way, with the numbers.
    """
    domains = domain_names(tree)
    counts = priors.counts(domains)
    caps = np.ones(len(domains))
    passes = swarm.repetition_factor if swarm.allow_repetition else 1.0
    if swarm.enable_bound:
        caps = np.minimum(passes * counts / max_tokens, 1.0)
    minimum = np.full(len(domains), swarm.minimum_weight)
    required = np.isin(domains, swarm.nonzero_weight)
    problems = []
    if caps.sum() < 1 - 1e-9:
        problems.append(
            f"{priors.total_tokens:,} tokens x {passes:g} passes are less than max_tokens = "
            f"{max_tokens:,}. Lower max_tokens, or raise swarm.repetition_factor to "
            f"{np.ceil(10 * max_tokens / priors.total_tokens) / 10:g}."
        )
    for name, cap, low, must in zip(domains, caps, minimum, required, strict=True):
        if must and cap < low:
            count = priors.token_counts[name]
            problems.append(
                f"{name} needs at least {low:g} but {count:,} tokens x {passes:g} passes over "
                f"{max_tokens:,} allow {cap:.4g}. Lower swarm.minimum_weight or max_tokens."
            )
    if minimum[required].sum() > 1 + 1e-9:
        problems.append(
            f"swarm.nonzero_weight names {required.sum()} domains with minimum_weight = "
            f"{swarm.minimum_weight:g} each, together above 1."
        )
    if problems:
        raise InfeasibleError("\n".join(problems))
    return Bounds(caps, minimum, required)


def _prior_shares(
    path: tuple[Node, ...],
    children: Sequence[Node],
    natural: Mapping[str, float],
    swarm: SwarmConfig,
) -> Array:
    """Return the prior shares of siblings, shape (K,), after manual priors and temperature."""
    prefix = join(path) + SEPARATOR if path else ""
    names = [prefix + child.name for child in children]
    manual = swarm.manual_topic_prior if path else swarm.manual_prior
    if any(name in manual for name in names):
        # A sibling that a manual prior leaves out has no share in it.
        shares = np.array([manual.get(name, 0.0) for name in names])
    else:
        shares = np.array([_mass(name, natural) for name in names])
    return temper(shares, swarm.temperature("topic_" if path else "source_"))


def _mass(prefix: str, natural: Mapping[str, float]) -> float:
    """Return the natural share of everything at or below a node."""
    below = prefix + SEPARATOR
    return sum(share for name, share in natural.items() if name == prefix or name.startswith(below))


def _pinned(path: tuple[Node, ...], children: Sequence[Node], swarm: SwarmConfig) -> Array:
    """Return the pinned shares of siblings, shape (K,), NaN where a share is free."""
    fixed = {} if path else swarm.fixed_source_weights
    shares = [fixed.get(child.name, child.weight) for child in children]
    return np.array([np.nan if share is None else share for share in shares])


def _split(prior: Array, pinned: Array, strength: float, rng: np.random.Generator) -> Array:
    """Draw the shares of siblings around their prior, leaving pinned ones as they are.

    Args:
        prior: (K,) prior shares.
        pinned: (K,) pinned shares, NaN where free.
        strength: concentration: the Dirichlet's parameters are ``strength * prior``.
        rng: source of randomness.

    Returns:
        (K,) shares that sum to 1.
    """
    free = np.isnan(pinned) & (prior > 0)
    shares = np.where(np.isnan(pinned), 0.0, pinned)
    left = 1.0 - shares.sum()
    if left <= _TINY or not free.any():
        total = shares.sum()
        return shares / total if total > 0 else prior
    drawn = rng.standard_gamma(strength * prior[free] / prior[free].sum())
    if drawn.sum() <= 0:  # all gammas underflowed: the limit of small strength is one domain
        drawn = np.zeros(int(free.sum()))
        drawn[rng.choice(len(drawn), p=prior[free] / prior[free].sum())] = 1.0
    shares[free] = left * drawn / drawn.sum()
    return shares


def draw_mixture(
    tree: Sequence[Node],
    natural: Mapping[str, float],
    swarm: SwarmConfig,
    limits: Bounds,
    rng: np.random.Generator,
) -> Array:
    """Draw one mixture within the limits.

    Args:
        tree: the data tree.
        natural: natural share of each domain.
        swarm: the sampling parameters.
        limits: caps and minimum weights.
        rng: source of randomness of this one mixture.

    Returns:
        (D,) weights in the order of the tree.

    Raises:
        InfeasibleError: pinned shares and limits contradict each other.
    """
    weights: list[float] = []

    def descend(path: tuple[Node, ...], children: Sequence[Node], above: float) -> None:
        group = "topic_" if path else "source_"
        low, high = swarm.strengths(group)
        strength = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        prior = _prior_shares(path, children, natural, swarm)
        pinned = _pinned(path, children, swarm)
        shares = _split(prior, pinned, strength, rng)
        floor = swarm.minimum_topic_weight if path else swarm.minimum_source_weight
        if floor is not None and np.isnan(pinned).all():
            shares = sparsify(shares, floor, np.ones(len(shares)))
        for child, share in zip(children, shares, strict=True):
            if child.is_domain:
                weights.append(above * share)
            else:
                descend((*path, child), child.children, above * share)

    descend((), tree, 1.0)
    return fit_to_limits(np.array(weights), tree, swarm, limits)


def fit_to_limits(
    weights: Array, tree: Sequence[Node], swarm: SwarmConfig, limits: Bounds
) -> Array:
    """Move one mixture inside the limits, keeping the totals of pinned nodes.

    Domains below the minimum become 0, required ones are raised to it, and what is beyond a cap
    goes to domains with room. Where a share is pinned, this happens inside and outside of the
    pinned node separately, so that its total stays.

    Raises:
        InfeasibleError: names the pinned part that its own limits cannot hold.
    """
    result = np.zeros_like(weights)
    for members in _blocks(tree, swarm):
        total = weights[members].sum()
        if total <= _TINY:
            if limits.required[members].any():
                raise InfeasibleError("a domain in swarm.nonzero_weight is pinned to 0")
            continue
        caps = np.minimum(limits.caps[members] / total, 1.0)
        if caps.sum() < 1 - 1e-9:
            names = np.array(domain_names(tree))[members]
            raise InfeasibleError(
                f"{', '.join(names)} are pinned to {total:.4g} of the mixture, but their tokens "
                f"allow {limits.caps[members].sum():.4g}. Lower the weight, or raise "
                "swarm.repetition_factor."
            )
        # A domain that is pinned by itself keeps its weight, however small.
        alone = len(members) == 1
        low = np.zeros(1) if alone else np.minimum(limits.minimum[members] / total, 1.0)
        required = limits.required[members]
        result[members] = total * sparsify(weights[members] / total, low, caps, required)
    return result


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
        closed = (
            node.weight is not None
            or any(child.weight is not None for child in node.children)
            or (len(path) == 1 and node.name in swarm.fixed_source_weights)
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


def reference_mixture(
    kind: str, tree: Sequence[Node], natural: Mapping[str, float], limits: Bounds
) -> Array:
    """Return the natural or the uniform mixture, moved inside the caps, shape (D,)."""
    domains = domain_names(tree)
    weights = (
        np.array([natural[name] for name in domains])
        if kind == "natural"
        else np.full(len(domains), 1 / len(domains))
    )
    return sparsify(weights, 0.0, limits.caps)
