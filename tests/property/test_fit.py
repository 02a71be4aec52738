import csv
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fit_fixtures import log_linear, log_weight, plant
from olmix.fit import fit_swarm
from olmix.fit.crossval import assign_folds, cross_validate
from olmix.fit.folder import data_hash, fit_hash
from olmix.fit.swarm import read_swarm
from olmix.laws.gp import GpSqrt
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight

seeds = st.integers(0, 2**32 - 1)


def _shuffle(source, target, rng):
    """Copy a table with its rows and columns in another order and its ID column renamed."""
    rows = list(csv.reader(source.read_text().splitlines()))
    columns = rng.permutation(len(rows[0]))
    rows[0][0] = str(rng.choice(["run", "run_id"]))
    order = [0, *(1 + rng.permutation(len(rows) - 1))]
    with target.open("w", newline="") as handle:
        csv.writer(handle).writerows([[rows[i][j] for j in columns] for i in order])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swarm")
    planted = plant(folder, {"y": log_linear, "z": log_weight}, num=24, noise=0.1, replicates=3)
    planted.metrics["z"][7] = None
    result = fit_swarm(planted.write().config(), folder / "fit")
    return planted, result


@settings(max_examples=8)
@given(seeds)
def test_the_order_of_rows_and_columns_changes_nothing_at_all(fitted, seed):
    planted, result = fitted
    rng = np.random.default_rng(seed)
    other = Path(tempfile.mkdtemp())
    try:
        for table in ("ratios.csv", "metrics.csv"):
            _shuffle(planted.folder / table, other / table, rng)
        tables = {name: str(other / f"{name}.csv") for name in ("ratios", "metrics")}
        again = fit_swarm(planted.config(swarm=tables), other / "fit")
        assert again.folder.name == result.folder.name
        for name in ("models.json", "fit.json", "proposal.json", "predictions.csv", "mix.yaml"):
            assert (again.folder / name).read_bytes() == (result.folder / name).read_bytes()
        # So the first folder is taken for the shuffled tables as well.
        assert fit_swarm(planted.config(swarm=tables), planted.folder / "fit").reused
    finally:
        shutil.rmtree(other)


@settings(max_examples=40)
@given(seeds, st.integers(0, 24), st.integers(0, 3))
def test_a_change_of_any_weight_changes_the_hash(fitted, seed, row, domain):
    planted, result = fitted
    ratios = {name: list(column) for name, column in planted.ratios.items()}
    step = np.random.default_rng(seed).uniform(1e-9, 1e-3)
    ratios["abcd"[domain]][row] += step
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        changed = type(planted)(folder, planted.runs, ratios, planted.metrics, planted.settings)
        config = changed.write().config()
        assert fit_hash(config, data_hash(config.swarm)) != result.folder.name


@settings(max_examples=12)
@given(seeds, st.floats(-6, 6))
def test_units_of_a_metric_change_neither_the_choice_nor_the_ranking(seed, power):
    with tempfile.TemporaryDirectory() as name:
        planted = plant(Path(name), {"y": log_weight}, num=24, noise=0.1, seed=seed % 1000)
        one = read_swarm(planted.config())
        planted.metrics["y"] = [10**power * value for value in planted.metrics["y"]]
        other = read_swarm(planted.write().config())
    folds = assign_folds(one.num_groups, 5, 0)
    # The published loss of the log-linear law is in units of the metric; all else is not.
    laws = (LogLinear(delta=None), LogWeight(), GpSqrt())
    left, right = (cross_validate(swarm, laws, folds)[0] for swarm in (one, other))
    assert left.chosen == right.chosen
    np.testing.assert_allclose(
        right.best.cv_predictions / 10**power, left.best.cv_predictions, rtol=1e-4
    )


@settings(max_examples=12)
@given(seeds)
def test_renaming_domains_renames_the_proposal(seed):
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planted = plant(folder / "1", {"y": log_weight}, num=24, seed=seed % 1000)
        one = fit_swarm(planted.config(), folder / "fit").proposal
        fresh = rng.permutation(["x:1", "web", "Ä b", "42"]).tolist()
        names = dict(zip("abcd", fresh, strict=True))
        planted.ratios = {names[domain]: column for domain, column in planted.ratios.items()}
        planted.settings = {"priors": {"token_counts": dict.fromkeys(names.values(), 10**6)}}
        two = fit_swarm(planted.write().config(), folder / "fit").proposal
    expected = {names[domain]: w for domain, w in one.weights("proposed").items()}
    assert two.weights("proposed") == pytest.approx(expected, abs=1e-9)
