"""`python -m olmix` is `olmix`."""

from olmix.cli.main import main

main()
