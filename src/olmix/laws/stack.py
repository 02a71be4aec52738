"""Stacking: an average of laws, weighted by how well each predicts runs left out.

    y = sum_l w_l f_l(x),    w_l >= 0,    sum_l w_l = 1

`w` minimises the squared error of the averaged held-out predictions (Wolpert 1992; Breiman 1996),
with a pull towards equal weights: two laws that are about as good as each other are both kept,
since their errors partly cancel. The few laws allow the exact solution: every set of laws is tried,
and the best that needs no negative weight is kept.

Legend: ``L`` laws, ``n`` mixtures, ``D`` domains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from olmix.laws.law import FittedLaw
from olmix.simplex import Array

__all__ = [
    "AVERAGED",
    "STACKED",
    "FittedAverage",
    "FittedStack",
    "parts_of",
    "stack_weights",
    "stacked_samples",
]

STACKED = "stacked"
AVERAGED = "averaged"
_PULL = 0.1
"""Strength of the pull to equal weights, in units of the best law's mean squared error."""
_LEAST = 0.02
"""Weights below this are dropped: they cost time and explain nothing."""


@dataclass(frozen=True)
class FittedStack(FittedLaw):
    """A weighted average of fitted laws.

    Attributes:
        members: the laws.
        law_weights: (L,) their weights, above 0 and summing to 1.
    """

    name: ClassVar[str] = STACKED
    convex: ClassVar[bool] = False

    members: tuple[FittedLaw, ...]
    law_weights: Array

    def predict(self, mixtures: ArrayLike) -> Array:
        """Return the predicted metric of mixtures (n, D), shape (n,)."""
        parts = [
            w * law.predict(mixtures) for w, law in zip(self.law_weights, self.members, strict=True)
        ]
        return np.asarray(np.sum(parts, axis=0))

    def gradient(self, mixtures: ArrayLike) -> Array:
        """Return the derivative of the prediction by each weight at mixtures (n, D), (n, D)."""
        pairs = zip(self.law_weights, self.members, strict=True)
        return np.asarray(np.sum([w * law.gradient(mixtures) for w, law in pairs], axis=0))

    def to_plain(self) -> dict[str, Any]:
        """Return the names and weights of the members, which stand beside it in the file."""
        law_weights = dict(
            zip([law.name for law in self.members], self.law_weights.tolist(), strict=True)
        )
        return {"law": self.name, "weights": law_weights}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FittedStack:
        """Refuse: a stack is built by `from_members`, from the laws beside it."""
        raise TypeError(f"a stack is built from its members, not from {sorted(plain)}")

    @classmethod
    def from_members(
        cls, law_weights: Mapping[str, float], laws: Mapping[str, FittedLaw]
    ) -> FittedStack:
        """Build a stack from the weight of each law, by name."""
        used = {name: weight for name, weight in law_weights.items() if weight > 0}
        return cls(tuple(laws[name] for name in used), np.array(list(used.values())))


@dataclass(frozen=True)
class FittedAverage(FittedStack):
    """The average of several metrics, by the laws of each.

    It is an average of fits, not a fit of averages: one law of an average of curves that turn at
    different places follows none of them.
    """

    name: ClassVar[str] = AVERAGED

    @classmethod
    def of(cls, laws: Sequence[FittedLaw]) -> FittedAverage:
        """Return the plain average of laws; the members of stacks stand in it by themselves."""
        parts = [part for law in laws for part in parts_of(law)]
        shares = np.array([share for _, share in parts])
        return cls(tuple(law for law, _ in parts), shares / len(laws))

    def to_plain(self) -> dict[str, Any]:
        """Return the weights and the whole members."""
        members = [member.to_plain() for member in self.members]
        return {"law": self.name, "shares": self.law_weights.tolist(), "members": members}


def parts_of(law: FittedLaw) -> list[tuple[FittedLaw, float]]:
    """Return the laws that a law averages, with their weights; one that averages none is alone."""
    if not isinstance(law, FittedStack):
        return [(law, 1.0)]
    return list(zip(law.members, law.law_weights.tolist(), strict=True))


def stack_weights(errors: Array) -> Array:
    """Return the weights of laws whose held-out errors are `errors`, (L,).

    Args:
        errors: (L, n) measured minus predicted, by each law.
    """
    products = errors @ errors.T / errors.shape[1]
    size = len(errors)
    pull = _PULL * max(float(np.diag(products).min()), 1e-300)
    matrix = products + pull * np.eye(size)
    # |w - 1/L|^2 = |w|^2 - 2/L + 1/L for weights that sum to 1: only |w|^2 counts.
    best, lowest = np.full(size, 1 / size), np.inf
    for count in range(1, size + 1):
        for chosen in combinations(range(size), count):
            index = np.array(chosen)
            try:
                solved = np.linalg.solve(matrix[np.ix_(index, index)], np.ones(count))
            except np.linalg.LinAlgError:
                continue
            law_weights = solved / solved.sum()
            if (law_weights < 0).any():
                continue
            value = float(law_weights @ matrix[np.ix_(index, index)] @ law_weights)
            if value < lowest - 1e-15:
                best, lowest = np.zeros(size), value
                best[index] = law_weights
    best[best < _LEAST] = 0.0
    return np.asarray(best / best.sum())


def stacked_samples(parts: Sequence[Array], law_weights: Array, uniforms: Array) -> Array:
    """Return draws of which each comes from one law, chosen with its weight, (B, K).

    Where the laws disagree the draws do too: they are those of a mixture of the laws.

    Args:
        parts: (B, K) draws of each law.
        law_weights: (L,) weights of the laws.
        uniforms: (B,) numbers in [0, 1) that choose.
    """
    chosen = np.searchsorted(np.cumsum(law_weights)[:-1], uniforms, side="right")
    return np.asarray(np.stack(parts)[chosen, np.arange(len(uniforms))])
