"""Mixtures as stacked bars, and the proposed one as a whole with the shares it starts from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from olmix.records.fit.folder import FitFolder
from olmix.records.fit.proposal import Proposal
from olmix.report.mixture_names import label_of
from olmix.report.short_names import short_names
from olmix.text.numbers import percent

__all__ = ["Bar", "Segment", "mixture_bars", "whole_mixture"]

_MOST_SEGMENTS = 10
"""Domains that a bar tells apart; all others are one."""
_LABELLED = 0.06
"""Share from which a segment has its name in it."""


@dataclass(frozen=True)
class Segment:
    """A domain in the bar of a mixture.

    Attributes:
        domain: its name.
        label: the same as short as it is told from the others.
        colour: number of its colour, from 0; the same in every bar.
        share: of the mixture, from 0 to 1.
        percent: the share as text.
        labelled: whether its name fits into it.
        before: the share of the natural mixture, as text; empty where it is not shown.
    """

    domain: str
    label: str
    colour: int
    share: float
    percent: str
    labelled: bool
    before: str = ""


@dataclass(frozen=True)
class Bar:
    """A mixture as a stacked bar."""

    mixture: str
    segments: tuple[Segment, ...]


def mixture_bars(content: FitFolder, proposal: Proposal) -> tuple[Bar, ...]:
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
    most = _MOST_SEGMENTS if len(kept) <= _MOST_SEGMENTS else _MOST_SEGMENTS - 1
    kept, others = kept[:most], kept[most:]
    first = weights[shown[0]] if shown else {}
    kept.sort(key=lambda leaf: -first.get(leaf, 0.0))
    labels = short_names(content.leaves)
    bars = []
    for name in shown:
        shares = {leaf: weights[name].get(leaf, 0.0) for leaf in kept}
        if others:
            rest = math.fsum(weights[name].get(leaf, 0.0) for leaf in others)
            shares[f"{len(others)} others"] = rest
        segments = tuple(
            _segment(leaf, labels.get(leaf, leaf), share, colour)
            for colour, (leaf, share) in enumerate(shares.items())
        )
        label = label_of(content, name)
        if proposal.worst and name == "proposed":
            label = "worst"
        bars.append(Bar(label, segments))
    return tuple(bars)


def whole_mixture(content: FitFolder, proposal: Proposal) -> tuple[Segment, ...]:
    """Return every domain of the proposed mixture, the largest before or after first."""
    if "proposed" not in proposal.mixtures:
        return ()
    weights = proposal.mixtures["proposed"].weights
    labels = short_names(content.leaves)
    natural = proposal.mixtures.get("natural")
    before = {} if natural is None else natural.weights

    def size(leaf: str) -> float:
        return max(_known(each.get(leaf, 0.0)) for each in (weights, before))

    leaves = sorted(content.leaves, key=size, reverse=True)
    segments = (_segment(leaf, labels[leaf], _known(weights.get(leaf, 0.0)), 0) for leaf in leaves)
    return tuple(
        replace(segment, before=_share(before[segment.domain]))
        if segment.domain in before
        else segment
        for segment in segments
    )


def _segment(domain: str, label: str, share: float, colour: int) -> Segment:
    return Segment(domain, label, colour, share, _share(share), share >= _LABELLED)


def _share(share: float) -> str:
    return percent(share, 0 if share >= 0.1 or share == 0 else 1)


def _known(share: float) -> float:
    return share if math.isfinite(share) else 0.0
