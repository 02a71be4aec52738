"""Tokenizers: `tokenizer.json` files of Hugging Face, and one that is built in.

All are read with the small package `tokenizers` and have the five methods that Tunix asks for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from olmix.errors import DataError, needs
from olmix.grpo.marks import TAGS

__all__ = ["BUILT_IN_SIZE", "TextTokenizer", "built_in_tokenizer", "load_tokenizer"]

_SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>")
_LETTERS = ("\n", *(chr(code) for code in range(32, 127)))
BUILT_IN_SIZE = len(_SPECIAL) + len(TAGS) + len(_LETTERS)
"""Entries of the built-in tokenizer: special tokens, the four tags, printable ASCII."""

_EOS = (
    "<eos>", "<end_of_turn>", "<|im_end|>", "</s>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>",
    "<|endoftext|>",
)  # fmt: skip
_PAD = ("<pad>", "<|pad|>", "<|finetune_right_pad_id|>", "<|endoftext|>", "<unk>")


class TextTokenizer:
    """A tokenizer as Tunix takes it.

    Args:
        tokenizer: of the package `tokenizers`.
        bos: id put before each prompt; `None` for none.
        eos: id that ends an answer.
        pad: id that fills up; not `eos`, or answers could not learn to end.
    """

    def __init__(self, tokenizer: Any, *, bos: int | None, eos: int, pad: int) -> None:
        self._tokenizer = tokenizer
        self._bos, self._eos, self._pad = bos, eos, pad

    def encode(self, text: str, **_: Any) -> list[int]:
        """Return the ids of a text, without special tokens around it."""
        ids: list[int] = self._tokenizer.encode(str(text), add_special_tokens=False).ids
        return ids

    def decode(self, ids: list[int], **_: Any) -> str:
        """Return the text of ids, special tokens included, padding and ends left out."""
        kept = [int(index) for index in ids if index not in (self._pad, *self.end_ids)]
        text: str = self._tokenizer.decode(kept, skip_special_tokens=False)
        return text

    def bos_id(self) -> int | None:
        """Return the id that begins a text."""
        return self._bos

    def eos_id(self) -> int:
        """Return the id that ends an answer."""
        return self._eos

    def pad_id(self) -> int:
        """Return the id that fills up."""
        return self._pad

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Ids that end an answer: the end of a text and, where there is one, of a turn."""
        usual = (self._tokenizer.token_to_id(name) for name in _EOS)
        found = dict.fromkeys([self._eos, *usual])
        return tuple(index for index in found if index not in (None, self._pad))

    @property
    def size(self) -> int:
        """Number of ids."""
        count: int = self._tokenizer.get_vocab_size()
        return count

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, as transformers reads them."""
        self._tokenizer.save(str(folder / "tokenizer.json"))
        names = {
            f"{name}_token": self._tokenizer.id_to_token(index)
            for name, index in (("bos", self._bos), ("eos", self._eos), ("pad", self._pad))
            if index is not None
        }
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def _import_tokenizers() -> Any:
    with needs("grpo", "GRPO training"):
        import tokenizers
    return tokenizers


def built_in_tokenizer(size: int | None = None) -> TextTokenizer:
    """Return the tokenizer of random models: each tag and each letter is a token.

    Args:
        size: number of ids; those above `BUILT_IN_SIZE` are ``<unused0>`` and so on.
    """
    library = _import_tokenizers()
    unused = [f"<unused{index}>" for index in range((size or BUILT_IN_SIZE) - BUILT_IN_SIZE)]
    names = [*_SPECIAL, *TAGS, *_LETTERS, *unused]
    vocabulary = {name: index for index, name in enumerate(names)}
    made = library.Tokenizer(library.models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = library.pre_tokenizers.Split(library.Regex(r"[\s\S]"), "isolated")
    made.decoder = library.decoders.Fuse()
    made.post_processor = library.processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", vocabulary["<bos>"])]
    )
    made.add_special_tokens(list(_SPECIAL))
    made.add_tokens([library.AddedToken(tag, normalized=False) for tag in TAGS])
    return TextTokenizer(made, bos=2, eos=1, pad=0)


def load_tokenizer(folder: Path) -> TextTokenizer:
    """Read `tokenizer.json` of a folder in the Hugging Face layout.

    The special tokens are those that `tokenizer_config.json` names, or the usual ones.

    Raises:
        DataError: it is missing or unreadable, or no token ends a text.
    """
    library = _import_tokenizers()
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise DataError(f"{folder}: there is no tokenizer.json")
    try:
        made = library.Tokenizer.from_file(str(file))
    except Exception as error:  # the package raises bare Exceptions
        raise DataError(f"{file}: cannot be read as a tokenizer: {error}") from error
    settings = _read_settings(folder / "tokenizer_config.json")

    def find(role: str, usual: tuple[str, ...]) -> int | None:
        named = settings.get(f"{role}_token")
        named = named.get("content") if isinstance(named, dict) else named
        for name in (*([named] if named else []), *usual):
            index: int | None = made.token_to_id(name)
            if index is not None:
                return index
        return None

    eos = find("eos", _EOS)
    if eos is None:
        raise DataError(f"{file}: there is no end-of-text token; looked for {', '.join(_EOS)}")
    pad = find("pad", _PAD)
    if pad is None or pad == eos:
        spare = (made.token_to_id(name) for name in (*_PAD, "<unk>"))
        pad = next((index for index in spare if index not in (None, eos)), None)
    if pad is None:
        raise DataError(f"{file}: there is no padding token; looked for {', '.join(_PAD)}")
    # What the file itself puts before an empty text: SmolLM2 names a first token and adds none.
    first = made.encode("", add_special_tokens=True).ids
    return TextTokenizer(made, bos=first[0] if first else None, eos=eos, pad=pad)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return settings
