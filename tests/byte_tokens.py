"""A tokenizer of bytes, for tests that need one and do not care which."""

from __future__ import annotations

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
