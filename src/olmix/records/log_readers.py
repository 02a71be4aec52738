"""Logs of trainers: `metrics.jsonl`, torchtune's text, CSV, TensorBoard's event files.

A step that was logged again, after a restart, counts once: the later value. Numbers that are not
finite stay, so that a run that diverged can be told from one that never logged.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from olmix.errors import DataError, needs
from olmix.text.files import read_records

__all__ = [
    "STEP_KEYS",
    "Curves",
    "add_record",
    "flatten",
    "has_diverged",
    "is_csv_log",
    "number",
    "read_csv_logs",
    "read_jsonl",
    "read_tensorboard",
    "read_torchtune_logs",
    "step_of",
    "tail_mean",
]

Curves = dict[str, dict[int, float]]
"""Metric name to its value at each step."""

STEP_KEYS = ("step", "_step", "global_step")
_WHEN = frozenset({*STEP_KEYS, "tokens", "time", "_timestamp", "_runtime"})
"""Keys of a record that say when it was logged."""
_MEASURED = "eval"
"""Key of a record of ours whose mapping holds metrics by their bare names."""

_CSV_STEPS = frozenset({"step", "iter", "epoch"})
"""Columns of a CSV log that say when a row was logged."""
_LINE = re.compile(r"Step (\d+) \|\s*(.*)")
_VALUE = re.compile(r"(\S+?):(\S+)")
_TENSOR = re.compile(r"tensor\(([^,)]+).*")


def number(value: object) -> float | None:
    """Return a logged value as a number, `None` if it is none.

    Loggers write "NaN" as text. A tensor or an array of one number counts.
    """
    if type(value) is float:  # nearly all are; the questions below cost ten times as much
        return value
    if type(value).__name__ in ("bool", "bool_"):  # NumPy's are no `bool`
        return None
    if isinstance(value, str):
        named = value.lower() in ("nan", "inf", "-inf", "infinity", "-infinity")
        return float(value) if named else None
    if not hasattr(value, "__float__"):  # isinstance(value, SupportsFloat), ten times as fast
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number of 400 digits
        return -math.inf if isinstance(value, int) and value < 0 else math.inf
    except (TypeError, ValueError, RuntimeError):  # an array of several
        return None


def flatten(record: Mapping[str, object], prefix: str = "") -> dict[str, float]:
    """Return the numbers of a record by name; nested names are joined by ``/``.

    What says when it was logged (steps, times, token counts) is left out at the top. The name
    `eval` at the top goes before what it holds; deeper down it stays, so that what two parts of a
    record measured keeps two names. Which of them measure the model says `metric.is_metric`.
    """
    if prefix:
        return _numbers(record, prefix)
    measured = record.get(_MEASURED)
    inner = measured if isinstance(measured, Mapping) else {}
    found: dict[str, float] = {}
    for key, value in record.items():
        part = inner if key == _MEASURED and inner else {key: value}
        found |= _numbers({name: one for name, one in part.items() if name not in _WHEN}, "")
    return found


def _numbers(record: Mapping[str, object], prefix: str) -> dict[str, float]:
    """Return the numbers of a record by name behind a prefix."""
    found: dict[str, float] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            found |= _numbers(value, f"{prefix}{key}/")
            continue
        plain = number(value)
        if plain is not None:
            found[f"{prefix}{key}"] = plain
    return found


def add_record(curves: Curves, record: Mapping[str, object], step: int) -> None:
    """Put the numbers of one record into curves."""
    for name, value in flatten(record).items():
        curves.setdefault(name, {})[step] = value


def step_of(record: Mapping[str, object], default: int) -> int:
    """Return the step of a record, `default` where it names none."""
    for key in STEP_KEYS:
        step = record.get(key)
        if isinstance(step, int | float) and math.isfinite(step):
            return int(step)
    return default


def read_jsonl(path: str | Path) -> Curves:
    """Read a file of JSON lines, passing over lines that a crash cut off.

    A record without a step counts as the one after its predecessor.
    """
    curves: Curves = {}
    step = -1
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return {}
    for record in read_records(content):
        step = step_of(record, step + 1)
        add_record(curves, record, step)
    return curves


def read_torchtune_logs(files: Iterable[Path]) -> Curves:
    """Read lines such as ``Step 3 | loss:2.31 lr:0.0003`` of torchtune's `DiskLogger`.

    Args:
        files: log files; where two hold a step, that of the later change counts.
    """
    curves: Curves = {}
    for file in sorted(files, key=lambda file: (file.stat().st_mtime, file.name)):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            # A progress bar may stand before it on the same line.
            match = _LINE.search(line)
            for name, text in _VALUE.findall(match[2]) if match is not None else ():
                tensor = _TENSOR.fullmatch(text)
                try:
                    value = float(tensor[1] if tensor is not None else text)
                except ValueError:
                    continue
                curves.setdefault(name, {})[int(match[1])] = value  # type: ignore[index]
    return curves


def read_tensorboard(files: Iterable[Path]) -> Curves:
    """Read the scalars of TensorBoard's event files, all of their points.

    Raises:
        MissingPackageError: tensorboard is not installed.
    """
    found = sorted(files)
    if not found:
        return {}
    with needs("tensorboard", f"Reading {found[0].name}"):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray
    curves: Curves = {}
    everything = {"scalars": 0, "tensors": 0}
    for file in found:
        events = EventAccumulator(str(file), size_guidance=everything)
        events.Reload()
        for name in events.Tags()["scalars"]:
            points = {event.step: float(event.value) for event in events.Scalars(name)}
            curves.setdefault(name, {}).update(points)
        # Newer writers, such as TensorFlow 2's, store a scalar as a tensor of one number.
        for name in events.Tags()["tensors"]:
            for event in events.Tensors(name):
                array = make_ndarray(event.tensor_proto)
                if array.size == 1 and array.dtype.kind in "fiu":
                    curves.setdefault(name, {})[event.step] = float(array.item())
    return curves


def is_csv_log(file: Path) -> bool:
    """Whether a `metrics.csv` is a log of PyTorch Lightning or LitGPT, and no table of runs."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            header = next(csv.reader(lines), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return bool(_CSV_STEPS & set(header)) and not {"run", "run_id"} & set(header)


def read_csv_logs(files: Iterable[Path]) -> Curves:
    """Read the `metrics.csv` of Lightning's `CSVLogger`, which LitGPT uses too.

    A row holds what was logged together, and empty cells for the rest.

    Args:
        files: logs; where two hold a step, as after a restart, the later `version_N` counts.

    Raises:
        DataError: a file cannot be read as CSV.
    """
    curves: Curves = {}
    for file in sorted(files, key=_version):
        step = -1
        try:
            with file.open(encoding="utf-8-sig", newline="", errors="replace") as lines:
                for row in csv.DictReader(lines):
                    read = {name: _csv_number(cell) for name, cell in row.items()}
                    cells = {name: value for name, value in read.items() if value is not None}
                    where = [int(cells[k]) for k in ("step", "iter", "epoch") if _finite(cells, k)]
                    step = where[0] if where else step + 1
                    for name, value in cells.items():
                        if name not in _CSV_STEPS:
                            curves.setdefault(name, {})[step] = value
        except csv.Error as error:
            raise DataError(f"{file}: cannot be read as CSV: {error}") from error
    return curves


def _csv_number(cell: object) -> float | None:
    """Return a cell as a number, `None` where it is empty, cut off, or text."""
    try:
        return float(cell) if isinstance(cell, str) else None
    except ValueError:
        return None


def _finite(cells: Mapping[str, float], key: str) -> bool:
    return key in cells and math.isfinite(cells[key])


def _version(file: Path) -> tuple[int, str]:
    number_of = re.search(r"version_(\d+)", file.parent.name)
    return (int(number_of[1]) if number_of else 0, str(file))


def has_diverged(values: Sequence[float], share: float = 0.1) -> bool:
    """Whether a curve ends without a number: any of its last `share` of values is not finite."""
    tail = values[-max(1, round(share * len(values))) :]
    return not all(map(math.isfinite, tail))


def tail_mean(values: Sequence[float], share: float = 0.1) -> float:
    """Return the mean of the last `share` of the finite values, at least of the last one.

    A single step's loss is that of one batch; the mean of the tail is what two runs differ by.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return math.nan
    tail = finite[-max(1, round(share * len(finite))) :]
    return math.fsum(tail) / len(tail)
