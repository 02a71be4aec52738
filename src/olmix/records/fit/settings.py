"""The part of `config.json`, the resolved config of a fit, that readers of its folder need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from olmix.records.typed_json import Items, Name, Number, Table, Text, read_record
from olmix.text.files import read_json

__all__ = ["CONFIG_FILE", "read_fit_config"]

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


@dataclass(frozen=True)
class _Priors:
    token_counts: Table[Number] = field(default_factory=dict)


@dataclass(frozen=True)
class _Settings:
    """The sections that are read, to check them; all others are shown as they are."""

    priors: _Priors | None = None
    swarm: _TablePaths = _TablePaths()
    regression: _Regression = _Regression()
    eval: _Tasks | None = None
    filtering: _Filtering = _Filtering()
    proposer: _Proposer = _Proposer()


def read_fit_config(folder: Path) -> Mapping[str, Any]:
    """Return the content of `config.json` of a fit folder; nothing where there is none.

    Raises:
        DataError: it is no JSON, or a section that is read is not one of a fit config.
    """
    file = folder / CONFIG_FILE
    if not file.is_file():
        return {}
    read_record(_Settings, file, "Run `olmix fit` again.")
    found: dict[str, Any] = read_json(file)  # an object, or it were no record
    return found
