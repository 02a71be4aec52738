"""From the fit of the smallest scale to that of the target, with what must be said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from olmix.config import FitConfig
from olmix.config.fit import SwarmTables
from olmix.config.scales import ScaleSize, SwarmScale
from olmix.fit.scales.lift import LEAST_RUNS, LiftedFit, lift
from olmix.fit.scales.read import ScaleRuns, read_scale
from olmix.fit.scoring import scores
from olmix.fit.swarm import Swarm
from olmix.fit.swarm_fit import SwarmFit
from olmix.records.fit.proposal import Proposal
from olmix.records.fit.scales import Ceiling, MetricAtScale, Scale, Scales
from olmix.simplex import Array
from olmix.text.csv import Table
from olmix.text.numbers import count, counted, listed, significant

__all__ = ["TargetFit", "at_target", "read_larger_scales", "scaled_proposal"]

_LEAST_PAIRS = 4
_SAME = 1e-6


@dataclass(frozen=True)
class TargetFit:
    """A fit at the scale of the target, as far as runs reach.

    Attributes:
        fit: at the largest scale up to the target whose runs place values.
        lifted: the fits at the larger scales on the way there.
        record: what is written to `scales.json`; `None` for a swarm of one scale.
    """

    fit: SwarmFit
    lifted: tuple[LiftedFit, ...]
    record: Scales | None


def read_larger_scales(
    config: FitConfig, swarm: Swarm, tables: tuple[Table, Table] | None = None
) -> tuple[ScaleRuns, ...]:
    """Read the runs of the scales above the smallest, up to the target.

    Args:
        config: as it was given.
        swarm: the runs of the smallest scale.
        tables: ratios and metrics of all scales, where they are not to be read from files.

    Raises:
        DataError: with all problems of their tables.
    """
    scales, _ = _up_to_target(config.swarm)
    return tuple(read_scale(config, swarm, scale, tables) for scale in scales[1:])


def at_target(fit: SwarmFit, larger: Sequence[ScaleRuns]) -> TargetFit:
    """Carry the fit of the smallest scale to the target.

    Args:
        fit: of the smallest scale, or the only one.
        larger: the runs of the scales above it, up to the target (`read_larger_scales`).
    """
    config = fit.asked
    if not config.swarm.scales:
        return TargetFit(fit, (), None)
    scales, target = _up_to_target(config.swarm)
    lifted: list[LiftedFit] = []
    here, reached = fit, scales[0].name
    for runs in larger:
        higher = lift(here, runs)
        if higher is not None:
            lifted.append(higher)
            here, reached = higher, runs.scale.name
    by_name = {one.runs.scale.name: one for one in lifted}
    records = {
        runs.scale.name: _scale_record(fit, runs, by_name.get(runs.scale.name)) for runs in larger
    }
    record = Scales(
        smallest=scales[0].name,
        target=target,
        reached=reached,
        order_only=reached != target,
        scales=records,
        notes=tuple(_notes(fit, larger, records, reached, target)),
    )
    return TargetFit(here, tuple(lifted), record)


def scaled_proposal(fit: SwarmFit, record: Scales | None, proposal: Proposal) -> Proposal:
    """Return a proposal that says at which scale its numbers hold.

    Args:
        fit: that the proposal was made by.
        record: what is written to `scales.json`, if anything is.
        proposal: as it is written for one scale.
    """
    if record is None:
        return proposal
    mixtures = dict(proposal.mixtures)
    best = mixtures["best_seen"]
    if isinstance(fit, LiftedFit) and best.run in fit.small.swarm.runs:
        # A small run: what it measured is no value of the target.
        mixtures["best_seen"] = replace(best, measured=math.nan)
    statement = f"{_where(record)}{proposal.statement}"
    return replace(proposal, mixtures=mixtures, statement=statement)


def _where(record: Scales) -> str:
    """Return the beginning of a sentence: at which scale it holds."""
    if record.order_only:
        return (
            f"Order only: no runs place values at {record.target}; the sizes of gains below are "
            f"those at {record.reached}. "
        )
    if record.reached not in record.scales:
        return f"At {record.reached}: "
    runs = counted(record.scales[record.reached].num_runs, "run")
    return f"At {record.reached}, where {runs} place the values: "


def _up_to_target(swarm: SwarmTables) -> tuple[tuple[SwarmScale, ...], str]:
    """Return the scales from the smallest to the target's, and what the target is called."""
    scales, target = swarm.ordered_scales, swarm.target
    if not scales:
        return (), ""
    if target is None:
        return scales, scales[-1].name
    if isinstance(target, ScaleSize):
        same = [one.name for one in scales if one.size is not None and _alike(one.size, target)]
        if not same:
            smaller = tuple(one for one in scales if one.size and one.size.flops <= target.flops)
            words = f"{count(target.parameters)} parameters, {count(target.tokens)} tokens"
            return smaller or scales[:1], words
        target = same[0]
    names = [scale.name for scale in scales]
    return scales[: names.index(target) + 1], target


def _alike(one: ScaleSize, other: ScaleSize) -> bool:
    return one.tokens == other.tokens and math.isclose(one.parameters, other.parameters)


def _scale_record(fit: SwarmFit, runs: ScaleRuns, lifted: LiftedFit | None) -> Scale:
    size = runs.scale
    metrics = {}
    if lifted is not None:
        for index, name in enumerate(fit.swarm.metrics):
            measured = runs.values[:, index]
            seen = np.isfinite(measured)
            errors = lifted.errors[np.isfinite(lifted.errors[:, index]), index]
            metrics[name] = MetricAtScale(
                num_mixtures=int(seen.sum()),
                slope=float(lifted.maps.slopes[index]),
                slope_error=float(lifted.maps.errors[index]),
                own_slope=float(lifted.maps.own_slopes[index]),
                residual=lifted.residuals[index] is not None,
                rmse=float(np.sqrt((errors**2).mean())) if errors.size else math.nan,
                spread=float(measured[seen].std()) if seen.sum() > 1 else math.nan,
                ceiling=_ceiling(fit.swarm, runs, index),
            )
    return Scale(
        parameters=math.nan if size.parameters is None else float(size.parameters),
        tokens=math.nan if size.tokens is None else float(size.tokens),
        num_runs=runs.num_runs,
        num_mixtures=len(runs.runs),
        metrics=metrics,
        dropped=dict(sorted(runs.dropped.items())),
    )


def _ceiling(swarm: Swarm, runs: ScaleRuns, index: int) -> Ceiling | None:
    """Compare a metric over the mixtures that the smallest scale has measured too."""
    values, counts = swarm.averaged()
    small: list[float] = []
    large: list[float] = []
    unique, sign = swarm.unique_mixtures, float(swarm.signs[index])
    for mixture, value in zip(runs.mixtures, runs.values[:, index], strict=True):
        apart = np.abs(unique - mixture).max(axis=1)
        own = int(apart.argmin())
        if apart[own] < _SAME and counts[index, own] > 0 and np.isfinite(value):
            small.append(values[index, own])
            large.append(sign * float(value))
    if len(small) < _LEAST_PAIRS:
        return None
    x, y = np.array(small), np.array(large)
    left = y - _line(x, y)
    rmse = float(np.sqrt((left**2).sum() / max(len(x) - 2, 1)))
    return Ceiling(len(small), scores(y, x).spearman, rmse)


def _line(x: Array, y: Array) -> Array:
    """Return the best line from `x` to `y`, both (n,), at `x`."""
    u = x - x.mean()
    return np.asarray(y.mean() + u * float((u * y).sum()) / max(float((u**2).sum()), 1e-300))


def _notes(
    fit: SwarmFit,
    larger: Sequence[ScaleRuns],
    records: dict[str, Scale],
    reached: str,
    target: str,
) -> list[str]:
    """Say what each scale gave, and what the target lacks."""
    notes = []
    scales = fit.asked.swarm.ordered_scales
    used = {runs.scale.name for runs in larger} | {scales[0].name}
    beyond = [one.name for one in scales if one.name not in used]
    if beyond:
        notes.append(f"{listed(beyond)}: larger than the target {target}; not used.")
    for runs in larger:
        record = records[runs.scale.name]
        if not record.metrics:
            found = counted(len(runs.runs), "different mixture")
            notes.append(
                f"{runs.scale.name}: {found} with the metrics that are optimised; {LEAST_RUNS} or "
                "more place values at this size. Plan them with `olmix generate --larger FIT`."
            )
            continue
        notes += _scale_notes(runs.scale.name, record)
    if reached != target:
        notes.append(
            f"Order only: no runs place values at {target}. The ranking of mixtures carries over "
            f"well between sizes, values and gains do not; those given are at {reached}."
        )
    return notes


def _scale_notes(name: str, record: Scale) -> list[str]:
    placed = {k: m for k, m in record.metrics.items() if math.isfinite(m.rmse)}
    slopes = [metric.slope for metric in placed.values()]
    shares = [metric.rmse / metric.spread for metric in placed.values() if metric.spread > 0]
    helped = [key for key, metric in placed.items() if metric.residual]
    low, middle, high = (significant(float(q)) for q in np.quantile(slopes, (0, 0.5, 1)))
    notes = [
        f"{name}: {counted(record.num_runs, 'run')} place {counted(len(placed), 'metric')}: "
        f"slopes {low} to {high} (median {middle}); on held-out runs the error is "
        f"{float(np.mean(shares)):.2f} of their spread (mean of the metrics)."
    ]
    if helped:
        notes.append(f"{name}: what the map does not explain is modelled too for {listed(helped)}.")
    lacking = [key for key in record.metrics if key not in placed]
    if lacking:
        notes.append(
            f"{name}: {listed(lacking)}: too few runs measured it, so only its order is known "
            "there; it counts with the median slope."
        )
    ceilings = [(m.ceiling, m.spread) for m in placed.values() if m.ceiling is not None]
    if ceilings:
        ranks = float(np.mean([one.spearman for one, _ in ceilings]))
        error = float(np.mean([one.rmse / spread for one, spread in ceilings if spread > 0]))
        pairs = max(one.num_mixtures for one, _ in ceilings)
        notes.append(
            f"{name}: the best that any law of small runs could do, from "
            f"{counted(pairs, 'mixture')} trained at both sizes: rank correlation {ranks:.2f} (1 "
            f"is perfect), error {error:.2f} of the spread (lower is better)."
        )
    return notes
