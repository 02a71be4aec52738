"""Mixtures by run name, from the variants that were launched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from olmix.collect.mixes import read_mix
from olmix.collect.record import Record
from olmix.config import LaunchConfig, read_yaml
from olmix.errors import DataError

__all__ = ["add_variants"]


def add_variants(
    records: Sequence[Record], path: Path
) -> tuple[list[Record], Mapping[str, object]]:
    """Give each run the mixture of the variant of its name, and name variants without a run.

    Args:
        records: the runs that were found.
        path: a variant file, or a folder of them (``*.yaml``), bare or complete.

    Returns:
        The records, and the first complete variant as a mapping with absolute paths; empty where
        all are bare.

    Raises:
        DataError: there is no variant at `path`, or one whose mixture is wrong.
    """
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: holds no *.yaml; write variants with `olmix generate`")
    mixes: dict[str, Mapping[str, float]] = {}
    problems: list[str] = []
    config: Mapping[str, Any] = {}
    for file in files:
        content = read_yaml(file).data
        if not isinstance(content, Mapping):
            continue
        told = read_mix(content.get("mix"))
        if told.problem:
            problems.append(f"{file}: {told.problem}")
        if not told.weights:
            continue
        mixes[str(content.get("name", file.stem))] = told.weights
        if not config and "data" in content:
            config = LaunchConfig.from_yaml(file).to_plain()
    if problems:
        raise DataError("\n".join(problems))
    if not mixes:
        raise DataError(f"{path}: no file holds a `mix`")
    found = [
        record if record.asked else replace(record, asked=mixes.get(record.name, {}))
        for record in records
    ]
    there = {record.name for record in records}
    never = [
        Record(name, "pending", "was never started", asked=weights)
        for name, weights in mixes.items()
        if name not in there
    ]
    return [*found, *never], config
