"""What to do next with a proposal, its price, and the command that does it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from olmix.records.fit.folder import FitFolder
from olmix.records.fit.ladder import LADDER_SIZES, ladder_work
from olmix.records.fit.proposal import VERIFYING, Gain, Proposal
from olmix.report.floors import has_floor
from olmix.report.metric_changes import metric_changes
from olmix.report.next_commands import study_of
from olmix.report.trust import STRONG, overall, read_lights
from olmix.text.numbers import counted, duration, percent

__all__ = ["Step", "gentler_step", "next_step"]

_MUCH = 0.1
"""Share of its value by which a metric gets worse before a gentler mixture is named."""
_FLOOR = "5 %"
_SAME = 0.0005
"""Difference of a weight below which two mixtures are practically the same."""


@dataclass(frozen=True)
class Step:
    """What to do, in words, and what does it; nothing where both are empty.

    Attributes:
        words: what to do, why, and what it takes.
        command: what does it.
        brief: the same for one line of a terminal.
    """

    words: str = ""
    command: str = ""
    brief: str = ""


def next_step(content: FitFolder) -> Step:
    """Return what to do next."""
    proposal = content.proposal
    if proposal is None or proposal.worst:
        return Step()
    if content.trained is None:
        return _before_verification(content, proposal)
    return _after_verification(content, proposal)


def gentler_step(
    content: FitFolder, labels: Mapping[str, str], commands: Sequence[str] = ()
) -> Step:
    """Return how to get a mixture that spares other metrics, where one of them gets much worse."""
    proposal = content.proposal
    if proposal is None or proposal.worst or not proposal.reliable:
        return Step()
    worse = [
        row
        for row in metric_changes(content).rows
        if row.kind == "worse" and row.share < -_MUCH and not has_floor(content, row.metric)
    ]
    if not worse:
        return Step()
    worst = min(worse, key=lambda row: row.share)
    over = f"over {percent(_MUCH, 0)}"
    more = f", and {len(worse) - 1} more {over}" if len(worse) > 1 else ""
    config = _fit_config(commands)
    fits = shlex.quote(str(content.folder.parent))
    return Step(
        f"{labels.get(worst.metric, worst.metric)} gets {percent(-worst.share, 0)} worse{more}. To "
        f"spare them, set proposer.floors to {{all: {_FLOOR}}} in the fit config and fit again "
        "(seconds, no training):",
        f"olmix fit -c {config} -o {fits}",
        f"{counted(len(worse), 'metric')} {over} worse; proposer.floors {{all: {_FLOOR}}} would "
        f"spare {'them' if len(worse) > 1 else 'it'}",
    )


def _before_verification(content: FitFolder, proposal: Proposal) -> Step:
    study, more = study_of(content), proposal.another_round
    if not proposal.reliable:
        what = "Add runs or replicates, or choose another metric."
        return Step(
            f"Do not train on this mixture: held-out runs are ranked no better than chance. {what}",
            brief=f"Do not train on it. {what}",
        )
    if _is_start(proposal):
        start = content.settings.start
        what = "loosen proposer.floors" if proposal.floors else "add runs"
        words = f"Keep {start}: the proposal is the same. To look further, {what}."
        return Step(words, brief=words)
    if more is not None and more.worth:
        price = _price(content, more.runs)
        return Step(
            f"{more.statement.partition(':')[0]}. Use this fit to place them{price}:",
            study.another_round(more.runs),
            f"Add the {more.runs} runs that this fit places{price}:",
        )
    gain, best = proposal.gains.get("natural"), proposal.gains.get("best_seen")
    why = "Verify before you train on it"
    if gain is not None and gain.low <= 0:
        why = "The gain is not certain: verify before you train on it"
    elif overall(read_lights(content)) != STRONG:
        why = "The prediction alone is not enough: verify before you train on it"
    brief = "Verify it before you train on it"
    if best is not None and best.mean <= 0 and not proposal.floors:
        why += ", and against best seen, which is predicted to be as good or better"
        brief = "Verify it against best seen, predicted as good"
    price = _price(content, VERIFYING, f" ({VERIFYING} runs, about {{}} of training)")
    if study.verify:
        return Step(f"{why}{price}:", study.verify, f"{brief}{price}:")
    mix = content.folder / "mix.yaml"
    return Step(
        f"{why}{price}, by the trainer of your runs; the mixture is {mix}. "
        "With a launch config for it, use olmix verify.",
        brief=f"{brief}; its {mix.name} lies beside the report",
    )


def _is_start(proposal: Proposal) -> bool:
    """Whether the proposal is practically the mixture that gains are over."""
    start, proposed = (proposal.mixtures.get(name) for name in ("natural", "proposed"))
    if start is None or proposed is None:
        return False
    weights = proposed.weights
    return all(abs(share - weights.get(name, 0.0)) < _SAME for name, share in start.weights.items())


def _after_verification(content: FitFolder, proposal: Proposal) -> Step:
    study, more = study_of(content), proposal.another_round
    gains = _measured_gains(content)
    gain, best = gains.get("natural"), gains.get("best_seen")
    if gain is None or math.isnan(gain.mean) or math.isnan(gain.low):
        return Step()
    runs = _another_round(content)
    another = study.another_round(runs)
    price, short = _price(content, runs), _price(content, runs, " (about {})")
    start = content.settings.start
    keep, place = f"Keep the {start} mixture", f"{runs} runs that this fit places{price}:"
    if gain.high < 0:
        return Step(
            f"{keep}, or use this fit to place another round of runs{price}:",
            another,
            f"Keep {start}, or add {place}",
        )
    if gain.low <= 0:
        return Step(
            f"{keep}, verify with more seeds, or place another round of runs{price}:",
            another,
            f"Keep {start}, verify with more seeds, or add {runs} runs{short}:",
        )
    mix, costs = content.folder / "mix.yaml", gentler_step(content, {}).words
    step = f"Train on {mix}{', if you can afford its costs' if costs else ''}"
    if best is not None and best.high < 0:
        if not proposal.floors:
            words = "Best seen measured better than the proposal: train on that one."
            return Step(words, brief=words)
        step += " (best seen is better, but was not asked to keep the floors)"
    if more is None or more.worth:
        words = f"{step}. Another round of runs may improve it{price}:"
        return Step(words, another, f"Train on it, or add {place}")
    if content.ladder is not None or not study.verify:
        return Step(f"{step}. For your trainer:", study.export, "Train on it. For your trainer:")
    price = _price(content, ladder_work(LADDER_SIZES), " (up to {})")
    return Step(
        f"{step}. See whether its gain holds in larger models{price}:",
        study.ladder,
        f"Train on it, or first see it in larger models{price}:",
    )


def _measured_gains(content: FitFolder) -> Mapping[str, Gain]:
    """Return the gains over the mixtures that were trained beside it, nearest to the large run.

    Of a ladder those at its target, or at its largest size.
    """
    gains: Mapping[str, Gain] = {} if content.trained is None else content.trained.gains
    target = None if content.ladder is None else content.ladder.target
    return gains if target is None else {**gains, "natural": target.gain}


def _fit_config(commands: Sequence[str]) -> str:
    """Return the config of the fit, where a command names it and it is still there."""
    for command in commands:
        words = shlex.split(command)
        if words[:2] == ["olmix", "fit"] and "-c" in words[:-1]:
            given = words[words.index("-c") + 1]
            if Path(given).is_file():
                return shlex.quote(given)
    return "FIT.yaml"


def _another_round(content: FitFolder) -> int:
    """Return the runs of another round: as many as a third of those so far, from 8 to 64."""
    return min(max(8, 4 * math.ceil(len(content.runs) / 12)), 64)


def _price(content: FitFolder, runs: int, words: str = " (about {} of training)") -> str:
    """Return what so many runs take, from how long those of the swarm took; nothing if unknown.

    Args:
        content: the fit.
        runs: how many runs, each as long as one of the swarm.
        words: in which the time is said.
    """
    seconds = content.known_facts("seconds")
    return words.format(duration(runs * sum(seconds) / len(seconds))) if seconds else ""
