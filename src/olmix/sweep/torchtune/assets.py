"""Tiny data sets and a tokenizer, made on the spot, that every recipe can be trained with.

64 rows that hold instructions, prompts and preferred answers at once, and a sentencepiece model of
320 pieces trained on them. Nothing is downloaded.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from olmix.errors import needs

__all__ = ["MAX_SEQ_LEN", "VOCABULARY", "Assets", "Kind", "build_assets"]

VOCABULARY = 320
MAX_SEQ_LEN = 128
_ROWS = 64

Kind = Literal["alpaca", "preference", "prompts"]
"""The form that rows are read as: instructions with answers, pairs of answers, or prompts alone."""

_READERS: Mapping[Kind, Mapping[str, object]] = {
    "alpaca": {"_component_": "torchtune.datasets.alpaca_dataset"},
    "preference": {"_component_": "torchtune.datasets.preference_dataset"},
    "prompts": {
        "_component_": "torchtune.datasets.text_completion_dataset",
        "column": "instruction",
        "add_eos": False,
    },
}
_WORDS = (
    "add",
    "subtract",
    "double",
    "halve",
    "square",
    "name",
    "sort",
    "count",
    "repeat",
    "spell",
)
_THINGS = ("apples", "rivers", "letters", "clouds", "stones", "songs", "wheels", "birds")


@dataclass(frozen=True)
class Assets:
    """Files of the tiny set.

    Attributes:
        data: 64 rows with instruction, input, output, chosen and rejected.
        tokenizer: a sentencepiece model.
    """

    data: Path
    tokenizer: Path

    def tokenizer_node(self) -> dict[str, object]:
        """Return the tokenizer of a config; every family trains with the same one."""
        return {
            "_component_": "torchtune.models.llama2.llama2_tokenizer",
            "path": str(self.tokenizer),
            "max_seq_len": MAX_SEQ_LEN,
        }

    def dataset_node(self, kind: Kind = "alpaca", *, packed: bool = False) -> dict[str, object]:
        """Return the data set of a config; pairs and prompts are never packed."""
        node = {**_READERS[kind], "source": "json", "data_files": str(self.data)}
        return node | {"packed": packed} if kind == "alpaca" else node


def build_assets(folder: Path) -> Assets:
    """Write the data and train the tokenizer.

    Raises:
        MissingPackageError: sentencepiece is not installed; torchtune brings it.
    """
    with needs("torchtune", "Training a tiny model"):
        import sentencepiece
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_row(number) for number in range(_ROWS)]
    data = folder / "rows.json"
    data.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    text = [value for row in rows for value in row.values() if isinstance(value, str) and value]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text * 4),
        model_writer=model,
        vocab_size=VOCABULARY,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        pad_id=3,
        minloglevel=2,
    )
    tokenizer = folder / "tokenizer.model"
    tokenizer.write_bytes(model.getvalue())
    return Assets(data, tokenizer)


def _row(number: int) -> dict[str, object]:
    thing, other = _THINGS[number % len(_THINGS)], _THINGS[(number * 3) % len(_THINGS)]
    instruction = f"{_WORDS[number % len(_WORDS)]} the {thing} number {number}"
    output = f"there are {number * 7 % 23} {other} and {number} more"

    def dialogue(answer: str) -> list[dict[str, str]]:
        return [
            {"role": "user", "content": instruction},
            {"role": "assistant", "content": answer},
        ]

    return {
        "instruction": instruction,
        "input": " ".join(str(number * k) for k in range(1, 4)) if number % 2 else "",
        "output": output,
        "chosen": dialogue(output),
        "rejected": dialogue(f"no {other}"),
    }
