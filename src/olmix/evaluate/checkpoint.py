"""Bits per byte by domain of a Hugging Face checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmix.errors import DataError, needs
from olmix.evaluate.rolling_windows import Window, rolling_windows
from olmix.records.checkpoint_bits import CheckpointBits, DomainBits
from olmix.text.progress import OnProgress, Steps

if TYPE_CHECKING:
    import torch

__all__ = ["evaluate_checkpoint"]

_LENGTHS = ("n_positions", "max_position_embeddings", "n_ctx")
"""Keys of a model's config that say how long its context may be."""
_DEFAULT_LENGTH = 2048
_IGNORED = -100


@dataclass(frozen=True)
class _Model:
    """A model that was loaded.

    Attributes:
        network: the model, on its device.
        tokenizer: its tokenizer.
        first: the token that stands before each document.
        context_length: tokens that it reads at most.
    """

    network: Any
    tokenizer: Any
    first: int
    context_length: int

    def windows(self, text: str) -> list[Window]:
        tokens = self.tokenizer.encode(text, add_special_tokens=False, verbose=False)
        return rolling_windows(tokens, self.first, self.context_length)


def evaluate_checkpoint(
    checkpoint: Path,
    texts: Mapping[str, Sequence[str]],
    data: Path,
    *,
    context_length: int | None = None,
    batch_size: int = 4,
    device: str | None = None,
    on_progress: OnProgress | None = None,
) -> CheckpointBits:
    """Measure how well a checkpoint predicts the texts of each domain.

    Args:
        checkpoint: folder of a causal language model and its tokenizer.
        texts: documents of each domain.
        data: where they are from.
        context_length: tokens of context; those that the model was made for if left out.
        batch_size: windows that are read at once.
        device: where the model runs; a GPU, if there is one, if left out.
        on_progress: called after each batch.

    Raises:
        DataError: the folder holds no such model, or its predictions are not finite.
        MissingPackageError: torch or transformers is not installed.
    """
    model = _load(checkpoint, context_length, device)
    windows = {
        name: [window for text in each for window in model.windows(text)]
        for name, each in texts.items()
    }
    steps = Steps(on_progress, sum(-(-len(each) // batch_size) for each in windows.values()))
    domains = {}
    for name, documents in texts.items():
        nats = _surprise(model, windows[name], batch_size, steps, name)
        size = sum(len(text.encode()) for text in documents)
        if not math.isfinite(nats):
            raise DataError(f"{checkpoint}: its loss on domain {name} is {nats}: it has diverged")
        domains[name] = DomainBits(
            bits_per_byte=nats / size / math.log(2),
            documents=len(documents),
            tokens=sum(len(window.targets) for window in windows[name]),
            bytes=size,
        )
    return CheckpointBits(
        checkpoint=str(checkpoint),
        data=str(data),
        context_length=model.context_length,
        domains=domains,
    )


def _load(checkpoint: Path, context_length: int | None, device: str | None) -> _Model:
    """Load a model and its tokenizer from a folder, and from nowhere else."""
    if not (checkpoint / "config.json").is_file():
        raise DataError(
            f"{checkpoint}: holds no config.json; give a folder written by Hugging Face's "
            "`model.save_pretrained`"
        )
    with needs("evaluate", "Evaluating a checkpoint"):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
        raise DataError(
            f"{checkpoint}: its tokenizer cannot be read; save it there too, by "
            f"`tokenizer.save_pretrained`. transformers said: {_line(error)}"
        ) from error
    try:
        network = AutoModelForCausalLM.from_pretrained(
            checkpoint, local_files_only=True, dtype="auto"
        )
    except (OSError, ValueError, TypeError, KeyError, ImportError, RuntimeError) as error:
        raise DataError(
            f"{checkpoint}: transformers can read no causal language model from it: {_line(error)}"
        ) from error
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    first = tokenizer.bos_token_id
    first = tokenizer.eos_token_id if first is None else first
    if first is None:
        raise DataError(
            f"{checkpoint}: its tokenizer has neither bos_token nor eos_token, one of which must "
            "start each document; set it and save the tokenizer again"
        )
    known = next((n for k in _LENGTHS if (n := getattr(network.config, k, None))), _DEFAULT_LENGTH)
    length = known if context_length is None else min(context_length, known)
    return _Model(network.to(device).eval(), tokenizer, int(first), int(length))


def _line(error: Exception) -> str:
    """Return the first line of what a library said."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _surprise(
    model: _Model, windows: Sequence[Window], batch_size: int, steps: Steps, name: str
) -> float:
    """Return the summed negative log-likelihood of all targets, in nats."""
    import torch

    # Windows of one length beside each other: little is computed for nothing.
    ordered = sorted(windows, key=lambda window: len(window.inputs), reverse=True)
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(ordered), batch_size):
            inputs, mask, targets = _batch(ordered[start : start + batch_size])
            device = model.network.device
            logits = model.network(
                input_ids=inputs.to(device), attention_mask=mask.to(device)
            ).logits
            nats = torch.nn.functional.cross_entropy(
                logits.float().flatten(0, 1),
                targets.to(device).flatten(),
                ignore_index=_IGNORED,
                reduction="none",
            )
            total += float(nats.double().sum())
            steps(name)
    return total


def _batch(windows: Sequence[Window]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return inputs, mask and targets of windows, each (windows, longest), filled at the end."""
    import torch

    shape = len(windows), max(len(window.inputs) for window in windows)
    inputs = torch.zeros(shape, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.long)
    targets = torch.full(shape, _IGNORED)
    for row, window in enumerate(windows):
        end = len(window.inputs)
        inputs[row, :end] = torch.tensor(window.inputs)
        mask[row, :end] = 1
        targets[row, end - len(window.targets) : end] = torch.tensor(window.targets)
    return inputs, mask, targets
