"""The fit folder: its name, its files, and how it appears whole or not at all.

A folder is named by the hash of everything that its content depends on: the config but for paths,
and both tables as they were read (so a new order of rows or columns changes nothing). It is written
beside its place and renamed into it, so that a folder that is there is complete.
"""

from __future__ import annotations

import math
import platform
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from olmix import __version__
from olmix.config import FitConfig
from olmix.config.fit import SwarmTables
from olmix.errors import DataError
from olmix.fit.read_tables import metric_identities, read_tables
from olmix.records.fit.models import MODELS_FILE
from olmix.records.fit.settings import CONFIG_FILE, read_fit_settings
from olmix.records.typed_json import to_plain
from olmix.simplex import Array
from olmix.text.csv import Table, write_rows, write_table
from olmix.text.files import digest, replace_link, write_json, write_text
from olmix.text.yaml import render_yaml

__all__ = [
    "FitFiles",
    "data_hash",
    "file_stem",
    "file_stems",
    "find_laws",
    "fit_hash",
    "laws_hash",
    "publish",
]

FORMAT = 7
"""Raised when the computation changes, so that older folders are not taken for today's."""
LATEST = "latest"
COMPLETE = (CONFIG_FILE, MODELS_FILE, "fit.json", "predictions.csv")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_LONGEST = 100


def data_hash(swarm: SwarmTables) -> str:
    """Return the hash of the content of all tables; order of rows and columns does not count.

    Raises:
        DataError: a table cannot be read, or two hold different metrics under one name.
    """
    scales = swarm.ordered_scales or (None,)
    tables = [table for scale in scales for table in read_tables(swarm, scale)]
    identities = to_plain(metric_identities(swarm))
    known = [identities] if identities else []
    return digest([*(_canonical(table) for table in tables), *known], 16)


def _canonical(table: Table) -> list[object]:
    columns = sorted(table.columns)
    values = table.values.astype(object)
    values[np.isnan(table.values)] = None
    infinite = np.isinf(table.values)
    values[infinite] = table.values[infinite].astype(str)
    position = [table.columns.index(name) for name in columns]
    rows = {
        run: [name, *(values[index][position].tolist())]
        for index, (run, name) in enumerate(zip(table.runs, table.names, strict=True))
    }
    return [columns, rows]


def fit_hash(config: FitConfig, data: str) -> str:
    """Return the name of the fit folder: a hash of data and config without its paths."""
    plain = {key: value for key, value in config.to_plain().items() if key != "swarm"}
    plain |= _scales_of(config.swarm)
    order = list(config.priors.domains)
    return digest({"format": FORMAT, "config": plain, "order": order, "data": data}, 12)


def _scales_of(swarm: SwarmTables) -> dict[str, object]:
    """Return what the config says of scales, but for where their tables lie."""
    if not swarm.scales:
        return {}
    plain = swarm.to_plain()
    sizes = [{k: one.get(k) for k in ("name", "parameters", "tokens")} for one in plain["scales"]]
    return {"scales": sizes, "target": plain.get("target")}


def laws_hash(config: FitConfig, data: str) -> str:
    """Return a hash of all that the fitted laws depend on, which proposer and limits are not."""
    plain = config.to_plain()
    for key in ("fixed_weight", "obj_weights"):
        plain.get("filtering", {}).pop(key, None)
    used = {key: plain.get(key) for key in ("eval", "lower_is_better", "regression", "filtering")}
    order = list(config.priors.domains)
    return digest({"format": FORMAT, "config": used, "order": order, "data": data}, 16)


def find_laws(output_dir: Path, wanted: str) -> Path | None:
    """Return the `models.json` of a fit whose `laws_hash` is `wanted`, if one is there."""
    for models in sorted(output_dir.glob(f"*/{MODELS_FILE}")):
        try:
            if read_fit_settings(models.parent).laws_hash == wanted:
                return models
        except DataError:
            continue
    return None


def file_stem(metric: str) -> str:
    """Return a name for files about a metric: letters, digits and ``. _ + -`` only.

    >>> file_stem("eval/arc_challenge:rc::olmes (BPB v2)")
    'eval_arc_challenge_rc_olmes_BPB_v2'
    """
    stem = _UNSAFE.sub("_", metric).strip("_.")[:_LONGEST]
    return stem or "metric"


def file_stems(metrics: Sequence[str]) -> dict[str, str]:
    """Return a stem for each metric; those that would share one get a hash of their name behind it.

    Case does not count, because some file systems ignore it.
    """
    plain = {metric: file_stem(metric) for metric in metrics}
    folded = [stem.casefold() for stem in plain.values()]
    return {
        metric: stem if folded.count(stem.casefold()) == 1 else f"{stem}-{digest(metric, 6)}"
        for metric, stem in plain.items()
    }


class FitFiles:
    """Writes the files of a fit into a folder.

    Args:
        folder: where to; it must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def json(self, name: str, value: Any) -> None:
        """Write a JSON file; what is not finite becomes null."""
        write_json(self.folder / name, _finite(value))

    def text(self, name: str, value: str) -> None:
        """Write a text file."""
        write_text(self.folder / name, value)

    def yaml(self, name: str, value: Any, header: str) -> None:
        """Write a YAML file below a header of comment lines."""
        comments = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
        write_text(self.folder / name, comments + render_yaml(value))

    def table(self, name: str, rows: Sequence[str], columns: Mapping[str, Sequence[Any]]) -> None:
        """Write a CSV file with the column `run` first."""
        write_table(self.folder / name, rows, columns)

    def rows(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write a CSV file of these columns."""
        write_rows(self.folder / name, columns, rows)

    def matrix(self, name: str, rows: Sequence[str], columns: Sequence[str], values: Array) -> None:
        """Write a matrix as `name.npy` and, with the names of its rows, as `name.csv`."""
        np.save(self.folder / f"{name}.npy", values, allow_pickle=False)
        cells = ((row, *line) for row, line in zip(rows, values.tolist(), strict=True))
        self.rows(f"{name}.csv", ("domain", *columns), cells)

    def weights(self, name: str, mixture: Mapping[str, float]) -> None:
        """Write a mixture as a list of ``{"domain", "weight"}``."""
        self.json(name, [{"domain": key, "weight": weight} for key, weight in mixture.items()])


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def config_to_plain(config: FitConfig, name: str, data: str) -> dict[str, object]:
    """Return the content of `config.json`: the resolved config, the hashes, the versions."""
    versions = {"olmix": __version__, "python": platform.python_version(), "numpy": np.__version__}
    hashes = {"hash": name, "data_hash": data, "laws_hash": laws_hash(config, data)}
    return {**config.to_plain(), **hashes, "versions": versions}


def is_complete(folder: Path, fit_only: bool) -> bool:
    """Whether a folder holds a whole fit."""
    needed = COMPLETE if fit_only else (*COMPLETE, "proposal.json", "mix.yaml")
    return all((folder / name).is_file() for name in needed)


def publish(beside: Path, folder: Path) -> None:
    """Move a written folder into its place; into a damaged one its files are moved one by one."""
    try:
        beside.rename(folder)
    except OSError:
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(beside.iterdir()):
            file.replace(folder / file.name)
        shutil.rmtree(beside, ignore_errors=True)


def point_latest(output_dir: Path, name: str) -> None:
    """Let `output_dir/latest` point at a fit folder; a real file of that name is left alone."""
    link = output_dir / LATEST
    if link.exists() and not link.is_symlink():
        return
    replace_link(link, name)
