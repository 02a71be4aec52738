"""Derived values: ``${mul:2,${lora_rank}}``, ``${lora_rank}`` and ``data_{sample_size}.json``.

Only what speaks of the experiment is replaced. ``${output_dir}`` and ``${oc.env:HOME}`` are the
framework's, and pass through. A path in an operation, ``${mul:2,${model.lora_rank}}``, is what the
run has there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from olmix.errors import nearest
from olmix.sweep.merge import at, flatten, has
from olmix.sweep.scalars import render_flow
from olmix.text.yaml_loaders import read_scalar

__all__ = ["DerivationError", "Scope", "names_used", "resolve", "unknown_references"]

Path_ = tuple[str, ...]

_PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Za-z_][\w.]*)\}")
_CALL = re.compile(r"([A-Za-z_][\w.]*):(.*)", re.DOTALL)
_NAMES = re.compile(r"\$?\{\s*([A-Za-z_][\w.]*)\s*\}")
_REFERENCE = re.compile(r"(?<!\\)\$\{\s*(?:([A-Za-z_][\w.-]*)\s*\}|([A-Za-z_][\w.]*)\s*:)")
_RESOLVERS = {f"oc.{name}" for name in ("env", "decode", "create", "deprecated", "select")}
_RESOLVERS |= {"oc.dict.keys", "oc.dict.values"}


class DerivationError(ValueError):
    """A derived value cannot be computed.

    Attributes:
        path: keys below the value of the parameter, where that is a mapping.
    """

    path: Path_ = ()


@dataclass(frozen=True)
class Scope:
    """The names that derived values of a run can use.

    Attributes:
        names: values of the variables and controls in this run, as they are written.
        paths: where each of them lives in the config, if anywhere.
        base: the base config.
        path_of: gives the path that a name stands for: ``lora_rank`` for ``model.lora_rank``.
        view: gives the config of this run with nothing derived yet; called where a path is named.
        kept: names of `names` that a bare ``${name}`` leaves to the framework.
    """

    names: Mapping[str, Any]
    paths: Mapping[str, Path_] = field(default_factory=dict)
    base: Mapping[str, Any] = field(default_factory=dict)
    path_of: Callable[[str], Path_] = lambda name: tuple(name.split("."))
    view: Callable[[], Mapping[str, object]] = dict
    kept: Collection[str] = ()


def _divide(a: float, b: float) -> float:
    """Divide; whole numbers that divide evenly give a whole number."""
    if isinstance(a, int) and isinstance(b, int) and b and a % b == 0:
        return a // b
    return a / b


_OPERATIONS: Mapping[str, tuple[int, Callable[..., float]]] = {
    "add": (2, lambda a, b: a + b),
    "sub": (2, lambda a, b: a - b),
    "mul": (2, lambda a, b: a * b),
    "div": (2, _divide),
    "pow": (2, lambda a, b: a**b),
    "min": (2, min),
    "max": (2, max),
    "sqrt": (1, math.sqrt),
    "round": (1, round),
    "floor": (1, math.floor),
    "ceil": (1, math.ceil),
}


def names_used(value: object) -> Iterator[str]:
    """Yield every name that stands in braces anywhere in a value."""
    if isinstance(value, str):
        yield from _NAMES.findall(value)
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from names_used(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from names_used(entry)


def resolve(value: object, scope: Scope, here: Path_ = ()) -> object:
    """Return a value with everything derived from the experiment put in.

    Args:
        value: a value of the experiment.
        scope: what it can name.
        here: where it lives in the config. A value that names its own place means the base's.

    Raises:
        DerivationError: a name is not known, values refer to each other in a circle, an operation
            has the wrong number of arguments, or cannot be computed.
    """
    return _Resolver(scope, here).value(value, ())


def unknown_references(config: Mapping[str, object]) -> Iterator[tuple[Path_, str]]:
    """Yield (path, what is wrong) for every ``${...}`` of a whole config that leads nowhere.

    It names nothing, or leads back to itself.
    """
    edges: dict[Path_, list[Path_]] = {}
    for path, value in flatten(config):
        for text in _texts(value):
            for match in _REFERENCE.finditer(text):
                name, resolver = match[1], match[2]
                if resolver is not None and resolver not in _RESOLVERS:
                    guess = nearest(resolver, [*_OPERATIONS, *_RESOLVERS])
                    hint = f"; did you mean `{guess}`?" if guess is not None else ""
                    yield path, f"{text}: unknown operation `{resolver}`{hint}"
                elif name is not None and not has(config, name.split(".")):
                    yield (
                        path,
                        f"${{{name}}}: no such variable, control or key{_near(name, config)}",
                    )
                elif name is not None:
                    edges.setdefault(path, []).append(tuple(name.split(".")))
    for path in edges:
        if path in _reached(path, edges):
            yield path, f"{'.'.join(path)} and what it names refer to each other in a circle"


def _reached(start: Path_, edges: Mapping[Path_, Sequence[Path_]]) -> set[Path_]:
    """Return the paths that references lead to from one; a mapping leads to all that is in it."""
    reached: set[Path_] = set()
    pending = list(edges[start])
    while pending:
        named = pending.pop()
        new = {path for path in edges if path[: len(named)] == named} - reached
        reached |= new
        pending += [entry for path in new for entry in edges[path]]
    return reached


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str) and "${" in value:
        yield value
    elif isinstance(value, Mapping | list):
        for entry in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(entry)


def _near(name: str, config: Mapping[str, object], names: Collection[str] = ()) -> str:
    """Return a hint at the nearest of the names and the keys of a config, if any is near."""
    keys = {".".join(path[:depth]) for path, _ in flatten(config) for depth in range(1, 4)}
    guess = nearest(name, [*names, *sorted(keys)])
    return f"; did you mean `{guess}`?" if guess is not None else ""


class _Resolver:
    def __init__(self, scope: Scope, here: Path_) -> None:
        self._scope = scope
        self._names = scope.names
        self._here = here

    def value(self, value: Any, active: tuple[str, ...]) -> Any:
        if isinstance(value, Mapping):
            return {key: self._entry(str(key), entry, active) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self._entry(str(index), entry, active) for index, entry in enumerate(value)]
        if not isinstance(value, str) or "{" not in value:
            return value
        pieces = [self._piece(piece, active) for piece in _split(value)]
        return pieces[0] if len(pieces) == 1 else "".join(map(_text, pieces))

    def _entry(self, key: str, value: object, active: tuple[str, ...]) -> object:
        try:
            return self._at((*self._here, key)).value(value, active)
        except DerivationError as error:
            error.path = (key, *error.path)
            raise

    def _at(self, here: Path_) -> _Resolver:
        return _Resolver(self._scope, here)

    def _piece(self, piece: str, active: tuple[str, ...]) -> object:
        if piece.startswith("${") and piece.endswith("}"):
            return self._interpolation(piece, active)

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            return _text(self._name(name, active)) if name in self._names else match[0]

        return _PLACEHOLDER.sub(fill, piece)

    def _interpolation(self, piece: str, active: tuple[str, ...]) -> object:
        inner = piece[2:-1].strip()
        call = _CALL.fullmatch(inner)
        if call is None:
            own = self._scope.path_of(inner) == self._here
            if own or (inner in self._names and inner not in self._scope.kept):
                return self._name(inner, active)
            return piece
        operation, rest = call[1], call[2]
        if operation not in _OPERATIONS:
            guess = nearest(operation, _OPERATIONS)
            if guess is not None and "." not in operation:
                raise DerivationError(f"{piece}: unknown operation; did you mean `{guess}`?")
            return piece
        count, function = _OPERATIONS[operation]
        arguments = [self._argument(text.strip(), active) for text in _arguments(rest)]
        if len(arguments) != count:
            raise DerivationError(
                f"{piece}: {operation} takes {count} values; found {len(arguments)}"
            )
        for argument in arguments:
            if isinstance(argument, bool) or not isinstance(argument, int | float):
                raise DerivationError(
                    f"{piece}: {operation} needs numbers; found {render_flow(argument)}"
                )
        try:
            return function(*arguments)
        except (ArithmeticError, ValueError) as error:
            raise DerivationError(f"{piece}: cannot be computed: {error}") from None

    def _argument(self, text: str, active: tuple[str, ...]) -> object:
        if not text.startswith("${"):
            return read_scalar(text)
        inner = text[2:-1].strip()
        if _CALL.fullmatch(inner):
            return self._interpolation(text, active)
        return self._name(inner, active)

    def _name(self, name: str, active: tuple[str, ...]) -> object:
        if name in active:
            circle = " -> ".join((*active[active.index(name) :], name))
            raise DerivationError(f"values refer to each other in a circle: {circle}")
        scope, path = self._scope, self._scope.path_of(name)
        if name in self._names and path != self._here:
            inside = self._at(scope.paths.get(name, ()))
            return inside.value(self._names[name], (*active, name))
        config = scope.base if path == self._here else scope.view()
        if not has(config, path):
            hint = _near(name, config, self._names)
            raise DerivationError(
                f"${{{name}}}: neither a variable, a control nor a key of the base{hint}"
            )
        found = self._at(path).value(at(config, path), (*active, name))
        if isinstance(found, str) and (match := _NAMES.fullmatch(found)) and found[0] == "$":
            return self._at(path)._name(match[1], (*active, name))  # the framework would follow it
        return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else render_flow(value)


def _split(text: str) -> list[str]:
    """Cut a text into interpolations, nested ones whole, and what is between them."""
    pieces: list[str] = []
    start = position = 0
    while (found := text.find("${", position)) >= 0:
        depth, end = 0, found
        while end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
            if depth == 0 and text[end - 1] == "}":
                break
        if depth:
            raise DerivationError(f"{text}: a brace is opened and not closed")
        pieces += [text[start:found], text[found:end]]
        start = position = end
    pieces.append(text[start:])
    return [piece for piece in pieces if piece]


def _arguments(text: str) -> list[str]:
    """Cut at the commas that stand outside braces."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]
