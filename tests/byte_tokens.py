"""A tokenizer of bytes and tokens of it, for tests that do not care which."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

EOS = 256


def byte_tokenizer() -> dict:
    """Return a `tokenizer.json` whose tokens are the 256 bytes and an EOS token."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (byte for byte in range(256) if byte not in printable)
    characters = {byte: chr(byte) for byte in printable}
    characters |= {byte: chr(256 + index) for index, byte in enumerate(others)}
    vocabulary = {characters[byte]: byte for byte in range(256)}
    return {
        "model": {"type": "BPE", "vocab": vocabulary | {"<|endoftext|>": EOS}, "merges": []},
        "added_tokens": [{"id": EOS, "content": "<|endoftext|>"}],
        "pre_tokenizer": {"type": "ByteLevel"},
        "decoder": {"type": "ByteLevel"},
    }


def write_domains(folder: Path, num_tokens: int) -> None:
    """Write a tokenizer and tokens of domains a, b and c: to train on, and 1,000 held out."""
    rng = np.random.default_rng(0)
    for name in "abc":
        shares = rng.dirichlet(np.full(EOS, 0.05))
        for suffix, length in (("bin", num_tokens), ("val.bin", 1_000)):
            tokens = rng.choice(EOS, length, p=shares).astype(np.uint16)
            tokens[99::100] = EOS
            tokens.tofile(folder / f"{name}.{suffix}")
    (folder / "tokenizer.json").write_text(json.dumps(byte_tokenizer()))
