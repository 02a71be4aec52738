"""Which runs verify a proposal: every mixture with every seed, so that seeds are paired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from olmix.config import LaunchConfig, ProxyTraining, VariantConfig
from olmix.errors import ConfigError, DataError, Problem
from olmix.mixture import Mixture, repetition_factors
from olmix.records.fit.columns import Columns
from olmix.records.fit.proposal import VERIFIED, Proposal, read_proposal
from olmix.records.fit.settings import FitSettings, read_fit_settings
from olmix.records.fit.tables import read_rows
from olmix.records.metric import Objective
from olmix.records.tokens import count_tokens
from olmix.text.csv import read_table
from olmix.text.files import digest

__all__ = ["VerificationPlan", "measured_by", "plan_verification"]

FIRST_SEED = 2_000
MINIMUM_SEEDS = 3


@dataclass(frozen=True)
class VerificationPlan:
    """The runs of a verification.

    Attributes:
        group_id: name of the group of runs.
        proposal: what is in `proposal.json`.
        seeds: training seeds, none of which the swarm used.
        runs: launch configs.
        run_of: name of the run of each (mixture, seed); two mixtures that are the same share runs.
        columns: how the metrics of the fit come from what a run measures.
        mixtures: the mixtures that are trained.
        start: how the natural mixture is called: `uniform` where no token counts were given.
    """

    group_id: str
    proposal: Proposal
    seeds: tuple[int, ...]
    runs: tuple[LaunchConfig, ...]
    run_of: Mapping[tuple[str, int], str]
    columns: Columns = field(default_factory=Columns)
    mixtures: tuple[str, ...] = VERIFIED
    start: str = "natural"

    @property
    def objective(self) -> Objective:
        """The objective of the fit."""
        return self.proposal.objective.asked


def plan_verification(
    fit_folder: Path,
    base: LaunchConfig,
    num_seeds: int,
    seed_offset: int = 0,
    mixtures: tuple[str, ...] = VERIFIED,
) -> VerificationPlan:
    """Plan the runs that verify the proposal of a fit.

    Args:
        fit_folder: folder that `olmix fit` wrote.
        base: how to train; its seed and mixture are replaced.
        num_seeds: fresh seeds for each mixture, at least 3.
        seed_offset: moves all seeds, for an independent second verification.
        mixtures: which mixtures are trained; a group that has trained more of them is used again.

    Raises:
        ConfigError: fewer than 3 seeds, or the base lacks domains of the proposal.
        DataError: the folder holds no proposal, or the objective needs a metric that the trainer
            does not measure.
    """
    if num_seeds < MINIMUM_SEEDS:
        raise ConfigError(
            [Problem("--seeds", f"found {num_seeds}; an error bar needs at least {MINIMUM_SEEDS}")]
        )
    proposal = read_proposal(fit_folder)
    settings = read_fit_settings(fit_folder)
    columns = _columns(settings)
    measured = measured_by(base)
    if measured is not None:
        columns.check(proposal.objective.asked, measured, f"the trainer of {base.name}")
    seeds = _fresh_seeds(settings.swarm.ratios, base, num_seeds, seed_offset)
    training = base.to_plain()["training"]
    weights = {name: proposal.weights(name) for name in VERIFIED}
    group = "verify-" + digest({"weights": weights, "training": training, "seeds": seeds})
    names = _distinct(weights)
    counts = _token_counts(base, settings.token_counts)
    runs: dict[str, LaunchConfig] = {}
    run_of: dict[tuple[str, int], str] = {}
    for seed in seeds:
        for mixture in mixtures:
            run = f"{names[mixture].replace('_', '-')}-seed-{seed}"
            run_of[mixture, seed] = run
            if run not in runs:
                variant = VariantConfig(
                    name=run, mix=_mixture(weights[mixture], base, counts), seed=seed
                )
                runs[run] = base.with_variant(variant, group)
    return VerificationPlan(
        group,
        proposal,
        seeds,
        tuple(runs.values()),
        run_of,
        columns,
        mixtures,
        settings.start,
    )


def measured_by(base: LaunchConfig) -> tuple[str, ...] | None:
    """Return what a run will measure; `None` where that shows only at its end."""
    return base.eval.metrics if isinstance(base.training, ProxyTraining) else None


def _columns(settings: FitSettings) -> Columns:
    """Return how the metrics of the fit come from what runs measure."""
    table = settings.swarm.metrics
    if not settings.regression.aggregate_task_families or table is None:
        return Columns.of(settings)
    try:
        return Columns.of(settings, read_table(table).columns)
    except DataError:
        return Columns.of(settings)


def _distinct(weights: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Return for each mixture the first one that has the same weights."""
    first: dict[str, str] = {}
    for name, mixture in weights.items():
        twin = next((other for other in first if dict(weights[other]) == dict(mixture)), name)
        first[name] = first.get(twin, twin)
    return first


def _mixture(
    weights: Mapping[str, float], base: LaunchConfig, counts: Mapping[str, int]
) -> Mixture:
    """Return a mixture that may pass over its domains as often as it needs to."""
    unknown = [name for name in weights if name not in base.data.domains]
    if unknown:
        raise ConfigError(
            [Problem("data", f"the base config has no domain {', '.join(unknown)}")], base.name
        )
    names = tuple(weights)
    values = np.array([weights[name] for name in names])
    tokens = np.array([counts[name] for name in names], dtype=np.float64)
    factors = repetition_factors(values, base.training.pass_tokens, tokens)
    return Mixture.from_weights(names, values / values.sum(), factors)


def _token_counts(base: LaunchConfig, known: Mapping[str, float]) -> dict[str, int]:
    """Return the tokens of each domain: of its files where these are here, else as the fit has it.

    Raises:
        DataError: a local file is missing, or nothing says how many tokens a remote domain has.
    """
    found = {}
    for name in base.data.domains:
        if any("://" in path for path in base.data.paths_of(name)):
            if name not in known:
                raise DataError(
                    f"domain {name}: its files are not on this machine, and the priors of the fit "
                    "do not give its tokens"
                )
            found[name] = int(known[name])
        else:
            found[name] = count_tokens(base.data, name)
    return found


def _fresh_seeds(
    ratios: str | None, base: LaunchConfig, num_seeds: int, seed_offset: int
) -> tuple[int, ...]:
    """Return seeds that neither the base config nor any run of the swarm used."""
    rows = read_rows(Path(ratios).with_name("runs.csv")) if ratios else ()
    seeds = {row.get("seed") or "" for row in rows}
    used = {base.training.seed, *(int(seed) for seed in seeds if seed.isdecimal())}
    candidates = (FIRST_SEED + seed_offset + i for i in range(num_seeds + len(used)))
    return tuple(seed for seed in candidates if seed not in used)[:num_seeds]
