"""`PriorsConfig`: how many tokens each domain has, and so its natural share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from olmix.config.base import NotEmpty, Positive, Rules, Section, TokenCount
from olmix.errors import OlmixError
from olmix.simplex import Array
from olmix.text.yaml import read_yaml

__all__ = ["Priors", "PriorsConfig", "unknown_priors"]


_TOTAL_TOLERANCE = 1e-3
"""How far a rounded total may be from the counts, as a share of them."""


class PriorsConfig(Section):
    """Token counts per domain, as `olmix priors compute` prints them."""

    token_counts: Annotated[dict[str, TokenCount], NotEmpty]
    """Tokens that each domain has."""
    relative_sizes: dict[str, Positive] | None = None
    """Natural share of each domain; computed from the counts when left out."""
    stated_total: Annotated[
        TokenCount | None, Field(validation_alias="total_tokens", exclude=True)
    ] = None
    """Tokens of all domains together, checked against the counts."""
    fingerprints: dict[str, str] | None = None
    """The fingerprint of each domain's token files at the time they were counted."""
    unknown: Literal[True] | None = None
    """True where no counts are known: each is 1, so that the uniform mixture stands in for the
    natural one. `olmix fit` sets it where `priors` are left out."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        for name in sorted(set(self.fingerprints or ()) - set(self.token_counts)):
            rules.broken("token_counts has no such domain", "fingerprints", name)
        stated, counts = self.stated_total, sum(self.token_counts.values())
        if stated is not None and abs(stated - counts) > _TOTAL_TOLERANCE * counts:
            rules.broken(
                f"found {stated:,}, but token_counts add up to {counts:,}; remove it, or correct "
                "the counts",
                "total_tokens",
            )
        if self.relative_sizes is None:
            rules.enforce()
            return self
        counted, sized = set(self.token_counts), set(self.relative_sizes)
        for name in sorted(counted - sized):
            rules.broken(f"{name} is missing; token_counts has it", "relative_sizes")
        for name in sorted(sized - counted):
            rules.broken("token_counts has no such domain", "relative_sizes", name)
        total = math.fsum(self.relative_sizes.values())
        if counted == sized and abs(total - 1) > 0.01:
            rules.broken(
                f"they add up to {total:.6g}, not to 1. Remove them to use the shares of "
                f"token_counts, or divide each by {total:.6g} if you meant ratios",
                "relative_sizes",
            )
        rules.enforce()
        return self

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains, in the order of the file."""
        return tuple(self.token_counts)

    @property
    def total_tokens(self) -> int:
        """Tokens of all domains together."""
        return sum(self.token_counts.values())

    def counts(self, domains: tuple[str, ...]) -> Array:
        """Return the token counts in the order of `domains`, shape (D,)."""
        return np.array([self.token_counts[name] for name in domains], dtype=np.float64)

    def natural(self, domains: tuple[str, ...]) -> Array:
        """Return the natural mixture in the order of `domains`, shape (D,), summing to 1."""
        source = self.relative_sizes if self.relative_sizes is not None else self.token_counts
        sizes = np.array([source[name] for name in domains], dtype=np.float64)
        return np.asarray(sizes / sizes.sum())


def unknown_priors(domains: Sequence[str]) -> dict[str, object]:
    """Return the section that stands for token counts that nobody gave."""
    return {"token_counts": dict.fromkeys(domains, 1), "unknown": True}


def _load(value: object, info: ValidationInfo) -> object:
    """Replace the name of a file that `olmix priors compute -o` wrote by its content."""
    if not isinstance(value, str):
        return value
    folder = (info.context or {}).get("folder", ".")
    try:
        content: object = read_yaml(
            f"{folder}/{value}" if not value.startswith("/") else value
        ).data
    except OlmixError as error:
        raise ValueError(
            f"{error}. Write it with `olmix priors compute -c CONFIG -o {value}`"
        ) from None
    return content.get("priors", content) if isinstance(content, dict) else content


Priors = Annotated[PriorsConfig, BeforeValidator(_load)]
"""A priors section, or the name of a file that holds one."""
