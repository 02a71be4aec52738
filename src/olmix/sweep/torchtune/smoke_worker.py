"""Runs a recipe over shrunk configs, one after another, as `tune run` does.

`python -m olmix.sweep.torchtune.smoke_worker JOB`: prints one JSON object for each config.
"""

from __future__ import annotations

import contextlib
import json
import runpy
import sys
import warnings
from pathlib import Path
from typing import Any

from olmix.sweep.document import Document
from olmix.sweep.torchtune.tiny import write_weights

__all__ = ["main"]


def main(job_file: str) -> None:
    """Train all configs of a job."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    folder = Path(job["folder"])
    (folder / "weights").mkdir(exist_ok=True)
    for key in job["keys"]:
        file = folder / f"{key}.yaml"
        # The recipe writes to standard output, which carries our lines.
        with contextlib.redirect_stdout(sys.stderr):
            error = _train(job["recipe"], file, folder)
        sys.stdout.write(json.dumps({"key": key, "error": error}) + "\n")
        sys.stdout.flush()


def _train(recipe: str, file: Path, folder: Path) -> str:
    """Return why a config does not train; nothing if it does."""
    config: dict[str, Any] = Document(file.read_text(encoding="utf-8"), str(file)).data
    sys.argv = [recipe, "--config", str(file)]
    try:
        weights = folder / "weights" / config["checkpointer"]["checkpoint_files"][0]
        if not weights.is_file():
            write_weights(config["model"], weights)
        with warnings.catch_warnings():
            runpy.run_path(recipe, run_name="__main__")
    except SystemExit as error:
        return "" if error.code in (None, 0) else f"the recipe ended with {error.code}"
    except Exception as error:  # noqa: BLE001 - whatever it says is the answer
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    main(sys.argv[1])
