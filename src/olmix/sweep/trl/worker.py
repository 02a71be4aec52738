"""TRL itself, in a process of its own: it parses configs, and trains tiny ones.

`python -m olmix.sweep.trl.worker JOB`: prints one JSON object for each file.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from olmix.sweep.framework import Verdict
from olmix.sweep.try_configs import answer, try_each
from olmix.text.progress import OnProgress

__all__ = ["check_files", "main", "run_worker"]

Mode = Literal["parse", "train"]


def check_files(
    recipe: str, configs: Sequence[Path], on_progress: OnProgress | None = None
) -> list[Verdict]:
    """Parse every config as `trl RECIPE` does; one that fails does not stop the others."""
    found = run_worker("parse", recipe, configs, on_progress)
    return [
        Verdict((), (said.removeprefix("missing: "),))
        if said.startswith("missing: ")
        else Verdict((said,) if said else ())
        for said in (found[str(file)] for file in configs)
    ]


def run_worker(
    mode: Mode, recipe: str, files: Sequence[Path], on_progress: OnProgress | None = None
) -> Mapping[str, str]:
    """Return what is wrong with each file, or nothing; one process does all of them."""
    keys = [str(file) for file in files]
    train = mode == "train"
    return try_each(
        "olmix.sweep.trl.worker",
        {"mode": mode, "recipe": recipe, "files": keys},
        keys,
        "smoke" if train else "validate",
        on_progress,
        {"HF_HUB_OFFLINE": "1"} if train else None,
    )


def main(job_file: str) -> None:
    """Do a job."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    with contextlib.redirect_stdout(sys.stderr):  # standard output carries our lines
        script = importlib.import_module(f"trl.scripts.{job['recipe']}")
    for file in job["files"]:
        environment = dict(os.environ)
        with contextlib.redirect_stdout(sys.stderr):
            error = _try(script, file, train=job["mode"] == "train")
        os.environ.clear()
        os.environ.update(environment)
        answer(file, error)


def _try(script: Any, file: str, *, train: bool) -> str:
    """Return why a config is refused, or does not train; nothing if all is well."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            *parsed, rest = _parse(script, file)
            _check_launch(rest)
        if train:
            script.main(*parsed)
    except SystemExit as error:  # of an argument parser
        lines = [line.strip() for line in errors.getvalue().splitlines() if line.strip()]
        return lines[-1] if lines else f"it ended with {error.code}"
    except Exception as error:  # noqa: BLE001 - whatever it says is the answer
        if isinstance(error, ModuleNotFoundError) and not train:
            return f"missing: {error.name}"
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f" ({Path(last.filename).name}:{last.lineno})" if train else ""
        return f"{type(error).__name__}: {' '.join(str(error).split())}{where}"
    return ""


def _parse(script: Any, file: str) -> list[Any]:
    """Parse a config; where there is no GPU, one that asks for it is parsed as for a CPU."""
    import torch
    import yaml

    words = ["--config", file]
    if not torch.cuda.is_available():
        config = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        words += ["--use_cpu", "true", *(["--tf32", "false"] if "tf32" in config else [])]
    parser = script.make_parser()
    return list(parser.parse_args_and_config(words, return_remaining_strings=True))


def _check_launch(rest: Sequence[str]) -> None:
    """Let `accelerate launch` parse what TRL hands on to it."""
    if rest:
        from accelerate.commands.launch import launch_command_parser
        from trl.cli.accelerate_config import resolve_accelerate_config_argument

        words = resolve_accelerate_config_argument(list(rest))
        launch_command_parser().parse_args([*words, "script.py"])


if __name__ == "__main__":
    main(sys.argv[1])
