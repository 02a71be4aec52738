"""Mixtures as they are given to `predict` in Python, and predictions in the form they came in."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from olmix.errors import DataError
from olmix.fit.mixture_rows import rescaled_note, without_noise, wrong_weights
from olmix.simplex import Array
from olmix.text.frames import is_frame, table_of

__all__ = ["GivenMixtures", "read_mixtures"]

_KEYS = ("mean", "low", "high")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GivenMixtures:
    """Mixtures to predict.

    Attributes:
        rows: (n, D) weights.
        runs: (n,) names, or the numbers of the rows.
        given: what they were given as.
    """

    rows: Array
    runs: tuple[str, ...]
    given: object

    def answer(self, found: Mapping[str, Mapping[str, Array]]) -> Any:
        """Return predictions in the form that the mixtures had.

        Args:
            found: mean, low and high of each metric, (n,) each.

        Returns:
            numbers for one mixture, arrays for several; for a data frame or a dict of columns its
            like, with the columns `run`, `metric`, `mean`, `low` and `high`.
        """
        if is_frame(self.given) or _is_table(self.given):
            columns: dict[str, list[Any]] = {"run": list(self.runs) * len(found)}
            columns["metric"] = [metric for metric in found for _ in self.runs]
            for key in _KEYS:
                columns[key] = [value for one in found.values() for value in one[key].tolist()]
            if isinstance(self.given, Mapping):
                return columns
            make: Any = type(self.given)
            return getattr(make, "from_pydict", make)(columns)
        if not _is_one(self.given):
            return {metric: dict(values) for metric, values in found.items()}
        return {
            metric: {key: float(value[0]) for key, value in values.items()}
            for metric, values in found.items()
        }


def read_mixtures(given: Any, domains: Sequence[str]) -> GivenMixtures:
    """Return the mixtures that `predict` was given.

    Args:
        given: ``{domain: weight}``, a list of them, an array (D,) or (n, D), a data frame, or a
            dict of columns.
        domains: (D,) names, in the order of arrays.

    Raises:
        DataError: they name an unknown domain, or one does not sum to 1.
    """
    if hasattr(given, "to_dict") and hasattr(given, "index") and not is_frame(given):
        given = given.to_dict()  # a series of pandas, whose order is not that of the domains
    runs: tuple[str, ...] | None = None
    if is_frame(given) or _is_table(given):
        table = table_of(given, "predict", number_rows=True)
        rows, runs = _by_name(domains, table.columns, table.values), table.runs
    elif isinstance(given, Mapping) or _all_mappings(given):
        entries = [given] if isinstance(given, Mapping) else list(given)
        names = list(dict.fromkeys(name for entry in entries for name in entry))
        values = _numbers([[entry.get(name, 0.0) for name in names] for entry in entries], given)
        rows = _by_name(domains, names, values)
    else:
        rows = np.atleast_2d(_numbers(given, given))
    if rows.ndim != 2 or rows.shape[1] != len(domains):
        raise DataError(
            f"predict: a mixture needs a weight for each of {len(domains)} domains, summing to 1; "
            f"found {np.array2string(rows, threshold=12)}"
        )
    runs = tuple(map(str, range(len(rows)))) if runs is None else runs
    return GivenMixtures(_mended(rows, runs, domains), runs, given)


def _mended(rows: Array, runs: Sequence[str], domains: Sequence[str]) -> Array:
    """Return rows that are mixtures: without noise, summing to 1.

    Raises:
        DataError: names the first that is none.
    """
    for run, row in zip(runs, rows, strict=True):
        wrong = wrong_weights(domains, row)
        if wrong is not None:
            raise DataError(f"predict: mixture {run}: {wrong}; weights of 0 or more, summing to 1")
    note = rescaled_note(runs, rows)
    rows = without_noise(rows)
    if note is None:
        return rows
    logger.warning("predict: %s", note)
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def _by_name(domains: Sequence[str], names: Sequence[str], values: Array) -> Array:
    """Return columns in the order of the domains, 0 for those that are not there."""
    unknown = sorted(set(names) - set(domains))
    if unknown:
        raise DataError(
            f"predict: found the domains {', '.join(unknown)}; the swarm has {', '.join(domains)}"
        )
    rows = np.zeros((len(values), len(domains)))
    rows[:, [list(domains).index(name) for name in names]] = values
    return rows


def _numbers(values: Any, given: object) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            "predict: {domain: weight}, a list of such, an array or a data frame is needed; found "
            f"a {type(given).__name__}, not all of numbers"
        ) from None


def _all_mappings(given: object) -> bool:
    return isinstance(given, list | tuple) and all(isinstance(one, Mapping) for one in given)


def _is_table(given: object) -> bool:
    """Whether a dict holds columns or rows, and not one weight for each domain."""
    return isinstance(given, Mapping) and any(
        isinstance(value, Iterable) and not isinstance(value, str) for value in given.values()
    )


def _is_one(given: object) -> bool:
    """Whether a single mixture was given, and not a list of one."""
    return isinstance(given, Mapping) or (not _all_mappings(given) and np.ndim(given) == 1)  # type: ignore[arg-type]
