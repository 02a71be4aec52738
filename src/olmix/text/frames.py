"""Tables in memory: frames of pandas, polars and pyarrow, dicts, lists of dicts.

They are read cell by cell as if they stood in a CSV file, so that the same rules hold and the same
things are said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from olmix.errors import DataError
from olmix.text.csv import ID_COLUMNS, Table, parse_table

__all__ = ["columns_of", "is_frame", "table_of"]


def is_frame(data: object) -> bool:
    """Whether something is a data frame: it has named columns, or the interchange protocol."""
    # Asked of the type: a lazy frame would plan its query to name them.
    columns = hasattr(type(data), "columns") and hasattr(data, "__getitem__")
    return columns or hasattr(data, "__dataframe__")


def columns_of(data: object) -> dict[str, list[object]]:
    """Return the columns of a data frame, of a dict of columns, or of rows, by name.

    A dict of dicts is one of rows by run; an index of pandas that has a name, or text in it, is the
    column `run` where there is none.

    Raises:
        TypeError: it is none of these, or its columns differ in length.
        DataError: a frame has the interchange protocol alone, and pandas, which reads it, is not
            installed.
    """
    if isinstance(data, Mapping):
        if data and all(isinstance(row, Mapping) for row in data.values()):
            return _of_rows([{"run": run, **row} for run, row in data.items()])
        found = {str(name): list(_iterable(name, column)) for name, column in data.items()}
    elif is_frame(data):
        if type(data).__name__ == "LazyFrame":
            raise TypeError(
                "found a LazyFrame, whose rows are not loaded yet; call collect() on it"
            )
        found = _of_frame(data)
    elif isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        return _of_rows(data)
    else:
        raise TypeError(
            f"found a {type(data).__name__}; a data frame, a dict of columns, or a list of dicts "
            "is needed"
        )
    lengths = {name: len(column) for name, column in found.items()}
    if len(set(lengths.values())) > 1:
        raise TypeError(f"the columns differ in length: {lengths}")
    return found


def _iterable(name: object, column: object) -> Iterable[object]:
    if isinstance(column, str) or not isinstance(column, Iterable):
        raise TypeError(f"{name}: found {column!r}; a column is a list of values")
    return column


def _of_rows(rows: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {str(name): [row.get(name) for row in rows] for name in names}


def _of_frame(frame: Any) -> dict[str, list[Any]]:
    if hasattr(frame, "to_pydict"):  # of pyarrow
        return {str(name): values for name, values in frame.to_pydict().items()}
    if not hasattr(frame, "columns"):
        try:
            from pandas.api.interchange import from_dataframe
        except ImportError:
            raise DataError(
                f"reading a frame of {type(frame).__module__} needs pandas: pip install pandas"
            ) from None
        frame = from_dataframe(frame)
    found = {str(name): list(np.asarray(frame[name])) for name in frame.columns}
    index = getattr(frame, "index", None)
    if index is not None and not set(found) & set(ID_COLUMNS):
        values = list(np.asarray(index))
        if getattr(index, "name", None) is not None or any(isinstance(v, str) for v in values):
            found = {"run": values, **found}
    return found


def table_of(
    data: object, name: str, *, number_rows: bool = False, group: str | None = None
) -> Table:
    """Return a data frame, a dict of columns, or rows as a table.

    Args:
        data: see `columns_of`.
        name: what messages call it.
        number_rows: whether rows are numbered where no column names them.
        group: a column of text that says which group a row belongs to, if there is one.

    Raises:
        DataError: with all problems, as `read_table`.
    """
    try:
        columns = columns_of(data)
    except TypeError as error:
        raise DataError(f"{name}: {error}") from None
    if number_rows and not set(columns) & set(ID_COLUMNS):
        length = len(next(iter(columns.values()), []))
        columns = {"run": list(range(length)), **columns}
    rows = zip(*columns.values(), strict=True)
    records = ((number, [_cell(value) for value in row]) for number, row in enumerate(rows, 1))
    return parse_table(name, list(columns), records, ", row {}", group)


def _cell(value: object) -> str:
    """Return a value as a cell of a CSV file holds it; numbers are given back exactly."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return ""
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else repr(float(value))
    return str(value)
