"""Which mixtures of a swarm to train again at a larger size (`olmix generate --larger FIT`).

The larger runs give the map from small values to large ones (`laws.scaled`), and are to be right
where it counts: near the proposal. So the proposal itself comes first, then in turn a mixture that
stands for a part of the swarm (k-means in the square roots of the weights, where distances are
Hellinger's) and the untaken run that is nearest to the proposal. Representatives did better than
the mixtures that lie farthest apart: those are vertices, where small and large models differ most.
Runs are repeated as they were, so that both sizes can be compared mixture by mixture.

Legend: ``R`` runs of the fit, ``D`` domains, ``n`` mixtures chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from olmix.errors import DataError, needs
from olmix.generate.next_round import EarlierFit, proposal_of, runs_of
from olmix.simplex import Array, distinct_mixtures, hellinger

__all__ = ["NUM_LARGER", "mixtures_to_repeat"]

NUM_LARGER = 8
"""Larger runs that place values well, where nobody asks for another number."""
_SAME = 1e-6


def mixtures_to_repeat(fit: EarlierFit, domains: Sequence[str], wanted: int, seed: int) -> Array:
    """Choose the mixtures to train at a larger size, the proposal first, (wanted, D).

    Args:
        fit: the fit to the small runs.
        domains: (D,) the columns of the result.
        wanted: number of mixtures.
        seed: seed of the clusters.

    Raises:
        DataError: the fit has other domains, or too few different runs.
    """
    proposal = proposal_of(fit, domains)
    runs = distinct_mixtures(runs_of(fit, domains))
    runs = runs[np.abs(runs - proposal).max(axis=1) > _SAME]
    if len(runs) < wanted - 1:
        raise DataError(
            f"the fit has {len(runs)} different mixtures besides its proposal, fewer than the "
            f"{wanted - 1} asked for. Lower -n"
        )
    near = list(np.argsort(hellinger(proposal[None], runs)[0], kind="stable"))
    spread = _representatives(runs, wanted // 2, seed)
    chosen: list[int] = []
    for turn in range(wanted - 1):
        source = spread if turn % 2 == 0 and spread else near
        while source[0] in chosen:
            source.pop(0)
            source = source or near
        chosen.append(source.pop(0))
    return np.vstack([proposal, runs[chosen]])


def _representatives(runs: Array, number: int, seed: int) -> list[int]:
    """Return the run nearest to the middle of each cluster, without repetition."""
    with needs("fit", "Choosing runs for a larger size"):
        from scipy.cluster.vq import kmeans2
    if number < 1:
        return []
    roots = np.sqrt(runs)
    centres, _ = kmeans2(roots, number, minit="++", seed=np.random.default_rng(seed))
    nearest = ((roots[:, None] - centres) ** 2).sum(axis=2).argmin(axis=0)
    return list(dict.fromkeys(nearest.tolist()))
