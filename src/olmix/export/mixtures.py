"""Mixtures with the files of their domains, read from what Olmix writes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from olmix.config import DataConfig, Priors, Training, read_yaml
from olmix.config.base import Section, TokenCount, validate
from olmix.config.launch import MixtureField
from olmix.errors import ConfigError, DataError, Problem
from olmix.mixture import Mixture
from olmix.records.fit.settings import read_fit_settings
from olmix.records.tokens import expand

__all__ = ["DomainShare", "ExportedMix", "read_mixtures"]

MIX_FILE = "mix.yaml"
"""The proposal, in the folder of a fit."""


@dataclass(frozen=True)
class DomainShare:
    """One domain of a mixture.

    Attributes:
        name: the domain.
        weight: its share of the training tokens, above 0; those of a mixture add up to 1.
        repetition_factor: passes over it that the mixture allows.
        paths: its files, patterns and URLs, as the config names them.
        passes: passes that the run takes; `None` where its tokens are not known.
    """

    name: str
    weight: float
    repetition_factor: float
    paths: tuple[str, ...]
    passes: float | None = None

    @property
    def repeats(self) -> int:
        """Whole passes that the mixture allows, at least 1."""
        return max(1, math.ceil(self.repetition_factor - 1e-9))

    def files(self) -> tuple[str, ...]:
        """Return the paths with their local patterns replaced by files.

        Raises:
            DataError: a pattern has no file.
        """
        found: list[str] = []
        for path in self.paths:
            if "://" in path or not set("*?[") & set(path) or Path(path).exists():
                found.append(path)
            else:
                found += map(str, expand([path], f"domain {self.name}"))
        return tuple(found)


@dataclass(frozen=True)
class ExportedMix:
    """One mixture.

    Attributes:
        name: the run, or the stem of its file.
        domains: those with weight.
        left_out: names of those without, whether the mixture or only its data name them.
        num_tokens: tokens of the run, where that is known.
        tokens_from: the key that says so, and its file.
        seed: of the order of its data.
        batch_tokens: tokens of a step, where that is known.
    """

    name: str
    domains: tuple[DomainShare, ...]
    left_out: tuple[str, ...] = ()
    num_tokens: int | None = None
    tokens_from: str = ""
    seed: int = 0
    batch_tokens: int | None = None


class _About(Section):
    """The keys of a launch config, a generation config or a variant that matter here."""

    name: str = ""
    """Name of the run."""
    mix: MixtureField | None = None
    """The mixture."""
    data: DataConfig | None = None
    """The data tree."""
    priors: Priors | None = None
    """Token counts per domain."""
    max_tokens: TokenCount | None = None
    """Tokens of a run, in generation configs."""
    target_tokens: TokenCount | None = None
    """Tokens of the large run, in generation configs."""
    training: Training | None = None
    """The training, in launch configs."""
    seed: int | None = None
    """Seed of a bare variant."""


def read_mixtures(source: Path, config: Path | None = None) -> list[ExportedMix]:
    """Read the mixture of a file, of a fit folder, or all those of a swarm.

    Args:
        source: `mix.yaml`, a variant, or a folder with either.
        config: any config with a `data` section, which says where the files are; with `priors` and
            `max_tokens` it also says how many passes a run takes. A proposal is for the large run,
            so `constraints.target_tokens` of its fit, or else `target_tokens`, come first.

    Raises:
        ConfigError: a file cannot be read, holds no mixture, or nothing says where its data are.
    """
    about = None if config is None else _read(config)
    return [_combine(file, about, config) for file in _files(source)]


def _files(source: Path) -> Iterator[Path]:
    if not source.is_dir():
        yield source
    elif (source / MIX_FILE).is_file():
        yield source / MIX_FILE
    else:
        files = sorted(source.glob("*.yaml"))
        if not files:
            what = "holds neither mix.yaml, as in a fit, nor variants (*.yaml)"
            raise ConfigError([Problem("", what)], str(source))
        yield from files


def _read(file: Path) -> _About:
    read = read_yaml(file)
    content = read.data
    if isinstance(content, dict):
        content = {key: value for key, value in content.items() if key in _About.model_fields}
    return validate(_About, content, read)


def _combine(file: Path, about: _About | None, config: Path | None) -> ExportedMix:
    """Return the mixture of a file, with what the config says of its data."""
    own = _read(file)
    if own.mix is None:
        raise ConfigError([Problem("mix", "is missing; a mixture is needed")], str(file))
    data = own.data if about is None or about.data is None else about.data
    if data is None:
        where = "it has no data section" if config is None else f"neither does {config}"
        what = f"does not say where the files are ({where}); pass a config with a data section: -c"
        raise ConfigError([Problem("data", what)], str(file))
    unknown = [name for name in own.mix if name not in data.domains]
    if unknown:
        what = f"the data section has no domain {', '.join(unknown)}"
        raise ConfigError([Problem("mix", what)], str(file))
    rest = about or own
    training = own.training or rest.training
    tokens, tokens_from = _run_tokens(file, rest, training, config or file)
    seed = own.seed if own.seed is not None else getattr(training, "seed", 0)
    domains = tuple(_shares(own.mix, data, rest.priors, tokens))
    if not domains:
        raise DataError(f"{file}: no domain has any weight")
    return ExportedMix(
        own.name or file.stem,
        domains,
        tuple(name for name in data.domains if name not in {one.name for one in domains}),
        tokens,
        tokens_from,
        seed,
        getattr(training, "global_batch_size", None),
    )


def _run_tokens(
    file: Path, about: _About, training: Training | None, config: Path
) -> tuple[int | None, str]:
    """Return the tokens of the run that a mixture is for, and where they stand."""
    if file.name == MIX_FILE:
        limits = read_fit_settings(file.parent).constraints
        if limits is not None and limits.target_tokens is not None:
            return int(limits.target_tokens), "constraints.target_tokens of the fit"
        if about.target_tokens is not None:
            return about.target_tokens, f"target_tokens of {config.name}"
    if about.max_tokens is not None:
        return about.max_tokens, f"max_tokens of {config.name}"
    return (None, "") if training is None else (training.num_tokens, f"training of {config.name}")


def _shares(
    mix: Mixture, data: DataConfig, priors: Priors | None, tokens: int | None
) -> Iterator[DomainShare]:
    counts = {} if priors is None else priors.token_counts
    for name, share in mix.items():
        if not share.weight:
            continue
        known = tokens is not None and name in counts
        passes = share.weight * (tokens or 0) / counts[name] if known else None
        yield DomainShare(name, share.weight, share.repetition_factor, data.paths_of(name), passes)
