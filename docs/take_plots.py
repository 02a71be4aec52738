"""Take the pictures of docs/plots.md from a verified fit folder, such as that of the tutorial.

python docs/take_plots.py study/fit/latest
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parent
PLACE = "pictures/plots"


def main(fit: Path) -> None:
    """Copy each picture that the page shows from a fit folder.

    Raises:
        SystemExit: the fit has no such picture.
    """
    page = (DOCS / "plots.md").read_text(encoding="utf-8")
    (DOCS / PLACE).mkdir(parents=True, exist_ok=True)
    for name in re.findall(rf"\]\({PLACE}/([^)]+)\)", page):
        if not (fit / name).is_file():
            sys.exit(
                f"{fit}: there is no {name}; `olmix fit` draws it, and `olmix verify` some more"
            )
        with Image.open(fit / name) as picture:
            few = picture.convert("RGB").quantize(64)
        few.save(DOCS / PLACE / name, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
