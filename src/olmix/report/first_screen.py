"""The first screen of a report: what is proposed, what it gains, what it costs, what to do next.

The page draws it above everything else, and the terminal ends with the same in a few lines.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from olmix.plotting import mixture_label
from olmix.records.fit.folder import FitFolder, read_fit_folder
from olmix.records.fit.proposal import VERIFYING, Gain, Proposal
from olmix.records.fit.report_notes import read_report_notes
from olmix.records.fit.scores import LEVEL
from olmix.report.metric_changes import MetricChange, metric_changes
from olmix.report.next_commands import study_of
from olmix.report.signal import NONE, Light, overall, read_lights
from olmix.text.numbers import (
    counted,
    duration,
    interval,
    per_cent,
    percent,
    probability,
    signed,
    with_error,
)

__all__ = [
    "Bar",
    "CostRow",
    "FirstScreen",
    "Segment",
    "build_first_screen",
    "in_lines",
    "summary",
]

MOST_SEGMENTS = 10
"""Domains that a bar tells apart; all others are one."""
_MOST_COSTS = 8
_LABELLED = 0.06
"""Share from which a segment has its name in it."""
_WIDTH = 80


@dataclass(frozen=True)
class Segment:
    """A domain in the bar of a mixture.

    Attributes:
        domain: its name.
        colour: number of its colour, from 0; the same in every bar.
        share: of the mixture, from 0 to 1.
        percent: the share as text.
        labelled: whether its name fits into it.
    """

    domain: str
    colour: int
    share: float
    percent: str
    labelled: bool


@dataclass(frozen=True)
class Bar:
    """A mixture as a stacked bar."""

    mixture: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class CostRow:
    """The change of one metric by the proposal.

    Attributes:
        metric: its name.
        change: how much better it becomes, as text; below 0 it is worse.
        size: length of its bar, from 0 to 1.
        kind: `better`, `worse` or `unclear`.
    """

    metric: str
    change: str
    size: float
    kind: str


@dataclass(frozen=True)
class FirstScreen:
    """The facts that a decision needs, as text that is ready to show.

    Attributes:
        origin: day, runs, tokens and training time, in one line.
        bars: natural and proposed mixture.
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
        signal: `strong`, `weak` or `none`; empty without a proposal.
        lights: what the signal was read from.
        next_step: what to do, in words.
        command: what does it.
    """

    origin: str
    bars: tuple[Bar, ...]
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
    signal: str
    lights: tuple[Light, ...]
    next_step: str
    command: str


def build_first_screen(content: FitFolder, facts: Mapping[str, str]) -> FirstScreen:
    """Return the first screen.

    Args:
        content: the fit folder.
        facts: what is known of the launch: `Launched` and `Trained`, as `read_facts` gives them.
    """
    proposal = content.proposal
    lights = () if proposal is None else read_lights(content)
    status, tone = _status(content)
    label, value, reach = _headline(content)
    title, rows, note = _costs(content)
    step, command = _next_step(content)
    return FirstScreen(
        origin=" · ".join(_origin(content, facts)),
        bars=() if proposal is None else _bars(content, proposal),
        tone=tone,
        status=status,
        label=label,
        value=value,
        unit=content.objective.unit,
        reach=reach,
        notes=_notes(content),
        statement=_statement(content),
        costs_title=title,
        costs=rows,
        costs_note=note,
        signal=overall(lights),
        lights=lights,
        next_step=step,
        command=command,
    )


def in_lines(screen: FirstScreen) -> list[str]:
    """Return the first screen as lines of a terminal, at most eleven of 80 columns."""
    lines = _entry("study", screen.origin)
    if screen.bars:
        shares = sorted(screen.bars[-1].segments, key=lambda one: -one.share)
        mixture = ", ".join(f"{one.domain} {one.percent}" for one in shares if one.share >= 0.005)
        lines += _entry(screen.bars[-1].mixture, mixture)
    if screen.value:
        gain = " ".join(word for word in (screen.value, screen.unit) if word)
        lines += _entry("gain", f"{gain} ({screen.reach}), {screen.label}", most=2)
    else:
        lines += _entry("result", screen.status)
    if screen.costs:
        worst = [f"{row.metric} {row.change}" for row in screen.costs if row.kind == "worse"][:3]
        worst = worst or ["no other metric is worse"]
        lines += _entry("costs", f"{', '.join(worst)} ({screen.costs_note})", most=2)
    if screen.lights:
        words = "; ".join(light.words for light in screen.lights)
        lines += _entry("signal", f"{screen.signal}: {words}", most=2)
    if screen.next_step:
        lines += _entry("next", screen.next_step, most=2)
        lines += [f"          {screen.command}"] if screen.command else []
    return lines


def summary(fit_folder: Path) -> list[str]:
    """Return the first screen of a fit folder whose report was written, as lines of a terminal.

    Raises:
        DataError: the folder holds no fit.
    """
    folder = Path(fit_folder)
    return in_lines(build_first_screen(read_fit_folder(folder), read_report_notes(folder).facts))


def _entry(name: str, text: str, most: int = 1) -> list[str]:
    """Return a named line, wrapped to at most `most` lines."""
    kept = textwrap.wrap(
        text, _WIDTH - 10, max_lines=most, placeholder=" ...", break_on_hyphens=False
    )
    return [f"{name if not row else '':<10}{words}".rstrip() for row, words in enumerate(kept)]


def _origin(content: FitFolder, facts: Mapping[str, str]) -> list[str]:
    """Return who launched the runs and when, how many there are, and what they took."""
    runs = counted(len(content.runs), "run")
    if content.verification is not None:
        runs += f" + {content.verification.num_runs} to verify"
    return [text for text in (facts.get("Launched", ""), runs, facts.get("Trained", "")) if text]


def _bars(content: FitFolder, proposal: Proposal) -> tuple[Bar, ...]:
    """Return natural and proposed mixture; small domains beyond the largest are one segment."""
    shown = [name for name in ("natural", "proposed") if name in proposal.mixtures]
    weights = {
        name: {leaf: _known(share) for leaf, share in proposal.mixtures[name].weights.items()}
        for name in shown
    }
    largest = {
        leaf: max(found.get(leaf, 0.0) for found in weights.values()) for leaf in content.leaves
    }
    kept = sorted(largest, key=lambda leaf: -largest[leaf])
    most = MOST_SEGMENTS if len(kept) <= MOST_SEGMENTS else MOST_SEGMENTS - 1
    kept, others = kept[:most], kept[most:]
    first = weights[shown[0]] if shown else {}
    kept.sort(key=lambda leaf: -first.get(leaf, 0.0))
    bars = []
    for name in shown:
        shares = {leaf: weights[name].get(leaf, 0.0) for leaf in kept}
        if others:
            rest = math.fsum(weights[name].get(leaf, 0.0) for leaf in others)
            shares[f"{len(others)} others"] = rest
        segments = tuple(_segment(*share, colour) for colour, share in enumerate(shares.items()))
        label = "worst" if proposal.worst and name == "proposed" else mixture_label(name)
        bars.append(Bar(label, segments))
    return tuple(bars)


def _segment(domain: str, share: float, colour: int) -> Segment:
    text = percent(share, 0 if share >= 0.1 else 1)
    return Segment(domain, colour, share, text, share >= _LABELLED)


def _known(share: float) -> float:
    return share if math.isfinite(share) else 0.0


def _measured(content: FitFolder) -> Gain | None:
    """Return the measured gain over the natural mixture, if it was measured."""
    found = content.verification
    gain = None if found is None else found.gains.get("natural")
    return gain if gain is not None and math.isfinite(gain.mean) else None


def _status(content: FitFolder) -> tuple[str, str]:
    """Return what kind of evidence there is, in a few words, and its tone."""
    proposal, found = content.proposal, content.verification
    if proposal is None:
        return "Fitted, nothing proposed", "plain"
    if found is None:
        if not proposal.reliable:
            return "No reliable signal", "warn"
        if proposal.worst:
            return "The worst mixture, predicted", "warn"
        return "Predicted, not verified yet", "plain"
    status = f"Measured with {counted(len(found.seeds), 'fresh seed')}"
    gain = _measured(content)
    if proposal.worst:
        return f"{status}; the worst mixture was asked for", "warn"
    if gain is None or math.isnan(gain.low):
        return status, "plain"
    if gain.high < 0:
        return f"{status}: worse than natural", "warn"
    if gain.low > 0:
        return status, "good"
    return f"{status}: no gain shown", "plain"


def _headline(content: FitFolder) -> tuple[str, str, str]:
    """Return label, number and interval of the gain over natural; nothing where none is shown."""
    proposal, measured = content.proposal, _measured(content)
    if proposal is None:
        return "", "", ""
    if measured is not None:
        level = LEVEL if content.verification is None else content.verification.level
        shown = measured.low > 0 or measured.high < 0 or math.isnan(measured.low)
        return _number(content, "measured", measured, level) if shown else ("", "", "")
    predicted = proposal.gains.get("natural")
    if not proposal.reliable or predicted is None or math.isnan(predicted.mean):
        return "", "", ""
    return _number(content, "predicted", predicted, LEVEL)


def _number(content: FitFolder, kind: str, gain: Gain, level: float) -> tuple[str, str, str]:
    reach = f"{per_cent(level)} interval {interval(gain.low, gain.high)}"
    label = f"{kind} gain over natural in {content.objective.name}"
    return label, signed(gain.mean), reach


def _notes(content: FitFolder) -> tuple[str, ...]:
    """Return the other gains in one line, and what was predicted where it was measured."""
    proposal, found = content.proposal, content.verification
    if proposal is None or (found is None and not proposal.reliable):
        return ()
    gains: Mapping[str, Gain] = proposal.gains if found is None else found.gains
    others = [
        f"over {mixture_label(name)} {with_error(gain.mean, gain.std_error, sign=True)}"
        for name, gain in gains.items()
        if name != "natural" and math.isfinite(gain.mean)
    ]
    measured, predicted = _measured(content), proposal.gains.get("natural")
    notes = []
    if measured is not None and not (measured.low > 0 or measured.high < 0):
        reach = interval(measured.low, measured.high)
        notes.append(f"over natural {signed(measured.mean)} ({reach})")
    notes += [" · ".join(others)] if others else []
    if predicted is None or not math.isfinite(predicted.mean):
        return tuple(notes)
    if measured is None:
        if math.isfinite(predicted.probability):
            notes.append(f"{probability(predicted.probability)} probability of a gain")
        return tuple(notes)
    where = "inside" if predicted.low <= measured.mean <= predicted.high else "outside"
    reach = interval(predicted.low, predicted.high)
    notes.append(f"predicted {signed(predicted.mean)} ({reach}): the measurement is {where}")
    return tuple(notes)


def _statement(content: FitFolder) -> str:
    """Return the result in one sentence; a guess stays one after its verification."""
    proposal, found = content.proposal, content.verification
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


def _costs(content: FitFolder) -> tuple[str, tuple[CostRow, ...], str]:
    """Return heading, rows and summary of what the proposal does to the other metrics."""
    measured, changes = metric_changes(content)
    if not changes:
        return "", (), ""
    way = "measured" if measured else "predicted"
    shown = list(changes)
    if len(shown) > _MOST_COSTS:
        # The costs are what nobody looks for: five of them, and three gains.
        shown = [*shown[: _MOST_COSTS - 3], *shown[-3:]]
    most = max(abs(change.size) for change in changes) or 1.0
    rows = tuple(_cost_row(change, most) for change in shown)
    kinds = [change.kind for change in changes]
    parts = [f"{kinds.count(kind)} {kind}" for kind in ("better", "worse", "unclear")]
    note = ", ".join(part for part in parts if not part.startswith("0 ")) or "nothing changes"
    title = f"Other metrics against natural, {way}"
    if len(shown) < len(changes):
        title += f": the worst 5 and best 3 of {len(changes)}"
    return title, rows, note


def _cost_row(change: MetricChange, most: float) -> CostRow:
    text = with_error(change.gain, change.std_error, sign=True)
    return CostRow(change.metric, text, abs(change.size) / most, change.kind)


def _next_step(content: FitFolder) -> tuple[str, str]:
    """Return what to do next, with its price where that is known, and the command."""
    proposal, found = content.proposal, content.verification
    if proposal is None or proposal.worst:
        return "", ""
    study, more = study_of(content), proposal.another_round
    mix = content.folder / "mix.yaml"
    if found is None:
        if not proposal.reliable or overall(read_lights(content)) == NONE:
            return (
                "Do not train on this mixture yet: add runs or replicates, or choose another "
                "metric.",
                "",
            )
        if more is not None and more.worth:
            step = f"{more.statement.partition(':')[0]}. Use this fit to place them:"
            return step, study.another_round(more.runs)
        step = f"Train the proposal against the other mixtures with fresh seeds{_price(content)}"
        if not study.verify:
            return (
                f"{step}, by the trainer of your runs; the mixture is {mix}. With a launch config "
                "for it, `olmix verify` does so.",
                "",
            )
        return f"{step}:", study.verify
    gain = _measured(content)
    if gain is None or math.isnan(gain.low):
        return "", ""
    another = study.another_round(_another_round(content))
    if gain.high < 0:
        return "Keep the natural mixture, or use this fit to place another round of runs:", another
    if gain.low <= 0:
        return (
            "Keep the natural mixture, verify with more seeds, or place another round of runs:",
            another,
        )
    step = f"The mixture to train on is {mix} (for your trainer: `{study.export}`)."
    if more is None or more.worth:
        return f"{step} Another round of runs may improve it:", another
    if content.ladder is not None or not study.verify:
        return step, ""
    return f"{step} See whether its gain holds in larger models:", f"{study.verify} --scales 1,4"


def _another_round(content: FitFolder) -> int:
    """Return the runs of another round: as many as a third of those so far, from 8 to 64."""
    return min(max(8, 4 * math.ceil(len(content.runs) / 12)), 64)


def _price(content: FitFolder) -> str:
    """Return what a verification takes, from how long the runs of the swarm took."""
    cells = [content.run_facts.get(run, {}).get("seconds") or "" for run in content.runs]
    seconds = [float(cell) for cell in cells if cell.replace(".", "", 1).isdigit()]
    if not seconds:
        return ""
    taken = duration(VERIFYING * sum(seconds) / len(seconds))
    return f" ({VERIFYING} runs, about {taken} of training)"
