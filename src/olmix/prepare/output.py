"""The output folder: whose it is, and which token files of an earlier call are stale.

A folder belongs to `prepare` if it is empty, holds the mark that every call leaves before it writes
anything else, or holds a finished manifest. Names such as `tokenizer.json` prove nothing: model
folders have one too.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from olmix.errors import DataError
from olmix.records.prepared import PREPARED_FILE, read_prepared
from olmix.text.files import write_text

__all__ = ["check_output", "claim", "drop_stale"]

MARK = ".olmix-prepare"


def check_output(output: Path, texts: Path | None) -> None:
    """Refuse an output folder that holds other people's files, or that lies among the texts.

    Raises:
        DataError: says which.
    """
    if texts is not None and output.resolve().is_relative_to(texts.resolve()):
        raise DataError(
            f"{output}: lies inside the texts ({texts}), so a second call would read it as a "
            "domain; choose another folder with -o"
        )
    if not output.exists():
        return
    if not output.is_dir():
        raise DataError(f"{output}: this is a file; choose a folder with -o")
    ours = (output / MARK).is_file() or read_prepared(output) is not None
    # A call that is killed while it leaves its mark leaves `..olmix-prepare.PID.tmp`.
    if not ours and any(not path.name.startswith(f".{MARK}.") for path in output.iterdir()):
        raise DataError(f"{output}: the folder holds other files; choose an empty one with -o")


def claim(output: Path) -> None:
    """Mark a folder as ours and declare it unfinished, before anything else is written."""
    write_text(output / MARK, "This folder is written by `olmix prepare`.\n")
    (output / PREPARED_FILE).unlink(missing_ok=True)


def drop_stale(output: Path, trained: Collection[str], validated: Collection[str]) -> None:
    """Remove token files that an earlier call made of domains which are no longer asked for.

    Args:
        output: a folder that is ours.
        trained: domains that have training tokens now.
        validated: domains that have validation tokens now.
    """
    for path in (output / "train").glob("*/part-*.bin"):
        if path.parent.name not in trained:
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
    for path in (output / "validation").glob("*.bin"):
        if path.stem not in validated:
            path.unlink()
