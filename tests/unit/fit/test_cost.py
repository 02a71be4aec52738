"""What large swarms cost is said before it is spent, and settings come from some of their runs."""

import logging

import numpy as np
import pytest

from fit_fixtures import draw_mixtures, log_linear, log_weight, plant
from olmix.config import FitConfig
from olmix.fit import fit_swarm
from olmix.fit.cost import FitCost, estimated_cost
from olmix.fit.swarm import read_swarm
from olmix.fit.swarm_fit import candidate_laws, fit_laws, laws_for
from olmix.laws import law as law_module
from olmix.laws.gp import GpLog, GpSqrt
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight
from olmix.text.csv import write_table


def _large(folder, runs, domains, metrics):
    rng = np.random.default_rng(0)
    x = rng.dirichlet(np.ones(domains), runs)
    ids = [f"r{i}" for i in range(runs)]
    names = [f"d{i}" for i in range(domains)]
    write_table(folder / "ratios.csv", ids, dict(zip(names, x.T.tolist(), strict=True)))
    columns = {
        f"m{i}": (2 - np.sqrt(x[:, i]) + 0.01 * rng.standard_normal(runs)).tolist()
        for i in range(metrics)
    }
    write_table(folder / "metrics.csv", ids, columns)
    return FitConfig.from_dict(
        {
            "swarm": {key: str(folder / f"{key}.csv") for key in ("ratios", "metrics")},
            "priors": {"token_counts": dict.fromkeys(names, 1000)},
        }
    )


def _cost(config):
    swarm = read_swarm(config)
    return estimated_cost(laws_for(config, swarm), config.regression.num_folds, swarm)


def test_the_estimate_grows_with_runs_domains_and_metrics(tmp_path):
    seconds = []
    for size in ((100, 10, 1), (100, 10, 4), (100, 20, 4), (300, 20, 4)):
        config = _large(tmp_path, *size)
        cost = _cost(config)
        assert not cost.large
        seconds.append(cost.seconds)
    assert seconds == sorted(seconds)


def test_a_large_fit_is_announced_in_minutes_and_gigabytes(tmp_path):
    config = _large(tmp_path, 1000, 50, 30)
    cost = _cost(config)
    assert cost.large
    assert cost.statement.startswith("1000 mixtures x 50 domains x 30 metrics: the fit will take")
    assert " min on one core and " in cost.statement


def test_the_estimate_stands_before_the_fit(tmp_path, caplog, monkeypatch):
    planted = plant(tmp_path, {"y": log_linear}, num=20)
    config = planted.config(regression={"type": "log_linear"})
    monkeypatch.setattr(FitCost, "large", True)
    with caplog.at_level(logging.INFO):
        fit_swarm(config, tmp_path / "fit")
    (said,) = [i for i, text in enumerate(caplog.messages) if "GB of memory" in text]
    (chosen,) = [i for i, text in enumerate(caplog.messages) if "held-out RMSE" in text]
    assert said < chosen


@pytest.mark.parametrize("law", [GpSqrt(), GpLog(), LogWeight(), LogLinear()])
def test_settings_of_some_runs_predict_as_well_as_those_of_all(law, monkeypatch):
    rng = np.random.default_rng(0)
    x, at = draw_mixtures(400, 4, seed=1), draw_mixtures(200, 4, seed=2)
    y = log_weight(x) + 0.02 * rng.standard_normal(400)
    found = []
    for most in (640, 200):
        monkeypatch.setattr(law_module, "MOST_IN_FULL", most)
        error = law.fit(x, y).predict(at) - log_weight(at)
        found.append(np.sqrt(np.mean(error**2)))
    assert found[1] < 1.15 * found[0] + 1e-4


@pytest.mark.parametrize("law", [GpSqrt(), GpLog()])
def test_runs_outside_of_the_subset_lie_above_the_offset_too(law, monkeypatch):
    monkeypatch.setattr(law_module, "MOST_IN_FULL", 50)
    monkeypatch.setattr(law_module, "SUBSET", 25)
    x = draw_mixtures(200, 4, seed=1)
    y = 1.5 + np.exp(6 * x[:, 0])  # few runs lie near the floor, so that a logarithm fits best
    y[np.setdiff1d(np.arange(200), law_module.rows_for_settings(200, 200))[0]] = 1.2
    fitted = law.fit(x, y)
    assert fitted.offset is None or fitted.offset < y.min()
    assert np.ptp(fitted.predict(x)) < 3 * np.ptp(y)


def test_a_metric_that_few_runs_have_keeps_enough_of_them(monkeypatch):
    monkeypatch.setattr(law_module, "MOST_IN_FULL", 50)
    monkeypatch.setattr(law_module, "SUBSET", 30)
    x = draw_mixtures(600, 4, seed=1)
    y = log_weight(x)
    row_weights = (np.arange(600) % 10 == 0).astype(float)
    fitted = LogWeight().fit(x, y, row_weights)
    at = draw_mixtures(50, 4, seed=2)
    assert np.corrcoef(fitted.predict(at), log_weight(at))[0, 1] > 0.99


def test_fewer_runs_than_domains_are_fitted_by_gaussian_processes(tmp_path):
    config = _large(tmp_path, 30, 60, 1)
    swarm = read_swarm(config)
    assert [law.name for law in candidate_laws(config.regression, swarm)] == ["gp_sqrt", "gp_log"]
    assert any("`auto` fits Gaussian processes alone" in note for note in swarm.notes)
    fit = fit_laws(config, swarm)
    assert np.isfinite(fit.fits[0].best.law.predict(swarm.unique_mixtures)).all()


def test_two_hundred_runs_of_five_hundred_domains_are_not_refused(tmp_path):
    config = _large(tmp_path, 200, 500, 1)
    assert read_swarm(config).num_free == 500
