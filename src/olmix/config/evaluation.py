"""The evaluation of a run: on validation tokens, by in-loop tasks, or offline by other tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from olmix.config.base import LocalPath, NotEmpty, Section, TokenCount
from olmix.domains import bits_per_byte_of

__all__ = [
    "FitEval",
    "InLoopEval",
    "LaunchEval",
    "OfflineEval",
    "ValidationEval",
]

_Paths = Annotated[tuple[LocalPath, ...], Field(strict=False), NotEmpty]


class ValidationEval(Section):
    """Bits per byte of held-out token files; what the embedded trainer measures."""

    type: Literal["validation"] = "validation"
    """Kind of evaluation."""
    paths: Annotated[dict[str, _Paths], NotEmpty]
    """Validation token files by name; `NAME` becomes the metric `NAME_bpb`."""
    max_tokens: TokenCount = 16_384
    """How many tokens of each to evaluate, from the start; the same for every run."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in the order of the file."""
        return tuple(map(bits_per_byte_of, self.paths))


class InLoopEval(Section):
    """Tasks that the trainer evaluates during training and logs under a metric name."""

    type: Literal["inloop"] = "inloop"
    """Kind of evaluation."""
    tasks: Annotated[dict[str, dict[str, str]], NotEmpty]
    """Metrics by task and family: `{family: {task id: metric name}}`."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in the order of the file."""
        return tuple(name for family in self.tasks.values() for name in family.values())


class OfflineEval(Section):
    """Metrics in a CSV file, grouped by family."""

    type: Literal["offline"] = "offline"
    """Kind of evaluation."""
    tasks: Annotated[
        dict[str, Annotated[tuple[str, ...], Field(strict=False), NotEmpty]],
        NotEmpty,
    ]
    """Metrics by family: `{family: [metric name, ...]}`."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in the order of the file."""
        return tuple(name for family in self.tasks.values() for name in family)


def _type(value: object) -> str | None:
    """Return the kind of an eval section; its shape says which where `type` is left out."""
    if not isinstance(value, Mapping):
        return getattr(value, "type", None)
    given = value.get("type")
    if given is not None:
        return str(given)
    if value.get("paths") is not None:
        return "validation"
    tasks = value.get("tasks")
    families = list(tasks.values()) if isinstance(tasks, Mapping) else []
    if not families:
        return None
    return "inloop" if isinstance(families[0], Mapping) else "offline"


_InLoop = Annotated[InLoopEval, Tag("inloop")]
LaunchEval = Annotated[Annotated[ValidationEval, Tag("validation")] | _InLoop, Discriminator(_type)]
"""The evaluation of a launch, told apart by `type` or, without it, by its shape."""
FitEval = Annotated[Annotated[OfflineEval, Tag("offline")] | _InLoop, Discriminator(_type)]
"""Metrics of a fit, told apart by `type` or, without it, by its shape."""
