"""Training every config for two steps on a tiny model, on the CPU.

What a run needs from the outside is replaced; everything else is as the config says.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from olmix.errors import NotAvailableError
from olmix.sweep.merge import Parameters
from olmix.sweep.trl.tiny import rows_for, write_model, write_rows
from olmix.sweep.trl.worker import run_worker
from olmix.text.files import digest
from olmix.text.progress import OnProgress
from olmix.text.yaml import render_yaml

__all__ = ["shrink", "train_tiny"]

_RECIPES = ("sft", "dpo", "grpo", "kto", "reward", "rloo")
_ELSEWHERE = (
    *("model_revision", "model_init_kwargs", "attn_implementation", "load_in_4bit", "load_in_8bit"),
    *("dataset_name", "dataset_config", "dataset_text_field", "dataset_num_proc", "streaming"),
    *("dataset_train_split", "dataset_test_split", "dataset_streaming", "test_split_size"),
    *("chat_template_path", "eos_token", "pad_token", "tf32", "deepspeed", "fsdp", "fsdp_config"),
    *("use_vllm", "generation_batch_size", "steps_per_generation", "resume_from_checkpoint"),
    *("reward_model_name_or_path", "teacher_model_name_or_path", "load_best_model_at_end"),
    *("logging_dir", "hub_model_id", "hub_token", "torch_compile", "use_liger_kernel"),
)
"""Keys that ask for what is not here: a GPU, data, a model, a network."""
_TINY: Mapping[str, object] = {
    "max_steps": 2,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 1,
    "num_generations": 2,
    "max_completion_length": 8,
    "max_length": 128,
    "logging_steps": 1,
    "save_strategy": "no",
    "eval_strategy": "no",
    "report_to": "none",
    "push_to_hub": False,
    "use_cpu": True,
    "bf16": False,
    "fp16": False,
    "dtype": "float32",
    "dataloader_num_workers": 0,
    "disable_tqdm": True,
}
_GPU_OPTIMIZERS = ("bnb", "8bit", "32bit", "4bit", "paged", "fused")


def train_tiny(
    recipe: str,
    parameters: Parameters,
    configs: Mapping[str, dict[str, object]],
    on_progress: OnProgress | None = None,
) -> Mapping[str, str]:
    """Train each config for two steps; return why it fails, or nothing, by id.

    Configs that are equal once they are shrunk are trained once.

    Raises:
        NotAvailableError: there is no tiny data for this command.
        MissingPackageError: TRL is not installed.
    """
    if recipe not in _RECIPES:
        what = f"--smoke is not available for trl {recipe}; it is for: {', '.join(_RECIPES)}"
        raise NotAvailableError(what)
    with tempfile.TemporaryDirectory(prefix="olmix-smoke-") as name:
        folder = Path(name)
        model = write_model(folder / "model")
        data = write_rows(folder / "rows.jsonl", rows_for(recipe))
        files: dict[str, Path] = {}
        for run, config in configs.items():
            small = shrink(config, parameters, model, data)
            files[run] = folder / f"{digest(small, 16)}.yaml"
            small["output_dir"] = str(folder / files[run].stem)
            files[run].write_text(render_yaml(small), encoding="utf-8")
        said = run_worker("train", recipe, list(dict.fromkeys(files.values())), on_progress)
        return {run: said[str(file)] for run, file in files.items()}


def shrink(
    config: Mapping[str, object], parameters: Parameters, model: Path, data: Path
) -> dict[str, object]:
    """Return a config with a tiny model and data, for two steps on the CPU.

    Args:
        config: a whole config.
        parameters: what its command takes; keys of `accelerate launch` go.
        model: folder of the tiny model.
        data: file of rows.
    """
    small = {
        key: value
        for key, value in config.items()
        if key in parameters.kinds and key not in _ELSEWHERE
    }
    small |= {key: value for key, value in _TINY.items() if key in parameters.kinds}
    if any(mark in str(small.get("optim")) for mark in _GPU_OPTIMIZERS):
        small["optim"] = "adamw_torch"
    datasets = [{"path": "json", "data_files": str(data)}]
    return small | {"model_name_or_path": str(model), "datasets": datasets, "output_dir": ""}
