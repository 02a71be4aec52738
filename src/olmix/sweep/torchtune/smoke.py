"""Training every config for two steps on a tiny model of its family, on the CPU.

One process trains all of them, because importing torch takes longer than two steps.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from olmix.sweep.framework import Base
from olmix.sweep.torchtune.assets import build_assets
from olmix.sweep.torchtune.registry import read_registry
from olmix.sweep.torchtune.shrink import data_of, shrink
from olmix.sweep.try_configs import try_each
from olmix.text.files import digest
from olmix.text.progress import OnProgress
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
        reasons = try_each(
            "olmix.sweep.torchtune.smoke_worker", job, list(jobs), "smoke", on_progress
        )
        return {run: reasons[key] for run, key in keys.items()}
