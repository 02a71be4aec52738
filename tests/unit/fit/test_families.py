"""Families: averages of fits, never fits of averages."""

import numpy as np
import pytest

from fit_fixtures import draw_mixtures, log_linear, log_weight, plant
from olmix import fit_laws, load_swarm, propose
from olmix.fit import fit_swarm, load_fit
from olmix.laws.stack import FittedAverage

TASKS = {"type": "offline", "tasks": {"both": ["line", "power"], "one": ["other"]}}


@pytest.fixture
def planted(tmp_path):
    return plant(tmp_path, {"line": log_linear, "power": log_weight, "other": log_linear}, num=30)


def _average(planted, **more):
    regression = {"aggregate_task_families": True, **more}
    return planted.config(eval=TASKS, regression=regression)


def test_the_prediction_of_a_family_is_the_average_of_those_of_its_metrics(planted):
    families = fit_laws(load_swarm(config=_average(planted)))
    apart = fit_laws(load_swarm(config=planted.config()))
    rows = draw_mixtures(20, 4, seed=3)
    found, single = families.predict(rows), apart.predict(rows)
    mean = (single["line"]["mean"] + single["power"]["mean"]) / 2
    np.testing.assert_allclose(found["both"]["mean"], mean, rtol=1e-9)
    np.testing.assert_allclose(found["one"]["mean"], single["other"]["mean"], rtol=1e-9)
    held = {one.name: one.best.cv_predictions for one in apart.fit.fits}
    mean = (held["line"] + held["power"]) / 2
    np.testing.assert_allclose(families.fit.fits[0].best.cv_predictions, mean, rtol=1e-9)


def test_a_fit_of_families_comes_back_from_its_folder(planted):
    folder = fit_swarm(_average(planted), planted.folder / "fit").folder
    loaded, rows = load_fit(folder), draw_mixtures(10, 4, seed=5)
    fresh = fit_laws(load_swarm(config=_average(planted)))
    assert isinstance(loaded.laws["both"], FittedAverage)
    for name, values in loaded.predict(rows).items():
        np.testing.assert_allclose(values, fresh.predict(rows)[name]["mean"], rtol=1e-9)


def test_a_family_of_convex_laws_is_proposed_for_exactly(planted):
    found = propose(fit_laws(load_swarm(config=_average(planted, type="log_linear"))))
    assert found.summary["proposer"] == "exact"
    assert found.gain["mean"] > 0
