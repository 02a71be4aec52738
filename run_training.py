"""Train with GRPO from a checkout: ``python run_training.py model=gemma3_1b``.

The same as `olmix grpo train`; ``--help`` lists what it takes.
"""

from olmix.cli.grpo import run_training

if __name__ == "__main__":
    run_training()
