"""From a fit config to a fit folder: load, cross-validate, propose, judge, write."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from olmix.config import FitConfig
from olmix.errors import MissingPackageError
from olmix.fit.crossval import MetricFit, assign_folds, cross_validate
from olmix.fit.feasible import feasible_mixtures
from olmix.fit.folder import (
    FitFiles,
    config_to_plain,
    data_hash,
    file_stems,
    fit_hash,
    is_complete,
    make_beside,
    point_latest,
    publish,
)
from olmix.fit.gp import GpLog, GpSqrt
from olmix.fit.law import Law
from olmix.fit.learning_curve import COLUMNS, keep_share, learning_curve, shares_of
from olmix.fit.lightgbm import LightGbm
from olmix.fit.log_linear import LogLinear
from olmix.fit.log_weight import LogWeight
from olmix.fit.power_sum import AutoScale, BiMix
from olmix.fit.propose import find_references, propose, propose_each
from olmix.fit.results import (
    FitResult,
    fit_summary,
    interaction_matrix,
    launch_mix,
    law_label,
    predicted_performance,
    prediction_columns,
    proposal_summary,
)
from olmix.fit.saved import models_to_plain
from olmix.fit.search_law import Search
from olmix.fit.swarm import Swarm, load_swarm
from olmix.fit.uncertainty import bootstrap, objective_fit
from olmix.io.files import read_json, write_json

__all__ = ["fit_swarm"]

logger = logging.getLogger(__name__)

AUTO = ("log_linear", "log_weight", "gp")
"""Families of laws that `auto` compares: the smooth ones that rank best on public swarms."""
OnStep = Callable[[float, float, str], None]


class _Steps:
    """Counts steps and tells a callback about them."""

    def __init__(self, on_step: OnStep | None, total: int) -> None:
        self._on_step = on_step
        self._total = total
        self._done = 0

    def __call__(self, note: str, count: int = 1) -> None:
        """Say that a step is done, or several."""
        self._done = min(self._done + count, self._total)
        if self._on_step is not None:
            self._on_step(float(self._done), float(self._total), note)


def fit_swarm(
    config: FitConfig, output_dir: str | Path, on_step: OnStep | None = None
) -> FitResult:
    """Fit a swarm and write the fit folder, all but its figures and its report.

    Args:
        config: what to fit.
        output_dir: the folder goes into it, named by the hash of config and data, and
            `output_dir/latest` points at it. A complete folder of the same hash is used as it is.
        on_step: called with steps done, steps in all, and what was done.

    Raises:
        InfeasibleError: no mixture satisfies the constraints; found before anything is fitted.
        DataError: the tables do not hold what the config asks for.
        MissingPackageError: scipy or cvxpy is not installed.
    """
    started = time.perf_counter()
    if not config.proposer.fit_only:
        feasible_mixtures(config)
    data = data_hash(config)
    name = fit_hash(config, data)
    output = Path(output_dir)
    folder = output / name
    if is_complete(folder, config.proposer.fit_only):
        logger.info("%s is there, for the same config and data: nothing is fitted", folder)
        write_json(folder / "config.json", config_to_plain(config, name, data))
        point_latest(output, name)
        return _read(folder, config)
    swarm = load_swarm(config)
    if shares_of(config)[-1] < 1:
        # Too small a share is refused before anything is fitted.
        keep_share(swarm, shares_of(config)[-1], config.regression.seed)
    beside = make_beside(output, name)
    try:
        files = FitFiles(beside)
        files.json("config.json", config_to_plain(config, name, data))
        files.text("path_to_regression_model.txt", f"{(folder / 'models.json').resolve()}\n")
        with _one_thread():
            fit, proposal = _compute(config, swarm, files, on_step)
        publish(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    point_latest(output, name)
    return FitResult(folder, False, fit, proposal, time.perf_counter() - started)


def _one_thread() -> AbstractContextManager[object]:
    """Keep linear algebra on one thread: its matrices are small, and threads wait for each other.

    On two cores that other processes use too, two threads made a fit up to ten times slower.
    """
    try:
        # SciPy brings a linear algebra library of its own; only what is loaded can be limited.
        import scipy.linalg  # noqa: F401
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise MissingPackageError("threadpoolctl", "fit", "Fitting a swarm") from None
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _read(folder: Path, config: FitConfig) -> FitResult:
    fit = read_json(folder / "fit.json")
    proposal = None if config.proposer.fit_only else read_json(folder / "proposal.json")
    return FitResult(folder, True, fit, proposal, 0.0)


def candidate_laws(config: FitConfig) -> tuple[Law, ...]:
    """Return the laws that a config asks for; `auto` compares all."""
    wanted = config.regression.type
    families: dict[str, tuple[Law, ...]] = {
        "log_linear": (LogLinear(),),
        "log_weight": (LogWeight(),),
        "gp": (GpSqrt(), GpLog()),
        "lightgbm": (LightGbm(config.regression.seed),),
        "autoscale": (AutoScale(),),
        "bimix": (BiMix(),),
        "search": (Search(),),
    }
    if wanted == "auto":
        return tuple(law for name in AUTO for law in families[name])
    return families[wanted]


def _compute(
    config: FitConfig, swarm: Swarm, files: FitFiles, on_step: OnStep | None
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Fit, propose and write; returns the content of `fit.json` and `proposal.json`."""
    laws = candidate_laws(config)
    shares, whole = shares_of(config), swarm
    if shares[0] < 1:
        swarm = keep_share(swarm, shares[0], config.regression.seed)
    curve_steps = len(shares) if len(shares) > 1 else 0
    steps = _Steps(on_step, (len(laws) + 1) * len(swarm.metrics) + 3 + curve_steps)
    num_folds = min(config.regression.num_folds, swarm.num_groups)
    folds = assign_folds(swarm.num_groups, num_folds, config.regression.seed)
    fits = cross_validate(swarm, laws, folds, lambda law, n: steps(f"{law} cross-validated", n))
    objective = objective_fit(swarm, fits)
    fit = fit_summary(swarm, fits, objective)
    for note in fit["notes"]:
        logger.info("%s", note)
    files.json("models.json", models_to_plain(swarm, fits))
    files.table("predictions.csv", *prediction_columns(swarm, fits, folds))
    if curve_steps:
        files.rows("learning_curve.csv", COLUMNS, learning_curve(config, whole, laws, steps))
    natural = config.priors.natural(swarm.domains)
    natural = np.where(swarm.live, natural, 0.0) / natural[swarm.live].sum()
    matrix = interaction_matrix(swarm, fits, natural)
    files.matrix("interaction_matrix", swarm.domains, swarm.metrics, matrix)
    stems = file_stems(swarm.metrics)
    for fitted in fits:
        plain = {part: asdict(getattr(fitted.best, part)) for part in ("train", "cv")}
        label = f"{stems[fitted.name]}_{fitted.chosen}"
        files.json(f"{label}_correlations.json", {"metric": fitted.name, **plain})
    proposal = None
    if not config.proposer.fit_only:
        proposal = _propose(config, swarm, fits, laws, files, steps)
    files.json("fit.json", {**fit, "files": stems})
    return {**fit, "files": stems}, proposal


def _propose(
    config: FitConfig,
    swarm: Swarm,
    fits: list[MetricFit],
    laws: tuple[Law, ...],
    files: FitFiles,
    steps: _Steps,
) -> dict[str, Any]:
    """Propose, judge and write the proposal; returns the content of `proposal.json`."""
    feasible = feasible_mixtures(config, swarm.live)
    references = find_references(config, swarm, feasible)
    found = propose(config, swarm, fits, feasible, references)
    steps("proposal found")
    compared = np.stack(
        [references.natural, references.uniform, references.best_seen, found.mixture]
    )
    by_name = {law.name: law for law in laws}
    boot = bootstrap(swarm, fits, by_name, compared, config.regression.seed)
    steps("uncertainty measured")
    stems = file_stems(swarm.metrics)
    each = propose_each(
        config, swarm, fits, feasible, references, lambda name: steps(f"best mixture for {name}")
    )
    for fitted in fits:
        label = f"{stems[fitted.name]}_{fitted.chosen}"
        files.weights(f"{label}_optimal.json", swarm.domains, each[fitted.name])
    label = f"opt_avg_all_metrics_{law_label(swarm, fits)}"
    files.weights(f"{label}_optimal.json", swarm.domains, found.mixture)
    files.json(
        "predicted_performance.json",
        predicted_performance(swarm, fits, found, references),
    )
    plain = proposal_summary(config, swarm, fits, feasible, references, found, boot)
    mix = {"mix": launch_mix(config, swarm, found.mixture)}
    files.yaml("mix.yaml", mix, f"Proposed by `olmix fit`.\n{plain['statement']}")
    files.json("proposal.json", plain)
    steps("written")
    return plain
