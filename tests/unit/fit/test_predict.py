"""`olmix predict`: any mixtures, by the laws of a fit."""

import numpy as np
import pytest
from click.testing import CliRunner

from fit_fixtures import log_weight, plant
from olmix.cli.main import cli
from olmix.errors import DataError
from olmix.fit import fit_swarm, load_fit
from olmix.fit.predict import predict_table
from olmix.text.csv import Table, read_table


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A fit of one metric over four domains."""
    planted = plant(tmp_path_factory.mktemp("swarm"), {"y": log_weight}, num=40, noise=0.1)
    return load_fit(fit_swarm(planted.config(), planted.folder / "fit").folder)


def _table(columns, rows):
    runs = tuple(f"r{index}" for index in range(len(rows)))
    return Table("mixtures.csv", runs, runs, tuple(columns), np.array(rows, dtype=float))


def test_columns_may_come_in_any_order(fitted):
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 5)
    _, one = predict_table(fitted, _table("abcd", rows))
    _, other = predict_table(fitted, _table("dcba", rows[:, ::-1]))
    assert one == other


def test_long_tables_are_predicted_in_parts_that_change_nothing(fitted, monkeypatch):
    table = _table("abcd", np.random.default_rng(0).dirichlet(np.ones(4), 5))
    runs, whole = predict_table(fitted, table)
    monkeypatch.setattr("olmix.fit.predict._AT_ONCE", 2)
    told = []
    again, parts = predict_table(fitted, table, told.append)
    assert again == runs
    assert parts.pop("metric") == whole.pop("metric")
    for name, column in whole.items():
        assert parts[name] == pytest.approx(column, rel=1e-12)
    assert [now.share for now in told] == [0.4, 0.8, 1.0]


def test_intervals_contain_the_truth_about_as_often_as_they_say(fitted):
    rows = np.random.default_rng(1).dirichlet(np.full(4, 1.5), 400)
    _, columns = predict_table(fitted, _table("abcd", rows))
    truth = log_weight(rows)
    inside = (np.array(columns["lower"]) <= truth) & (truth <= np.array(columns["upper"]))
    assert inside.mean() > 0.8


def test_intervals_widen_away_from_the_runs(fitted):
    near, far = fitted.mixtures[:1], np.array([[0.0, 0.0, 0.0, 1.0]])
    widths = [float(np.ptp(fitted.intervals(mixture)["y"])) for mixture in (far, near)]
    assert widths[0] >= widths[1]


def test_everything_that_is_wrong_with_a_table_is_said_at_once(fitted):
    with pytest.raises(DataError) as caught:
        predict_table(fitted, _table(["a", "b", "c", "e"], [[0.25] * 4]))
    assert "the fit has no domain e" in str(caught.value)
    assert "it lacks the domains d" in str(caught.value)
    with pytest.raises(DataError) as caught:
        predict_table(fitted, _table("abcd", [[0.5, 0.5, 0.5, 0.5], [-1, 1, 1, 0]]))
    assert "run r0: the weights add up to 2, not to 1" in str(caught.value)
    assert "run r1: a is -1; a weight must not be negative" in str(caught.value)


def test_the_command_writes_a_row_per_mixture_and_metric(fitted, tmp_path):
    (tmp_path / "mixtures.csv").write_text("run,a,b,c,d\nx,0.25,0.25,0.25,0.25\ny,1,0,0,0\n")
    words = ["predict", "--fit", str(fitted.folder), "--ratios", str(tmp_path / "mixtures.csv")]
    done = CliRunner().invoke(cli, [*words, "-o", str(tmp_path / "out.csv")])
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "run,metric,mean,lower,upper"
    assert [line.split(",")[:2] for line in lines[1:]] == [["x", "y"], ["y", "y"]]
    assert read_table(tmp_path / "mixtures.csv").runs == ("x", "y")
