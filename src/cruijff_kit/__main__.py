"""`cruijff-kit` and `python -m cruijff_kit`."""

from olmix.cli.main import run
from olmix.cli.sweep import cruijff_kit


def main() -> None:
    """Run the command line and exit."""
    run(cruijff_kit)


if __name__ == "__main__":
    main()
