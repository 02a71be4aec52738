"""Mixtures by run name, from the variants that were launched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from olmix.collect.record import Record, weights_of
from olmix.config import LaunchConfig, read_yaml
from olmix.errors import DataError

__all__ = ["add_variants"]


def add_variants(records: Sequence[Record], path: Path) -> tuple[list[Record], Mapping[str, Any]]:
    """Give each run the mixture of the variant of its name, and name variants without a run.

    Args:
        records: the runs that were found.
        path: a variant file, or a folder of them (``*.yaml``), bare or complete.

    Returns:
        The records, and the first complete variant as a mapping with absolute paths; empty where
        all are bare.

    Raises:
        DataError: there is no variant at `path`.
    """
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: holds no *.yaml; write variants with `olmix generate`")
    mixes: dict[str, dict[str, float]] = {}
    config: Mapping[str, Any] = {}
    for file in files:
        content = read_yaml(file).data
        weights = weights_of(content.get("mix")) if isinstance(content, Mapping) else {}
        if not weights:
            continue
        mixes[str(content.get("name", file.stem))] = weights
        if not config and "data" in content:
            config = LaunchConfig.from_yaml(file).to_plain()
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
