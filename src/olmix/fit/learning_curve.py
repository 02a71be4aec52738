"""How much a swarm teaches as it grows: `learning_curve.csv`.

Every share of the mixtures is fitted and cross-validated on its own, and predicts the mixtures that
it leaves out. Smaller shares lie within larger ones, so the curve is that of one growing swarm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from olmix.config import FitConfig
from olmix.errors import DataError
from olmix.fit.crossval import assign_folds, cross_validate
from olmix.fit.law import Law
from olmix.fit.swarm import Swarm

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


def learning_curve(
    config: FitConfig,
    swarm: Swarm,
    laws: Sequence[Law],
    on_step: Callable[[str], None] | None = None,
) -> list[tuple[Any, ...]]:
    """Return the rows of `learning_curve.csv`: one per share and metric.

    Args:
        config: the shares, the seed and the number of folds.
        swarm: the runs, none of them held out but by `n_test`.
        laws: candidates.
        on_step: told when a share is done.
    """
    rows: list[tuple[Any, ...]] = []
    for share in shares_of(config):
        part = keep_share(swarm, share, config.regression.seed)
        number = len(np.unique(part.group[~part.held_out]))
        folds = assign_folds(
            part.num_groups, min(config.regression.num_folds, number), config.regression.seed
        )
        for fitted in cross_validate(part, laws, folds):
            test = fitted.best.test
            cv = fitted.best.cv
            tested = ("", "") if test is None else (test.spearman, test.rmse)
            rows.append((share, number, fitted.name, fitted.chosen, cv.spearman, cv.rmse, *tested))
        if on_step is not None:
            on_step(f"{share:g} of the mixtures fitted")
    return rows
