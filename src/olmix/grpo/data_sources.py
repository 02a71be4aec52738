"""Records of a dataset, from a file or a hub, and the questions that they make."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from olmix.errors import DataError, needs
from olmix.grpo.marks import last_boxed
from olmix.grpo.questions import Question, Turn
from olmix.grpo.synthetic import synthetic_questions
from olmix.grpo.training_config import QuestionSource, fields_of
from olmix.text.files import json_lines

__all__ = ["read_folder", "read_questions"]

_ROLES = ("system", "user", "assistant")
_RESERVED = frozenset(("prompts", "completions", "completion_ids", "mode"))
"""Columns that rewards could not get, since they are keywords of their calls."""


def read_questions(source: QuestionSource, *, test: bool = False) -> list[Question]:
    """Read all questions of a source, to train on or those of its test.

    Raises:
        DataError: a file, dataset or column is missing, or a question is none.
        MissingPackageError: the source needs a package that is not installed.
    """
    if source.kind == "synthetic":
        made = synthetic_questions(source.subset)
        return [replace(question, system=source.system_prompt) for question in made]
    if test:
        source = replace(
            source,
            path=source.test_path or source.path,
            split=source.test_split or source.split,
        )
    readers = {
        "jsonl": _read_jsonl,
        "huggingface": _read_huggingface,
        "tfds": _read_tfds,
        "kaggle": _read_kaggle,
    }
    records = list(readers[source.kind](source))
    _check_columns(records, source)
    return [
        _question(record, source, f"{source.path}: record {number}")
        for number, record in enumerate(records, 1)
    ]


def _columns(source: QuestionSource) -> list[str]:
    """Return the columns that every record must have."""
    asked = [source.question_column] if source.prompt is None else fields_of(source.prompt)
    return [name for name in (*asked, source.answer_column) if name is not None]


def _check_columns(records: Sequence[Mapping[str, object]], source: QuestionSource) -> None:
    """Refuse records without a question or an answer, and say how many there are.

    Raises:
        DataError: with the first of them.
    """
    columns = _columns(source)
    lacking = [
        (number, missing)
        for number, record in enumerate(records, 1)
        if (missing := [name for name in columns if _is_missing(record.get(name))])
    ]
    if not lacking:
        return
    number, missing = lacking[0]
    record = records[number - 1]
    has = [str(name) for name, value in record.items() if not _is_missing(value)]
    keys = "training.question_column" if source.prompt is None else "training.prompt"
    raise DataError(
        f"{source.path}: record {number} has no {' and no '.join(missing)}; it has "
        f"{', '.join(has) or 'nothing'}. {len(lacking):,} of {len(records):,} records lack "
        f"something. Set {keys} and training.answer_column (null where there are no true answers)."
    )


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _question(record: Mapping[str, object], source: QuestionSource, where: str) -> Question:
    columns = [source.answer_column]
    if source.prompt is None:
        columns.append(source.question_column)

    def text(name: str) -> str:
        return _text(record[name], f"{where}: {name}")

    answer = None if source.answer_column is None else _true_answer(text(source.answer_column))
    others = {n: v for n, v in record.items() if n not in columns and n not in _RESERVED}
    if source.prompt is not None:
        asked = source.prompt.format_map({name: text(name) for name in fields_of(source.prompt)})
        return Question(asked, answer, others, (), source.system_prompt)
    name = str(source.question_column)
    turns = record[name]
    if isinstance(turns, list | tuple):
        chat = _chat(turns, where)
        return Question(chat[-1].content, answer, others, chat, source.system_prompt)
    return Question(text(name), answer, others, (), source.system_prompt)


def _chat(turns: Any, where: str) -> tuple[Turn, ...]:
    """Read a list of messages, as chats are written everywhere; the user has the last word."""
    wanted = (
        "a chat is a list of {role: system, user or assistant, content: text} that ends with the "
        "user and may begin with the system"
    )
    read: list[Turn] = []
    for index, turn in enumerate(turns):
        role = turn.get("role") if isinstance(turn, Mapping) else None
        content = turn.get("content") if isinstance(turn, Mapping) else None
        if role not in _ROLES or not isinstance(content, str) or (role == "system" and index):
            raise DataError(f"{where}: found {str(turn)[:80]} as turn {index + 1}; {wanted}")
        read.append(Turn(role, content))
    if not read or read[-1].role != "user" or (read[0].role == "system" and len(read) == 1):
        raise DataError(f"{where}: the last turn is not the user's; {wanted}")
    return tuple(read)


def _true_answer(text: str) -> str:
    r"""Return what stands behind ``####`` (GSM8K), in ``\boxed{}`` (MATH), or all of the text."""
    before, mark, behind = text.rpartition("####")
    del before
    return behind.strip() if mark else (last_boxed(text) or text.strip())


def _text(value: object, where: str) -> str:
    """Return a value as a text; what Python writes of a list is none.

    Raises:
        DataError: it holds several values.
    """
    if isinstance(value, list | tuple | Mapping) or getattr(value, "ndim", False):
        raise DataError(f"{where}: found {str(value)[:80]}; a text or a number is needed")
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _read_jsonl(source: QuestionSource) -> Iterator[Mapping[str, object]]:
    yield from _json_lines(Path(str(source.path)))


def _json_lines(path: Path) -> Iterator[Mapping[str, object]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    for number, line in json_lines(text):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: this line is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise DataError(f"{path}:{number}: found {type(record).__name__}; an object is needed")
        yield record


def _load(module: str, purpose: str) -> Any:
    with needs("grpo-data", purpose):
        return importlib.import_module(module)


def _read_huggingface(source: QuestionSource) -> Iterable[Mapping[str, Any]]:
    datasets = _load("datasets", "training.data_source=huggingface")
    try:
        found: Iterable[Mapping[str, Any]] = datasets.load_dataset(
            source.path, source.subset, split=source.split
        )
    except (OSError, ValueError) as error:
        raise DataError(_unreachable(source, error)) from error
    return found


def _read_tfds(source: QuestionSource) -> Iterable[Mapping[str, Any]]:
    tfds = _load("tensorflow_datasets", "training.data_source=tfds")
    try:
        # `data_source` reads ArrayRecord files and needs no TensorFlow.
        found: Iterable[Mapping[str, Any]] = tfds.data_source(source.path, split=source.split)
    except (ImportError, OSError, ValueError, NotImplementedError) as error:
        raise DataError(_unreachable(source, error)) from error
    return found


def _read_kaggle(source: QuestionSource) -> Iterable[Mapping[str, Any]]:
    hub = _load("kagglehub", "training.data_source=kaggle")
    try:
        folder = Path(hub.dataset_download(source.path))
    except (OSError, ValueError) as error:
        raise DataError(_unreachable(source, error)) from error
    return read_folder(folder, source.subset)


def read_folder(folder: Path, name: str | None) -> Iterator[Mapping[str, Any]]:
    """Yield the records of a `.jsonl` or `.csv` file in a folder.

    Raises:
        DataError: there is none, or several and no name.
    """
    import csv

    files = sorted(path for kind in ("*.jsonl", "*.csv") for path in folder.rglob(kind))
    chosen = files if name is None else [path for path in files if path.name == name]
    if len(chosen) != 1:
        listed = ", ".join(path.name for path in files) or "none"
        raise DataError(f"{folder}: set training.data_subset to one of its files: {listed}")
    if chosen[0].suffix == ".jsonl":
        yield from _json_lines(chosen[0])
        return
    with chosen[0].open(encoding="utf-8", newline="") as handle:
        yield from csv.DictReader(handle)


def _unreachable(source: QuestionSource, error: Exception) -> str:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return (
        f"{source.path}: cannot be read from {source.kind}: {reason}\n"
        "  It needs the network, and an account where the dataset asks for one. Offline, use "
        "training.data_source=jsonl or synthetic."
    )
