"""Records as JSON files: a frozen dataclass in, a checked one out.

What is read is checked against the types of the fields, and against limits. A number that is not
known is NaN in Python and `null` in the file: JSON has no NaN and no infinity, and a file that
holds one is refused. Keys that a record does not know are skipped, so that a later release may
add some; a change that an older release would misread raises the `format`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from olmix.config.launch import NAME_RULE, is_name
from olmix.errors import DataError
from olmix.text.files import write_json
from olmix.text.numbers import counted

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from pydantic_core import ErrorDetails

__all__ = [
    "KEY",
    "OPTIONAL",
    "Items",
    "JsonRecord",
    "Name",
    "Number",
    "RecordPart",
    "RunName",
    "Table",
    "Text",
    "parse",
    "read_if_there",
    "read_record",
    "to_plain",
    "write_record",
]

KEY = {"olmix": "key"}
"""Metadata of a field that is the key of its entry, and so not in the entry itself."""
OPTIONAL = {"olmix": "optional"}
"""Metadata of a field that is left out of the file where it has its default."""

_MOST_BYTES = 256 * 1024**2
_MOST_ITEMS = 100_000
_LARGEST_INTEGER = 2**63
_MOST_PROBLEMS = 12
_SHOWN = 60
_PLAINER = {"Dictionary": "An object", "Tuple": "A list", "a valid array": "a list"} | {
    " after validation": "",
    "Input should": "it should",
}
"""Words for a reader of the file in place of those for a programmer."""


def _check_name(name: str) -> str:
    if not is_name(name):
        raise ValueError(NAME_RULE)
    return name


RunName = Annotated[str, AfterValidator(_check_name)]
"""The name of a run and of its folder, which cannot lead out of the folder of the group."""


class RecordPart(BaseModel):
    """A record, or part of one, whose content people may have written too: `validate` reads it.

    Keys of later releases are skipped.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, protected_namespaces=())


Record = TypeVar("Record", bound="DataclassInstance")
Value = TypeVar("Value")


def _number(value: object) -> object:
    """Return NaN for null, and refuse what JSON should not hold."""
    if value is None:
        return math.nan
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a finite number or null is needed")
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        raise ValueError("the number is too large")
    return value


Number = Annotated[float, BeforeValidator(_number)]
"""A number; NaN where it is not known."""
Name = Annotated[str, StringConstraints(max_length=2_000)]
Text = Annotated[str, StringConstraints(max_length=20_000)]
Items = Annotated[tuple[Value, ...], Field(max_length=_MOST_ITEMS)]
Table = Annotated[Mapping[str, Value], Field(max_length=_MOST_ITEMS)]
"""Entries by name."""


@lru_cache
def _adapter(kind: type[Record]) -> TypeAdapter[Record]:
    return TypeAdapter(kind)


def read_record(kind: type[Record], path: Path, again: str) -> Record:
    """Read a record.

    Args:
        kind: its class, with a field `format` whose type says which ones this release reads.
        path: the file.
        again: what to do about a file that cannot be read, as a sentence.

    Raises:
        DataError: the file is missing, too large, no UTF-8, no JSON, of a later format, or does not
            hold what the record says; names every field that is wrong.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(
                f"{path}: {path.stat().st_size:,} bytes; at most {_MOST_BYTES:,} are read. {again}"
            )
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file. {again}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return parse(kind, content, str(path), again)


def parse(kind: type[Record], content: bytes, where: str, again: str) -> Record:
    """Return a record from the JSON text of one.

    Args:
        kind: its class, with a field `format`.
        content: the text.
        where: what messages call it.
        again: what to do about one that cannot be read, as a sentence.

    Raises:
        DataError: as `read_record`.
    """
    try:
        record: Record = _adapter(kind).validate_json(content, strict=True)
        return record
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = [f"{where}: {_words(problem)}" for problem in found[:_MOST_PROBLEMS]]
        if len(found) > len(problems):
            problems.append(f"{where}: and {counted(len(found) - len(problems), 'more problem')}")
        versions = [problem for problem in found if problem["loc"] == ("format",)]
        if versions:
            problems = [
                f"{where}: format {versions[0]['input']!r:.{_SHOWN}}, which this release does not "
                "read: another version of Olmix wrote it"
            ]
        raise DataError("\n".join([*problems, f"  {again}"])) from error


def read_if_there(kind: type[Record], path: Path, again: str) -> Record | None:
    """Read a record as `read_record` does; `None` where there is no such file."""
    return read_record(kind, path, again) if path.is_file() else None


def _words(problem: ErrorDetails) -> str:
    """Return where a file is wrong, what was found, and what is needed."""
    where = ".".join(str(step) for step in problem["loc"] if not str(step).startswith("function-"))
    if problem["type"] == "json_invalid":
        return f"cannot be read as JSON: {problem['ctx']['error']}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    for theirs, ours in _PLAINER.items():
        message = message.replace(theirs, ours)
    if problem["type"] == "missing":
        return f"{where}: this key is missing"
    if problem["type"].startswith(("dataclass", "dict", "mapping", "model")):
        message = "an object is needed"
    found = "" if problem["type"].startswith("too_") else f"; found {problem['input']!r:.{_SHOWN}}"
    return f"{where or 'the whole file'}: {message[:1].lower()}{message[1:]}{found}"


def to_plain(value: Any) -> Any:
    """Return a record as values that JSON can hold, in the order of its fields."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(getattr(value, field.name))
            for field in fields(value)
            if _is_written(field, getattr(value, field.name))
        }
    if isinstance(value, Mapping):
        return {str(key): to_plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class JsonRecord:
    """A record that knows how it stands in a JSON file."""

    def to_plain(self) -> dict[str, Any]:
        """Return its fields as values that JSON can hold."""
        plain: dict[str, Any] = to_plain(self)
        return plain


def _is_written(field: dataclasses.Field[object], value: object) -> bool:
    kind, default = field.metadata.get("olmix"), field.default
    if field.default_factory is not MISSING:
        default = field.default_factory()
    if kind == "key":
        return False
    if kind != "optional" or default is MISSING:
        return True
    unknown = isinstance(value, float) and math.isnan(value)
    return not unknown and value != default


def write_record(path: Path, record: DataclassInstance) -> None:
    """Write a record as a JSON file."""
    write_json(path, to_plain(record))
