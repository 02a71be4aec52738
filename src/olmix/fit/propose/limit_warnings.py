"""What limits do to a proposal: weights at their caps, repetition, and better runs outside."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.references import References, measured_objective
from olmix.fit.swarm_fit import SwarmFit
from olmix.simplex import Array
from olmix.text.numbers import shortened

__all__ = ["EDGE", "VERTEX", "limit_warnings"]

VERTEX = 0.95
"""Weight from which one domain alone is called a vertex."""
EDGE = 0.02
"""Distance from a limit below which a weight is said to lie on it, for vertices."""
_PASSES = 4
"""Passes over tokens up to which another one is worth about as much as fresh tokens."""
_FULL = 0.98
"""Share of its cap from which a weight is said to be at it."""


def limit_warnings(
    fit: SwarmFit, mixture: Array, feasible: Feasible, references: References
) -> list[str]:
    """Return what to know of a proposal that limits shape.

    Args:
        fit: the laws.
        mixture: (D,) the proposal.
        feasible: what is allowed.
        references: what it is compared with.
    """
    return [
        *_at_limits(fit, mixture, feasible),
        *_repeated(fit, mixture),
        *_better_outside(fit, feasible, references),
    ]


def _at_limits(fit: SwarmFit, mixture: Array, feasible: Feasible) -> Iterator[str]:
    """Warn where the laws say "only this", which they say too easily, or caps hold them back."""
    domains = fit.swarm.domains
    top = int(mixture.argmax())
    if mixture[top] >= VERTEX and not feasible.pinned[top]:
        yield (
            f"The proposal is a vertex: {100 * mixture[top]:.0f} % {domains[top]}. A law that "
            "only rises or falls with each weight ends there whatever the truth; verify it, "
            "raise proposer.kl_reg, or add runs near it."
        )
        return
    free, caps = feasible.free, feasible.caps
    full = free & (caps < 1) & (caps > 0) & (mixture >= _FULL * caps)
    if not full.any():
        return
    names = shortened([name for name, at in zip(domains, full, strict=True) if at])
    at_limit = free & ((mixture <= EDGE) | (mixture >= caps - EDGE))
    # Every weight is at 0 or at its cap but for one that takes up the rest.
    if at_limit.sum() >= free.sum() - 1:
        yield (
            f"The proposal is a vertex of what the caps allow: {names} at the cap, the other "
            "weights (but at most one) at 0. The token budget shapes it more than the metrics do."
        )
        return
    passes = fit.config.constraints.repetition_factor
    yield (
        f"Held back by the cap of {passes:g} times their tokens: {names}. More of their tokens, or "
        "a larger constraints.repetition_factor, would change the proposal."
    )


def _repeated(fit: SwarmFit, mixture: Array) -> Iterator[str]:
    """Warn where the large run repeats domains so often that their tokens are worth less."""
    tokens, priors = fit.config.constraints.target_tokens, fit.config.priors
    if tokens is None or priors.unknown:
        return
    domains = fit.swarm.domains
    passes = mixture * tokens / priors.counts(domains)
    often = [f"{domains[i]} {passes[i]:.1f}" for i in np.argsort(-passes) if passes[i] > _PASSES]
    if often:
        yield (
            f"The large run passes over some tokens more than {_PASSES} times: {shortened(often)}. "
            "Tokens seen so often are worth less (Muennighoff et al. 2023), which the fit knows "
            "only where the runs repeated them as often (training.target_tokens)."
        )


def _better_outside(fit: SwarmFit, feasible: Feasible, references: References) -> Iterator[str]:
    """Warn where a run that the limits rule out was better than all within them."""
    swarm = fit.swarm
    measured = measured_objective(swarm)
    if fit.config.proposer.make_worst_mix or not np.isfinite(measured).any():
        return
    best = int(np.nanargmin(measured))
    within = references.best_measured
    if feasible.contains(swarm.unique_mixtures[best]):
        return
    if within is not None and within <= measured[best]:
        return
    run = next(name for name, at in zip(swarm.runs, swarm.group, strict=True) if at == best)
    seen = (
        "no run is within them: `best seen` is the allowed mixture nearest to that run"
        if within is None
        else f"`best seen` is the best within them, {references.best_run}"
    )
    yield f"The best run of all, {run}, is outside the limits of the proposal; {seen}."
