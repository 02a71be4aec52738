"""The evaluation of a run: on validation tokens, by in-loop tasks, or offline by other tools."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from olmix.config.base import LocalPath, NotEmpty, Section, TokenCount

__all__ = ["FitEval", "InLoopEval", "LaunchEval", "OfflineEval", "ValidationEval"]

_Paths = Annotated[tuple[LocalPath, ...], Field(strict=False), NotEmpty]


class ValidationEval(Section):
    """Bits per byte of held-out token files; what the embedded trainer measures."""

    type: Literal["validation"]
    """Kind of evaluation."""
    paths: Annotated[dict[str, _Paths], NotEmpty]
    """Validation token files by name; `NAME` becomes the metric `NAME_bpb`."""
    max_tokens: TokenCount = 16_384
    """Tokens of each that are evaluated, from the start; the same ones for every run."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in the order of the file."""
        return tuple(f"{name}_bpb" for name in self.paths)


class InLoopEval(Section):
    """Tasks that the trainer evaluates while it trains and logs under a metric name."""

    type: Literal["inloop"]
    """Kind of evaluation."""
    tasks: Annotated[dict[str, dict[str, str]], NotEmpty]
    """`{family: {task id: metric name}}`."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in the order of the file."""
        return tuple(name for family in self.tasks.values() for name in family.values())


class OfflineEval(Section):
    """Metrics that stand in a CSV file, grouped by family."""

    type: Literal["offline"]
    """Kind of evaluation."""
    tasks: Annotated[
        dict[str, Annotated[tuple[str, ...], Field(strict=False), NotEmpty]],
        NotEmpty,
    ]
    """`{family: [metric name, ...]}`."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in the order of the file."""
        return tuple(name for family in self.tasks.values() for name in family)


LaunchEval = Annotated[ValidationEval | InLoopEval, Field(discriminator="type")]
FitEval = Annotated[OfflineEval | InLoopEval, Field(discriminator="type")]
