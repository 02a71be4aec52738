"""`swarm.scales` of the fit config: runs of several model sizes in one fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from olmix.config.base import LocalPath, Positive, Section, TokenCount, read_count

__all__ = ["SCALE_COLUMN", "ScaleSize", "SwarmScale", "by_column", "by_size"]

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

    name: Annotated[str, Field(min_length=1)]
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


def by_column(ratios: Sequence[str], metrics: Sequence[str]) -> tuple[SwarmScale, ...]:
    """Return the scales that a column `scale` of the tables names, from small to large.

    Args:
        ratios: its cells in the table of mixtures; all from 0 to 1 they are weights of a domain.
        metrics: its cells in the table of metrics; alone there, numbers are values of a metric.

    Raises:
        ValueError: the names are no sizes, so that nothing says which is the smallest.
    """
    if all(_is_value(cell, is_weight=bool(ratios)) for cell in ratios or metrics):
        return ()
    sizes = {name: _size(name) for name in (*ratios, *metrics) if name}
    known = {name: size for name, size in sizes.items() if size is not None}
    if len(known) < len(sizes):
        found = ", ".join(sizes)
        example = ", ".join(f"{{name: {name}}}" for name in sizes)
        raise ValueError(
            f"the column `{SCALE_COLUMN}` of the tables has {found}, which are no sizes such as "
            f"60M; give the scales, the smallest first: [{example}]"
        )
    return tuple(SwarmScale(name=name) for name in sorted(known, key=known.__getitem__))


def _is_value(cell: str, *, is_weight: bool) -> bool:
    """Whether a cell is empty or a number, as a weight one from 0 to 1."""
    try:
        value = float(cell or 0)
    except ValueError:
        return False
    return not is_weight or 0 <= value <= 1


def _size(name: str) -> float | None:
    """Return a size such as `60M`, or a plain number; `None` for other text."""
    try:
        return float(str(read_count(name)))
    except ValueError:
        return None
