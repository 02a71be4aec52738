"""Which domain takes each sequence of a run: exact shares at every moment, nothing drawn.

Legend: ``D`` domains of positive weight, ``k`` sequences so far, ``w`` weights.

Drawing domains at random would add noise of order sqrt(k) to the shares of a mixture, which is what
the experiment varies. Tijdeman's chairman assignment keeps ``|count - w * k|`` below 1 for every
domain and every prefix ``k``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olmix.simplex import normalise

__all__ = ["assign_slots"]


def assign_slots(weights: ArrayLike, num_slots: int) -> NDArray[np.intp]:
    """Return the domain of each slot, as even as whole numbers allow.

    For each prefix of ``k`` slots and each domain ``|count(k) - w * k| <= 1 - 1 / (2D - 2)``, the
    least bound that holds for all weights (R. Tijdeman, "The chairman assignment problem", Discrete
    Mathematics 32, 1980, section 2). Among the domains that may take a slot without getting ahead,
    the one that would fall behind soonest takes it; ties go to the first.

    Args:
        weights: (D,) non-negative, with a positive sum. Domains of weight 0 take no slot.
        num_slots: slots of the run, at least 0.

    Returns:
        (num_slots,) indices into `weights`.

    Raises:
        ValueError: the weights are negative, not finite, or all 0.
    """
    everyone = normalise(weights)
    live = np.flatnonzero(everyone > 0)
    slots = np.empty(num_slots, dtype=np.intp)
    if len(live) == 1:
        slots[:] = live[0]
        return slots
    share = everyone[live]
    slack = 1 / (2 * len(live) - 2)
    count = np.zeros(len(live))
    for slot in range(num_slots):
        behind = share * (slot + 1) - count
        # Slots until the domain would be more than 1 - slack behind, if it got none of them.
        deadline = (1 - slack - behind) / share
        # The margin forgives rounding: with exact arithmetic someone is always allowed.
        deadline[behind < slack - 1e-9] = np.inf
        chosen = int(np.argmin(deadline))
        count[chosen] += 1
        slots[slot] = live[chosen]
    return slots
