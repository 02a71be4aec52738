"""From a generation config to the variants of a swarm, and from variants to files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from olmix.config import GenerationConfig, LaunchConfig, ProxyTraining, VariantConfig, read_yaml
from olmix.domains import Node, domain_names
from olmix.errors import ConfigError, OlmixError, Problem
from olmix.generate.dirichlet import Bounds, bounds, draw_mixture, reference_mixture
from olmix.io.files import digest, write_yaml
from olmix.io.tables import write_table
from olmix.mixture import Mixture, repetition_factors
from olmix.simplex import Array

__all__ = ["Generated", "Variant", "generate", "group_of", "sample_swarm"]

logger = logging.getLogger(__name__)

REPLICATE_SEED = 1_000
"""Replicates of the references are trained with the seeds 1000, 1001, ..."""


@dataclass(frozen=True)
class Variant:
    """One mixture of a swarm.

    Attributes:
        kind: a sampled mixture, a reference (`natural` or `uniform`), or a further run of one.
        mix: the mixture.
        seed: training seed, where it is not that of the base config.
    """

    kind: Literal["natural", "uniform", "sampled"]
    mix: Mixture
    seed: int | None = None


@dataclass(frozen=True)
class Generated:
    """What `generate` wrote.

    Attributes:
        group_id: hash of everything that the mixtures depend on.
        folder: where the files lie.
        files: one file per variant, in order.
        variants: the variants.
        num_new: files that were not there before.
    """

    group_id: str
    folder: Path
    files: tuple[Path, ...]
    variants: tuple[Variant, ...]
    num_new: int


def sample_swarm(config: GenerationConfig) -> tuple[Variant, ...]:
    """Draw the variants of a swarm: the references, their replicates, then the samples.

    The sample ``i`` depends on the seed and ``i`` alone, so asking for more variants leaves the
    earlier ones as they were.

    Raises:
        InfeasibleError: no mixture satisfies the config; says what stands in the way.
    """
    tree, swarm = config.data.tree(), config.swarm
    limits = bounds(tree, config.priors, swarm, config.max_tokens)
    domains = domain_names(tree)
    natural = dict(zip(domains, config.priors.natural(domains), strict=True))
    counts = config.priors.counts(domains)

    def mixture(weights: Array) -> Mixture:
        factors = repetition_factors(weights, config.max_tokens, counts)
        return Mixture.from_weights(domains, weights, factors)

    variants: list[Variant] = []
    references = {
        kind: mixture(reference_mixture(kind, tree, natural, limits)) for kind in swarm.references
    }
    variants.extend(Variant(kind, mix) for kind, mix in references.items())
    for replicate in range(swarm.replicates):
        seed = REPLICATE_SEED + replicate
        variants.extend(Variant(kind, mix, seed) for kind, mix in references.items())
    for rng in np.random.default_rng(swarm.seed).spawn(swarm.variants):
        variants.append(
            Variant("sampled", mixture(draw_mixture(tree, natural, swarm, limits, rng)))
        )
    _report(config, limits, variants)
    return tuple(variants)


def _report(config: GenerationConfig, limits: Bounds, variants: Sequence[Variant]) -> None:
    capped = int((limits.caps < 1).sum())
    logger.info("%d of %d domains are capped by their tokens", capped, len(limits.caps))
    if config.swarm.sample_multiplier is not None:
        logger.warning("swarm.sample_multiplier has no effect: no draw is ever thrown away")
    live = int((_weights(config, variants) > 0).any(axis=0).sum())
    if len(variants) < 3 * (live + 1):
        logger.warning(
            "%d runs for %d domains; 3 x (domains + 1) = %d is a safer number",
            len(variants),
            live,
            3 * (live + 1),
        )


def _weights(config: GenerationConfig, variants: Sequence[Variant]) -> Array:
    return np.array([variant.mix.weights(config.data.domains) for variant in variants])


def group_of(config: GenerationConfig, base: LaunchConfig | None) -> str:
    """Return the group id: a hash of what the mixtures and their training depend on.

    The number of variants, names of files and the infrastructure do not count, so a swarm keeps its
    group when it grows or moves.
    """
    plain: dict[str, Any] = config.to_plain()
    plain["swarm"].pop("variants")
    plain["data"] = _shape(config.data.tree())
    if base is not None:
        launch = base.to_plain()
        plain["base"] = {"training": launch["training"], "metrics": list(base.eval.metrics)}
    return digest(plain)


def _shape(tree: Sequence[Node]) -> list[Any]:
    return [[node.name, node.weight, _shape(node.children)] for node in tree]


def generate(
    config: GenerationConfig,
    folder: str | Path,
    base: LaunchConfig | None = None,
    *,
    allow_mixed: bool = False,
) -> Generated:
    """Sample a swarm and write one file per variant, and `swarm.csv`.

    With `base` each file is a complete launch config, without it a bare variant. Files that are
    already there with the same content are left alone.

    Raises:
        ConfigError: the base does not fit the generation config, or the folder holds another group.
        InfeasibleError: no mixture satisfies the config.
    """
    if base is not None:
        _check_base(config, base)
    group = group_of(config, base)
    out = Path(folder)
    if not allow_mixed:
        _check_folder(out, f"{config.name}-{group}-")
    variants = sample_swarm(config)
    files, num_new = [], 0
    for index, variant in enumerate(variants):
        name = f"{config.name}-{group}-{index:04}"
        bare = VariantConfig(name=name, mix=variant.mix, seed=variant.seed)
        content = bare.to_plain() if base is None else base.with_variant(bare, group).to_plain()
        file = out / f"{name}.yaml"
        if not _holds(file, content):
            num_new += 1
            write_yaml(file, content, f"{variant.kind} mixture of swarm {config.name}")
        files.append(file)
    _write_csv(out / "swarm.csv", config, files, variants)
    return Generated(group, out, tuple(files), variants, num_new)


def _check_base(config: GenerationConfig, base: LaunchConfig) -> None:
    problems = []
    missing = [name for name in config.data.domains if name not in base.data.domains]
    if missing:
        problems.append(
            Problem(
                "data", f"the base config has no domain {', '.join(missing)}; the swarm samples it"
            )
        )
    training = base.training
    if isinstance(training, ProxyTraining) and training.num_tokens != config.max_tokens:
        problems.append(
            Problem(
                "training.max_tokens",
                f"the base trains {training.num_tokens:,} tokens a run, the swarm is sampled for "
                f"max_tokens = {config.max_tokens:,}; make them equal",
            )
        )
    if problems:
        raise ConfigError(problems, base.name)


def _check_folder(folder: Path, prefix: str) -> None:
    """Refuse a folder that holds variants of another group."""
    others = sorted(file.name for file in folder.glob("*.yaml") if not file.name.startswith(prefix))
    if others:
        raise ConfigError(
            [
                Problem(
                    "",
                    f"holds {len(others)} files that are not of this swarm ({prefix}*), such as "
                    f"{others[0]}. Choose another folder, or pass --allow-mixed to keep both.",
                )
            ],
            str(folder),
        )


def _holds(file: Path, content: dict[str, Any]) -> bool:
    if not file.is_file():
        return False
    try:
        return bool(read_yaml(file).data == content)
    except OlmixError:
        return False


def _write_csv(
    path: Path, config: GenerationConfig, files: Sequence[Path], variants: Sequence[Variant]
) -> None:
    weights = _weights(config, variants)
    columns: dict[str, Any] = {
        "kind": [variant.kind for variant in variants],
        "seed": [variant.seed for variant in variants],
    }
    columns |= {name: weights[:, i].tolist() for i, name in enumerate(config.data.domains)}
    write_table(path, [file.stem for file in files], columns)
