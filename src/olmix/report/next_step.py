"""What to do next with a proposal, its price, and the command that does it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from olmix.records.fit.folder import FitFolder
from olmix.records.fit.proposal import VERIFYING, Proposal
from olmix.report.floors import has_floor
from olmix.report.metric_changes import metric_changes
from olmix.report.next_commands import study_of
from olmix.report.trust import STRONG, overall, read_lights
from olmix.text.numbers import duration, percent

__all__ = ["Step", "gentler_step", "next_step", "starting_mixture"]

_MUCH = 0.1
"""Share of its value by which a metric gets worse before a gentler mixture is named."""
_FLOOR = "5 %"


@dataclass(frozen=True)
class Step:
    """What to do, in words, and what does it; nothing where both are empty."""

    words: str = ""
    command: str = ""


def starting_mixture(content: FitFolder) -> str:
    """Return what gains are over: natural, or uniform where no token counts were given."""
    priors = content.settings.priors
    return "uniform" if priors is not None and priors.unknown else "natural"


def next_step(content: FitFolder) -> Step:
    """Return what to do next."""
    proposal = content.proposal
    if proposal is None or proposal.worst:
        return Step()
    if content.verification is None:
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
    more = f", and {len(worse) - 1} more over {percent(_MUCH, 0)}" if len(worse) > 1 else ""
    config = _fit_config(commands)
    fits = shlex.quote(str(content.folder.parent))
    return Step(
        f"{labels.get(worst.metric, worst.metric)} gets {percent(-worst.share, 0)} worse{more}. To "
        f"spare them, set proposer.floors to {{all: {_FLOOR}}} in the fit config and fit again "
        "(seconds, no training):",
        f"olmix fit -c {config} -o {fits}",
    )


def _before_verification(content: FitFolder, proposal: Proposal) -> Step:
    study, more = study_of(content), proposal.another_round
    if not proposal.reliable:
        return Step(
            "Do not train on this mixture: held-out runs are ranked no better than chance. Add "
            "runs or replicates, or choose another metric."
        )
    if more is not None and more.worth:
        return Step(
            f"{more.statement.partition(':')[0]}. Use this fit to place them:",
            study.another_round(more.runs),
        )
    gain, best = proposal.gains.get("natural"), proposal.gains.get("best_seen")
    why = "Verify before you train on it"
    if gain is not None and gain.low <= 0:
        why = "The gain is not certain: verify before you train on it"
    elif overall(read_lights(content)) != STRONG:
        why = "The prediction alone is not enough: verify before you train on it"
    if best is not None and best.mean <= 0 and not proposal.floors:
        why += ", and against best seen, which is predicted to be as good or better"
    if study.verify:
        return Step(f"{why}{_price(content)}:", study.verify)
    return Step(
        f"{why}{_price(content)}, by the trainer of your runs; the mixture is "
        f"{content.folder / 'mix.yaml'}. With a launch config for it, `olmix verify` does so."
    )


def _after_verification(content: FitFolder, proposal: Proposal) -> Step:
    study, more = study_of(content), proposal.another_round
    gains = {} if content.verification is None else content.verification.gains
    gain, best = gains.get("natural"), gains.get("best_seen")
    if gain is None or math.isnan(gain.mean) or math.isnan(gain.low):
        return Step()
    another = study.another_round(_another_round(content))
    keep = f"Keep the {starting_mixture(content)} mixture"
    if gain.high < 0:
        return Step(f"{keep}, or use this fit to place another round of runs:", another)
    if gain.low <= 0:
        return Step(
            f"{keep}, verify with more seeds, or place another round of runs:",
            another,
        )
    mix, costs = content.folder / "mix.yaml", gentler_step(content, {}).words
    step = f"Train on {mix}{', if you can afford its costs' if costs else ''}"
    if best is not None and best.high < 0:
        if not proposal.floors:
            return Step("Best seen measured better than the proposal: train on that one.")
        step += " (best seen is better, but was not asked to keep the floors)"
    if more is None or more.worth:
        return Step(f"{step}. Another round of runs may improve it:", another)
    if content.ladder is not None or not study.verify:
        return Step(f"{step}. For your trainer:", study.export)
    return Step(
        f"{step}. See whether its gain holds in larger models:", f"{study.verify} --scales 1,4"
    )


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


def _price(content: FitFolder) -> str:
    """Return what a verification takes, from how long the runs of the swarm took."""
    cells = [content.run_facts.get(run, {}).get("seconds") or "" for run in content.runs]
    seconds = [float(cell) for cell in cells if cell.replace(".", "", 1).isdigit()]
    if not seconds:
        return ""
    taken = duration(VERIFYING * sum(seconds) / len(seconds))
    return f" ({VERIFYING} runs, about {taken} of training)"
