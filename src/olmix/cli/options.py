"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

__all__ = ["fit_option", "json_option", "path_option"]

Command = TypeVar("Command", bound=Callable[..., object])


def path_option(*names: str, about: str, required: bool = False) -> Callable[[Command], Command]:
    """Return an option for a file or a folder, which need not be there."""
    return click.option(*names, type=click.Path(path_type=Path), required=required, help=about)


fit_option = click.option(
    "--fit",
    "fit_folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of a fit, such as fit/latest.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
