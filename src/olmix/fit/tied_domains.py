"""Domains that a swarm tells nothing of apart: frozen topics, and pinned domains.

Mixture reuse (Chen et al. 2026) pins the ratios inside of what did not change and samples it as
one. Its columns then move together, so nothing can be learnt of them apart, and counting each as a
domain would ask for runs that add nothing. Such columns of one source are found in the table; laws
and proposals see their sum, and every mixture that is written is expanded by their shares again.

A domain that has the same weight in every run (`weight: 0.2` in a data tree) is pinned: what looks
like its variation is the rounding of trained shares to whole sequences. It gets no slope, and stays
where it was in every mixture that is proposed or compared.

Legend: ``L`` leaves (columns of the table), ``D`` domains (with frozen ones as one), ``R`` runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from olmix.config import FitConfig
from olmix.config.priors import PriorsConfig
from olmix.domains import SEPARATOR
from olmix.errors import DataError
from olmix.simplex import Array

__all__ = ["Frozen", "find_frozen", "find_pinned", "pin"]

_LEAST_RUNS = 3
_LEAST_TOTAL = 0.01
"""Weight of two domains together from which their shares tell something."""
_TOLERANCE = 0.02
"""Largest difference of a share between runs: trained shares are those of whole sequences."""

_PINNED = 0.005
"""Difference between the largest and the smallest weight of a domain from which it varies."""
_PINNED_SHARE = 0.05
"""The same as a share of its mean weight; the larger of the two counts."""


@dataclass(frozen=True)
class Frozen:
    """How domains are made of leaves.

    Attributes:
        leaves: (L,) names of the leaves.
        domains: (D,) names of the domains.
        shares: (D, L) share of each leaf in its domain; rows sum to 1.
    """

    leaves: tuple[str, ...]
    domains: tuple[str, ...]
    shares: Array

    @property
    def groups(self) -> dict[str, dict[str, float]]:
        """Domains of several leaves, with the share of each leaf."""
        found = {}
        for domain, row in zip(self.domains, self.shares, strict=True):
            members = {self.leaves[i]: float(row[i]) for i in np.flatnonzero(row)}
            if len(members) > 1:
                found[domain] = members
        return found

    def collapse(self, mixtures: Array) -> Array:
        """Return the weights of the domains from those of leaves, (..., L) to (..., D)."""
        return np.asarray(mixtures @ (self.shares > 0).T)

    def expand(self, mixtures: Array) -> Array:
        """Return the weights of the leaves from those of domains, (..., D) to (..., L)."""
        return np.asarray(mixtures @ self.shares)

    def collapse_config(self, config: FitConfig) -> FitConfig:
        """Return the config with the domains in place of the leaves.

        A domain has the natural share of its leaves together, and as many tokens as it can give
        until one of its leaves runs out.

        Raises:
            DataError: leaves are pinned to other shares than the runs have.
        """
        natural = self.collapse(config.priors.natural(self.leaves))
        counts = config.priors.counts(self.leaves)
        inverse = np.where(self.shares > 0, self.shares, 1.0)
        given = np.where(self.shares > 0, counts / inverse, np.inf).min(axis=1)
        priors = PriorsConfig(
            token_counts={
                name: max(int(count), 1) for name, count in zip(self.domains, given, strict=True)
            },
            relative_sizes=dict(zip(self.domains, natural.tolist(), strict=True)),
        )
        pins = self._collapse_pins(config.filtering.fixed_weight)
        filtering = config.filtering.model_copy(update={"fixed_weight": pins})
        return config.model_copy(update={"priors": priors, "filtering": filtering})

    def _collapse_pins(self, pins: Mapping[str, float]) -> dict[str, float]:
        found = {}
        for domain, row in zip(self.domains, self.shares, strict=True):
            members = [self.leaves[i] for i in np.flatnonzero(row)]
            pinned = [pins.get(name, np.nan) for name in members]
            if np.isnan(pinned).all():
                continue
            total = float(np.nansum(pinned))
            if np.isnan(pinned).any() or np.abs(pinned - total * row[row > 0]).max() > _TOLERANCE:
                raise DataError(
                    f"filtering.fixed_weight: {', '.join(members)} keep the same proportions in "
                    "every run. Pin all of them in these proportions, or none: "
                    + ", ".join(f"{n} {s:.3f}" for n, s in zip(members, row[row > 0], strict=True))
                )
            found[domain] = total
        return found


def find_frozen(domains: Sequence[str], mixtures: Array) -> Frozen | None:
    """Return which domains of one source move together, `None` where none do.

    Args:
        domains: (L,) names.
        mixtures: (R, L) mixtures of the runs.
    """
    groups: list[list[int]] = []
    for leaf, name in enumerate(domains):
        source = name.split(SEPARATOR)[0]
        own = next(
            (
                group
                for group in groups
                if domains[group[0]].split(SEPARATOR)[0] == source
                and _together(mixtures[:, group[0]], mixtures[:, leaf])
            ),
            None,
        )
        if own is None:
            groups.append([leaf])
        else:
            own.append(leaf)
    if len(groups) == len(domains):
        return None
    shares = np.zeros((len(groups), len(domains)))
    for row, group in zip(shares, groups, strict=True):
        row[group] = mixtures[:, group].sum(axis=0) if len(group) > 1 else 1.0
        row /= row.sum()
    names = tuple(_name(domains, group) for group in groups)
    return Frozen(tuple(domains), names, shares)


def find_pinned(
    domains: Sequence[str], mixtures: Array, asked: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return the domains that have one weight in every run, with this weight.

    Args:
        domains: (D,) names.
        mixtures: (R, D) mixtures of the runs.
        asked: weights that the config pins. Where runs have one but for rounding, it is theirs.
    """
    if len(mixtures) < _LEAST_RUNS:
        return {}
    means = mixtures.mean(axis=0)
    rounding = np.maximum(_PINNED, _PINNED_SHARE * means)
    same = np.ptp(mixtures, axis=0) <= rounding
    same &= mixtures.min(axis=0) > 0
    if same.sum() > len(domains) - 2:  # nothing varies, which is said elsewhere
        return {}
    weights = {name: float(means[i]) for i, name in enumerate(domains) if same[i]}
    near = dict(zip(domains, rounding, strict=True))
    return {
        name: asked[name]
        if asked is not None and name in asked and abs(asked[name] - weight) <= near[name]
        else weight
        for name, weight in weights.items()
    }


def pin(mixtures: Array, domains: Sequence[str], pins: Mapping[str, float]) -> Array:
    """Return mixtures (..., D) with pinned weights, the others scaled to what is left."""
    if not any(name in pins for name in domains):
        return mixtures
    fixed = np.array([pins.get(name, 0.0) for name in domains])
    free = np.array([name not in pins for name in domains])
    others = np.where(free, mixtures, 0.0)
    total = others.sum(axis=-1, keepdims=True)
    left = max(1.0 - float(fixed.sum()), 0.0)
    even = free / max(free.sum(), 1)
    shares = np.where(total > 0, others / np.where(total > 0, total, 1.0), even)
    return np.asarray(fixed + left * shares)


def _together(left: Array, right: Array) -> bool:
    """Whether two columns (R,) keep their share of each other in all runs."""
    total = left + right
    seen = total >= _LEAST_TOTAL
    if len(np.unique(np.round(total[seen], 6))) < _LEAST_RUNS or not right.any():
        return False
    share = left[seen] / total[seen]
    return bool(np.ptp(share) <= _TOLERANCE and share.min() > 0 and share.max() < 1)


def _name(domains: Sequence[str], group: Sequence[int]) -> str:
    """Return a name for a group: that of the node that holds these leaves and no others."""
    members = [domains[index] for index in group]
    if len(members) == 1:
        return members[0]
    paths = [name.split(SEPARATOR) for name in members]
    depth = 0
    while all(len(path) > depth and path[depth] == paths[0][depth] for path in paths):
        depth += 1
    node = SEPARATOR.join(paths[0][:depth])
    below = [name for name in domains if name == node or name.startswith(node + SEPARATOR)]
    if len(below) == len(members):
        return node
    return f"{node}{SEPARATOR}({'+'.join(SEPARATOR.join(path[depth:]) for path in paths)})"
