"""Standard errors of metrics: the larger its error, the less a run counts."""

import numpy as np
import pytest

from fit_fixtures import draw_mixtures, log_weight, plant
from olmix import fit_laws, load_swarm, propose
from olmix.errors import DataError
from olmix.fit.folder import data_hash
from olmix.fit.noise import as_usual, find_noise
from olmix.fit.propose.feasible import feasible_mixtures
from olmix.fit.propose.references import find_references
from olmix.fit.swarm import read_swarm
from olmix.fit.swarm_fit import fit_laws as fit_every_law
from olmix.fit.uncertainty import held_out_average
from olmix.laws.gp import GpSqrt
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight
from olmix.text.csv import write_table

TINY = {"type": "log_weight"}


@pytest.fixture
def planted(tmp_path):
    return plant(tmp_path, {"y": log_weight}, num=24, replicates=1)


def _with(planted, name, errors):
    planted.metrics[name] = list(errors)
    return planted.write().config(regression=TINY)


@pytest.mark.parametrize("name", ["y_stderr", "stderr_y", "y_se", "y_sem", "y_standard_error"])
def test_a_column_of_standard_errors_says_what_each_run_counts(planted, name):
    swarm = read_swarm(_with(planted, name, [0.1] * 23 + [1.0]))
    assert swarm.metrics == ("y",)
    np.testing.assert_allclose(swarm.run_weights[:23], 1)
    assert swarm.run_weights[23, 0] == pytest.approx(2 / 101)
    assert "r023 counts least, 0.02 of a usual run in y." in " ".join(swarm.notes)


@pytest.mark.parametrize("column", ["y", "y_stderr"])
@pytest.mark.parametrize("named", [True, False])
def test_a_file_beside_the_metrics_does_as_well(planted, column, named):
    runs = planted.runs[::-1]  # joined by run
    write_table(planted.folder / "metrics_se.csv", runs, {column: [1.0] + [0.1] * 23})
    tables = {n: str(planted.folder / f"{n}.csv") for n in ("ratios", "metrics")}
    if named:
        tables["standard_errors"] = str(planted.folder / "metrics_se.csv")
    swarm = read_swarm(planted.config(swarm=tables))
    assert swarm.run_weights[:, 0].argmin() == 23


def test_the_fit_folder_depends_on_the_standard_errors(planted):
    before = data_hash(planted.config().swarm)
    write_table(planted.folder / "metrics_se.csv", planted.runs, {"y": [0.1] * 24})
    assert data_hash(planted.config().swarm) != before


def test_without_errors_all_runs_count_alike(planted):
    swarm = read_swarm(planted.config())
    assert swarm.noise is None
    assert (swarm.run_weights == 1).all()


def test_equal_errors_change_no_prediction(planted):
    plain = fit_every_law(planted.config(), read_swarm(planted.config()))
    config = _with(planted, "y_stderr", [0.01] * 24)
    equal = fit_every_law(config, read_swarm(config))
    at = draw_mixtures(5, 4, seed=9)
    law = plain.fits[0].candidates["log_weight"].law
    np.testing.assert_allclose(equal.fits[0].best.law.predict(at), law.predict(at), rtol=1e-9)


def test_a_run_without_an_error_counts_as_a_usual_one_and_one_of_any_size_leaves_a_fit(planted):
    errors = [0.1] * 20 + [None, float("inf"), 1e300, 0.0]
    swarm = read_swarm(_with(planted, "y_stderr", errors))
    weights = swarm.run_weights[:, 0]
    assert weights[20] == 1
    assert 0 < weights[21] == weights[22] < 1e-5
    assert 1 < weights[23] <= 2


def test_errors_that_are_all_0_say_nothing(planted):
    assert read_swarm(_with(planted, "y_stderr", [0.0] * 24)).noise is None


def test_an_error_below_0_is_refused_with_its_run(planted):
    with pytest.raises(DataError, match=r"the standard error of y is -0.1 in run r003; "):
        read_swarm(_with(planted, "y_stderr", [0.1] * 3 + [-0.1] + [0.1] * 20))


def test_where_replicates_differ_by_far_more_than_their_errors_the_errors_hardly_count():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((40, 1))
    errors = np.where(np.arange(40) < 20, 0.01, 0.03)[:, None]
    weights = find_noise(values, errors, np.arange(40) // 2).weights
    assert weights.min() > 0.98


@pytest.mark.parametrize(
    ("law", "share"),
    [(LogLinear(), 0.6), (LogWeight(), 0.5), (GpSqrt(), 0.25)],  # the first is robust by itself
)
def test_a_run_with_a_large_error_pulls_less(law, share):
    mixtures = draw_mixtures(30, 4, seed=1)
    clean = log_weight(mixtures)
    clean = (clean - clean.mean()) / clean.std() + 10
    clean += 0.05 * np.random.default_rng(0).standard_normal(30)
    off = clean.copy()
    off[7] += 1.5
    at = mixtures[7][None]
    alike, less = np.ones(30), np.ones(30)
    less[7] = 0.01
    base = law.fit(mixtures, clean).predict(at)[0]
    pulled = law.fit(mixtures, off, alike).predict(at)[0] - base
    weighed = law.fit(mixtures, off, less).predict(at)[0] - base
    assert abs(weighed) < share * abs(pulled)


def _noisy(tmp_path, seed, told):
    """Plant a swarm of which a third of the runs is measured 30 times worse than the others."""
    planted = plant(tmp_path, {"y": log_weight}, num=60, noise=0.0, replicates=1, seed=seed)
    rng = np.random.default_rng([seed, 5])
    clean = np.array(planted.metrics["y"])
    errors = np.where(rng.random(60) < 1 / 3, 1.5, 0.05) * clean.std()
    planted.metrics["y"] = (clean + errors * rng.standard_normal(60)).tolist()
    if told:
        planted.metrics["y_stderr"] = errors.tolist()
    return planted.write(), clean, errors


def test_known_errors_make_fits_better_and_their_intervals_hold(tmp_path):
    rmse, covered, width = {True: [], False: []}, [], []
    for seed in range(4):
        for told in (True, False):
            planted, clean, _ = _noisy(tmp_path, seed, told)
            config = planted.config(regression=TINY)
            swarm = read_swarm(config)
            fitted = fit_every_law(config, swarm).fits[0]
            at = draw_mixtures(200, 4, seed=100 + seed)
            truth = log_weight(at)
            rmse[told].append(np.sqrt(np.mean((fitted.best.law.predict(at) - truth) ** 2)))
            if told:
                distances = np.full(200, np.median(fitted.calibration.reach) / 2)
                low, high = fitted.calibration.interval(fitted.best.law.predict(at), distances)
                run = truth + 0.05 * clean.std() * np.random.default_rng(seed).standard_normal(200)
                covered.append(np.mean((low <= run) & (run <= high)))
                width.append(np.median(high - low) / clean.std())
    assert np.mean(rmse[True]) < 0.5 * np.mean(rmse[False])
    assert np.mean(covered) > 0.85
    assert np.mean(width) < 1.0  # a run of usual error, not one of the noisy third


def test_the_best_run_is_not_the_luckiest_noisy_one(tmp_path):
    ranks = {True: [], False: []}
    for seed in range(8):
        for told in (True, False):
            planted, clean, _ = _noisy(tmp_path, seed, told)
            config = planted.config(regression=TINY)
            swarm = read_swarm(config)
            held = held_out_average(swarm, fit_every_law(config, swarm).fits)
            found = find_references(config, swarm, feasible_mixtures(config, swarm.live), held)
            best = planted.runs.index(found.best_run)
            assert found.best_measured == pytest.approx(planted.metrics["y"][best])
            ranks[told].append((clean < clean[best]).mean())
    assert np.mean(ranks[False]) > 0.2
    assert np.mean(ranks[True]) < 0.05


def test_residuals_of_noisy_runs_are_seen_as_those_of_usual_ones():
    rng = np.random.default_rng(0)
    weights = np.where(np.arange(4000) < 2000, 1.0, 0.04)
    for law in (0.0, 1.0):
        residuals = rng.standard_normal(4000) * np.sqrt(law + 1 / weights)
        seen = as_usual(residuals, weights, 1.0)
        assert seen[2000:].std() == pytest.approx(np.sqrt(law + 1), rel=0.1)
        assert seen[:2000].std() == pytest.approx(np.sqrt(law + 1), rel=0.1)


def test_families_and_categories_get_the_errors_of_their_means(tmp_path):
    planted = plant(tmp_path, {"a": log_weight, "b": log_weight}, num=24, replicates=1)
    planted.metrics |= {"a_se": [0.3] * 23 + [3.0], "b_se": [0.4] * 23 + [4.0]}
    planted.write()
    config = planted.config(
        eval={"type": "offline", "tasks": {"both": ["a", "b"]}},
        regression={"type": "log_weight", "aggregate_task_families": True},
    )
    swarm = read_swarm(config)
    assert swarm.metrics == ("both",)
    assert swarm.usual_noise[0] == pytest.approx(0.25**2)
    assert swarm.run_weights[23, 0] == pytest.approx(2 / 101)
    assert swarm.parts.run_weights[23, 0] == pytest.approx(2 / 101)


def test_in_python_errors_are_given_as_a_table_of_their_own(planted):
    ratios = {"run": planted.runs, **planted.ratios}
    metrics = {"run": planted.runs, **planted.metrics}
    errors = {"run": planted.runs, "y": [0.1] * 23 + [1.0]}
    swarm = load_swarm(ratios, metrics, standard_errors=errors)
    laws = fit_laws(swarm, "log_weight")
    assert laws.fit.swarm.run_weights[:, 0].argmin() == 23
    assert propose(laws).weights
