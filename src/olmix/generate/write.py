"""Writing a swarm: one YAML file per variant, and `swarm.csv`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from olmix.config import GenerationConfig, LaunchConfig, ProxyTraining, VariantConfig
from olmix.errors import ConfigError, OlmixError, Problem
from olmix.generate.next_round import EarlierFit
from olmix.generate.swarm import Variant, group_of, sample_swarm
from olmix.mixture import Mixture
from olmix.records.matching import check_cuts, cut_domains
from olmix.simplex import distinct_mixtures
from olmix.text.csv import write_table
from olmix.text.files import write_text
from olmix.text.progress import OnProgress
from olmix.text.yaml import parse_yaml, render_yaml

__all__ = ["Generated", "for_target", "generate"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Generated:
    """The files that `generate` wrote.

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


def generate(
    config: GenerationConfig,
    folder: str | Path,
    base: LaunchConfig | None = None,
    *,
    allow_mixed: bool = False,
    allow_pickle: bool = False,
    fit: EarlierFit | None = None,
    on_progress: OnProgress | None = None,
) -> Generated:
    """Sample a swarm and write one file per variant, and `swarm.csv`.

    With `base` each file is a complete launch config, without it a bare variant. Files that are
    already there with the same content are left alone.

    Raises:
        ConfigError: the base does not fit the generation config, what a matched run would see of a
            domain is less than one of its steps, or the folder holds another group.
        InfeasibleError: no mixture satisfies the config, or too few different ones.
    """
    if base is not None:
        _check_base(config, base)
    group = group_of(config, base, allow_pickle=allow_pickle)
    config = for_target(config, base)
    out = Path(folder)
    if not allow_mixed:
        _check_folder(out, f"{config.name}-{group}-")
    variants = sample_swarm(config, allow_pickle=allow_pickle, fit=fit, on_progress=on_progress)
    sections: Mapping[str, Any] = {}
    if base is not None and variants:
        _check_subsets(config, base, variants)
        # The first variant is checked as a whole; the others differ by name, mixture and seed.
        first = VariantConfig(name=f"{config.name}-{group}-0000", mix=variants[0].mix)
        plain = base.with_variant(first, group).to_plain()
        texts = {key: render_yaml({key: value}) for key, value in plain.items()}
        sections = {"texts": texts, "training": plain["training"]}
    files, num_new = [], 0
    for index, variant in enumerate(variants):
        name = f"{config.name}-{group}-{index:04}"
        file = out / f"{name}.yaml"
        text = _render(name, variant, sections)
        header = f"# {variant.kind} mixture of swarm {config.name}\n"
        if not _holds(file, text):
            num_new += 1
            write_text(file, header + text, sync=False)
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
    if training.num_tokens != config.max_tokens:
        what = (
            f"the base trains each run on {training.num_tokens:,} tokens, but the swarm is "
            f"sampled for max_tokens = {config.max_tokens:,}"
        )
        if isinstance(training, ProxyTraining):
            problems.append(Problem("training.max_tokens", f"{what}; make them equal"))
        else:
            logger.warning("%s; caps and repetition factors are those of the latter", what)
    target = config.target_tokens
    if target is not None and target != training.target_tokens:
        said = training.target_tokens
        problems.append(
            Problem(
                "training.target_tokens",
                f"the swarm is sampled for target_tokens = {target:,}, but the base "
                f"{'says nothing of it' if said is None else f'says {said:,}'}; make them equal",
            )
        )
    if problems:
        raise ConfigError(problems, base.name)


def _check_subsets(
    config: GenerationConfig, base: LaunchConfig, variants: Sequence[Variant]
) -> None:
    """Refuse a swarm that `launch` would: matched runs that see less than a step of a domain."""
    domains = config.data.domains
    used = np.any([variant.mix.weights(domains) > 0 for variant in variants], axis=0)
    names = [name for name, is_used in zip(domains, used, strict=True) if is_used]
    counts = {name: config.priors.token_counts[name] for name in names}
    check_cuts(cut_domains(counts, base.training), base.training, base.name)


def for_target(config: GenerationConfig, base: LaunchConfig | None) -> GenerationConfig:
    """Return the config with the large run that its base names."""
    if base is None or base.training.target_tokens is None:
        return config
    return config.model_copy(update={"target_tokens": base.training.target_tokens})


def _check_folder(folder: Path, prefix: str) -> None:
    """Refuse a folder that holds variants of another group."""
    others = sorted(file.name for file in folder.glob("*.yaml") if not file.name.startswith(prefix))
    if others:
        raise ConfigError(
            [
                Problem(
                    "",
                    f"holds {len(others)} files that do not belong to this swarm ({prefix}*), "
                    f"such as {others[0]}. Choose another folder, or pass --allow-mixed to keep "
                    "both.",
                )
            ],
            str(folder),
        )


def _holds(file: Path, text: str) -> bool:
    """Whether a file holds this content, whatever its comments say."""
    try:
        found = file.read_text(encoding="utf-8")
        if found.partition("\n")[2] == text or found == text:
            return True
        return bool(parse_yaml(found, str(file)) == parse_yaml(text, str(file)))
    except (OSError, UnicodeDecodeError, OlmixError):
        return False


@lru_cache(maxsize=4096)
def _key(name: str) -> str:
    """Return a domain's name as a YAML key, quoted where it must be."""
    return render_yaml({name: 0}).rpartition(":")[0]


def _render_mixture(mix: Mixture) -> str:
    """Return the `mix` section; what `render_yaml` would write, many times faster."""
    lines = ["mix:"]
    for name, share in mix.items():
        lines.append(f"  {_key(name)}:")
        lines.append(f"    weight: {_number(share.weight)}")
        lines.append(f"    repetition_factor: {_number(share.repetition_factor)}")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """Return the fewest digits that give a number back, in a form that YAML 1.2 reads as one."""
    text = repr(value)
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}.0e{exponent}" if mark and "." not in mantissa else text


def _render(name: str, variant: Variant, sections: Mapping[str, Any]) -> str:
    """Return the YAML of one variant: bare, or with the sections of a launch config around it."""
    head = f"name: {name}\n"
    if not sections:
        seed = "" if variant.seed is None else f"seed: {variant.seed}\n"
        return head + _render_mixture(variant.mix) + seed
    pieces = [head]
    for key, text in sections["texts"].items():
        if key == "mix":
            pieces.append(_render_mixture(variant.mix))
        elif key == "training" and variant.seed is not None:
            pieces.append(render_yaml({key: {**sections["training"], "seed": variant.seed}}))
        elif key != "name":
            pieces.append(text)
    return "".join(pieces)


def _write_csv(
    path: Path, config: GenerationConfig, files: Sequence[Path], variants: Sequence[Variant]
) -> None:
    domains = config.data.domains
    weights = np.array([variant.mix.weights(domains) for variant in variants])
    different = distinct_mixtures(weights)
    # The first of those that are the same stands for them.
    nearest = [int(np.abs(different - row).max(axis=1).argmin()) for row in weights]
    columns: dict[str, Any] = {
        "kind": [variant.kind for variant in variants],
        "seed": [variant.seed for variant in variants],
        "mixture": nearest,
    }
    columns |= {name: weights[:, i].tolist() for i, name in enumerate(domains)}
    write_table(path, [file.stem for file in files], columns)
