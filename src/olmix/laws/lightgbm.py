"""Gradient-boosted trees: `lightgbm`, the check on the smooth laws.

RegMix (Liu et al. 2024) fits one LightGBM model (Ke et al. 2017) per metric to the weights, with
1,000 trees and one setting for all swarms. Here the size of the trees and their number are chosen
per metric by cross-validation inside the runs that may be seen; with 64 runs that ranks runs left
out far better.

Trees assume nothing about the shape, so where they predict as well as a smooth law the smooth one
misses something. They are constant between splits: there is no slope to follow, and outside the
runs they repeat the outermost one. Use the proposer `simulation` with them.

Legend: ``P`` problems, ``n`` mixtures, ``D`` domains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from olmix.errors import needs
from olmix.laws.law import FittedLaw, SeparateLaw
from olmix.simplex import Array

__all__ = ["FittedLightGbm", "LightGbm"]

_LEAVES = (3, 6, 12)
_RATE = 0.05
_MOST_TREES = 600
_PATIENCE = 40
_NUM_FOLDS = 5
_COMMON = {
    "objective": "regression",
    "metric": "l2",
    "learning_rate": _RATE,
    "min_data_in_leaf": 3,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 0.1,
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
}


def _library() -> Any:
    with needs("lightgbm", "The regressor lightgbm"):
        import lightgbm
    return lightgbm


@dataclass(frozen=True)
class FittedLightGbm(FittedLaw):
    """One metric as a sum of trees.

    Attributes:
        model: the trees in LightGBM's own text format.
        leaves: most leaves of a tree.
        trees: number of trees.
    """

    name: ClassVar[str] = "lightgbm"
    convex: ClassVar[bool] = False
    smooth: ClassVar[bool] = False

    model: str
    leaves: int
    trees: int

    @cached_property
    def _booster(self) -> Any:
        return _library().Booster(model_str=self.model)

    def predict(self, mixtures: ArrayLike) -> Array:
        """Return the predicted metric of mixtures (n, D), shape (n,)."""
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        return np.asarray(self._booster.predict(array, num_threads=1), dtype=np.float64)

    def gradient(self, mixtures: ArrayLike) -> Array:
        """Return zeros: trees have no slope."""
        return np.zeros_like(np.atleast_2d(np.asarray(mixtures, dtype=np.float64)))

    def to_plain(self) -> dict[str, Any]:
        """Return the parameters as values that JSON can hold."""
        return {"law": self.name, "leaves": self.leaves, "trees": self.trees, "model": self.model}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Build the law from what `to_plain` returned."""
        return cls(model=plain["model"], leaves=plain["leaves"], trees=plain["trees"])


class LightGbm(SeparateLaw):
    """The law `lightgbm`.

    Args:
        seed: seed of the trees and of the folds that choose their number.
    """

    name: ClassVar[str] = "lightgbm"
    convex: ClassVar[bool] = False
    fitted: ClassVar[type[FittedLaw]] = FittedLightGbm

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit_one(
        self, mixtures: Array, values: Array, row_weights: Array, start: FittedLaw | None
    ) -> FittedLaw:
        """Choose size and number of trees by cross-validation, then fit to all rows."""
        del start
        library = _library()
        size = len(values)
        order = np.random.default_rng(self.seed).permutation(size)
        count = min(_NUM_FOLDS, size)
        parts = [order[index::count] for index in range(count)]
        folds = [(np.setdiff1d(np.arange(size), part), part) for part in parts]
        best = (np.inf, _LEAVES[0], 1)
        for leaves in _LEAVES:
            result = library.cv(
                {**_COMMON, "num_leaves": leaves, "seed": self.seed},
                library.Dataset(mixtures, values, weight=row_weights, free_raw_data=False),
                num_boost_round=_MOST_TREES,
                folds=folds,
                callbacks=[library.early_stopping(_PATIENCE, verbose=False)],
            )
            errors = next(value for key, value in result.items() if key.endswith("l2-mean"))
            best = min(best, (float(errors[-1]), leaves, len(errors)))
        return self._train(mixtures, values, row_weights, best[1], best[2])

    def refit_one(
        self, fitted: FittedLaw, mixtures: Array, values: Array, row_weights: Array
    ) -> FittedLaw:
        """Fit again to other weights, keeping the size and number of trees."""
        if not isinstance(fitted, FittedLightGbm):
            raise TypeError(f"{fitted.name} is not made of trees")
        return self._train(mixtures, values, row_weights, fitted.leaves, fitted.trees)

    def _train(
        self, mixtures: Array, values: Array, row_weights: Array, leaves: int, trees: int
    ) -> FittedLightGbm:
        library = _library()
        booster = library.train(
            {**_COMMON, "num_leaves": leaves, "seed": self.seed},
            library.Dataset(mixtures, values, weight=row_weights),
            num_boost_round=trees,
        )
        return FittedLightGbm(booster.model_to_string(), leaves, trees)
