"""CSV tables: numbers keyed by run, such as `ratios.csv` and `metrics.csv`, and rows of any kind.

Text that a spreadsheet would take for a formula is written behind an apostrophe, and read without
it.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TypeVar

import numpy as np

from olmix.errors import DataError
from olmix.simplex import Array
from olmix.text.file_kind import SNIFFED_BYTES, describe, kind_of
from olmix.text.files import write_text
from olmix.text.numbers import counted

__all__ = [
    "Table",
    "cells_of",
    "parse_table",
    "read_table",
    "unguarded",
    "write_rows",
    "write_table",
]

ID_COLUMNS = ("run", "run_id")
FALLBACK_ID = "index"
"""Column that names the runs of a table which has none of `ID_COLUMNS`."""
_MARKS = {"\t": "tabs", ";": "semicolons"}
SKIPPED_COLUMNS = ("", "index", "name")
_MOST_ALIKE = 5
"""Cells of a column that are no numbers, up to which each is named."""
_MOST_NAMES = 8
"""Columns that a message names."""
_OPENED = re.compile(r'(?:^|,)\s*"')
"""A cell that begins with a quote."""
_Name = TypeVar("_Name", bound=Hashable)
_FORMULA = re.compile(r"'*[=+\-@]")
"""How a cell begins that a spreadsheet computes, and one that has been made harmless."""


@dataclass(frozen=True)
class Table:
    """A table of numbers with named rows and columns.

    Attributes:
        path: the file it came from, for messages.
        runs: row names, unique within a group.
        names: readable labels of the rows; the row names where the file has none.
        columns: column names, unique.
        values: (rows, columns); NaN where a cell is empty.
        groups: the cell of each row in the column that was read as a group; empty without one.
        key: the column that names the rows.
    """

    path: str
    runs: tuple[str, ...]
    names: tuple[str, ...]
    columns: tuple[str, ...]
    values: Array
    groups: tuple[str, ...] = ()
    key: str = ID_COLUMNS[0]

    def of_group(self, group: str) -> Table:
        """Return the rows of a group, which may be none."""
        own = [index for index, name in enumerate(self.groups) if name == group]
        runs, names = ([labels[i] for i in own] for labels in (self.runs, self.names))
        values = self.values[own].reshape(len(own), len(self.columns))
        return replace(self, runs=tuple(runs), names=tuple(names), values=values, groups=())

    def rows(self, runs: Sequence[str]) -> Array:
        """Return the rows of `runs`, in that order."""
        position = {run: index for index, run in enumerate(self.runs)}
        return self.values[[position[run] for run in runs]]

    def select(self, columns: Sequence[str]) -> Array:
        """Return the columns named, in that order."""
        position = {name: index for index, name in enumerate(self.columns)}
        return self.values[:, [position[name] for name in columns]]


def read_table(path: str | Path, group: str | None = None) -> Table:
    """Read a CSV file with an ID column `run` or `run_id`, or else `index`, and an optional `name`.

    Unnamed columns and an `index` beside another ID are skipped; every other column must hold
    numbers, empty cells are NaN.

    Args:
        path: file, or `http://` or `https://` address.
        group: a column of text that says which group a row belongs to; a table may lack it.

    Raises:
        DataError: with all problems of the file: no ID column, an ID or a column given twice,
            rows of another length, cells that are no numbers.
    """
    file = str(path)
    text = _download(file) if file.startswith(("http://", "https://")) else _read(file)
    records = _records(file, text)
    _, header = next(records, (1, []))
    return parse_table(file, header, records, ":{}", group)


def cells_of(path: str, column: str) -> tuple[str, ...]:
    """Return the cells of a column of a local file; none where nothing of that name can be read."""
    if "://" in path:
        return ()
    try:
        records = [row for _, row in _records(path, _read(path))]
    except DataError:  # said where the table itself is read
        return ()
    header = [unguarded(cell.strip()) for cell in records[0]] if records else []
    if header.count(column) != 1:
        return ()
    where = header.index(column)
    return tuple(unguarded(row[where].strip()) for row in records[1:] if len(row) > where)


def parse_table(
    file: str,
    header: Sequence[str],
    records: Iterable[tuple[int, Sequence[str]]],
    place: str,
    group: str | None = None,
) -> Table:
    """Return the table of a header and rows of text cells.

    Args:
        file: where they come from, for messages.
        header: names of the columns.
        records: number and cells of each row.
        place: how the number of a row is added to `file`, such as ``:{}``.
        group: a column of text that says which group a row belongs to; a table may lack it.

    Raises:
        DataError: with all problems, as `read_table`.
    """
    found = _read_header(
        [unguarded(cell.strip()) for cell in header], group, file + place.format(1)
    )
    problems = list(found.problems)
    runs: list[str] = []
    names: list[str] = []
    values: list[list[float]] = []
    groups: list[str] = []
    strange: dict[int, list[str]] = {}
    for line, cells in records:
        if not any(cell.strip() for cell in cells):
            continue
        where = file + place.format(line)
        if len(cells) != len(found.names):
            problems.append(
                f"{where}: {counted(len(cells), 'cell')}; the header has {len(found.names)}"
            )
            continue
        run = unguarded(cells[found.key].strip())
        if not run:
            problems.append(f"{where}: the {found.id} is empty")
        runs.append(run)
        names.append(unguarded(cells[found.label].strip()) or run)
        numbers = [_number(cells[index]) for index in found.used]
        for index, value in zip(found.used, numbers, strict=True):
            if value is None:
                strange.setdefault(index, []).append(
                    f"{where}: {found.names[index]}: found {cells[index]!r}; a number is needed, "
                    "or an empty cell where nothing was measured"
                )
        values.append([math.nan if value is None else value for value in numbers])
        groups += [] if found.group is None else [unguarded(cells[found.group].strip())]
    for told in strange.values():
        few = len(told) <= _MOST_ALIKE
        problems += told if few else [f"{told[0]}; {len(told)} cells of this column are none"]
    pairs = _repeated(list(zip(runs, groups or [""] * len(runs), strict=True)))
    problems += [f"{file}: the {found.id} {run} is given twice" for run, _ in pairs if run]
    if not runs and not problems:
        problems.append(f"{file}: the table has no rows")
    if problems:
        shown = problems[:50]
        if len(problems) > len(shown):
            shown.append(f"{file}: and {counted(len(problems) - len(shown), 'more problem')}")
        raise DataError("\n".join(shown))
    array = np.array(values, dtype=np.float64).reshape(len(runs), len(found.used))
    columns = tuple(found.names[index] for index in found.used)
    return Table(file, tuple(runs), tuple(names), columns, array, tuple(groups), found.id)


@dataclass(frozen=True)
class _Header:
    """The columns of a table: which one names the runs, which hold numbers, what is wrong."""

    names: Sequence[str]
    key: int
    label: int
    group: int | None
    used: Sequence[int]
    problems: Sequence[str]

    @property
    def id(self) -> str:
        """The name of the column that names the runs."""
        return self.names[self.key]


def _read_header(names: Sequence[str], group: str | None, where: str) -> _Header:
    """Return which column is what.

    Raises:
        DataError: not exactly one column names the runs.
    """
    ids = [name for name in ID_COLUMNS if name in names]
    ids = ids or [name for name in names if name == FALLBACK_ID]
    if len(ids) != 1:
        raise DataError(f"{where}: {_no_id(names)}")
    key = names.index(ids[0])
    grouped = names.index(group) if group in names else None
    used = [i for i, name in enumerate(names) if i not in (key, grouped) and not _is_skipped(name)]
    columns = [names[i] for i in used]
    problems = [f"{where}: the column {column} is given twice" for column in _repeated(columns)]
    if not columns:
        problems.append(f"{where}: there is no column besides the {ids[0]}")
    label = names.index("name") if "name" in names else key
    return _Header(names, key, label, grouped, used, problems)


def _no_id(header: Sequence[str]) -> str:
    """Return what to say where not exactly one column names the runs."""
    named = [name for name in header if name]
    found = ", ".join([*named[:_MOST_NAMES], *(["…"] if len(named) > _MOST_NAMES else [])])
    found = found or "an empty file"
    other = next((word for mark, word in _MARKS.items() if mark in found), "")
    hint = f". The columns seem to be separated by {other}; use commas" if other else ""
    return f"one column named `run`, `run_id` or `index` is needed; found {found}{hint}"


def _records(file: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the records of a CSV text, each with the number of its first line.

    Raises:
        DataError: a quote is opened and never closed, so that the rest of the file is one cell.
    """
    reader, lines = csv.reader(StringIO(text)), text.split("\n")
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error:  # a cell beyond all measure
            cells = []
        if cells is None:
            return
        raw = "\n".join(lines[first - 1 : reader.line_num])
        if raw.count('"') % 2 and (reader.line_num > first or _OPENED.search(raw) or not cells):
            raise DataError(
                f"{file}:{first}: a quote opened in this row is never closed; remove it, or close "
                "it before the next comma"
            )
        yield first, cells


def _is_skipped(column: str) -> bool:
    """Whether a column is no data; pandas writes `Unnamed: 0` for one without a name."""
    return column in SKIPPED_COLUMNS or column.startswith("Unnamed:")


def _read(file: str) -> str:
    try:
        content = Path(file).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    kind = kind_of(content[:SNIFFED_BYTES])
    if kind not in {"text", "json", "binary"}:
        raise DataError(f"{file}: expected a CSV file; this is {describe(kind)}")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: cannot be read as UTF-8 text: {error}") from error


def _download(address: str) -> str:
    from olmix.text.download import download  # Python's own, but slow to import

    return download(address)


def write_table(
    path: str | Path,
    runs: Sequence[str],
    columns: Mapping[str, Sequence[float | int | str | None]],
) -> None:
    """Write a CSV file with the column `run` first; `None` becomes an empty cell.

    Numbers are written with the fewest digits that give them back exactly.
    """
    cells = [[_cell(value) for value in values] for values in columns.values()]
    write_rows(path, ["run", *columns], zip(runs, *cells, strict=True))


def write_rows(
    path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[float | str | None]]
) -> None:
    """Write a CSV file of these columns; text that begins like a formula is made harmless."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([_guarded(cell) for cell in row] for row in (columns, *rows))
    write_text(path, stream.getvalue())


def unguarded(cell: str) -> str:
    """Return the text that `write_rows` was given for a cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _guarded(cell: float | str | None) -> float | str | None:
    if isinstance(cell, str) and _FORMULA.match(cell) and _number(cell) is None:
        return f"'{cell}"
    return cell


def _cell(value: float | str | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    plain = int(value) if isinstance(value, int | np.integer) else float(value)
    return repr(plain + 0)


def _number(cell: str) -> float | None:
    """Read a cell: a number or infinity, NaN where it is empty, `None` where it is neither."""
    text = cell.strip()
    if text == "":
        return math.nan
    if "_" in text:  # Python reads 1_000 as a number, a spreadsheet does not
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _repeated(names: Sequence[_Name]) -> list[_Name]:
    seen: set[_Name] = set()
    return [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
