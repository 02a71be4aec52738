"""Options that several commands have."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = [
    "FiniteNumber",
    "RenamedOption",
    "WholeNumber",
    "fit_option",
    "json_option",
    "path_option",
    "runs_option",
    "together",
]

Asked = TypeVar("Asked")
Result = TypeVar("Result")
Command = TypeVar("Command", bound=Callable[..., object])


def together(
    kind: Callable[..., Asked],
) -> Callable[[Callable[[Asked], Result]], Callable[..., Result]]:
    """Let a command take its options as one object, a dataclass with a field for each."""

    def wrap(command: Callable[[Asked], Result]) -> Callable[..., Result]:
        @wraps(command)
        def called(**options: object) -> Result:
            return command(kind(**options))

        return called

    return wrap


def _read_size(value: Any) -> Any:
    """Return the number that a size such as `7B` stands for; anything else as it is."""
    if isinstance(value, str):
        from olmix.config.base import read_count

        with suppress(ValueError):
            return read_count(value)
    return value


class WholeNumber(click.IntRange):
    """A whole number in a range; sizes such as `60K` are read as configs do."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        number = _read_size(value)
        with suppress(ValueError):
            number = float(number)
        if isinstance(number, float):
            if not number.is_integer():
                self.fail(f"{value} is not a whole number.", param, ctx)
            number = int(number)
        return int(super().convert(number, param, ctx))


class FiniteNumber(click.FloatRange):
    """A number in a range, never `nan` or `inf`; sizes such as `7B` are read as configs do."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number = float(super().convert(_read_size(value), param, ctx))
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


class RenamedOption(click.Option):
    """An option that had another name, which it still answers to without showing it.

    Args:
        names: its names now.
        old: its former names.
    """

    def __init__(self, names: Sequence[str], *, old: Sequence[str], **settings: Any) -> None:
        super().__init__([*names, *old], **settings)
        self.old = tuple(old)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return names and help."""
        return click.Option.get_help_record(self._shown(), ctx)

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return the names that an error shows."""
        return click.Option.get_error_hint(self._shown(), ctx)

    def _shown(self) -> click.Option:
        shown = copy(self)
        shown.opts = [name for name in self.opts if name not in self.old]
        return shown


def path_option(
    *names: str, about: str, required: bool = False, old: Sequence[str] = ()
) -> Callable[[Command], Command]:
    """Return an option for a file or a folder, which need not be there.

    Args:
        names: of the option.
        about: its line of help.
        required: whether it must be given.
        old: former names, which still work.
    """
    settings: dict[str, Any] = {"type": click.Path(path_type=Path), "required": required}
    if old:
        settings |= {"cls": RenamedOption, "old": old}
    return click.option(*names, help=about, **settings)


fit_option = click.option(
    "--fit",
    "fit_folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of a fit, such as fit/latest.",
)
runs_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder that holds the run folders.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
