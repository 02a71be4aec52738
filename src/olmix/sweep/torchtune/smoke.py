"""Training every config for two steps on a tiny model of its family, on the CPU.

One process trains all of them, because importing torch takes longer than two steps.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmix.sweep.framework import Base
from olmix.sweep.torchtune.assets import build_assets
from olmix.sweep.torchtune.registry import read_registry
from olmix.sweep.torchtune.shrink import data_of, shrink
from olmix.text.files import digest
from olmix.text.progress import OnProgress, Steps
from olmix.text.yaml import render_yaml

__all__ = ["train_tiny"]


def train_tiny(
    base: Base,
    configs: Mapping[str, dict[str, object]],
    on_progress: OnProgress | None = None,
) -> Mapping[str, str]:
    """Train each config for two steps; return why it fails, or nothing, by id.

    Configs that are equal once they are shrunk, such as those that differ by their data, are
    trained once. A distributed recipe is trained in a group of one process.

    Raises:
        NotAvailableError: there is no tiny stand-in for this recipe or model.
        MissingPackageError: torchtune is not installed.
    """
    kind = data_of(base.recipe)
    with tempfile.TemporaryDirectory(prefix="olmix-smoke-") as name:
        folder = Path(name)
        assets = build_assets(folder / "assets")
        shrunk = {run: shrink(config, kind, assets, folder) for run, config in configs.items()}
        keys = {run: digest(entry.config, 16) for run, entry in shrunk.items()}
        jobs = {keys[run]: entry for run, entry in shrunk.items()}
        for key, entry in jobs.items():
            written = entry.config | {"output_dir": str(folder / "runs" / key)}
            (folder / f"{key}.yaml").write_text(render_yaml(written), encoding="utf-8")
        recipe = str(base.recipe)
        job = {
            "recipe": str(read_registry().recipes[recipe]),
            "distributed": recipe in read_registry().distributed,
            "folder": str(folder),
            "weights": {
                file: node for entry in jobs.values() for file, node in entry.weights.items()
            },
            "keys": list(jobs),
        }
        reasons = _train(folder, job, on_progress)
        return {run: reasons[key] for run, key in keys.items()}


def _train(folder: Path, job: Mapping[str, Any], on_progress: OnProgress | None) -> dict[str, str]:
    """Train in a process of its own; return why each config fails, or nothing."""
    keys: list[str] = job["keys"]
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-m", "olmix.sweep.torchtune.smoke_worker", str(folder / "job.json")]
    log = folder / "log.txt"
    reasons: dict[str, str] = {}
    steps = Steps(on_progress, len(keys))
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder
        ) as process,
    ):
        for line in process.stdout or ():
            if not line.startswith("{"):
                continue
            entry = json.loads(line)
            reasons[entry["key"]] = entry["error"]
            steps("smoke")
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
    return {key: reasons.get(key, f"the training process died:\n{tail}") for key in keys}
