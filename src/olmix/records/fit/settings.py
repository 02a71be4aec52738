"""`config.json`, the resolved config of a fit: the sections that readers of its folder need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from olmix.records.typed_json import Items, Name, Number, Table, Text, read_record
from olmix.text.files import read_json

__all__ = ["CONFIG_FILE", "FitSettings", "named_from", "read_fit_settings"]

Value = TypeVar("Value")

CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class _TablePaths:
    ratios: Text | None = None
    metrics: Text | None = None


@dataclass(frozen=True)
class _Regression:
    num_folds: int | None = None
    seed: int | None = None
    aggregate_task_families: bool = False


@dataclass(frozen=True)
class _Tasks:
    tasks: Table[Items[Name] | Table[Name]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Filtering:
    drop_metrics: Items[Name] = ()


@dataclass(frozen=True)
class _Proposer:
    risk: Number = 0.0
    floors: object = None
    floors_at: Name = "prior"


@dataclass(frozen=True)
class _Constraints:
    target_tokens: Number | None = None


@dataclass(frozen=True)
class _Priors:
    token_counts: Table[Number] | None = None
    unknown: bool = False


@dataclass(frozen=True)
class FitSettings:
    """The content of `config.json`; a section that is not there has its defaults.

    Attributes:
        swarm: the tables.
        regression: folds, seed, and whether families were averaged before the fit.
        eval: the metrics that were asked for, by family.
        filtering: metrics that were dropped.
        proposer: risk, and floors with the mixture that they are measured from.
        constraints: the target run.
        priors: tokens of the domains, and whether they are unknown: the mixture `natural` is then
            the uniform one.
        laws_hash: all that the fitted laws depend on.
        plain: the whole file, to be shown.
    """

    swarm: _TablePaths = _TablePaths()
    regression: _Regression = _Regression()
    eval: _Tasks | None = None
    filtering: _Filtering = _Filtering()
    proposer: _Proposer = _Proposer()
    constraints: _Constraints | None = None
    priors: _Priors | None = None
    laws_hash: Text | None = None
    plain: Mapping[str, object] = field(default_factory=dict)

    @property
    def start(self) -> str:
        """What gains are over: `natural`, or `uniform` where no token counts were given."""
        return "uniform" if self.priors is not None and self.priors.unknown else "natural"

    @property
    def token_counts(self) -> Mapping[str, float]:
        """Tokens of the domains, as far as the priors say."""
        return (self.priors.token_counts if self.priors is not None else None) or {}


def named_from(start: str, by_mixture: Mapping[str, Value]) -> dict[str, Value]:
    """Return values by mixture with `natural` under the name that it has, and none of them twice.

    Args:
        start: `FitSettings.start`: without token counts the natural mixture is the uniform one.
        by_mixture: a value for each mixture, by its name in the files.
    """
    return {
        start if name == "natural" else name: value
        for name, value in by_mixture.items()
        if name != start or start == "natural" or "natural" not in by_mixture
    }


def read_fit_settings(folder: Path) -> FitSettings:
    """Return the content of `config.json` of a fit folder; the defaults where there is none.

    Raises:
        DataError: it is no JSON, or a section that is read is not one of a fit config.
    """
    file = folder / CONFIG_FILE
    if not file.is_file():
        return FitSettings()
    return replace(read_record(FitSettings, file, "Run `olmix fit` again."), plain=read_json(file))
