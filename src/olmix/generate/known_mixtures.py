"""Existing mixtures: folders of variants, CSV tables, pickles of older tools."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from olmix.config import VariantConfig, read_yaml
from olmix.errors import ConfigError, DataError, OlmixError, Problem, needs
from olmix.mixture import Mixture
from olmix.simplex import Array
from olmix.text.csv import unguarded

__all__ = ["load_mixtures", "read_variants"]

_SUM_TOLERANCE = 0.01


def load_mixtures(path: str | Path, domains: Sequence[str], *, allow_pickle: bool = False) -> Array:
    """Return the mixtures of a folder of variants or of a table, (n, D) in the order of `domains`.

    Columns are matched by name, never by position; columns that are no domain are skipped, and
    a domain without a column weighs 0. Rows that do not sum to 1 over the domains, because they
    hold others too, are left out.

    Args:
        path: a folder of variants, a CSV file, or a pickle.
        domains: (D,) names.
        allow_pickle: whether a pickle may be read; loading one can run any code that is in it.

    Raises:
        DataError: it is missing or unreadable, or names none of the domains.
        ConfigError: it is a pickle, and those are not allowed.
    """
    file = Path(path)
    if file.is_dir():
        found = [variant.mix.weights(domains) for variant in read_variants(file)]
        rows = np.array(found).reshape(-1, len(domains))
    elif file.suffix in {".pkl", ".pickle"}:
        rows = _read_pickle(file, domains, allow_pickle)
    else:
        rows = _read_csv(file, domains)
    kept = rows[np.abs(rows.sum(axis=1) - 1) <= _SUM_TOLERANCE]
    if not len(kept):
        raise DataError(
            f"{file}: no row is a mixture of {', '.join(domains)}: none of them sums to 1"
        )
    return np.asarray(kept / kept.sum(axis=1, keepdims=True))


def read_variants(folder: Path) -> list[VariantConfig]:
    """Read the variant files of a folder, bare or complete, in the order of their names.

    Raises:
        DataError: there is none.
        ConfigError: with all problems of the first one that is malformed.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    found = []
    for file in sorted(folder.glob("*.yaml")):
        content = read_yaml(file).data
        if not isinstance(content, dict) or "mix" not in content:
            continue
        try:
            mix = Mixture.parse(content["mix"])
        except ConfigError as error:
            raise ConfigError(error.problems, str(file)) from None
        seed = content.get("seed", content.get("training", {}).get("seed"))
        found.append(VariantConfig(name=str(content.get("name", file.stem)), mix=mix, seed=seed))
    if not found:
        raise DataError(f"{folder}: holds no variant: a YAML file with a `mix` section")
    return found


def _columns(header: Sequence[str], domains: Sequence[str], file: Path) -> dict[int, int]:
    """Return {column: domain} for the columns that are domains."""
    index = {name: position for position, name in enumerate(domains)}
    found = {column: index[name] for column, name in enumerate(header) if name in index}
    if not found:
        raise DataError(
            f"{file}: no column is a domain. It has {', '.join(map(str, header[:8]))}; the config "
            f"has {', '.join(domains[:8])}"
        )
    return found


def _read_csv(file: Path, domains: Sequence[str]) -> Array:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            table = list(csv.reader(lines))
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as CSV: {error}") from error
    header = [unguarded(cell.strip()) for cell in table[0]] if table else []
    columns = _columns(header, domains, file)
    rows = np.zeros((len(table) - 1, len(domains)))
    for line, cells in enumerate(table[1:], start=2):
        for column, domain in columns.items():
            try:
                rows[line - 2, domain] = float(cells[column] or 0)
            except (ValueError, IndexError):
                found = cells[column] if column < len(cells) else "nothing"
                raise DataError(
                    f"{file}:{line}: {header[column]}: found {found!r}; a weight is needed"
                ) from None
    return rows


def _read_pickle(file: Path, domains: Sequence[str], allowed: bool) -> Array:
    if not allowed:
        raise ConfigError(
            [
                Problem(
                    "swarm.existing_mix_file",
                    "this is a pickle, and loading one runs the code in it. Pass --allow-pickle if "
                    "you trust it, or save it as CSV",
                )
            ],
            str(file),
        )
    with needs("pickle", "Reading a pickled table"):
        import pandas as pd
    try:
        table: Any = pd.read_pickle(file)
        columns = _columns([str(name) for name in table.columns], domains, file)
        rows = np.zeros((len(table), len(domains)))
        for column, domain in columns.items():
            rows[:, domain] = np.asarray(table.iloc[:, column], dtype=np.float64)
    except OlmixError:
        raise
    except Exception as error:
        raise DataError(f"{file}: cannot be read as a pickled table: {error}") from error
    return np.nan_to_num(rows)
