"""Run ``python -m agent_tunix``."""

from olmix.cli.agent_tunix import main

if __name__ == "__main__":
    main()
