"""The evaluation under its older name: ``python -m agent_tunix.evaluate --checkpoint-dir DIR``."""

from olmix.cli.grpo import evaluate
from olmix.cli.main import run

if __name__ == "__main__":
    run(evaluate)
