"""`SurfaceConfig`: from the tables of a factorial sweep to a response surface."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from olmix.config.base import LocalPath, NotEmpty, Section

__all__ = ["FactorTables", "SurfaceConfig"]

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Range = Annotated[tuple[_Finite, _Finite], Field(strict=False)]


class FactorTables(Section):
    """Where the two tables of a sweep lie."""

    factors: LocalPath
    """CSV file: one row per run, one column per factor, in the units of the experiment."""
    metrics: LocalPath
    """CSV file: one row per run, one column per metric."""


class SurfaceConfig(Section):
    """A metric as a polynomial of the numeric settings that a sweep varied."""

    tables: FactorTables
    """The runs."""
    factors: Annotated[dict[str, Literal["linear", "log"]], NotEmpty]
    """Settings, and the scale of each; ``log`` for learning rates."""
    metric: Annotated[str, Field(min_length=1)]
    """The metric that the surface predicts."""
    lower_is_better: bool | None = None
    """Direction of the metric. Required for a name that sounds as if higher were better, such as an
    accuracy; for others lower is better."""
    order: Literal["auto", "linear", "squares", "interactions", "quadratic"] = "auto"
    """Terms of the polynomial; ``auto`` takes those that predict held-out points best."""
    limits: dict[str, _Range] = {}
    """Smallest and largest value of factors in the next batch of runs; the tested ones if left
    out."""
    coverage: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Probability that intervals should cover the truth."""
