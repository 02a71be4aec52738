"""`SwarmConfig`: how the mixtures of a swarm are sampled."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from olmix.config.base import LocalPath, NonNegative, Positive, Rules, Section, Weight

__all__ = ["SwarmConfig"]

Reference = Literal["natural", "uniform"]


class SwarmConfig(Section):
    """All sampling parameters; the defaults are those of the hierarchical Dirichlet design."""

    seed: Annotated[int, Field(ge=0)] = 42
    """Seed of the whole swarm; the same seed and config give the same mixtures."""
    variants: Annotated[int, Field(ge=1)] = 32
    """Number of sampled mixtures, the references not counted."""
    design: Literal["dirichlet", "polytope", "optimal"] = "dirichlet"
    """How mixtures are spread: the hierarchical Dirichlet (others are not yet available)."""
    references: Annotated[tuple[Reference, ...], Field(strict=False)] = ("natural", "uniform")
    """Reference mixtures that are runs of the swarm too."""
    replicates: Annotated[int, Field(ge=0)] = 0
    """Further runs of each reference with other seeds; they measure the noise."""

    mix_temperature: NonNegative = 1.0
    """Power on the prior at every level: 1 as it is, towards 0 more uniform."""
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
    """Domains below this weight get none at all."""
    minimum_source_weight: Weight | None = None
    """Sources below this weight get none at all; not below `minimum_weight`."""
    minimum_topic_weight: Weight | None = None
    """Topics below this share of their source get none at all."""
    nonzero_weight: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Domains that are part of every mixture, with at least `minimum_weight`."""

    fixed_source_weights: dict[str, Weight] = {}
    """Sources pinned to a share of the whole mixture."""
    manual_prior: dict[str, NonNegative] = {}
    """Prior shares of the sources, in place of their natural ones."""
    manual_topic_prior: dict[str, NonNegative] = {}
    """Prior shares of `source:topic`, in place of the natural ones within their source."""
    sample_multiplier: Annotated[int, Field(ge=1)] | None = None
    """Accepted for older configs; it has no effect, because no draw is ever thrown away."""
    existing_mix_file: LocalPath | None = None
    """Mixtures to take as they are, in place of sampling (not yet available)."""

    allow_repetition: bool = True
    """Whether a mixture may pass over a domain's tokens more than once."""
    repetition_factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    """Passes over a domain that the caps allow, where repetition is allowed."""
    enable_bound: bool = True
    """Whether weights are capped by the tokens that a domain has for `max_tokens`."""
    augment: LocalPath | None = None
    """An existing swarm to extend (not yet available)."""
    next: LocalPath | None = None
    """A fit to propose the next batch from (not yet available)."""

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
        for key, value in (("manual_prior", self.manual_prior),):
            if value and sum(value.values()) <= 0:
                rules.broken("at least one share must be above 0", key)
        self._check_available(rules)
        rules.enforce()
        return self

    def _check_available(self, rules: Rules) -> None:
        """Note the settings that this release knows and does not do."""
        if self.design != "dirichlet":
            rules.broken(
                f"`{self.design}` is not available in this release; use `dirichlet`", "design"
            )
        for key in ("existing_mix_file", "augment", "next"):
            if getattr(self, key) is not None:
                rules.broken("this setting is not available in this release; remove it", key)

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
