"""`validation_report.txt`: what was checked of an experiment, and what was found."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from olmix.sweep.framework import Verdict
from olmix.sweep.scalars import render_flow
from olmix.sweep.study_plan import StudyPlan

__all__ = ["describe_params", "render_report"]

_WIDTH = 100


def describe_params(params: Mapping[str, object]) -> str:
    """Return parameters as ``lora_rank=8, learning_rate=0.0003``."""
    return ", ".join(f"{name}={render_flow(value)}" for name, value in params.items()) or "(none)"


def render_report(
    plan: StudyPlan,
    ids: Sequence[str],
    verdicts: Sequence[Verdict] | None,
    trained: Mapping[str, str] | None,
) -> str:
    """Return the report.

    Args:
        plan: the runs.
        ids: their ids, in the order of the plan.
        verdicts: what the framework's check says of each; `None` if it was not asked.
        trained: why a smoke run failed, empty if it did not, by id; `None` if none was made.
    """
    lines = [
        *_head(plan),
        *_own(plan),
        *_framework(plan, ids, verdicts),
        *_smoke(plan, ids, trained),
    ]
    return "\n".join(lines) + "\n"


def _head(plan: StudyPlan) -> Iterator[str]:
    about = plan.experiment.config.experiment
    yield f"Experiment {about.name}"
    for key in ("question", "hypothesis", "researcher", "date"):
        value = getattr(about, key)
        if value is not None:
            yield f"  {key}: {value}"
    if about.tags:
        yield f"  tags: {', '.join(about.tags)}"
    yield f"  base: {plan.base.name}, recipe: {plan.base.recipe or 'unknown'}"
    yield f"  runs: {len(plan.runs)}"
    batches = sorted({run.cost.effective_batch for run in plan.runs if run.cost.effective_batch})
    if batches:
        yield f"  effective batch (sequences per step): {', '.join(map(str, batches))}"
    steps = sorted({run.cost.steps for run in plan.runs if run.cost.steps is not None})
    if steps:
        yield f"  steps per run: {', '.join(map(str, steps))}"


def _own(plan: StudyPlan) -> Iterator[str]:
    yield ""
    yield "1. Olmix's checks: passed"
    for finding in plan.findings:
        mark = "note" if finding.notice else "warning"
        place = plan.experiment.problem(finding)
        where = f"{place.where}: " if place.where else ""
        text = f"{mark}: {where}{finding.what}"
        yield from textwrap.wrap(
            text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False
        )


def _framework(
    plan: StudyPlan, ids: Sequence[str], verdicts: Sequence[Verdict] | None
) -> Iterator[str]:
    yield ""
    title = f"2. The check of {plan.framework.name}"
    if verdicts is None:
        yield f"{title}: not made"
        return
    invalid = [verdict for verdict in verdicts if verdict.errors]
    partly = [verdict for verdict in verdicts if verdict.missing and not verdict.errors]
    summary = f"{len(verdicts) - len(invalid)} of {len(verdicts)} configs are valid"
    if partly:
        packages = sorted({package for verdict in partly for package in verdict.missing})
        summary += (
            f"; parts of {len(partly)} could not be checked, because these packages are not "
            f"installed here: {', '.join(packages)}"
        )
    yield f"{title}: {summary}"
    for run_id, run, verdict in zip(ids, plan.runs, verdicts, strict=True):
        state = "INVALID" if verdict.errors else "valid"
        if verdict.missing:
            state += f" (not installed: {', '.join(verdict.missing)})"
        yield f"  {run_id}  {state}  {describe_params(run.params)}"
        for error in verdict.errors:
            yield f"      {error}"


def _smoke(plan: StudyPlan, ids: Sequence[str], trained: Mapping[str, str] | None) -> Iterator[str]:
    yield ""
    if trained is None:
        yield "3. Training on a tiny model: not made"
        return
    failed = sum(1 for why in trained.values() if why)
    total = len(trained)
    yield f"3. Training on a tiny model, 2 steps: {total - failed} of {total} configs train"
    for run_id, run in zip(ids, plan.runs, strict=True):
        if run_id in trained:
            why = trained[run_id]
            yield f"  {run_id}  {'FAILED' if why else 'trains'}  {describe_params(run.params)}"
            yield from (f"      {line}" for line in why.splitlines())
