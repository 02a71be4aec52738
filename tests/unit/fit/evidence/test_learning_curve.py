"""Fitting shares of a swarm."""

import csv

import numpy as np
import pytest

from fit_fixtures import log_linear, log_weight, plant
from olmix.config import RegressionConfig
from olmix.errors import DataError
from olmix.fit import fit_swarm
from olmix.fit.evidence.learning_curve import keep_share, shares_of
from olmix.fit.swarm import read_swarm


@pytest.fixture
def planted(tmp_path):
    """A swarm of 48 mixtures."""
    return plant(tmp_path, {"y": log_weight}, num=48, noise=0.05)


def test_smaller_shares_lie_within_larger_ones(planted):
    swarm = read_swarm(planted.config())
    half, most = (keep_share(swarm, share, RegressionConfig()) for share in (0.5, 0.75))
    assert (~half.held_out).sum() == 24
    assert (most.held_out <= half.held_out).all()


def test_a_share_that_is_too_small_is_refused_before_anything_is_fitted(planted):
    config = planted.config(regression={"train_split": [0.05, 1.0]})
    with pytest.raises(DataError, match=r"0\.05 of 48 mixtures are 3; 4 domains need at least 5"):
        fit_swarm(config, planted.folder / "fit")


def test_a_list_of_shares_writes_a_learning_curve(planted):
    config = planted.config(
        regression={"type": "log_weight", "train_split": [0.25, 0.5, 1.0]},
        proposer={"fit_only": True},
    )
    assert shares_of(config.regression) == (1.0, 0.5, 0.25)
    folder = fit_swarm(config, planted.folder / "fit").folder
    text = (folder / "learning_curve.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert [float(row["train_split"]) for row in rows] == [1.0, 0.5, 0.25]
    assert [int(row["num_mixtures"]) for row in rows] == [48, 24, 12]
    assert rows[0]["test_rmse"] == ""
    assert all(float(row["test_rmse"]) > 0 for row in rows[1:])


def test_one_share_below_one_judges_the_fit_on_the_others(planted):
    config = planted.config(
        regression={"type": "log_weight", "train_split": 0.5}, proposer={"fit_only": True}
    )
    fit = fit_swarm(config, planted.folder / "fit").fit
    assert fit.metrics["y"].candidates["log_weight"].test.spearman > 0.9
    assert len(fit.runs.held_out) >= 24  # whole mixtures, with their replicates
    assert np.isfinite(fit.metrics["y"].coverage[0.9])


def test_a_number_above_1_counts_runs_and_takes_replicates_whole(tmp_path):
    planted = plant(tmp_path, {"y": log_linear}, num=12)
    planted.runs.append("again")
    for column in (*planted.ratios.values(), *planted.metrics.values()):
        column.append(column[3])
    planted.metrics["y"][-1] += 0.01
    swarm = read_swarm(planted.write().config())
    for number in (8, 9, 10):
        kept = ~keep_share(swarm, number, RegressionConfig(seed=1)).held_out
        assert kept.sum() in (number, number + 1)
        assert kept[swarm.runs.index("again")] == kept[swarm.runs.index("r003")]
    assert not keep_share(swarm, len(swarm.runs), RegressionConfig(seed=1)).held_out.any()
