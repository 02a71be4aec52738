"""`python -m torchtune_config_writer`."""

from olmix.cli.main import run
from olmix.cli.sweep import torchtune_config_writer

if __name__ == "__main__":
    run(torchtune_config_writer)
