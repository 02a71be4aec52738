"""Runs a recipe over shrunk configs, one after another, as `tune run` does.

`python -m olmix.sweep.torchtune.smoke_worker JOB`: prints one JSON object for each config.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import runpy
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

from olmix.sweep.torchtune.tiny import write_weights
from olmix.sweep.try_configs import answer

__all__ = ["main"]


def main(job_file: str) -> None:
    """Train all configs of a job."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    folder = Path(job["folder"])
    os.chdir(folder)  # what a recipe writes goes there
    with contextlib.redirect_stdout(sys.stderr):  # standard output carries our lines
        if job["distributed"]:
            _be_a_group(folder)
        for name, node in job["weights"].items():
            write_weights(node, folder / "weights" / name)
    for key in job["keys"]:
        with contextlib.redirect_stdout(sys.stderr):
            error = _train(job["recipe"], folder / f"{key}.yaml")
        answer(key, error)


def _train(recipe: str, file: Path) -> str:
    """Return why a config does not train; nothing if it does."""
    from torch import distributed

    sys.argv = [recipe, "--config", str(file)]
    try:
        with warnings.catch_warnings():
            runpy.run_path(recipe, run_name="__main__")
    except SystemExit as error:
        return "" if error.code in (None, 0) else f"the recipe ended with {error.code}"
    except Exception as error:  # noqa: BLE001 - whatever it says is the answer
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
    return ""


def _be_a_group(folder: Path) -> None:
    """Make this process a whole group on a CPU; it has no other purpose, so nothing is put back.

    Most distributed recipes name NCCL and ask a GPU for its memory, and so do not start on a CPU.
    Gloo, zeros and nothing stand in for these.
    """
    import torch
    from torch import distributed
    from torchtune import training

    place = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    # The address is only looked at: the group meets in a file, and needs no port.
    os.environ.update(place | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"})
    start: Any = distributed.init_process_group
    number = itertools.count()

    def start_with_gloo(*_: object, **__: object) -> None:
        start("gloo", init_method=f"file://{folder}/group_{next(number)}", rank=0, world_size=1)

    def no_memory(**_: object) -> dict[str, float]:
        return dict.fromkeys(
            ("peak_memory_active", "peak_memory_alloc", "peak_memory_reserved"), 0.0
        )

    stand_ins: Any = {
        (distributed, "init_process_group"): start_with_gloo,
        (training, "get_memory_stats"): no_memory,
        (torch.cpu, "empty_cache"): lambda: None,
        (torch.cpu, "reset_peak_memory_stats"): lambda: None,
    }
    for (module, name), stand_in in stand_ins.items():
        setattr(module, name, stand_in)


if __name__ == "__main__":
    main(sys.argv[1])
