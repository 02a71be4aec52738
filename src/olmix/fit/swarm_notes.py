"""The decisions of reading a swarm, as sentences: what takes part, and what is odd about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from olmix.fit.composed_metrics import composed_notes
from olmix.text.numbers import counted, shortened

if TYPE_CHECKING:
    from olmix.fit.swarm import Swarm

__all__ = ["swarm_notes"]

_MOST_RUNS = 8
_MOST_DOMAINS = 4
_AS_USUAL = 0.95
"""Share of a usual run from which on it is not worth a word that a run counts less."""


def swarm_notes(swarm: Swarm) -> list[str]:
    """Return what was read and what is odd about it."""
    runs, live, dropped = swarm.runs, swarm.live, swarm.dropped
    notes = [
        f"{counted(len(runs), 'run')} of {counted(swarm.num_groups, 'different mixture')} of "
        f"{counted(int(live.sum()), 'domain')} "
        "are used."
    ]
    if dropped:
        notes.append(f"Left out ({counted(len(dropped), 'run')}): {_reasons(dropped)}.")
    unused = [name for name, used in zip(swarm.domains, live, strict=True) if not used]
    if unused:
        notes.append(
            f"No run has {', '.join(unused)}, so nothing is known about it and it gets no weight."
        )
    for name, column in zip(swarm.metrics, swarm.measured.T, strict=True):
        missing = int(np.isnan(column).sum())
        if missing:
            notes.append(
                f"{name} is missing in {counted(missing, 'run')}; its fit leaves out runs without "
                "it."
            )
    notes += [*_known_errors(swarm), *_accidents(swarm)]
    usual = np.where(swarm.measured == swarm.values, swarm.measured, np.nan)
    notes += composed_notes(swarm.metrics, usual)
    safe = 3 * (swarm.num_free + 1)
    if swarm.num_groups <= swarm.num_free:
        notes.append(
            f"{swarm.num_groups} distinct mixtures cannot determine a slope for each of "
            f"{swarm.num_free} domains: `auto` fits Gaussian processes alone; aim for {safe} or "
            "more."
        )
    elif swarm.num_groups < safe:
        notes.append(
            f"{swarm.num_groups} distinct mixtures is few for {swarm.num_free} domains; aim for "
            f"{safe} or more."
        )
    if swarm.held_out.any():
        held_out = int(swarm.held_out.sum())
        notes.append(f"Held out of every fit: {counted(held_out, 'run')} (regression.n_test).")
    return [*notes, *_tied(swarm), *_pinned(swarm)]


def _reasons(dropped: Mapping[str, str]) -> str:
    """Return runs with the reason why they take no part, those with the same one together."""
    alike: dict[str, list[str]] = {}
    for run, reason in sorted(dropped.items()):
        alike.setdefault(reason, []).append(run)
    return "; ".join(f"{shortened(runs)}: {reason}" for reason, runs in alike.items())


def _known_errors(swarm: Swarm) -> list[str]:
    """Say of how many metrics the standard errors are known, and which run they count least."""
    if swarm.noise is None:
        return []
    seen = np.where(np.isfinite(swarm.values) & swarm.noise.known, swarm.noise.weights, np.inf)
    row, index = np.unravel_index(int(seen.argmin()), seen.shape)
    known = int(swarm.noise.known.sum())
    of = "the metric" if len(swarm.metrics) == 1 else f"{known} of {len(swarm.metrics)} metrics"
    note = f"The standard errors of {of} are known: the larger its error, the less a run counts."
    if seen[row, index] > _AS_USUAL:
        return [note]
    return [
        f"{note} {swarm.runs[int(row)]} counts least, {seen[row, index]:.2g} of a usual run in "
        f"{swarm.metrics[int(index)]}."
    ]


def _accidents(swarm: Swarm) -> list[str]:
    """Name the values that were taken for accidents, with their mixtures."""
    notes = []
    for index, name in enumerate(swarm.metrics):
        measured, counted = swarm.measured[:, index], swarm.values[:, index]
        moved = np.flatnonzero(~np.isnan(measured) & (measured != counted))
        for row in moved[:_MOST_RUNS]:
            mixture = swarm.mixtures[row]
            order = np.argsort(-mixture, kind="stable")[:_MOST_DOMAINS]
            shares = ", ".join(f"{100 * mixture[d]:.0f} % {swarm.domains[d]}" for d in order)
            notes.append(
                f"{name}: run {swarm.runs[row]} ({shares}) measured {measured[row]:.4g}, which no "
                "run with a similar mixture explains: it is treated as diverged and counts as "
                f"{counted[row]:.4g}."
            )
    return notes


def _tied(swarm: Swarm) -> list[str]:
    """Name the domains that are fitted as one."""
    return [
        f"{', '.join(f'{name} ({100 * share:.1f} %)' for name, share in members.items())} keep "
        f"the same proportions in every run: they are fitted as one domain, {group}."
        for group, members in (swarm.frozen.groups if swarm.frozen is not None else {}).items()
    ]


def _pinned(swarm: Swarm) -> list[str]:
    """Name the domains that have the same weight in every run."""
    return [
        f"{name} is {100 * weight:.4g} % of every run, so nothing is known about other weights: "
        "it is pinned there in the natural, the uniform and the proposed mixture."
        for name, weight in swarm.pinned.items()
    ]
