"""The first screen of a report: what is proposed, what it gains, what it costs, what to do next.

The page draws it above everything else, and the terminal ends with the same in a few lines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from olmix.plotting import mixture_label
from olmix.records.fit.folder import FitFolder
from olmix.records.fit.proposal import Gain, PredictedGain
from olmix.records.fit.scores import LEVEL
from olmix.report.floors import Floors, read_floors
from olmix.report.metric_changes import MetricChange, metric_changes
from olmix.report.mixture_bars import Bar, Segment, mixture_bars, whole_mixture
from olmix.report.mixture_names import named
from olmix.report.next_step import Step, gentler_step, next_step
from olmix.report.sentences import warnings
from olmix.report.short_names import short_names
from olmix.report.trust import STRONG, Light, overall, read_lights
from olmix.text.numbers import (
    counted,
    interval,
    per_cent,
    percent,
    probability,
    signed,
    with_error,
    with_interval,
)

__all__ = ["CostRow", "FirstScreen", "build_first_screen", "metric_labels"]

_MOST_COSTS = 8


@dataclass(frozen=True)
class CostRow:
    """The change of one metric by the proposal.

    Attributes:
        metric: its name.
        label: the same as short as it is told from the others.
        change: how much better it becomes, as text; below 0 it is worse.
        share: the same in per cent of its value at the natural mixture, if that is known.
        size: length of its bar, from 0 to 1.
        kind: `better`, `worse` or `unclear`.
    """

    metric: str
    label: str
    change: str
    share: str
    size: float
    kind: str


@dataclass(frozen=True)
class FirstScreen:
    """The facts that a decision needs, as text that is ready to show.

    Attributes:
        origin: day, runs, tokens and training time, in one line.
        bars: natural and proposed mixture.
        mixture: every domain of the proposed mixture, the largest first.
        tone: `good` where a gain was measured, `warn` where the proposal is worse or a guess, else
            `plain`.
        status: what kind of evidence there is.
        label: what the number is; empty without one.
        value: the gain; empty where none was shown.
        unit: of the gain.
        reach: its interval.
        notes: the other gains, and what was predicted.
        statement: the result in one sentence.
        costs_title: heading of the other metrics; empty without any.
        costs: the other metrics, the worst first.
        costs_note: how many became better and worse.
        costs_scale: what the bars are drawn to.
        headline: the gain, what it is over and how it is known, in one line.
        span: its interval, and the gain over the best run of the swarm, in one line.
        warnings: what a reader must know besides.
        ladder: the gain at several sizes; empty where no ladder was trained.
        floors: what became of the floors.
        trust: `strong`, `weak` or `none`: in the prediction alone; empty without a proposal.
        measured: what a verification adds to it; empty without one.
        measured_brief: the same in a line.
        lights: what the trust was read from.
        next: what to do.
        gentler: what to do where a metric gets much worse; nothing elsewhere.
    """

    origin: str
    bars: tuple[Bar, ...]
    mixture: tuple[Segment, ...]
    tone: str
    status: str
    label: str
    value: str
    unit: str
    reach: str
    notes: tuple[str, ...]
    statement: str
    costs_title: str
    costs: tuple[CostRow, ...]
    costs_note: str
    costs_scale: str
    headline: str
    span: str
    warnings: tuple[str, ...]
    ladder: str
    floors: Floors
    trust: str
    measured: str
    measured_brief: str
    lights: tuple[Light, ...]
    next: Step
    gentler: Step


def build_first_screen(
    content: FitFolder, facts: Mapping[str, str], commands: Sequence[str] = ()
) -> FirstScreen:
    """Return the first screen.

    Args:
        content: the fit folder.
        facts: what is known of the launch: `Launched` and `Trained`, as `read_facts` gives them.
        commands: those that led here, of which one names the config of the fit.
    """
    proposal = content.proposal
    lights = () if proposal is None else read_lights(content)
    status, tone = _status(content)
    label, value, reach = _shown(content)
    costs = _costs(content)
    return FirstScreen(
        origin=" · ".join(_origin(content, facts)),
        bars=() if proposal is None else mixture_bars(content, proposal),
        mixture=() if proposal is None else whole_mixture(content, proposal),
        tone=tone,
        status=status,
        label=label,
        value=value,
        unit=content.objective.unit,
        reach=reach,
        notes=_notes(content),
        statement=_statement(content),
        costs_title=costs.title,
        costs=costs.rows,
        costs_note=costs.note,
        costs_scale=costs.scale,
        headline=_headline(content),
        span=_span(content),
        warnings=warnings(content),
        ladder=_ladder(content),
        floors=read_floors(content, metric_labels(content)),
        trust=overall(lights),
        measured=_measured_words(content, lights),
        measured_brief=_measured_brief(content, lights),
        lights=lights,
        next=next_step(content),
        gentler=gentler_step(content, metric_labels(content), commands),
    )


def metric_labels(content: FitFolder) -> dict[str, str]:
    """Return a label for each metric."""
    return short_names([metric.name for metric in content.metrics])


def _origin(content: FitFolder, facts: Mapping[str, str]) -> list[str]:
    """Return who launched the runs and when, how many there are, and what they took."""
    runs = counted(len(content.runs), "run")
    if content.verification is not None:
        runs += f" + {content.verification.num_runs} to verify"
    return [text for text in (facts.get("Launched", ""), runs, facts.get("Trained", "")) if text]


def _measured(content: FitFolder) -> Gain | None:
    """Return the measured gain over the natural mixture, if it was measured."""
    found = content.trained
    gain = None if found is None else found.gains.get("natural")
    return gain if gain is not None and math.isfinite(gain.mean) else None


def _status(content: FitFolder) -> tuple[str, str]:
    """Return what kind of evidence there is, in a few words, and its tone."""
    proposal, found = content.proposal, content.trained
    if proposal is None:
        return "Fitted, nothing proposed", "plain"
    if found is None:
        if not proposal.reliable:
            return "No reliable signal", "warn"
        if proposal.worst:
            return "The worst mixture, predicted", "warn"
        promised = proposal.gains.get("natural")
        doubt = ": the gain may be 0" if promised is not None and promised.low <= 0 else ""
        return f"Predicted, not verified yet{doubt}", "plain"
    status = f"Measured{_size(content)} with {counted(len(found.seeds), 'fresh seed')}"
    gain = _measured(content)
    if proposal.worst:
        return f"{status}; the worst mixture was asked for", "warn"
    if gain is None or math.isnan(gain.low):
        return status, "plain"
    if gain.high < 0:
        return f"{status}: worse than {content.settings.start}", "warn"
    if gain.low > 0:
        return status, "good"
    return f"{status}: no gain shown", "plain"


def _shown(content: FitFolder) -> tuple[str, str, str]:
    """Return label, number and interval of the gain over natural; nothing where none is shown."""
    proposal, measured = content.proposal, _measured(content)
    if proposal is None:
        return "", "", ""
    if measured is not None:
        level = LEVEL if content.trained is None else content.trained.level
        shown = measured.low > 0 or measured.high < 0 or math.isnan(measured.low)
        return _number(content, "measured", measured, level) if shown else ("", "", "")
    predicted = proposal.gains.get("natural")
    if not proposal.reliable or predicted is None or math.isnan(predicted.mean):
        return "", "", ""
    if predicted.low <= 0 and not proposal.worst:
        return "", "", ""
    label, value, reach = _number(content, "predicted", predicted, LEVEL)
    if math.isfinite(predicted.probability):
        reach += f", better with {probability(predicted.probability)} probability"
    return label, value, reach


def _number(content: FitFolder, kind: str, gain: Gain, level: float) -> tuple[str, str, str]:
    reach = f"{per_cent(level)} interval {interval(gain.low, gain.high)}"
    label = f"{kind} gain over {content.settings.start} in {content.objective.in_words}"
    return label, signed(gain.mean), reach


def _notes(content: FitFolder) -> tuple[str, ...]:
    """Return the other gains in one line, and what was predicted where it was measured."""
    proposal, found = content.proposal, content.trained
    if proposal is None or (found is None and not proposal.reliable):
        return ()
    gains: Mapping[str, Gain] = proposal.gains if found is None else found.gains
    large = _shown(content)[1]
    notes = [
        _gain_over(name, gain)
        for name, gain in named(content, gains).items()
        if math.isfinite(gain.mean) and not (large and name == content.settings.start)
    ]
    measured, predicted = _measured(content), proposal.gains.get("natural")
    if measured is None or predicted is None or not math.isfinite(predicted.mean):
        return tuple(notes)
    where = "inside" if predicted.low <= measured.mean <= predicted.high else "outside"
    reach = interval(predicted.low, predicted.high)
    notes.append(f"predicted {signed(predicted.mean)} ({reach}): the measurement is {where}")
    return tuple(notes)


def _gain_over(name: str, gain: Gain) -> str:
    """Return a gain over a mixture with its interval and, where predicted, its probability."""
    text = f"over {mixture_label(name)} {with_interval(gain.mean, gain.low, gain.high)}"
    if isinstance(gain, PredictedGain) and math.isfinite(gain.probability):
        text += f", better with {probability(gain.probability)} probability"
    return text


def _headline(content: FitFolder) -> str:
    """Return the gain, what it is over and how it is known, in one line."""
    proposal, measured = content.proposal, _measured(content)
    if proposal is None:
        return "nothing proposed (proposer.fit_only)"
    gain: Gain | None = measured or proposal.gains.get("natural")
    if measured is None and not proposal.reliable:
        return "none to expect: held-out runs are ranked no better than chance"
    if gain is None or not math.isfinite(gain.mean):
        return "not known"
    objective = content.objective
    unit = f" {objective.unit}" if objective.unit else ""
    how = "predicted" if measured is None else f"measured{_size(content)}"
    doubt = "may be 0: " if gain.low <= 0 <= gain.high else ""
    size = f"{signed(gain.mean)}{unit} over {content.settings.start}, {how}"
    return f"{doubt}{size}, in {metric_labels(content).get(objective.name, objective.in_words)}"


def _size(content: FitFolder) -> str:
    """Return at which of several sizes the gain was measured; nothing for that of the swarm."""
    scale = 1.0 if content.ladder is None else content.ladder.rungs[-1].scale
    return "" if scale == 1.0 else f" at {scale:g}× the size"


def _span(content: FitFolder) -> str:
    """Return the interval of the gain, and the gain over the best run; nothing unless known."""
    proposal, found = content.proposal, content.trained
    if proposal is None or (found is None and not proposal.reliable):
        return ""
    gains: Mapping[str, Gain] = proposal.gains if found is None else found.gains
    gain, best = _measured(content) or proposal.gains.get("natural"), gains.get("best_seen")
    parts = []
    if gain is not None and math.isfinite(gain.low):
        level = LEVEL if found is None else found.level
        parts.append(f"{interval(gain.low, gain.high)} ({per_cent(level)})")
    if best is not None and math.isfinite(best.mean) and not proposal.worst:
        parts.append(f"over best seen {with_interval(best.mean, best.low, best.high)}")
    return "; ".join(parts)


def _ladder(content: FitFolder) -> str:
    """Return the gain at every size of a ladder, and what is expected at its target."""
    ladder = content.ladder
    if ladder is None:
        return ""
    sizes = ", ".join(f"{signed(rung.gain.mean)} at {rung.scale:g}×" for rung in ladder.rungs)
    if ladder.target is None:
        return f"{sizes} the size"
    target = ladder.target
    reach = with_interval(target.gain.mean, target.gain.low, target.gain.high)
    return f"{sizes}; expected at {target.scale:g}×: {reach}"


def _seeds_won(content: FitFolder) -> str:
    """Return for how many seeds the proposal was better; nothing where none was measured."""
    proposal, found = content.proposal, content.trained
    if proposal is None or found is None or proposal.worst or _measured(content) is None:
        return ""
    wins, seeds = found.wins_over("natural")
    start = content.settings.start
    return f"better than {start} with {wins} of {counted(seeds, 'seed')}" if seeds else ""


def _measured_words(content: FitFolder, lights: Sequence[Light]) -> str:
    """Return what the seeds of a verification say, beside what the prediction alone is worth."""
    said, gain = _seeds_won(content), _measured(content)
    if not said or gain is None:
        return ""
    doubts = "; ".join(light.words for light in lights if light.level != STRONG)
    if gain.low > 0 and doubts:
        alone = f"The prediction alone was not enough ({doubts})"
        return f"{alone}, but the gain was measured: {said}."
    return f"Measured: {said}."


def _measured_brief(content: FitFolder, lights: Sequence[Light]) -> str:
    said = _seeds_won(content)
    return f"{said}; the prediction alone: {overall(lights)}" if said else ""


def _statement(content: FitFolder) -> str:
    """Return the result in one sentence; a guess stays one after its verification."""
    proposal, found = content.proposal, content.trained
    if proposal is None:
        return "The laws were fitted, but proposer.fit_only is set, so no mixture was proposed."
    if found is None:
        return proposal.statement
    if proposal.reliable or proposal.worst:
        return found.statement
    return (
        f"{found.statement} The swarm had no reliable signal, so the mixture was a guess, "
        "whatever it measured."
    )


@dataclass(frozen=True)
class _Costs:
    """The changes of the other metrics, ready to show."""

    title: str = ""
    rows: tuple[CostRow, ...] = ()
    note: str = ""
    scale: str = ""


def _costs(content: FitFolder) -> _Costs:
    """Return what the proposal does to the other metrics."""
    found = metric_changes(content)
    changes = found.rows
    if not changes:
        return _Costs()
    shown = list(changes)
    if len(shown) > _MOST_COSTS:
        # The costs are what nobody looks for: five of them, and three gains.
        shown = [*shown[: _MOST_COSTS - 3], *shown[-3:]]
    most = max(abs(change.size) for change in changes) or 1.0
    labels = metric_labels(content)
    rows = tuple(_cost_row(change, labels, most) for change in shown)
    kinds = [change.kind for change in changes]
    parts = [f"{kinds.count(kind)} {kind}" for kind in ("better", "worse", "unclear")]
    note = ", ".join(part for part in parts if not part.startswith("0 ")) or "nothing changes"
    what = "Other metrics" if len(content.objective.metrics) == 1 else "Metrics"
    title = (
        f"{what} against {content.settings.start}, "
        f"{'measured ± standard error' if found.measured else 'predicted'}"
    )
    if len(shown) < len(changes):
        title += f": the worst 5 and best 3 of {len(changes)}"
    return _Costs(title, rows, note, found.scale)


def _cost_row(change: MetricChange, labels: Mapping[str, str], most: float) -> CostRow:
    text = with_error(change.gain, change.std_error, sign=True)
    share = ""
    if math.isfinite(change.share):
        way = "worse" if change.share < 0 else "better"
        share = f"{percent(abs(change.share), 0 if abs(change.share) >= 0.1 else 1)} {way}"
    label = labels.get(change.metric, change.metric)
    return CostRow(change.metric, label, text, share, abs(change.size) / most, change.kind)
