"""`SwarmConfig`: how the mixtures of a swarm are sampled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from olmix.config.base import (
    LocalPath,
    NonNegative,
    NotEmpty,
    Positive,
    Rules,
    Section,
    Weight,
)
from olmix.domains import Node, join

__all__ = ["GroupBound", "RatioBound", "SwarmConfig", "pin_of", "prior_problems"]

Reference = Literal["natural", "uniform"]


_Names = Annotated[tuple[str, ...], Field(strict=False), NotEmpty]


class GroupBound(Section):
    """Limits on the total weight of some sources, topics or domains."""

    names: _Names
    """Sources, topics or domains; a source or topic stands for everything below it."""
    min: Weight = 0.0
    """Smallest total weight."""
    max: Weight = 1.0
    """Largest total weight."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        if self.min > self.max:
            rules.broken(f"it is {self.min}, above max = {self.max}; swap them", "min")
        rules.enforce()
        return self


class RatioBound(Section):
    """Limits on the weight of some nodes as a multiple of that of others."""

    names: _Names
    """Sources, topics or domains whose total weight is limited."""
    over: _Names
    """Sources, topics or domains that it is compared with."""
    min: NonNegative = 0.0
    """Smallest multiple."""
    max: NonNegative | None = None
    """Largest multiple; no limit if left out."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        if self.max is not None and self.min > self.max:
            rules.broken(f"it is {self.min}, above max = {self.max}; swap them", "min")
        if self.max is None and self.min == 0:
            rules.broken("give min, max or both")
        rules.enforce()
        return self


class SwarmConfig(Section):
    """All sampling parameters; the defaults are those of the hierarchical Dirichlet design."""

    seed: Annotated[int, Field(ge=0)] = 42
    """Seed of the whole swarm; the same seed and config give the same mixtures."""
    variants: Annotated[int, Field(ge=1)] = 32
    """Number of sampled mixtures; `references` and their `replicates` are added to it."""
    design: Literal["dirichlet", "polytope", "optimal"] = "dirichlet"
    """How to spread mixtures: around the prior (`dirichlet`), evenly over all that are allowed
    (`polytope`), or where a fit learns most (`optimal`)."""
    criterion: Literal["D", "I"] = "D"
    """The error that `optimal` minimises: the volume of the parameters' error (D), or the mean
    error of the predictions (I)."""
    model: Literal["log_linear", "linear", "gp"] = "log_linear"
    """The law that `optimal` spreads mixtures for."""
    references: Annotated[tuple[Reference, ...], Field(strict=False)] = ()
    """Reference mixtures to train too, besides `variants`: `natural`, `uniform`
    or both."""
    replicates: Annotated[int, Field(ge=0)] = 0
    """Extra runs of each reference with other seeds, to measure the noise."""

    mix_temperature: NonNegative = 1.0
    """Power applied to the prior at every level: 1 keeps it, towards 0 it becomes more uniform."""
    source_mix_temperature: NonNegative | None = None
    """`mix_temperature` among sources."""
    topic_mix_temperature: NonNegative | None = None
    """`mix_temperature` among the topics of a source and the qualities of a topic."""

    min_strength: Positive = 0.1
    """Smallest concentration of the Dirichlet; small means sparse mixtures."""
    max_strength: Positive = 5.0
    """Largest concentration of the Dirichlet; large means close to the prior."""
    min_source_strength: Positive | None = None
    """`min_strength` among sources."""
    max_source_strength: Positive | None = None
    """`max_strength` among sources."""
    min_topic_strength: Positive | None = None
    """`min_strength` below the sources."""
    max_topic_strength: Positive | None = None
    """`max_strength` below the sources."""

    minimum_weight: Weight = 0.002
    """Sampled weights below this are 0; pinned shares are left as they are."""
    minimum_source_weight: Weight | None = None
    """Sources below this weight get none at all."""
    minimum_topic_weight: Weight | None = None
    """Topics below this share of their source get none at all."""
    nonzero_weight: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Sources, topics or domains that are part of every mixture, with at least their minimum
    (0.0001 if that is 0)."""
    group_bounds: Annotated[tuple[GroupBound, ...], Field(strict=False)] = ()
    """Limits on total weights, such as code and math together."""
    ratio_bounds: Annotated[tuple[RatioBound, ...], Field(strict=False)] = ()
    """Limits on ratios of weights, such as at most twice as much code as math."""

    fixed_source_weights: dict[str, Weight] = {}
    """Sources pinned to a share of the whole mixture."""
    manual_prior: dict[str, NonNegative] = {}
    """Prior shares of the sources, instead of their natural ones. Sources that are not named share
    the rest in their natural proportions."""
    manual_topic_prior: dict[str, NonNegative] = {}
    """Prior shares of `source:topic`, instead of the natural ones within their source; topics of
    the source that are not named share the rest."""
    sample_multiplier: Annotated[int, Field(ge=1)] | None = None
    """Accepted for older configs; it has no effect, because no draw is ever thrown away."""
    existing_mix_file: LocalPath | None = None
    """Mixtures that were already run, so they are not sampled again: a CSV file with a column per
    domain, or (with `olmix generate --allow-pickle`) a pickled table of older tools."""

    allow_repetition: bool = True
    """Whether a mixture may pass over a domain's tokens more than once."""
    repetition_factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    """Passes over a domain that the caps allow, if repetition is allowed."""
    enable_bound: bool = True
    """Whether to cap weights by the tokens that a domain has for `max_tokens`."""
    augment: LocalPath | None = None
    """A swarm to extend: a folder of variants or its `swarm.csv`. Its mixtures count as existing
    runs; only new ones are written."""
    after: Annotated[LocalPath | None, Field(validation_alias=AliasChoices("after", "next"))] = None
    """A fit folder, such as `fit/latest`, that places the next round of runs: around its proposal,
    at the best mixtures of other laws that fit as well, and a quarter of them elsewhere. References
    are not run again. Files of earlier releases may say `next`."""
    larger: LocalPath | None = None
    """A fit folder whose mixtures you want to train again at a larger size: its proposal, runs near
    it, and runs that represent the rest. `swarm.scales` of the fit config then fits both sizes."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        for group in ("", "source_", "topic_"):
            low, high = self.strengths(group)
            if low > high:
                key = f"min_{group}strength"
                rules.broken(f"it is {low}, above max_{group}strength = {high}; swap them", key)
        if sum(self.fixed_source_weights.values()) > 1 + 1e-9:
            total = sum(self.fixed_source_weights.values())
            rules.broken(f"they add up to {total:.6g}, above 1", "fixed_source_weights")
        if self.replicates and not self.references:
            rules.broken(
                "they repeat the references, and there are none; add `references: [natural, "
                "uniform]`",
                "replicates",
            )
        for key in ("manual_prior", "manual_topic_prior"):
            value: dict[str, float] = getattr(self, key)
            if value and sum(value.values()) <= 0:
                rules.broken("at least one share must be above 0", key)
        if self.after is not None and self.design != "dirichlet":
            rules.broken(
                f"it is `{self.design}`, but with `after` the fit chooses; remove one", "design"
            )
        if self.after is not None and self.larger is not None:
            rules.broken("a round of small runs comes first (`after`), larger ones then", "larger")
        rules.enforce()
        return self

    def strengths(self, group: str) -> tuple[float, float]:
        """Return (smallest, largest) concentration of "source_", "topic_" or "" (both)."""
        low = getattr(self, f"min_{group}strength")
        high = getattr(self, f"max_{group}strength")
        return (
            self.min_strength if low is None else low,
            self.max_strength if high is None else high,
        )

    def temperature(self, group: str) -> float:
        """Return the temperature of "source_" or "topic_"."""
        own = getattr(self, f"{group}mix_temperature")
        return float(self.mix_temperature if own is None else own)


def pin_of(path: Sequence[Node], swarm: SwarmConfig) -> float | None:
    """Return the share that the last node of a path is pinned to, or ``None``."""
    if len(path) == 1 and path[0].name in swarm.fixed_source_weights:
        return swarm.fixed_source_weights[path[0].name]
    return path[-1].weight


def prior_problems(tree: Sequence[Node], swarm: SwarmConfig) -> Iterator[tuple[str, str]]:
    """Yield the manual priors that leave siblings no share, as the key and what is wrong."""

    def visit(path: tuple[Node, ...], children: Sequence[Node]) -> Iterator[tuple[str, str]]:
        key = "manual_topic_prior" if path else "manual_prior"
        manual: dict[str, float] = getattr(swarm, key)
        pins = {join((*path, child)): pin_of((*path, child), swarm) for child in children}
        free = [name for name, pin in pins.items() if pin is None]
        named, rest = [n for n in free if n in manual], [n for n in free if n not in manual]
        pinned = sum(pin for pin in pins.values() if pin is not None)
        total = sum(manual[name] for name in named)
        if named and rest and total + pinned >= 1:
            with_pins = f" (with {pinned:g} of pins)" if pinned else ""
            sums = f"{', '.join(named)} add up to" if len(named) > 1 else f"{named[0]} has"
            yield (
                key,
                f"{sums} {total:g}{with_pins}, which leaves nothing for "
                f"{', '.join(rest)}. Shares are parts of 1: lower them, or name all siblings "
                "(0 leaves one out)",
            )
        elif named and not rest and total <= 0:
            yield key, f"{', '.join(named)} are all 0; at least one share must be above 0"
        for child in children:
            if not child.is_domain:
                yield from visit((*path, child), child.children)

    yield from visit((), tree)
