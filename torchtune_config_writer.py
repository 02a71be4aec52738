"""Write torchtune configs from a checkout: ``python torchtune_config_writer.py experiment.yaml``.

The same as `olmix sweep generate`; ``--help`` lists the other commands.
"""

from olmix.cli.main import run
from olmix.cli.sweep import torchtune_config_writer
from olmix.sweep import generate_configs

__all__ = ["generate_configs"]

if __name__ == "__main__":
    run(torchtune_config_writer)
