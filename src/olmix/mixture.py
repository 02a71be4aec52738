"""Mixtures: a weight and a repetition factor for each domain.

Three ways of writing one are read; the first is written:

    flat     dclm:code: {weight: 0.5, repetition_factor: 1.0}
    pair     dclm:code: [0.5, 1.0]
    nested   dclm: {weight: 0.8, code: {weight: 0.5}, web: {weight: 0.5}}

In the nested form a leaf's weight is the product along its path, and a repetition factor holds for
everything below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from olmix.domains import SEPARATOR
from olmix.errors import ConfigError, Problem
from olmix.simplex import Array

__all__ = ["Mixture", "Share", "repetition_factors"]

_SUM_TOLERANCE = 0.01 + 1e-9
_RESERVED = ("weight", "repetition_factor")


@dataclass(frozen=True)
class Share:
    """The contribution of one domain.

    Attributes:
        weight: share of the training tokens, in [0, 1].
        repetition_factor: passes over the domain's tokens that the mixture may take.
    """

    weight: float
    repetition_factor: float = 1.0


class Mixture(Mapping[str, Share]):
    """A point on the simplex with names. Weights are non-negative and sum to 1.

    Args:
        shares: domain name to `Share`, weights summing to 1 within 0.01 (then renormalised).

    Raises:
        ConfigError: names every domain with a bad weight or factor, or the bad sum.
    """

    def __init__(self, shares: Mapping[str, Share]) -> None:
        problems = [p for name, share in shares.items() for p in _share_problems(name, share)]
        total = math.fsum(share.weight for share in shares.values()) if not problems else 1.0
        if not shares:
            problems.append(Problem("", "a mixture needs at least one domain"))
        elif abs(total - 1) > _SUM_TOLERANCE:
            problems.append(
                Problem("", f"the weights add up to {total:.6g}; they must add up to 1")
            )
        if problems:
            raise ConfigError(problems, "mix")
        # Weights written with full precision come back as they were: only real drift is rescaled.
        scale = 1.0 if abs(total - 1) < 1e-12 else 1 / total
        self._shares = {
            name: Share(share.weight * scale, share.repetition_factor)
            for name, share in shares.items()
        }

    def __getitem__(self, domain: str) -> Share:
        return self._shares[domain]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shares)

    def __len__(self) -> int:
        return len(self._shares)

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}: {share.weight:.4g}" for name, share in self.items())
        return f"Mixture({inner})"

    @classmethod
    def from_weights(
        cls, domains: Sequence[str], weights: Array, factors: Array | None = None
    ) -> Mixture:
        """Build a mixture from arrays of shape (D,) in the order of `domains`."""
        ones = np.ones(len(domains)) if factors is None else factors
        triples = zip(domains, weights, ones, strict=True)
        return cls({name: Share(float(w), float(f)) for name, w, f in triples})

    @classmethod
    def parse(cls, raw: object) -> Mixture:
        """Read the flat, the pair or the nested form.

        Raises:
            ConfigError: with every problem of the mixture.
        """
        if isinstance(raw, Mixture):
            return raw
        if not isinstance(raw, Mapping):
            found = type(raw).__name__
            raise ConfigError(
                [Problem("", f"found {found}; a mixture maps domain names to weights")], "mix"
            )
        shares: dict[str, Share] = {}
        problems: list[Problem] = []
        for name, entry in raw.items():
            _read_node((str(name),), entry, Share(1.0, 1.0), shares, problems)
        if problems:
            raise ConfigError(problems, "mix")
        return cls(shares)

    def weights(self, domains: Sequence[str]) -> Array:
        """Return the weights in the order of `domains`, shape (D,); absent domains weigh 0."""
        return np.array([self[name].weight if name in self else 0.0 for name in domains])

    def to_plain(self) -> dict[str, dict[str, float]]:
        """Return the flat form, as it is written to YAML and JSON."""
        return {
            name: {"weight": share.weight, "repetition_factor": share.repetition_factor}
            for name, share in self.items()
        }


def repetition_factors(weights: Array, max_tokens: int, token_counts: Array) -> Array:
    """Return how many passes over each domain a mixture takes, at least 1.

    Passes are counted by the tokens of a domain's files, here and where trainers check them.

    Args:
        weights: (..., D) mixtures.
        max_tokens: tokens of the training run.
        token_counts: (D,) tokens that each domain has.
    """
    return np.asarray(np.maximum(weights * max_tokens / token_counts, 1.0))


def _share_problems(name: str, share: Share) -> list[Problem]:
    found = []
    if not math.isfinite(share.weight) or share.weight < 0 or share.weight > 1 + _SUM_TOLERANCE:
        found.append(Problem(name, f"weight is {share.weight}; it must lie between 0 and 1"))
    if not math.isfinite(share.repetition_factor) or share.repetition_factor <= 0:
        factor = share.repetition_factor
        found.append(Problem(name, f"repetition_factor is {factor}; it must be above 0"))
    return found


def _number(value: object, where: str, problems: list[Problem]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        problems.append(Problem(where, f"found {value!r}; a number is needed"))
        return 0.0
    return float(value)


def _read_node(
    path: tuple[str, ...],
    entry: object,
    above: Share,
    shares: dict[str, Share],
    problems: list[Problem],
) -> None:
    """Read one node of a mixture into `shares`, collecting what is wrong with it."""
    name = SEPARATOR.join(path)
    if isinstance(entry, Share):
        entry = {"weight": entry.weight, "repetition_factor": entry.repetition_factor}
    if isinstance(entry, list | tuple):
        if len(entry) != 2:
            problems.append(
                Problem(name, f"found {len(entry)} values; a pair is [weight, repetition]")
            )
            return
        entry = dict(zip(_RESERVED, entry, strict=True))
    if not isinstance(entry, Mapping):
        entry = {"weight": entry}
    if "weight" not in entry:
        problems.append(Problem(name, "weight is missing"))
        return
    weight = _number(entry["weight"], name, problems) * above.weight
    factor = above.repetition_factor
    if "repetition_factor" in entry:
        factor = _number(entry["repetition_factor"], name, problems)
    here = Share(weight, factor)
    children = {key: value for key, value in entry.items() if key not in _RESERVED}
    if not children:
        if name in shares:
            problems.append(Problem(name, "this domain is given twice"))
        shares[name] = here
        return
    inner = 0.0
    for key, value in children.items():
        if not isinstance(value, Mapping | list | tuple | int | float):
            problems.append(Problem(name, f"unknown key {key!r}"))
            return
        child = value["weight"] if isinstance(value, Mapping) and "weight" in value else value
        child = child[0] if isinstance(child, list | tuple) and child else child
        inner += float(child) if isinstance(child, int | float) else 0.0
        _read_node((*path, str(key)), value, here, shares, problems)
    if abs(inner - 1) > _SUM_TOLERANCE:
        problems.append(Problem(name, f"the weights below it add up to {inner:.6g}, not to 1"))
