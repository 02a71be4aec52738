"""From texts to the folder that all other stages read: `olmix prepare`.

tokenizer.json
train/DOMAIN/part-0000.bin    token ids, every document ended by EOS
validation/DOMAIN.bin
data.yaml                     the `data:` section of a config
provenance.csv                every document: domain, side, path, hash, size, licence
manifest.json                 written last: its presence means that all is there
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from olmix.errors import DataError
from olmix.prepare.choose import PrepareRequest, choose
from olmix.prepare.documents import Split
from olmix.prepare.encode import encode_all, train_file, validation_file
from olmix.prepare.output import check_output, claim, drop_stale
from olmix.prepare.reading import read_all
from olmix.prepare.tokenizer import (
    EOS,
    EOS_ID,
    MINIMUM_VOCABULARY,
    Tokenizer,
    check_tokenizers,
    train_tokenizer,
)
from olmix.records.prepared import PreparedData, PreparedDomain, read_prepared
from olmix.text.files import write_text
from olmix.text.progress import OnProgress, Steps
from olmix.text.yaml import write_yaml

__all__ = ["Prepared", "prepare"]

SAMPLE_BYTES = 150_000
"""The text that each domain gives to train the tokenizer, so that none dominates it."""
FEW_VALIDATION_TOKENS = 10_000
"""Validation tokens below which differences between runs drown in noise."""


@dataclass(frozen=True)
class Prepared:
    """The result of `prepare`.

    Attributes:
        domains: what became of each domain.
        warnings: what was skipped, in words.
        reused: whether everything was there already.
    """

    domains: tuple[PreparedDomain, ...]
    warnings: tuple[str, ...]
    reused: bool


def prepare(request: PrepareRequest, on_progress: OnProgress | None = None) -> Prepared:
    """Turn texts into a tokenizer and token files; a second call with the same texts does nothing.

    Args:
        request: what to prepare.
        on_progress: called during the work.

    Raises:
        DataError: with everything that is wrong with the texts or the request.
        MissingPackageError: `tokenizers` is not installed.
    """
    _check(request)
    passed_over: list[str] = []
    texts, fingerprint = choose(request, passed_over)
    check_output(request.output, request.folder)
    found = read_prepared(request.output)
    same = found is not None and found.fingerprint == fingerprint
    if found is not None and same and _complete(request.output, found):
        return Prepared(tuple(found.domains.values()), found.warnings, reused=True)
    check_tokenizers()
    steps = Steps(on_progress, 3 * len(texts))
    reading = read_all(request, texts, passed_over, steps)
    claim(request.output)
    drop_stale(
        request.output,
        [entry.name for entry in texts if not entry.held_out],
        [entry.name for entry in texts],
    )
    steps("learning tokenizer", 0)
    tokenizer = train_tokenizer(_sample(d.split for d in reading.domains), request.vocab_size)
    write_text(request.output / "tokenizer.json", tokenizer.to_json())
    domains = encode_all(
        request.output,
        reading.domains,
        tokenizer,
        steps,
    )
    warnings = (*reading.warnings, *_few(domains))
    _write_data_config(request.output, tokenizer, domains)
    PreparedData(
        fingerprint=fingerprint,
        dtype=tokenizer.dtype,
        vocab_size=tokenizer.vocab_size,
        eos_id=EOS_ID,
        seed=request.seed,
        warnings=warnings,
        domains={domain.name: domain for domain in domains},
    ).write(request.output)
    return Prepared(domains, warnings, reused=False)


def _check(request: PrepareRequest) -> None:
    if not 0 < request.validation_fraction <= 0.5:
        raise DataError(
            f"validation_fraction: found {request.validation_fraction}; "
            "more than 0 and at most 0.5 is needed"
        )
    if request.vocab_size < MINIMUM_VOCABULARY:
        raise DataError(
            f"--vocab-size: found {request.vocab_size}; at least {MINIMUM_VOCABULARY} are needed, "
            f"for the 256 bytes and {EOS}"
        )


def _few(domains: Iterable[PreparedDomain]) -> list[str]:
    """Return in words the domains that are evaluated on too little."""
    return [
        f"domain {domain.name}: {domain.validation_tokens:,} validation tokens; below "
        f"{FEW_VALIDATION_TOKENS:,} the loss is noisy. Add texts"
        for domain in domains
        if domain.validation_tokens < FEW_VALIDATION_TOKENS
    ]


def _complete(output: Path, manifest: PreparedData) -> bool:
    """Whether every token file of a manifest is there with its size."""
    width = np.dtype(manifest.dtype).itemsize
    for name, entry in manifest.domains.items():
        sides = [(output / validation_file(name), entry.validation_tokens)]
        if not entry.held_out:
            sides.append((output / train_file(name), entry.train_tokens))
        for path, tokens in sides:
            if not path.is_file() or path.stat().st_size != tokens * width:
                return False
    return (output / "tokenizer.json").is_file() and (output / "data.yaml").is_file()


def _sample(splits: Iterable[Split]) -> Iterable[str]:
    """Yield training texts, about as much of each domain, evenly spread over it."""
    for split in splits:
        total = sum(document.size_bytes for document in split.train)
        step = max(1, total // SAMPLE_BYTES)
        for document in split.train[::step]:
            yield document.text


def _write_data_config(
    output: Path, tokenizer: Tokenizer, domains: Sequence[PreparedDomain]
) -> None:
    sources = [
        {"name": domain.name, "paths": [train_file(domain.name)]}
        for domain in domains
        if not domain.held_out
    ]
    section = {"dtype": tokenizer.dtype, "tokenizer": "tokenizer.json", "sources": sources}
    header = "The data section of a config; paths are relative to this file."
    write_yaml(output / "data.yaml", {"data": section}, header)
