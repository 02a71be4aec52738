"""What a report is about."""

from __future__ import annotations

import numpy as np

from olmix.report.content import Objective


def test_an_objective_averages_by_weight_and_turns_metrics_of_the_other_direction():
    objective = Objective("average", "", True, {"loss": 3.0, "accuracy": 1.0}, {"accuracy": -1})
    values = {"loss": np.array([1.0, 2.0]), "accuracy": np.array([0.4, np.nan])}
    np.testing.assert_allclose(objective.average(values), [0.65, np.nan])
