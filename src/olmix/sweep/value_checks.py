"""Whether a value is one that its parameter takes: type, choices, range."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from olmix.errors import nearest
from olmix.sweep.merge import Parameters, is_quoted
from olmix.sweep.scalars import kind_of, render_flow
from olmix.text.yaml_loaders import read_scalar

__all__ = ["ABOVE_0", "COUNT", "FROM_0", "PATH", "RATE", "SHARE", "WHOLE", "Rule", "why_refused"]


@dataclass(frozen=True)
class Rule:
    """The range of a parameter.

    Attributes:
        is_fine: whether a value is in it.
        needed: what is, in words.
    """

    is_fine: Callable[[Any], bool]
    needed: str

    def broken_by(self, value: Any) -> str:
        """Return what was found and what is needed; nothing where the value is in the range."""
        if self.is_fine(value):
            return ""
        is_text = is_quoted(value, ("int", "float")) and self.is_fine(read_scalar(value))
        hint = "; drop the quotes" if is_text else ""
        return f"found {render_flow(value)}; {self.needed}{hint}"


def _is_whole(value: Any, low: int) -> bool:
    return kind_of(value) == "int" and value >= low


def _is_number(value: Any) -> bool:
    return kind_of(value) in ("int", "float") and math.isfinite(value)


COUNT = Rule(lambda value: _is_whole(value, 1), "a whole number above 0 is needed")
WHOLE = Rule(lambda value: _is_whole(value, 0), "a whole number of 0 or more is needed")
ABOVE_0 = Rule(lambda value: _is_number(value) and value > 0, "a number above 0 is needed")
RATE = Rule(ABOVE_0.is_fine, "a number above 0 is needed, such as 3e-4")
FROM_0 = Rule(lambda value: _is_number(value) and value >= 0, "a number of 0 or more is needed")
SHARE = Rule(
    lambda value: _is_number(value) and 0 <= value < 1, "a number from 0 to below 1 is needed"
)
PATH = Rule(lambda value: kind_of(value) == "text" and value != "", "a path is needed")


def why_refused(owner: str, key: str, value: Any, parameters: Parameters) -> str | None:
    """Return why a parameter does not take a value, by its type and choices; `None` if it does.

    Args:
        owner: what has the parameter, for the message.
        key: the parameter; it must be one of `parameters`.
        value: the value; `null` and texts that refer to other keys are always taken.
        parameters: what the owner takes.
    """
    kinds, kind = parameters.kinds[key], kind_of(value)
    if value is None or (kind == "text" and "${" in value):
        return None
    if kinds and kind not in kinds and not (kind == "int" and "float" in kinds):
        allowed = " or ".join(sorted(kinds - {"null"}))
        hint = "; drop the quotes" if is_quoted(value, kinds) else ""
        return f"{owner} takes {allowed} as {key}; found {kind} ({render_flow(value)}){hint}"
    choices = parameters.choices.get(key, ())
    for entry in value if isinstance(value, list) else [value]:
        if choices and entry not in choices:
            listed = ", ".join(render_flow(choice) for choice in choices)
            guess = nearest(str(entry), list(map(str, choices)))
            hint = f". Did you mean `{guess}`?" if guess is not None else ""
            return f"{owner} allows as {key}: {listed}; found {render_flow(entry)}{hint}"
    return None
