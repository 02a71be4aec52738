"""The configs of a study, every key explained: `olmix new` and `olmix quickstart` write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from olmix.domains import bits_per_byte_of
from olmix.text.yaml import render_yaml

__all__ = ["AVERAGE", "DEFAULT_RUNS", "DEFAULT_TOKENS", "Study", "fit_config", "study_configs"]

AVERAGE = "average"
"""The target that is the mean over the domains that are trained on."""
DEFAULT_RUNS = 36
DEFAULT_TOKENS = 160_000
_REFERENCES = ("natural", "uniform")


@dataclass(frozen=True)
class Study:
    """The subject of a study.

    Attributes:
        name: of the study.
        data: the `data` section, paths relative to the configs.
        domains: what is trained on.
        validation: validation files by name.
        target: what to be good at: a name of `validation`, or `average`.
        runs: runs of the swarm, references and their replicates included.
        tokens: tokens of one run.
        seed: of the swarm, of its runs and of the fit.
        passes: passes over a domain that a mixture may ask for.
    """

    name: str
    data: Mapping[str, object]
    domains: tuple[str, ...]
    validation: Mapping[str, Sequence[str]]
    target: str = AVERAGE
    runs: int = DEFAULT_RUNS
    tokens: int = DEFAULT_TOKENS
    seed: int = 0
    passes: float = 4.0


def study_configs(study: Study) -> dict[str, str]:
    """Return the three configs of a study as YAML, by the names of their files."""
    from olmix.config import GenerationConfig, LaunchConfig
    from olmix.config.commented import render_commented

    launch, generation = _launch(study), _generation(study)
    counts = {"token_counts": dict.fromkeys(study.domains, study.tokens)}
    wanted = study.domains if study.target == AVERAGE else (study.target,)
    weights = {bits_per_byte_of(name): float(name in wanted) for name in study.validation}
    return {
        "generation.yaml": render_commented(
            # The priors are a file that is written later.
            GenerationConfig.from_dict({**generation, "priors": counts}),
            generation,
            "How the mixtures are sampled: `olmix generate` reads this.",
        ),
        "launch.yaml": render_commented(
            LaunchConfig.from_dict(launch),
            launch,
            "How a run is trained: `olmix generate --base` and `olmix verify` read this.",
        ),
        "fit.yaml": fit_config(
            ("results/ratios.csv", "results/metrics.csv"),
            "priors.yaml",
            study.domains,
            weights,
            seed=study.seed,
        ),
    }


def _launch(study: Study) -> dict[str, object]:
    return {
        "name": study.name,
        "infra": {"backend": "local"},
        "training": {"trainer": "proxy", "max_tokens": study.tokens, "seed": study.seed},
        "data": study.data,
        "eval": {"type": "validation", "paths": study.validation},
    }


def _generation(study: Study) -> dict[str, object]:
    num_domains = len(study.domains)
    replicates = 1
    return {
        "name": study.name,
        "data": study.data,
        "priors": "priors.yaml",
        "swarm": {
            "seed": study.seed,
            "variants": max(study.runs - len(_REFERENCES) * (1 + replicates), 1),
            "references": list(_REFERENCES),
            "replicates": replicates,
            "mix_temperature": 0.25,
            "min_strength": num_domains / 4,
            "max_strength": num_domains * 4,
            "minimum_weight": 0.01,
            "repetition_factor": study.passes,
        },
        "max_tokens": study.tokens,
    }


def fit_config(
    tables: tuple[str, str],
    priors: object | None,
    domains: Sequence[str],
    weights: Mapping[str, float],
    *,
    lower: Mapping[str, bool] | None = None,
    seed: int = 0,
) -> str:
    """Return a fit config as YAML, with the keys that people change.

    Args:
        tables: the files of ratios and metrics.
        priors: the `priors` section, or the name of its file; `None` where nobody knows it.
        domains: what was trained on.
        weights: weight of every metric in the objective.
        lower: metrics whose direction is known, and whether lower is better.
        seed: of splits and bootstrap.
    """
    from olmix.config import FitConfig
    from olmix.config.commented import render_commented

    plain: dict[str, object] = {
        "swarm": dict(zip(("ratios", "metrics"), tables, strict=True)),
        **({"priors": priors} if priors is not None else {}),
        "eval": {"type": "offline", "tasks": {"validation": list(weights)}},
        **({"lower_is_better": dict(lower)} if lower else {}),
        "regression": {"type": "auto", "seed": seed},
        "proposer": {"type": "auto", "kl_reg": 0.05},
        "filtering": {"obj_weights": dict(weights)},
    }
    config = FitConfig.from_dict({**plain, "priors": {"token_counts": dict.fromkeys(domains, 1)}})
    text = render_commented(config, plain, "What is fitted and proposed: `olmix fit` reads this.")
    return text if priors is not None else text + _priors_to_give(domains)


def _priors_to_give(domains: Sequence[str]) -> str:
    """Return the section of token counts as comments, for its reader to complete."""
    lines = (
        "Tokens of each domain: they define the natural mixture, and how often a run may repeat a",
        "domain. Without them the uniform mixture stands in for the natural one.",
        "priors:",
        "  token_counts:",
        *(f"    {line}" for line in render_yaml(dict.fromkeys(domains, "TOKENS")).splitlines()),
    )
    return "".join(f"# {line}\n" for line in lines)
