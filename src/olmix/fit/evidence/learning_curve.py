"""How much a swarm teaches as it grows: `learning_curve.csv`.

Every share of the mixtures is fitted and cross-validated on its own, and predicts the mixtures that
it leaves out. Smaller shares lie within larger ones, so the curve is that of one growing swarm.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from olmix.config import FitConfig
from olmix.errors import DataError
from olmix.fit.swarm import Swarm
from olmix.fit.swarm_fit import SwarmFit, fit_laws
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


def shares_of(config: FitConfig) -> tuple[float, ...]:
    """Return the shares of `regression.train_split`, largest first."""
    given = config.regression.train_split
    shares = given if isinstance(given, tuple) else (given,)
    return tuple(sorted(set(shares), reverse=True))


def keep_share(swarm: Swarm, share: float, seed: int) -> Swarm:
    """Return the swarm with all but a share of its mixtures held out.

    Raises:
        DataError: the share is too small to fit the domains.
    """
    open_groups = np.unique(swarm.group[~swarm.held_out])
    order = np.random.default_rng(seed).permutation(open_groups)
    kept = order[: int(np.ceil(share * len(order) - 1e-9))]
    needed = int(swarm.live.sum()) + 1
    if len(kept) < needed:
        raise DataError(
            f"regression.train_split: {share:g} of {len(order)} mixtures are {len(kept)}; "
            f"{int(swarm.live.sum())} domains take at least {needed}"
        )
    return replace(swarm, held_out=swarm.held_out | ~np.isin(swarm.group, kept))


def learning_curve(swarm: Swarm, largest: SwarmFit, steps: Steps = NOBODY) -> list[tuple[Any, ...]]:
    """Return the rows of `learning_curve.csv`: one per share and metric, the largest share first.

    Args:
        swarm: the runs, none of them held out but by `n_test`.
        largest: the fit to the largest share, which is not fitted again.
        steps: counts each smaller share.
    """
    config = largest.config
    first, *smaller = shares_of(config)
    rows = _rows(first, largest)
    for share in smaller:
        part = keep_share(swarm, share, config.regression.seed)
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
