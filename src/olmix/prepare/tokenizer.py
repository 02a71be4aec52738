"""A byte-level BPE tokenizer trained on the spot, by the `tokenizers` library.

The special token of id 0 ends every document.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmix.config import TokenDtype
from olmix.errors import needs

__all__ = ["EOS", "EOS_ID", "Tokenizer", "check_tokenizers", "train_tokenizer"]

EOS = "<|endoftext|>"
EOS_ID = 0
MINIMUM_VOCABULARY = 257
"""The 256 bytes and EOS."""


class Tokenizer:
    """A trained tokenizer; its JSON is that of Hugging Face `tokenizers`."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return int(self._inner.get_vocab_size())

    @property
    def dtype(self) -> TokenDtype:
        """Smallest type that holds a token."""
        return "uint16" if self.vocab_size <= 1 << 16 else "uint32"

    def to_json(self) -> str:
        """Return the content of `tokenizer.json`."""
        return str(self._inner.to_str(pretty=True))

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.unsignedinteger]]:
        """Return the tokens of each text, ended by EOS. Special tokens are not read from text."""
        batch = self._inner.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array([*encoding.ids, EOS_ID], dtype=self.dtype) for encoding in batch]

    def decode(self, tokens: NDArray[np.unsignedinteger]) -> str:
        """Return the text of tokens, EOS left out."""
        return str(self._inner.decode(tokens.tolist(), skip_special_tokens=True))


def check_tokenizers() -> None:
    """Make sure that the library is there, before any text is read.

    Raises:
        MissingPackageError: `tokenizers` is not installed.
    """
    with needs("prepare", "Making tokens of texts"):
        import tokenizers  # noqa: F401


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train a tokenizer.

    Args:
        texts: a sample of all domains.
        vocab_size: tokens of the vocabulary, at least 257.

    Raises:
        MissingPackageError: `tokenizers` is not installed.
    """
    check_tokenizers()
    from tokenizers import Tokenizer as Inner
    from tokenizers import decoders, models, pre_tokenizers, trainers

    inner = Inner(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    # A text that spells out the special token is text, not the end of a document.
    inner.encode_special_tokens = True
    return Tokenizer(inner)
