"""Which runs verify a proposal: every mixture with every seed, so that seeds are paired."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from olmix.config import LaunchConfig, ProxyTraining, VariantConfig
from olmix.errors import ConfigError, DataError, NotAvailableError, Problem
from olmix.mixture import Mixture, repetition_factors
from olmix.records.tokens import expand, open_tokens
from olmix.text.files import digest, read_json

__all__ = ["MIXTURES", "VerificationPlan", "plan_verification"]

MIXTURES = ("natural", "uniform", "best_seen", "proposed")
FIRST_SEED = 2_000
MINIMUM_SEEDS = 3


@dataclass(frozen=True)
class VerificationPlan:
    """The runs of a verification.

    Attributes:
        group_id: name of the group of runs.
        proposal: content of `proposal.json`.
        seeds: training seeds, none of which the swarm used.
        runs: launch configs.
        run_of: name of the run of each (mixture, seed); two mixtures that are the same share runs.
    """

    group_id: str
    proposal: dict[str, Any]
    seeds: tuple[int, ...]
    runs: tuple[LaunchConfig, ...]
    run_of: Mapping[tuple[str, int], str]


def plan_verification(
    fit_folder: Path, base: LaunchConfig, num_seeds: int, seed_offset: int = 0
) -> VerificationPlan:
    """Plan the runs that verify the proposal of a fit.

    Args:
        fit_folder: folder that `olmix fit` wrote.
        base: how to train; its seed and mixture are replaced.
        num_seeds: fresh seeds for each mixture, at least 3.
        seed_offset: moves all seeds, for an independent second verification.

    Raises:
        ConfigError: fewer than 3 seeds, or the base lacks domains of the proposal.
        DataError: the folder holds no proposal.
    """
    if num_seeds < MINIMUM_SEEDS:
        raise ConfigError(
            [Problem("--seeds", f"found {num_seeds}; at least {MINIMUM_SEEDS} give an error bar")]
        )
    file = fit_folder / "proposal.json"
    if not file.is_file():
        raise DataError(
            f"{fit_folder}: holds no proposal.json. Run `olmix fit` without proposer.fit_only."
        )
    proposal = read_json(file)
    seeds = _fresh_seeds(fit_folder, base, num_seeds, seed_offset)
    training = base.to_plain()["training"]
    weights = {name: proposal["mixtures"][name]["weights"] for name in MIXTURES}
    group = "verify-" + digest({"weights": weights, "training": training, "seeds": seeds})
    names = _distinct(weights)
    runs: dict[str, LaunchConfig] = {}
    run_of: dict[tuple[str, int], str] = {}
    for seed in seeds:
        for mixture in MIXTURES:
            run = f"{names[mixture].replace('_', '-')}-seed-{seed}"
            run_of[mixture, seed] = run
            if run not in runs:
                variant = VariantConfig(name=run, mix=_mixture(weights[mixture], base), seed=seed)
                runs[run] = base.with_variant(variant, group)
    return VerificationPlan(group, proposal, seeds, tuple(runs.values()), run_of)


def _distinct(weights: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Return for each mixture the first one that has the same weights."""
    first: dict[str, str] = {}
    for name, mixture in weights.items():
        twin = next((other for other in first if dict(weights[other]) == dict(mixture)), name)
        first[name] = first.get(twin, twin)
    return first


def _mixture(weights: Mapping[str, float], base: LaunchConfig) -> Mixture:
    """Return a mixture that may pass over its domains as often as it needs to."""
    unknown = [name for name in weights if name not in base.data.domains]
    if unknown:
        raise ConfigError(
            [Problem("data", f"the base config has no domain {', '.join(unknown)}")], base.name
        )
    names = tuple(weights)
    values = np.array([weights[name] for name in names])
    counts = np.array([_num_tokens(base, name) for name in names], dtype=np.float64)
    factors = repetition_factors(values, training_tokens(base), counts)
    return Mixture.from_weights(names, values / values.sum(), factors)


def training_tokens(base: LaunchConfig) -> int:
    """Return the tokens of one run.

    Raises:
        NotAvailableError: the base uses another trainer than the embedded one.
    """
    if not isinstance(base.training, ProxyTraining):
        raise NotAvailableError(
            f"{base.name}: training.trainer = {base.training.trainer} is not available in this "
            "release. Set training.trainer to proxy to verify with the embedded trainer."
        )
    return base.training.num_tokens


def _num_tokens(base: LaunchConfig, domain: str) -> int:
    files = expand(base.data.paths_of(domain), f"domain {domain}")
    return sum(len(open_tokens(file, base.data.dtype)) for file in files)


def _fresh_seeds(
    fit_folder: Path, base: LaunchConfig, num_seeds: int, seed_offset: int
) -> tuple[int, ...]:
    """Return seeds that neither the base config nor any run of the swarm used."""
    used = {base.training.seed}
    ratios = read_json(fit_folder / "config.json").get("swarm", {}).get("ratios")
    runs = Path(ratios).with_name("runs.csv") if ratios else None
    if runs is not None and runs.is_file():
        with runs.open(encoding="utf-8", newline="") as rows:
            used |= {int(row["seed"]) for row in csv.DictReader(rows) if row.get("seed")}
    candidates = (FIRST_SEED + seed_offset + i for i in range(num_seeds + len(used)))
    return tuple(seed for seed in candidates if seed not in used)[:num_seeds]
