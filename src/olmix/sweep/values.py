"""Derived values: ``${mul:2,${lora_rank}}``, ``${lora_rank}`` and ``data_{sample_size}.json``.

Only what speaks of the experiment is replaced. ``${output_dir}`` and ``${oc.env:HOME}`` are the
framework's, and pass through.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from olmix.errors import nearest
from olmix.sweep.scalars import render_flow
from olmix.text.yaml_rules import read_scalar

__all__ = ["DerivationError", "names_used", "resolve"]

_PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Za-z_][\w.]*)\}")
_CALL = re.compile(r"([A-Za-z_][\w.]*):(.*)", re.DOTALL)
_NAMES = re.compile(r"\$?\{\s*([A-Za-z_][\w.]*)\s*\}")


class DerivationError(ValueError):
    """A derived value cannot be computed."""


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


def names_used(value: Any) -> Iterator[str]:
    """Yield every name that stands in braces anywhere in a value."""
    if isinstance(value, str):
        yield from _NAMES.findall(value)
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from names_used(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from names_used(entry)


def resolve(
    value: Any, names: Mapping[str, Any], config: Mapping[str, Any], kept: Sequence[str] = ()
) -> Any:
    """Return a value with everything derived from the experiment put in.

    Args:
        value: a value of the experiment.
        names: values of its variables and controls in this run.
        config: the base config, for names that are paths of it.
        kept: top-level keys of the config; ``${key}`` is left to the framework.

    Raises:
        DerivationError: a name is not known, values refer to each other in a circle, an operation
            has the wrong number of arguments, or cannot be computed.
    """
    return _Resolver(names, config, set(kept)).value(value, ())


class _Resolver:
    def __init__(self, names: Mapping[str, Any], config: Mapping[str, Any], kept: set[str]) -> None:
        self._names = names
        self._config = config
        self._kept = kept

    def value(self, value: Any, active: tuple[str, ...]) -> Any:
        if isinstance(value, Mapping):
            return {key: self.value(entry, active) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(entry, active) for entry in value]
        if not isinstance(value, str) or "{" not in value:
            return value
        pieces = [self._piece(piece, active) for piece in _split(value)]
        return pieces[0] if len(pieces) == 1 else "".join(map(_text, pieces))

    def _piece(self, piece: str, active: tuple[str, ...]) -> Any:
        if piece.startswith("${") and piece.endswith("}"):
            return self._interpolation(piece, active)

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            return _text(self._name(name, active)) if name in self._names else match[0]

        return _PLACEHOLDER.sub(fill, piece)

    def _interpolation(self, piece: str, active: tuple[str, ...]) -> Any:
        inner = piece[2:-1].strip()
        call = _CALL.fullmatch(inner)
        if call is None:
            if inner in self._names and inner not in self._kept:
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

    def _argument(self, text: str, active: tuple[str, ...]) -> Any:
        if not text.startswith("${"):
            return read_scalar(text)
        inner = text[2:-1].strip()
        if _CALL.fullmatch(inner):
            return self._interpolation(text, active)
        return self._name(inner, active)

    def _name(self, name: str, active: tuple[str, ...]) -> Any:
        if name in active:
            circle = " -> ".join((*active[active.index(name) :], name))
            raise DerivationError(f"values refer to each other in a circle: {circle}")
        if name in self._names:
            return self.value(self._names[name], (*active, name))
        node: Any = self._config
        for step in name.split("."):
            if not isinstance(node, Mapping) or step not in node:
                guess = nearest(name, self._names)
                hint = f"; did you mean `{guess}`?" if guess is not None else ""
                raise DerivationError(
                    f"${{{name}}}: neither a variable, a control nor a key of the base{hint}"
                )
            node = node[step]
        return node


def _text(value: Any) -> str:
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
