"""From a fit config to a fit folder: load, cross-validate, propose, judge, write."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from olmix.config import FitConfig
from olmix.errors import DataError
from olmix.fit.cost import estimated_cost
from olmix.fit.crossval import HeldOut
from olmix.fit.evidence.another_round import another_round
from olmix.fit.evidence.best_tenth import (
    LeftOut,
    judge_picks,
    leave_out_best,
    leave_out_outermost,
    widened,
)
from olmix.fit.evidence.effects import interaction_matrix, probes, signed_evidence
from olmix.fit.evidence.judged_proposal import JudgedProposal, propose_judged
from olmix.fit.evidence.learning_curve import COLUMNS, keep_share, learning_curve, shares_of
from olmix.fit.evidence.pareto import front_summary, pareto_front
from olmix.fit.evidence.responses import RESPONSE_COLUMNS, responses, ternary
from olmix.fit.folder import (
    FitFiles,
    config_to_plain,
    data_hash,
    file_stems,
    find_laws,
    fit_hash,
    is_complete,
    laws_hash,
    point_latest,
    publish,
)
from olmix.fit.models_file import models_to_plain, restore_laws, restore_left_out
from olmix.fit.propose.feasible import feasible_mixtures
from olmix.fit.propose.proposal import propose_each
from olmix.fit.results import (
    FitResult,
    fit_record,
    launch_mix,
    objective_law,
    predicted_performance,
    prediction_columns,
    proposal_record,
)
from olmix.fit.scales.models import scales_to_plain
from olmix.fit.scales.read import ScaleRuns
from olmix.fit.scales.target import TargetFit, at_target, read_larger_scales, scaled_proposal
from olmix.fit.swarm import Swarm, read_swarm
from olmix.fit.swarm_fit import SwarmFit, fit_laws, laws_for, one_thread
from olmix.records.fit.models import BEST_TENTH, MODELS_FILE, OUTERMOST_TENTH
from olmix.records.fit.proposal import Proposal, read_proposal
from olmix.records.fit.scores import Fit, read_fit
from olmix.records.fit.settings import CONFIG_FILE
from olmix.records.fit.tables import FAMILY
from olmix.records.typed_json import to_plain
from olmix.text.files import folder_beside, write_json
from olmix.text.progress import OnProgress, Steps

__all__ = ["fit_swarm"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _KnownLaws:
    """The laws of an earlier fit to the same runs, which differed in its proposer only.

    Attributes:
        laws: of each metric, by name.
        left_out: what they predict of the ends of the swarm without having seen them, by name.
    """

    laws: Sequence[Mapping[str, HeldOut]]
    left_out: Mapping[str, LeftOut]


def fit_swarm(
    config: FitConfig, output_dir: str | Path, on_progress: OnProgress | None = None
) -> FitResult:
    """Fit a swarm and write the fit folder, all but its figures and its report.

    Args:
        config: what to fit.
        output_dir: the folder goes into it, named by the hash of config and data, and
            `output_dir/latest` points at it. A complete folder of the same hash is used as it is.
        on_progress: called after each step.

    Raises:
        InfeasibleError: no mixture satisfies the constraints; found before anything is fitted.
        DataError: the tables do not hold what the config asks for.
        MissingPackageError: scipy or cvxpy is not installed.
    """
    started = time.perf_counter()
    if not config.proposer.fit_only:
        feasible_mixtures(config)
    data = data_hash(config.swarm)
    name = fit_hash(config, data)
    output = Path(output_dir)
    folder = output / name
    if is_complete(folder, config.proposer.fit_only):
        logger.info("%s already exists for the same config and data; nothing to fit", folder)
        write_json(folder / CONFIG_FILE, config_to_plain(config, name, data))
        point_latest(output, name)
        return _read(folder, fit_only=config.proposer.fit_only)
    swarm = read_swarm(config)
    for note in swarm.notes:
        logger.info("%s", note)
    if shares_of(config.regression)[-1] != 1:
        # Too small a share is refused before anything is fitted.
        keep_share(swarm, shares_of(config.regression)[-1], config.regression)
    larger = read_larger_scales(config, swarm)
    with folder_beside(folder) as beside:
        files = FitFiles(beside)
        files.json(CONFIG_FILE, config_to_plain(config, name, data))
        files.text("path_to_regression_model.txt", f"{(folder / MODELS_FILE).resolve()}\n")
        with one_thread():
            known = _known_laws(output, laws_hash(config, data), swarm)
            cost = estimated_cost(laws_for(config, swarm), config.regression.num_folds, swarm)
            if known is None and cost.large:
                logger.info("%s", cost.statement)
            fit, proposal = _compute(config, swarm, larger, files, known, on_progress)
        publish(beside, folder)
    point_latest(output, name)
    return FitResult(folder, False, fit, proposal, time.perf_counter() - started)


def _known_laws(output: Path, wanted: str, swarm: Swarm) -> _KnownLaws | None:
    """Return the laws of an earlier fit to the same runs, if there is one."""
    models = find_laws(output, wanted)
    if models is None:
        return None
    try:
        known = _KnownLaws(restore_laws(models, swarm.metrics), restore_left_out(models))
    except DataError as error:
        logger.warning("%s", error)
        return None
    logger.info("using the laws of an earlier fit: %s", models)
    return known


def _read(folder: Path, *, fit_only: bool) -> FitResult:
    proposal = None if fit_only else read_proposal(folder)
    return FitResult(folder, True, read_fit(folder), proposal, 0.0)


def _compute(
    config: FitConfig,
    swarm: Swarm,
    larger: Sequence[ScaleRuns],
    files: FitFiles,
    known: _KnownLaws | None,
    on_progress: OnProgress | None,
) -> tuple[Fit, Proposal | None]:
    """Fit, propose and write; returns what is in `fit.json` and `proposal.json`."""
    shares, whole = shares_of(config.regression), swarm
    if shares[0] != 1:
        swarm = keep_share(swarm, shares[0], config.regression)
    curve_steps = len(shares) - 1
    num_laws = len(laws_for(config, swarm)) if known is None else 0
    total = (num_laws + 1) * len(swarm.metrics) + 4 + curve_steps + config.proposer.pareto
    steps = Steps(on_progress, total)
    fit = fit_laws(config, swarm, steps, None if known is None else known.laws)
    before = {} if known is None else known.left_out
    best = leave_out_best(fit, before.get(BEST_TENTH))
    outermost = leave_out_outermost(fit, before.get(OUTERMOST_TENTH))
    steps("best and outermost tenth left out")
    judged_picks = None if best is None else judge_picks(fit, best)
    fit = widened(fit, best, outermost)
    target = at_target(fit, larger)
    record = fit_record(fit, file_stems(swarm.metrics), judged_picks)
    summary = _with_scales(record, target)
    for note in summary.notes[len(swarm.notes) :]:
        logger.info("%s", note)
    _write_fit(fit, target, {BEST_TENTH: best, OUTERMOST_TENTH: outermost}, files)
    if curve_steps:
        files.rows("learning_curve.csv", COLUMNS, learning_curve(whole, fit, steps))
    proposal = None
    if config.proposer.fit_only:
        evidence = signed_evidence(target.fit.swarm, target.fit.draw(probes(fit.natural)))
    else:
        judged = propose_judged(target.fit, steps)
        evidence = judged.evidence
        proposal = _write_proposal(target, judged, files, steps)
    for name, matrix in (
        ("interaction_matrix", interaction_matrix(swarm, target.fit.fits, fit.natural)),
        ("interaction_matrix_signed_evidence", evidence),
    ):
        files.matrix(name, swarm.domains, swarm.metrics, matrix)
    files.json("fit.json", summary.to_plain())
    return summary, proposal


def _with_scales(summary: Fit, target: TargetFit) -> Fit:
    """Return the record of a fit with what the larger scales gave among its notes."""
    if target.record is None:
        return summary
    return replace(summary, notes=(*summary.notes, *target.record.notes))


def _write_fit(
    fit: SwarmFit, target: TargetFit, left_out: Mapping[str, LeftOut | None], files: FitFiles
) -> None:
    """Write the laws, their predictions and their scores."""
    swarm, fits = fit.swarm, fit.fits
    plain_models = models_to_plain(swarm, fits, fit.objective.calibration, left_out)
    files.json(MODELS_FILE, {**plain_models, **scales_to_plain(target)})
    if target.record is not None:
        files.json("scales.json", target.record.to_plain())
    files.table("predictions.csv", *prediction_columns(swarm, fits, fit.folds))
    stems = file_stems(swarm.metrics)
    for fitted in fits:
        plain = {part: to_plain(getattr(fitted.best, part)) for part in ("train", "cv")}
        label = f"{stems[fitted.name]}_{fitted.chosen}"
        files.json(f"{label}_correlations.json", {"metric": fitted.name, **plain})


def _write_proposal(
    target: TargetFit, judged: JudgedProposal, files: FitFiles, steps: Steps
) -> Proposal:
    """Write the proposal and all that follows from it; returns what is in `proposal.json`."""
    fit, found = target.fit, judged.found
    config, swarm, fits = fit.config, fit.swarm, fit.fits
    logger.info(
        "KL(mixture || prior) weighs %.3g in the unit of the average (kl_unit: raw): %.3g of the "
        "swarm's spread",
        found.objective.kl_weight,
        found.kl_reg,
    )
    shared = (fit, judged.feasible, judged.references, found.kl_reg)
    stems = file_stems(swarm.metrics)
    each = propose_each(*shared, steps)
    for fitted in fits:
        label = f"{stems[fitted.name]}_{fitted.chosen}"
        files.weights(f"{label}_optimal.json", swarm.named(each[fitted.name]))
    label = f"opt_avg_all_metrics_{objective_law(swarm, fits)}"
    files.weights(f"{label}_optimal.json", swarm.named(found.mixture))
    files.rows("responses.csv", RESPONSE_COLUMNS, responses(fit, found.mixture))
    columns, triangle = ternary(fit, found.mixture)
    if triangle:
        files.rows("ternary.csv", columns, triangle)
    if config.proposer.pareto:
        front = pareto_front(*shared, steps)
        rows = np.hstack([front.values, swarm.expand(front.mixtures)]).tolist()
        families = [f"{FAMILY}{name}" for name in front.families]
        files.rows("pareto.csv", (*families, *swarm.leaves), rows)
        files.json("pareto.json", to_plain(front_summary(fit, front, judged.mixtures)))
    files.json("predicted_performance.json", to_plain(predicted_performance(fit, judged)))
    proposal = proposal_record(fit, judged)
    if proposal.reliable and not proposal.worst and target.record is None:
        # What a round gains is reckoned at the size of its runs.
        proposal = replace(proposal, another_round=another_round(fit, judged))
    proposal = scaled_proposal(fit, target.record, proposal)
    tokens = fit.asked.constraints.target_tokens
    mix = {"mix": launch_mix(swarm, found.mixture, tokens, fit.asked.priors)}
    files.yaml("mix.yaml", mix, f"Proposed by `olmix fit`.\n{proposal.statement}")
    files.json("proposal.json", proposal.to_plain())
    steps("written")
    return proposal
