"""Which run a config describes: a hash of everything that its result depends on.

Names, folders, infrastructure and descriptions do not count; the contents of the token files do.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from olmix.config import LaunchConfig, ProxyTraining, ValidationEval
from olmix.domains import iter_domains
from olmix.errors import ConfigError, Problem
from olmix.records.token_files import OLMO_DTYPE
from olmix.records.tokens import data_dtype, expand, fingerprint
from olmix.text.files import digest

__all__ = ["run_identity"]

_FORMAT = 1
"""Raised when the trainer changes what it computes, so that finished runs are done again."""

_LENGTH = 16


@lru_cache(maxsize=65536)
def _fingerprint(path: Path, size: int, modified_ns: int) -> str:
    """`fingerprint` of one file, read once a process as long as it is not changed."""
    del size, modified_ns
    return fingerprint([path])


def _contents(paths: Sequence[str], what: str) -> list[str]:
    """Return the fingerprints of files, in their order."""
    found = []
    for path in expand(paths, what):
        stat = path.stat()
        found.append(_fingerprint(path, stat.st_size, stat.st_mtime_ns))
    return found


def _training(training: ProxyTraining) -> dict[str, object]:
    """Return what a training section means: lengths and widths written out."""
    plain = training.to_plain()
    for key in ("chinchilla_multiple", "checkpoint_interval_s"):
        plain.pop(key, None)
    return {**plain, "max_tokens": training.num_tokens, "d_hidden": training.hidden}


def run_identity(config: LaunchConfig) -> str:
    """Return the identity of a run, 16 hexadecimal digits.

    For the embedded trainer it covers the training section with its seed, what is evaluated, the
    mixture by domain name, and the contents of the tokenizer and of all token files that the run
    reads. It does not cover names, paths, infrastructure, or how often checkpoints are written.

    For other trainers it covers the training, data, mixture and eval sections as they stand: their
    files may lie where only the cluster can read them.

    Raises:
        ConfigError: the config has no mixture.
        DataError: a file is missing or unreadable.
    """
    training, evaluation = config.training, config.eval
    if not isinstance(training, ProxyTraining) or not isinstance(evaluation, ValidationEval):
        plain = config.to_plain()
        batch = getattr(training, "global_batch_size", None)
        if batch is not None:  # files of few sequences say `N tokens`
            plain["training"]["global_batch_size"] = batch
        if all(
            "://" in path for name in config.data.domains for path in config.data.paths_of(name)
        ):
            # What follows from addresses alone is written out, as configs of old have it.
            plain["data"]["dtype"] = data_dtype(config.data) or OLMO_DTYPE
        return digest({key: plain.get(key) for key in ("training", "data", "mix", "eval")}, _LENGTH)
    if config.mix is None or config.data.tokenizer is None:
        missing = "mix" if config.mix is None else "data.tokenizer"
        raise ConfigError([Problem(missing, "this key is required to train")], config.name)
    paths = {name: path[-1].paths for name, path in iter_domains(config.data.tree())}
    used = {name: share for name, share in config.mix.to_plain().items() if share["weight"] > 0}
    return digest(
        {
            "format": _FORMAT,
            "training": _training(training),
            "mix": used,
            "data": {name: _contents(paths[name], f"domain {name}") for name in used},
            "dtype": data_dtype(config.data, used),
            "tokenizer": _contents([config.data.tokenizer], "data.tokenizer"),
            "eval": {
                name: _contents(files, f"eval.paths.{name}")
                for name, files in evaluation.paths.items()
            },
            "eval_tokens": evaluation.max_tokens,
        },
        _LENGTH,
    )
