"""The decisions of a fit in plain words, for a terminal."""

from __future__ import annotations

import math
from pathlib import Path

from olmix.records.fit.folder import FitFolder, read_fit_folder
from olmix.records.fit.proposal import Proposal
from olmix.records.fit.scores import LEVEL
from olmix.report.sentences import (
    effects_reading,
    gain_reading,
    law_reading,
    mixture_reading,
    round_reading,
    scope,
    subtitle,
    warnings,
)
from olmix.text.numbers import counted, fixed, per_cent, percent

__all__ = ["explain"]

_PROPOSERS = {
    "exact": "a convex program, solved to the optimum",
    "gradient": "SLSQP from the best of many starting points",
    "simulation": "random mixtures around the prior, then around the best of them",
    "search": "the best run of the swarm, because no law was fitted",
}


def explain(fit_folder: Path) -> list[tuple[str, list[str]]]:
    """Return headings and what was decided below each, as sentences.

    Args:
        fit_folder: folder that `olmix fit` wrote.

    Raises:
        DataError: the folder holds no fit.
    """
    content = read_fit_folder(Path(fit_folder))
    parts = [
        ("What was asked", [subtitle(content)]),
        ("The swarm and the laws", [*content.notes, law_reading(content), *_coverage(content)]),
        ("What the domains do", [effects_reading(content)]),
    ]
    proposal = content.proposal
    if proposal is not None:
        found = [proposal.statement, mixture_reading(content), *_search(content, proposal)]
        parts.append(("The proposal", [*found, gain_reading(content), scope(content)]))
        parts.append(("More runs", [round_reading(content)]))
    parts.append(("Warnings", list(warnings(content))))
    kept = [(heading, [text for text in texts if text]) for heading, texts in parts]
    return [(heading, texts) for heading, texts in kept if texts]


def _coverage(content: FitFolder) -> list[str]:
    metric = content.metrics[0]
    if LEVEL not in metric.coverage:
        return []
    return [
        f"{metric.name}: {per_cent(LEVEL)} intervals calibrated on other folds contain "
        f"{percent(metric.coverage[LEVEL])} of the held-out runs."
    ]


def _search(content: FitFolder, proposal: Proposal) -> list[str]:
    """Describe how the mixture was searched for, and within which limits."""
    how = _PROPOSERS.get(proposal.proposer, proposal.proposer)
    texts = [f"It was found by {proposal.proposer}: {how}."]
    if math.isfinite(proposal.kl_reg) and proposal.kl_reg > 0:
        raw = proposal.kl_weight
        known = f"; a raw weight of {raw:.3g}" if math.isfinite(raw) else ""
        texts.append(
            f"A KL of 1 from the prior had to be worth {fixed(proposal.kl_reg, 3)} of the swarm's "
            f"spread (proposer.kl_reg{known})."
        )
    asked = content.settings.proposer
    if asked.risk:
        texts.append(
            f"{asked.risk:g} standard errors of the prediction were added to what was minimised "
            "(proposer.risk)."
        )
    if asked.floors is not None:
        texts.append("Metrics with a floor stay within it (proposer.floors).")
    capped = [name for name, cap in proposal.caps.items() if 0 < cap < 1]
    if capped:
        texts.append(
            f"{counted(len(capped), 'domain')} cannot be all of the mixture, for want of tokens."
        )
    return texts
