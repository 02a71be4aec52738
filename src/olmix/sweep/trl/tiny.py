"""A tiny model, a tokenizer and data, made on the spot; nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from olmix.errors import needs

__all__ = ["rows_for", "write_model", "write_rows"]

_WORDS = ("add", "subtract", "double", "halve", "square", "name", "sort", "count")
_THINGS = ("apples", "rivers", "letters", "clouds", "stones", "songs", "wheels", "birds")
_ROWS = 64
_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}"
    "<|assistant|>{% generation %}{{ m['content'] }}<|end|>{% endgeneration %}"
    "{% else %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SPECIAL = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>")


def write_model(folder: Path) -> Path:
    """Write a two-layer Llama with random weights, the same each time, and its tokenizer.

    Raises:
        MissingPackageError: transformers is not installed; TRL brings it.
    """
    with needs("trl", "A tiny model"):
        import torch
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers
        from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    pieces = [*_SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    plain = Tokenizer(models.BPE(vocabulary, []))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain,
        pad_token=_SPECIAL[0],
        eos_token=_SPECIAL[1],
        additional_special_tokens=list(_SPECIAL[2:]),
    )
    tokenizer.chat_template = _TEMPLATE
    torch.manual_seed(0)
    size = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(size)
    _quietly(lambda: model.save_pretrained(folder))
    tokenizer.save_pretrained(folder)
    return folder


def _quietly(save: Callable[[], object]) -> None:
    """Save without the progress bar that transformers shows even where nobody looks."""
    from transformers.utils import logging

    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        save()
    finally:
        if was_on:
            logging.enable_progress_bar()


def rows_for(recipe: str) -> list[dict[str, object]]:
    """Return rows of the form that a command trains on."""
    return [_row(recipe, number) for number in range(_ROWS)]


def write_rows(file: Path, rows: list[dict[str, object]]) -> Path:
    """Write rows as JSON lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def _row(recipe: str, number: int) -> dict[str, object]:
    thing = _THINGS[number % len(_THINGS)]
    question = f"{_WORDS[number % len(_WORDS)]} the {thing}"
    answer = f"there are {number % 7} {thing}"
    prompt = [_message("user", question)]
    good, bad = [_message("assistant", answer)], [_message("assistant", f"no {thing}")]
    forms: Mapping[str, dict[str, Any]] = {
        "dpo": {"prompt": prompt, "chosen": good, "rejected": bad},
        "reward": {"prompt": prompt, "chosen": good, "rejected": bad},
        "kto": {"prompt": prompt, "completion": good, "label": number % 2 == 0},
        "grpo": {"prompt": prompt, "solution": str(number % 7)},
        "rloo": {"prompt": prompt, "solution": str(number % 7)},
    }
    return forms.get(recipe, {"prompt": prompt, "completion": good})


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
