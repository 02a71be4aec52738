"""Older place of two commands: ``python -m agent_tunix.utils check-gpu`` or ``show-config``."""

import click

from olmix.cli.grpo import check_gpu, show_config
from olmix.cli.main import run

__all__ = ["utils"]


@click.group(commands=[check_gpu, show_config])
def utils() -> None:
    """Show the devices, or the configuration."""


if __name__ == "__main__":
    run(utils)
