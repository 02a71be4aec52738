"""The base of every config model: strictness, reading from YAML, and errors that help.

Sections are frozen Pydantic models that refuse unknown keys. Paths in a file are relative to that
file and absolute once loaded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence, Sized
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo

from olmix.errors import ConfigError, Problem, nearest
from olmix.text.yaml import YamlFile, read_yaml

__all__ = [
    "Fraction",
    "LocalPath",
    "NonNegative",
    "NotEmpty",
    "Portion",
    "Positive",
    "Ratio",
    "RuleError",
    "Rules",
    "Section",
    "TokenCount",
    "Weight",
    "is_kept",
    "read_count",
    "validate",
]

Model = TypeVar("Model", bound=BaseModel)

_MAGNITUDES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_COUNT = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([KMBT]?)\s*", re.IGNORECASE)
_RATIO = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*/\s*([0-9]+(?:\.[0-9]+)?)\s*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class RuleError(ValueError):
    """Rules that span several fields of a section are broken.

    Args:
        problems: (path of keys below the section, what is wrong) for each of them.
    """

    def __init__(self, problems: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(what for _, what in self.problems))


class Rules:
    """Collects broken rules, so that all of them are reported at once."""

    def __init__(self) -> None:
        self._problems: list[tuple[tuple[str | int, ...], str]] = []

    def broken(self, what: str, *where: str | int) -> None:
        """Note that a rule is broken at the path of keys `where`."""
        self._problems.append((where, what))

    def one_is_given(self, section: BaseModel, *names: str) -> None:
        """Note it unless exactly one of some keys of a section is given."""
        given = [name for name in names if getattr(section, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            self.broken(f"found {found}; give exactly one of {', '.join(names)}")

    def enforce(self) -> None:
        """Raise a `RuleError` if any rule was broken."""
        if self._problems:
            raise RuleError(self._problems)


def read_count(value: object) -> object:
    """Read a number of tokens: an integer, ``140_000_000``, ``1.4e8``, ``140M`` or ``40B``."""
    if isinstance(value, str):
        match = _COUNT.fullmatch(value)
        if match is None:
            raise ValueError("a number of tokens is needed, such as 140000000, 140M or 40B")
        value = float(match[1].replace("_", "")) * _MAGNITUDES[match[2].upper()]
    if isinstance(value, float) and math.isfinite(value) and value == round(value):
        return int(value)
    return value


def _read_fraction(value: object) -> object:
    """Read a fraction: a number, or a ratio such as ``7/52``."""
    if isinstance(value, str):
        match = _RATIO.fullmatch(value)
        if match is None or float(match[2]) == 0:
            raise ValueError("a fraction is needed, such as 0.5 or 7/52")
        return float(match[1]) / float(match[2])
    return value


def _absolute(value: str, info: ValidationInfo) -> str:
    """Make a local path of a file absolute; URLs and configs built in Python stay as they are."""
    folder = (info.context or {}).get("folder")
    return value if folder is None else _below(folder, value)


@lru_cache(maxsize=65536)
def _below(folder: Path, value: str) -> str:
    return value if _SCHEME.match(value) else str(Path(folder, Path(value).expanduser()))


def not_empty(value: Sized) -> Sized:
    """Refuse an empty list or mapping; it runs only where all entries are valid themselves."""
    if not value:
        raise ValueError("at least one entry is needed")
    return value


_ReadFraction = BeforeValidator(
    _read_fraction,
    json_schema_input_type=Annotated[str, Field(pattern=r"^\s*[0-9.]+\s*/\s*[0-9.]+\s*$")] | float,
)
NotEmpty = AfterValidator(not_empty)
TokenCount = Annotated[int, Field(gt=0), BeforeValidator(read_count)]
"""A number of tokens above 0; files may write ``140M`` or ``40B``."""
Fraction = Annotated[float, Field(gt=0, le=1), _ReadFraction]
"""A fraction in (0, 1]; files may write ``7/52``."""
Weight = Annotated[float, Field(ge=0, le=1), _ReadFraction]
"""A share in [0, 1]; files may write ``7/52``."""
Ratio = Annotated[float, Field(ge=0, allow_inf_nan=False), _ReadFraction]
"""A number from 0 up; files may write ``7/52.0``."""
Portion = Annotated[float, Field(gt=0, allow_inf_nan=False), _ReadFraction]
"""A fraction in (0, 1], or a count above 1; files may write ``7/52``."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
LocalPath = Annotated[str, Field(min_length=1), AfterValidator(_absolute)]
"""A path or URL; a relative path is relative to the config file."""


class Section(BaseModel):
    """A section of a config: frozen, strict, and without unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        protected_namespaces=(),
        use_attribute_docstrings=True,
        validate_default=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_given(cls, data: object) -> object:
        """Leave out optional keys that are null, so that their defaults hold."""
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if not cls._is_left_out(key, value)}

    @classmethod
    def _is_left_out(cls, key: object, value: object) -> bool:
        """Whether null stands at a key that needs no value, and means nothing of its own there."""
        field = cls.model_fields.get(key) if isinstance(key, str) else None
        if value is not None or field is None or field.is_required():
            return False
        return type(None) not in get_args(field.annotation)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read and check a YAML file.

        The config of a run folder counts as written by Olmix (see `is_kept`).

        Raises:
            ConfigError: with every problem of the file, each with its line.
        """
        file = read_yaml(path)
        return validate(cls, file.data, file, kept=_is_of_a_run(file.path))

    @classmethod
    def from_dict(cls, data: Mapping[str, object], file: str = "", *, kept: bool = False) -> Self:
        """Check a mapping as if it had been read from a file named `file`.

        Args:
            data: keys and values.
            file: what problems name.
            kept: whether Olmix itself wrote it at a launch (see `is_kept`).

        Raises:
            ConfigError: with every problem found.
        """
        return validate(cls, data, file or cls.__name__, kept=kept)

    def to_plain(self) -> dict[str, Any]:
        """Return the config as values that YAML and JSON can hold, defaults included."""
        return self.model_dump(mode="json", exclude_none=True)


def is_kept(info: ValidationInfo) -> bool:
    """Whether a launch wrote what is validated.

    Rules on what people write were applied then (`olmix.config.secrets`); those of today must not
    keep anybody from a group that runs.
    """
    return bool((info.context or {}).get("kept"))


def _is_of_a_run(file: Path) -> bool:
    """Whether a launch wrote a file: the config of a run lies beside the run's status."""
    return file.name == "config.yaml" and file.with_name("status.json").is_file()


def validate(
    model: type[Model], data: object, file: YamlFile | str, *, kept: bool = False
) -> Model:
    """Validate `data`, turning what Pydantic finds into a `ConfigError`."""
    name = file if isinstance(file, str) else str(file.path)
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        kind = type(data).__name__
        raise ConfigError([Problem("", f"found a {kind}; a mapping is needed")], name)
    context: dict[str, Any] = {"kept": kept}
    if not isinstance(file, str):
        context["folder"] = file.path.resolve().parent
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        problems = [
            Problem(render_location(where), what, _line(file, where))
            for where, what in _explain_all(model, error, data)
        ]
        # In the order of the file; what has no line of its own comes last.
        problems.sort(key=lambda problem: problem.line or 10**9)
        raise ConfigError(problems, name) from None


def _line(file: YamlFile | str, where: Sequence[str | int]) -> int | None:
    return None if isinstance(file, str) else file.line(where)


def render_location(where: Sequence[str | int]) -> str:
    """Write a path of keys as ``data.sources[2].topics``."""
    text = ""
    for step in where:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else str(step)
    return text


def _explain_all(
    model: type[BaseModel], error: ValidationError, data: object
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield (path of keys, explanation) once for each thing that is wrong."""
    by_place: dict[tuple[str | int, ...], list[str]] = {}
    for item in error.errors():
        where = _real_location(item["loc"], data, keep_last=item["type"] == "missing")
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, RuleError):
            found = [((*where, *path), what) for path, what in cause.problems]
        else:
            found = [(where, _explain(model, item, where))]
        for place, what in found:
            said = by_place.setdefault(place, [])
            if what not in said:
                said.append(what)
    for place, said in by_place.items():
        yield from ((place, what) for what in _joined(said))


def _joined(said: Sequence[str]) -> Sequence[str]:
    """Join what the members of a union say of one value: what was found is said once."""
    found = said[0].partition("; ")[0] + "; "
    if len(said) == 1 or not found.startswith("found "):
        return said
    if not all(what.startswith(found) for what in said):
        return said
    return [found + ", or ".join(what.removeprefix(found) for what in said)]


def _real_location(
    location: Sequence[str | int], data: object, *, keep_last: bool
) -> tuple[str | int, ...]:
    """Drop the steps that Pydantic adds for unions, which no file has."""
    real: list[str | int] = []
    node, told_apart = data, False
    for position, step in enumerate(location):
        last = keep_last and position == len(location) - 1
        if not told_apart and isinstance(node, Mapping) and step in _kinds(node):
            told_apart = True  # a kind, such as `command`, though a key may be named so too
        elif isinstance(node, Mapping) and (step in node or last):
            real.append(step)
            node, told_apart = node.get(step), False
        elif isinstance(node, list | tuple) and isinstance(step, int) and step < len(node):
            real.append(step)
            node = node[step]
        elif last:
            real.append(step)
    return tuple(real)


def _kinds(node: Mapping[object, object]) -> list[object]:
    """Return what a section says of its kind, in the keys that tell sections apart."""
    return [node.get(key) for key in ("trainer", "backend", "type")]


def _known_keys(model: type[BaseModel], where: Sequence[str | int]) -> list[str]:
    """Return the keys allowed at a path of keys, over all members of the unions on the way."""
    models = [model]
    for step in where:
        if isinstance(step, int):
            continue
        fields = [known[step] for entry in models if step in (known := _fields_by_key(entry))]
        if fields:  # otherwise it is a key of a mapping whose values are these models
            models = [found for field in fields for found in _models_in(field)]
    return [name for entry in models for name in _fields_by_key(entry)]


def _fields_by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by the keys that files have for them."""
    found = {}
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        found[alias if isinstance(alias, str) else name] = field
    return found


def _models_in(field: FieldInfo) -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = []

    def visit(annotation: object) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.append(annotation)
        else:
            value = getattr(annotation, "__value__", annotation)
            for argument in get_args(value):
                visit(argument)

    visit(field.annotation)
    return found


def _show(value: object) -> str:
    text = "null" if value is None else repr(value)
    if isinstance(value, str):
        letters = (letter if letter.isprintable() else ascii(letter)[1:-1] for letter in value)
        text = f'"{"".join(letters)}"'
    return text if len(text) <= 60 else text[:57] + "..."


_NOUNS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "mapping_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "finite_number": "a finite number",
}


def _explain(model: type[BaseModel], item: Any, where: Sequence[str | int]) -> str:
    """Return a Pydantic error in words: what was found, and what is allowed."""
    kind, value, context = item["type"], item.get("input"), item.get("ctx", {})
    if kind == "missing":
        return "this key is required and missing"
    if kind == "extra_forbidden":
        known = _known_keys(model, where[:-1])
        guess = nearest(str(where[-1]), known)
        if guess is not None:
            return f"unknown key; did you mean `{guess}`?"
        return f"unknown key; allowed: {', '.join(sorted(known))}" if known else "unknown key"
    if kind in _NOUNS:
        return f"found {_show(value)}; {_NOUNS[kind]} is needed"
    if kind == "literal_error":
        return _explain_choice(value, re.findall(r"'([^']*)'", str(context["expected"])))
    if kind == "union_tag_invalid":
        allowed = re.findall(r"'([^']*)'", str(context["expected_tags"]))
        return _explain_choice(context["tag"], allowed, str(context["discriminator"]).strip("'_()"))
    if kind == "union_tag_not_found":
        if not isinstance(value, Mapping):
            return f"found {_show(value)}; a mapping is needed"
        key = str(context["discriminator"]).strip("'_()")
        return f"the key {key} is required, to say which kind this is"
    if kind == "value_error":
        return (
            f"found {_show(value)}; {context['error']}"
            if not isinstance(value, dict)
            else str(context["error"])
        )
    message = str(item["msg"])
    message = message.replace("Input should", "it must").replace("should have", "must have")
    return f"found {_show(value)}; {message[0].lower()}{message[1:]}"


def _explain_choice(value: object, allowed: Sequence[str], key: str = "") -> str:
    found = f"{key} is {_show(value)}" if key else f"found {_show(value)}"
    text = f"{found}; allowed: {', '.join(allowed)}"
    guess = nearest(str(value), allowed)
    return f"{text}. Did you mean `{guess}`?" if guess is not None else text
