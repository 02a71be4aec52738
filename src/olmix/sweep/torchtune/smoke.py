"""Training every config for two steps on a tiny model of its family, on the CPU.

What a run needs from the outside (weights, tokenizer, data, a GPU) is replaced by tiny things made
on the spot; everything else is as the config says. One process trains all of them, because
importing torch takes longer than two steps.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from olmix.errors import NotAvailableError
from olmix.io.files import digest, render_yaml
from olmix.sweep.framework import Base
from olmix.sweep.torchtune.registry import read_registry
from olmix.sweep.torchtune.tiny import Assets, build_assets, tiny_model

__all__ = ["shrink", "train_tiny"]

_RECIPES = {
    "lora_finetune_single_device": "lora_finetune_single_device",
    "lora_finetune_distributed": "lora_finetune_single_device",
    "full_finetune_single_device": "full_finetune_single_device",
    "full_finetune_distributed": "full_finetune_single_device",
}
"""The single-process recipe that stands for each recipe."""
_STEPS = 2
_BATCH = 2


def train_tiny(
    base: Base,
    configs: Mapping[str, dict[str, Any]],
    on_step: Callable[[int, int], None] | None = None,
) -> Mapping[str, str]:
    """Train each config for two steps; return why it fails, or nothing, by id.

    Configs that are equal once they are shrunk, such as those that differ by their data, are
    trained once.

    Raises:
        NotAvailableError: there is no tiny stand-in for this recipe or model.
        MissingPackageError: torchtune is not installed.
    """
    recipe = _RECIPES.get(base.recipe or "")
    if recipe is None:
        raise NotAvailableError(
            f"--smoke is not available for the recipe {base.recipe}; "
            f"it is for: {', '.join(_RECIPES)}"
        )
    with tempfile.TemporaryDirectory(prefix="olmix-smoke-") as name:
        folder = Path(name)
        assets = build_assets(folder / "assets")
        shrunk = {run: shrink(config, assets, folder) for run, config in configs.items()}
        jobs = {digest(config, 16): config for config in shrunk.values()}
        for key, config in jobs.items():
            written = config | {"output_dir": str(folder / "runs" / key)}
            (folder / f"{key}.yaml").write_text(render_yaml(written), encoding="utf-8")
        reasons = _train(folder, recipe, list(jobs), on_step)
        return {run: reasons[digest(config, 16)] for run, config in shrunk.items()}


def shrink(config: Mapping[str, Any], assets: Assets, folder: Path) -> dict[str, Any]:
    """Return a config with a tiny model, tokenizer and data set, for two steps on the CPU.

    Raises:
        NotAvailableError: the model's family has no builder that takes sizes.
    """
    small = copy.deepcopy(dict(config))
    model = tiny_model(small.get("model") or {})
    if model is None:
        component = (small.get("model") or {}).get("_component_")
        raise NotAvailableError(f"--smoke is not available for the model {component}")
    dataset = small.get("dataset")
    packed = isinstance(dataset, Mapping) and dataset.get("packed") is True
    kind = digest(model, 12)
    small |= {
        "model": model,
        "tokenizer": assets.tokenizer_node(),
        "dataset": assets.dataset_node(packed=packed),
        "checkpointer": {
            "_component_": "torchtune.training.FullModelTorchTuneCheckpointer",
            "checkpoint_dir": str(folder / "weights"),
            "checkpoint_files": [f"{kind}.pt"],
            "recipe_checkpoint": None,
            "output_dir": "${output_dir}",
            "model_type": (config.get("checkpointer") or {}).get("model_type", "LLAMA3"),
        },
        "metric_logger": {
            "_component_": "torchtune.training.metric_logging.DiskLogger",
            "log_dir": "${output_dir}/logs",
        },
        "device": "cpu",
        "dtype": "fp32",
        "compile": False,
        "epochs": 1,
        "max_steps_per_epoch": _STEPS,
        "batch_size": _BATCH,
        "gradient_accumulation_steps": 1,
        "resume_from_checkpoint": False,
        "enable_activation_offloading": False,
        "output_dir": "",
    }
    # A single process on a CPU takes no part of these.
    for key in ("fsdp", "fsdp_cpu_offload", "custom_sharded_layers", "profiler"):
        small.pop(key, None)
    for key, default in (("optimizer_in_bwd", False), ("save_adapter_weights_only", False)):
        small.setdefault(key, default)
    optimizer = small.get("optimizer")
    if isinstance(optimizer, dict) and str(optimizer.get("_component_")).startswith(
        "bitsandbytes."
    ):
        optimizer["_component_"] = "torch.optim.AdamW"
    return small


def _train(
    folder: Path, recipe: str, keys: list[str], on_step: Callable[[int, int], None] | None
) -> dict[str, str]:
    job = {
        "recipe": str(read_registry().recipes[recipe]),
        "folder": str(folder),
        "keys": keys,
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-m", "olmix.sweep.torchtune.smoke_worker", str(folder / "job.json")]
    log = folder / "log.txt"
    reasons: dict[str, str] = {}
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
            if on_step is not None:
                on_step(len(reasons), len(keys))
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
    return {key: reasons.get(key, f"the training process died:\n{tail}") for key in keys}
