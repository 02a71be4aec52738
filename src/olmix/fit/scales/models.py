"""Laws at larger scales in `models.json`, and how they are read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from olmix.fit.scales.lift import LiftedFit
from olmix.fit.scales.target import TargetFit
from olmix.laws.gp import FittedGpSqrt
from olmix.laws.law import FittedLaw
from olmix.laws.scaled import FittedScaled
from olmix.records.fit.scores import Calibration

__all__ = ["law_at_scale", "scales_to_plain"]


def scales_to_plain(target: TargetFit) -> dict[str, object]:
    """Return what `models.json` holds of larger scales: nothing for a swarm of one.

    Each scale maps the laws of the one before it in the list, the first those of the file itself.
    """
    if target.record is None:
        return {}
    return {
        "smallest": target.record.smallest,
        "reached": target.record.reached,
        "scales": [_plain(one) for one in target.lifted],
    }


def _plain(lifted: LiftedFit) -> dict[str, Any]:
    metrics = {}
    for fitted in lifted.fits:
        law = fitted.best.law
        if not isinstance(law, FittedScaled):
            raise TypeError(f"{fitted.name}: {law.name} is not a law for a larger scale")
        metrics[fitted.name] = {**law.to_plain(), "calibration": fitted.calibration.to_plain()}
    return {
        "name": lifted.runs.scale.name,
        "mixtures": lifted.runs.mixtures.tolist(),
        "objective_calibration": lifted.objective.calibration.to_plain(),
        "metrics": metrics,
    }


def law_at_scale(small: FittedLaw, plain: Mapping[str, Any]) -> tuple[FittedScaled, Calibration]:
    """Build the law of a metric at a scale, with its intervals, from that of the scale below."""
    residual = plain["residual"]
    law = FittedScaled(
        small=small,
        slope=float(plain["slope"]),
        intercept=float(plain["intercept"]),
        residual=None if residual is None else FittedGpSqrt.from_plain(residual),
    )
    numbers = {
        key: np.nan if value is None else value for key, value in plain["calibration"].items()
    }
    return law, Calibration.from_plain(numbers)
