"""Warnings of a law that was chosen by hand, and of a promise below every floor.

The figures are of trained proposals with fresh seeds and 39 domains (marin-community/marin) and of
the same surface planted (`benchmarks/epochs.py`).
"""

from __future__ import annotations

import numpy as np

from olmix.fit.swarm_fit import EPOCHS_DOMAINS, SwarmFit
from olmix.laws.epochs import EPOCHS, FittedEpochs
from olmix.simplex import Array
from olmix.text.numbers import listed, significant

__all__ = ["law_warnings"]

_NO_KL = 0.005
"""Weight of the divergence, in units of the spread, below which it holds nothing back."""
_FEW_DOMAINS = 8
"""Domains from which a log-linear law alone is worth a warning."""


def law_warnings(fit: SwarmFit, mixture: Array, kl: float) -> list[str]:
    """Return what a reader must know of the laws behind a proposal, as sentences.

    Args:
        fit: the laws.
        mixture: (D,) the proposal.
        kl: weight of the divergence that it was found with.
    """
    return [*_chosen_by_hand(fit, kl), *_below_floors(fit, mixture)]


def _chosen_by_hand(fit: SwarmFit, kl: float) -> list[str]:
    law, swarm = fit.config.regression.type, fit.swarm
    if law not in ("log_linear", "log_weight"):
        return []
    said = []
    if swarm.num_free >= EPOCHS_DOMAINS:
        said.append(
            f"regression.type {law} alone over {swarm.num_free} domains: on a planted surface of "
            "39 domains, proposals of log_weight were 0.020 BPB worse than the best mixture and "
            "those of `auto` 0.0004; trained proposals of a log-linear law were 0.020 worse than "
            "those of a law of epochs."
        )
    if (
        law == "log_linear"
        and kl < _NO_KL
        and not fit.config.constraints.enabled
        and swarm.num_free >= _FEW_DOMAINS
    ):
        said.append(
            "A log-linear law without KL and without caps: with 39 domains its trained proposal "
            "was worse than the natural mixture (1.193 against 1.038 BPB, lower is better); with "
            "a KL weight of 0.025 it was better (0.996). Set proposer.kl_reg, or "
            "constraints.enabled."
        )
    return said


def _below_floors(fit: SwarmFit, mixture: Array) -> list[str]:
    """Warn of metrics that are promised to be better than the floor that the runs show."""
    below = []
    for index, fitted in enumerate(fit.fits):
        candidate = fitted.candidates.get(EPOCHS)
        if candidate is None or not isinstance(candidate.law, FittedEpochs):
            continue
        promise = float(fitted.best.law.predict(mixture[None])[0])
        if promise < candidate.law.floor:
            shown = np.array([promise, candidate.law.floor]) * fit.swarm.signs[index]
            below.append(
                f"{fitted.name} ({significant(shown[0])}, the floor is {significant(shown[1])})"
            )
    if not below:
        return []
    return [
        f"The promise is below the noise floor that the runs show for {listed(below)}: too good "
        "to be true. Verify the proposal before building on it."
    ]
