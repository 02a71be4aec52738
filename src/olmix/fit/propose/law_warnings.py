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
            "39 domains the proposals of log_weight lost 0.020 BPB to the best mixture where those "
            "of `auto` lost 0.0004, and trained ones of a log-linear law lost 0.020 to a law of "
            "epochs."
        )
    if (
        law == "log_linear"
        and kl < _NO_KL
        and not fit.config.constraints.enabled
        and swarm.num_free >= _FEW_DOMAINS
    ):
        said.append(
            "A log-linear law without KL and without caps: with 39 domains its trained proposal "
            "was worse than the natural mixture (1.193 against 1.038 BPB), and with a KL weight of "
            "0.025 better (0.996). Set proposer.kl_reg, or constraints.enabled."
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
        f"The promise lies below the floor that the runs show for {listed(below)}: it is too good. "
        "Verify the proposal before anything is built on it."
    ]
