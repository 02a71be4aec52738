"""How much a swarm teaches as it grows: `learning_curve.csv`.

Every share of the mixtures is fitted and cross-validated on its own, and predicts the mixtures that
it leaves out. Smaller shares lie within larger ones, so the curve is that of one growing swarm.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmix.config import RegressionConfig
from olmix.errors import DataError
from olmix.fit.swarm import Swarm
from olmix.fit.swarm_fit import SwarmFit, fit_laws
from olmix.laws.least_mixtures import least_mixtures
from olmix.text.progress import NOBODY, Steps

__all__ = ["COLUMNS", "keep_share", "learning_curve", "shares_of"]

COLUMNS = (
    "train_split",
    "num_mixtures",
    "metric",
    "law",
    "cv_spearman",
    "cv_rmse",
    "test_spearman",
    "test_rmse",
)


def shares_of(settings: RegressionConfig) -> tuple[float, ...]:
    """Return the shares of `regression.train_split`, the largest first; above 1, numbers of runs.

    Raises:
        DataError: shares and numbers of runs stand side by side.
    """
    given = settings.train_split
    shares = set(given if isinstance(given, tuple) else (given,))
    if min(shares) < 1 < max(shares):
        raise DataError(
            "regression.train_split: found both shares and numbers of runs; give one kind (1 "
            "means all)"
        )
    return tuple(sorted(shares, key=lambda share: (share == 1, share), reverse=True))


def _num_kept(swarm: Swarm, order: NDArray[np.intp], share: float) -> int:
    """Return how many mixtures of `order` a share or a number of runs takes.

    Raises:
        DataError: there are fewer runs than asked for.
    """
    if share <= 1:
        return int(np.ceil(share * len(order) - 1e-9))
    sizes = np.bincount(swarm.group[~swarm.held_out], minlength=int(order.max()) + 1)[order]
    if share > sizes.sum():
        raise DataError(
            f"regression.train_split: {share:g} runs are asked for, but there are {sizes.sum()}"
        )
    return int(np.searchsorted(np.cumsum(sizes), share)) + 1


def keep_share(swarm: Swarm, share: float, settings: RegressionConfig) -> Swarm:
    """Return the swarm with all but a share of its mixtures, or a number of its runs, held out.

    Replicates stay together, so that a number of runs is the least.

    Raises:
        DataError: the share is too small to fit the domains, or there are fewer runs.
    """
    open_groups = np.unique(swarm.group[~swarm.held_out])
    order = np.random.default_rng(settings.seed).permutation(open_groups)
    kept = order[: _num_kept(swarm, order, share)]
    needed = least_mixtures(swarm.num_free, settings.type)
    if len(kept) < needed:
        raise DataError(
            f"regression.train_split: {share:g} of {len(order)} mixtures are {len(kept)}; "
            f"{swarm.num_free} domains need at least {needed}"
        )
    held_out = swarm.held_out | ~np.isin(swarm.group, kept)
    parts = None if swarm.parts is None else replace(swarm.parts, held_out=held_out)
    return replace(swarm, held_out=held_out, parts=parts)


def learning_curve(
    swarm: Swarm, largest: SwarmFit, steps: Steps = NOBODY
) -> list[tuple[object, ...]]:
    """Return the rows of `learning_curve.csv`: one per share and metric, the largest share first.

    Args:
        swarm: the runs, none of them held out but by `n_test`.
        largest: the fit to the largest share, which is not fitted again.
        steps: counts each smaller share.
    """
    config = largest.config
    first, *smaller = shares_of(config.regression)
    rows = _rows(first, largest)
    for share in smaller:
        part = keep_share(swarm, share, config.regression)
        rows += _rows(share, fit_laws(config, part))
        steps(f"{share:g} of the mixtures fitted")
    return rows


def _rows(share: float, fit: SwarmFit) -> list[tuple[Any, ...]]:
    number = len(np.unique(fit.swarm.group[~fit.swarm.held_out]))
    rows: list[tuple[Any, ...]] = []
    for fitted in fit.fits:
        test, cv = fitted.best.test, fitted.best.cv
        tested = ("", "") if test is None else (test.spearman, test.rmse)
        rows.append((share, number, fitted.name, fitted.chosen, cv.spearman, cv.rmse, *tested))
    return rows
