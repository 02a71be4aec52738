"""A checkpoint as one model in the Hugging Face layout, the updates merged into the weights."""

from __future__ import annotations

from pathlib import Path

from olmix.errors import DataError
from olmix.grpo.checkpoints import read_saved_run
from olmix.grpo.weights import merge_lora, write_hf_folder
from olmix.text.progress import OnProgress, Steps

__all__ = ["export_checkpoint"]


def export_checkpoint(
    path: Path,
    output: Path,
    *,
    step: int | None = None,
    on_progress: OnProgress | None = None,
) -> int:
    """Write the merged model and return its number of parameters.

    Args:
        path: folder of a run, or of its checkpoints.
        output: folder to write; it must not hold a model already.
        step: which checkpoint; the last one where left out.
        on_progress: called after each part of the work.

    Raises:
        DataError: there is no such checkpoint, or `output` holds a model.
    """
    saved = read_saved_run(path, step)
    if (output / "model.safetensors").exists():
        raise DataError(f"{output} already holds a model; choose another folder")
    from olmix.grpo.devices import make_mesh
    from olmix.grpo.models import load_model, read_state, trained_model
    from olmix.grpo.tokenizer import load_tokenizer

    model_config = saved.config.model
    mesh = make_mesh(model_config.mesh_shape)
    from olmix.grpo.tunix_adapter import restore_weights

    steps = Steps(on_progress, 3)
    steps("reading the base model", 0)
    base, architecture = load_model(saved.base, model_config, mesh)
    steps("reading the checkpoint")
    model = trained_model(base, model_config, mesh, saved.config.seed)
    restore_weights(model, saved.checkpoints, saved.update, lora=saved.config.model.trains_lora)
    steps("merging and writing")
    state = merge_lora(
        read_state(model), rank=model_config.lora_rank or 1, alpha=model_config.lora_alpha
    )
    tokenizer = load_tokenizer(saved.base)
    write_hf_folder(output, state, architecture, model_config.dtype, tokenizer)
    steps("written")
    return sum(array.size for array in state.values())
