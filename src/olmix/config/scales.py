"""`swarm.scales` of the fit config: runs of several model sizes in one fit."""

from __future__ import annotations

from collections.abc import Sequence

from olmix.config.base import LocalPath, Positive, Section, TokenCount

__all__ = ["SCALE_COLUMN", "ScaleSize", "SwarmScale", "by_size"]

SCALE_COLUMN = "scale"
"""Column of the tables that names the scale of each run, where all scales share two tables."""


class ScaleSize(Section):
    """A model size and a length of training."""

    parameters: Positive
    """Parameters of the model."""
    tokens: TokenCount
    """Tokens that it trains on."""

    @property
    def flops(self) -> float:
        """About how much computing a run takes: ``6 parameters tokens``."""
        return 6.0 * self.parameters * self.tokens


class SwarmScale(Section):
    """The runs of one model size."""

    name: str
    """Its name, such as `60m`."""
    ratios: LocalPath | None = None
    """Mixtures of its runs; left out where `swarm.ratios` has a column `scale`."""
    metrics: LocalPath | None = None
    """Metrics of its runs; left out where `swarm.metrics` has a column `scale`."""
    parameters: Positive | None = None
    """Parameters of its models. Scales stand in the order of parameters times tokens, or in that of
    the list where one of them does not say both."""
    tokens: TokenCount | None = None
    """Tokens that each of its runs trains on."""

    @property
    def size(self) -> ScaleSize | None:
        """Size and length together, where both are known."""
        if self.parameters is None or self.tokens is None:
            return None
        return ScaleSize(parameters=self.parameters, tokens=self.tokens)


def by_size(scales: Sequence[SwarmScale]) -> tuple[SwarmScale, ...]:
    """Return scales from small to large: by size where every one says it, else as listed."""
    sizes = {scale.name: scale.size for scale in scales}
    known = {name: size.flops for name, size in sizes.items() if size is not None}
    if len(known) < len(scales):
        return tuple(scales)
    return tuple(sorted(scales, key=lambda scale: known[scale.name]))
