"""Three lights that say how far a prediction can be trusted before its mixture is trained.

Each is strong, weak or none, in words too, for those who do not see colours. All of them strong
make strong trust, unless the interval of the predicted gain holds 0: that is a fourth light, lit
only then. There is no trust without a rank correlation beyond chance. Errors that are large
against the noise weaken it and no more: the interval of the gain already covers them, and the
noise itself often comes from few replicates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from olmix.records.fit.folder import FitFolder
from olmix.records.fit.scores import Scores
from olmix.text.numbers import fixed

__all__ = ["NONE", "STRONG", "WEAK", "Light", "headline_scores", "overall", "read_lights"]

STRONG, WEAK, NONE = "strong", "weak", "none"
_RANK = 0.8
"""Rank correlation on held-out runs from which it is strong."""
_NOISE = (2.0, 4.0)
"""Times the noise between replicates up to which an error is strong, and weak."""
_SHARE = (0.4, 0.8)
"""Share of the spread between runs up to which an error is strong, and weak."""


@dataclass(frozen=True)
class Light:
    """One reason to trust a proposal, or not to.

    Attributes:
        level: `strong`, `weak` or `none`.
        words: what was found.
        link: section of the page that shows it.
        verdict: the level in words that fit the light; empty where `words` say it.
        brief: `words` for a line of the terminal.
    """

    level: str
    words: str
    link: str
    verdict: str = ""
    brief: str = ""


def read_lights(content: FitFolder) -> tuple[Light, ...]:
    """Return held-out rank, error against noise, distance from what was tried, and any doubt."""
    scores = headline_scores(content)
    lights = [_rank(content, scores), _error(content, scores)]
    proposal = content.proposal
    if proposal is not None and proposal.distance is not None:
        place = proposal.distance.place
        level = {"within": STRONG, "at the edge of": WEAK, "outside": NONE}[place]
        words = f"{place} what was tried"
        lights.append(Light(level, words, "runs", brief=words))
    gain = None if proposal is None else proposal.gains.get("natural")
    if proposal is not None and not proposal.worst and gain is not None and gain.low <= 0:
        lights.append(Light(WEAK, "the gain may be 0", "gains", brief="gain may be 0"))
    return tuple(lights)


def headline_scores(content: FitFolder) -> Scores:
    """Return how well held-out runs are predicted: of the only metric, or of the average.

    Of a single metric they are those of its chosen law, as the table of laws shows them.
    """
    alone = len(content.objective.metrics) == 1
    found = None if alone else content.objective_scores
    return found or content.metrics[0].law.cv


def overall(lights: Sequence[Light]) -> str:
    """Return the trust that the lights give together; nothing without any."""
    if not lights:
        return ""
    levels = [light.level for light in lights]
    if levels[0] == NONE:
        return NONE
    return STRONG if set(levels) == {STRONG} else WEAK


def _rank(content: FitFolder, scores: Scores) -> Light:
    reliable = content.proposal is not None and content.proposal.reliable
    level = NONE if not reliable else STRONG if scores.spearman >= _RANK else WEAK
    size = fixed(scores.spearman, 2)
    verdict = {STRONG: "strong", WEAK: "weak", NONE: "no better than chance"}[level]
    words = f"held-out rank correlation {size}"
    return Light(level, words, "evidence", verdict, f"rank {size}")


def _error(content: FitFolder, scores: Scores) -> Light:
    """Return the light of the error, against the noise of replicates where that is known."""
    noise = content.metrics[0].noise_sd if len(content.objective.metrics) == 1 else math.nan
    if math.isfinite(noise) and noise > 0:
        times, limits = scores.rmse / noise, _NOISE
        size = fixed(times, 1)
        words, brief = f"error {size} times the noise", f"error {size} × noise"
    else:
        times = math.sqrt(max(1 - scores.r2, 0.0)) if math.isfinite(scores.r2) else math.nan
        limits, size = _SHARE, fixed(times, 2)
        words, brief = f"error {size} of the spread between runs", f"error {size} of spread"
    if not math.isfinite(times):
        return Light(NONE, "error not known", "evidence", brief="error not known")
    level = STRONG if times <= limits[0] else WEAK if times <= limits[1] else NONE
    verdict = {STRONG: "small", WEAK: "large", NONE: "very large"}[level]
    return Light(level, words, "evidence", verdict, brief)
