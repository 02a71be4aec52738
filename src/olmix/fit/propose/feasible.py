"""Which mixtures may be proposed: caps from the tokens that there are, and pinned domains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from olmix.config import FitConfig
from olmix.config.fit import ConstraintsConfig
from olmix.errors import InfeasibleError
from olmix.simplex import Array, normalise, project_to_caps, token_caps

__all__ = ["Feasible", "feasible_mixtures"]

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Feasible:
    """The mixtures with pinned weights, and the others below their caps.

    Attributes:
        caps: (D,) largest allowed weight per domain.
        pinned: (D,) whether a weight is fixed.
        fixed: (D,) the fixed weights, 0 for the others.
    """

    caps: Array
    pinned: NDArray[np.bool_]
    fixed: Array

    @property
    def free(self) -> NDArray[np.bool_]:
        """Domains whose weight is searched for, (D,)."""
        return np.asarray(~self.pinned & (self.caps > 0))

    @property
    def free_total(self) -> float:
        """The weight that the free domains share."""
        return float(1 - self.fixed.sum())

    @property
    def free_caps(self) -> Array:
        """Caps of the free domains as shares of their total, at most 1."""
        return np.asarray(np.minimum(self.caps[self.free] / max(self.free_total, 1e-300), 1.0))

    def restrict(self, mixture: Array) -> Array:
        """Return a mixture's shares of the free domains within the caps, (F,), all positive."""
        if not self.free.any():
            return np.empty(0)
        shares = normalise(np.maximum(mixture[self.free], 1e-9))
        return project_to_caps(shares, self.free_caps)

    def expand(self, shares: Array) -> Array:
        """Return whole mixtures (..., D) from shares of the free domains (..., F)."""
        whole = np.broadcast_to(self.fixed, (*shares.shape[:-1], len(self.caps))).copy()
        whole[..., self.free] = self.free_total * shares
        return whole

    def contains(self, mixture: Array, tolerance: float = 1e-6) -> bool:
        """Whether a mixture is allowed."""
        pinned = np.abs(mixture - self.fixed)[self.pinned]
        below = mixture <= self.caps + tolerance
        return bool((pinned <= tolerance).all() and below.all())


def feasible_mixtures(config: FitConfig, live: NDArray[np.bool_] | None = None) -> Feasible:
    """Return the mixtures that a config allows.

    Args:
        config: constraints, pins and token counts.
        live: (D,) domains that some run gives weight; the others can get a pinned weight only.

    Raises:
        InfeasibleError: no mixture is allowed; says which limits stand in the way.
    """
    domains = config.priors.domains
    pins = config.filtering.fixed_weight
    pinned = np.array([name in pins for name in domains])
    fixed = np.array([pins.get(name, 0.0) for name in domains])
    limits = config.constraints
    tokens = float(limits.target_tokens or 0)
    caps = np.ones(len(domains))
    if limits.enabled:
        caps = token_caps(config.priors.counts(domains), limits.repetition_factor, tokens)
    problems = [
        f"filtering.fixed_weight: {name} is pinned to {weight:.4g}, but "
        f"{limits.repetition_factor:g} passes over its tokens are {cap:.4g} of "
        f"{tokens:.4g} target tokens"
        for name, weight, cap, fix in zip(domains, fixed, caps, pinned, strict=True)
        if fix and weight > cap + _TOLERANCE
    ]
    if live is not None:
        caps = np.where(live | pinned, caps, 0.0)
    caps = np.where(pinned, fixed, caps)
    room = float(caps[~pinned].sum())
    left = 1 - float(fixed.sum())
    if room < left - _TOLERANCE and not problems:
        problems.append(_too_little(limits, room, left))
    if left <= _TOLERANCE:
        caps = np.where(pinned, fixed, 0.0)
    if problems:
        raise InfeasibleError("\n".join(problems))
    return Feasible(np.asarray(caps), pinned, fixed)


def _too_little(limits: ConstraintsConfig, room: float, left: float) -> str:
    if not limits.enabled:
        return (
            f"filtering: the pinned weights leave {left:.4g}, but no domain in the runs can take "
            "it. Pin other weights, or keep more runs."
        )
    tokens = float(limits.target_tokens or 0)
    needed = limits.repetition_factor * left / max(room, 1e-300)
    return (
        f"constraints: the free domains must take {left:.4g} of {tokens:.4g} target tokens, but "
        f"{limits.repetition_factor:g} passes over their tokens are only {room:.4g} of it.\n  "
        f"Lower constraints.target_tokens to {tokens * room / left:.4g}, or raise "
        f"constraints.repetition_factor to {needed:.4g}."
    )
