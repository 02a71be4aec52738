"""One process of a framework that tries many configs, as importing it takes longer than a try.

The process is a module that is given a file with its job, and answers with a line of JSON for each
config: `{"of": KEY, "error": TEXT}`, no text where all is well. What else is printed is its log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from olmix.text.progress import OnProgress, Steps

__all__ = ["answer", "try_each"]


def try_each(
    module: str,
    job: Mapping[str, object],
    keys: Sequence[str],
    stage: str,
    on_progress: OnProgress | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return why each config fails, or nothing, by its key.

    Args:
        module: of the process, such as `olmix.sweep.trl.worker`.
        job: what the module reads from the file that it is given.
        keys: of the configs that it answers for.
        stage: the word for the progress.
        on_progress: told after each answer.
        environment: variables beside those of this process.
    """
    steps = Steps(on_progress, len(keys))
    reasons: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="olmix-try-") as name:
        file, log = Path(name) / "job.json", Path(name) / "log.txt"
        file.write_text(json.dumps(job), encoding="utf-8")
        with (
            log.open("w", encoding="utf-8") as errors,
            subprocess.Popen(
                [sys.executable, "-m", module, str(file)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **(environment or {})},
            ) as process,
        ):
            for line in process.stdout or ():
                if line.startswith("{"):
                    entry = json.loads(line)
                    reasons[entry["of"]] = entry["error"]
                    steps(stage)
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
    return {key: reasons.get(key, f"the process died:\n{tail}") for key in keys}


def answer(key: str, error: str) -> None:
    """Print what is wrong with a config, or nothing, for `try_each` to read."""
    sys.stdout.write(json.dumps({"of": key, "error": error}) + "\n")
    sys.stdout.flush()
