import numpy as np
import pytest

from olmix.errors import DataError
from olmix.fit.surface.next_batch import believe, choose_batch, next_batch
from olmix.fit.surface.polynomial import SweptFactor
from olmix.fit.surface.runs import Runs
from olmix.records.fit.next_batch import read_next_batch, write_next_batch

RATE = SweptFactor("lr", (1e-4, 1e-3, 1e-2), is_log=True)
RANK = SweptFactor("rank", (8, 16, 32, 64), is_log=True)


def measured(loss, noise=0.0, repeats=1):
    """Return a grid of runs with planted losses of the coded settings."""
    rng = np.random.default_rng(0)
    points = [(x, y) for x in RATE.levels for y in RANK.levels for _ in range(repeats)]
    settings = np.array(points)
    names = tuple(f"run_{index:03d}" for index in range(len(points)))
    runs = Runs(names, (RATE, RANK), settings, np.zeros(len(points)))
    values = loss(*runs.coded.T) + noise * rng.normal(size=len(points))
    return Runs(names, (RATE, RANK), settings, values)


def bowl(x, y):
    return 2 + (x - 0.4) ** 2 + 0.3 * (y - 1 / 3) ** 2


def test_the_next_runs_lie_where_the_planted_best_is():
    found = next_batch(measured(bowl), "loss", {}, lower_is_better=True)
    first = found.runs[0]
    assert RATE.code(np.array([first.settings["lr"]]))[0] == pytest.approx(0.4, abs=0.2)
    assert first.settings["rank"] in (16, 32, 64)
    assert first.predicted == pytest.approx(2, abs=0.2)
    assert first.low <= first.predicted <= first.high
    assert first.repeats is None


def test_where_higher_is_better_the_highest_is_sought():
    runs = measured(lambda x, y: -bowl(x, y))
    found = next_batch(runs, "accuracy", {}, lower_is_better=False).runs[0]
    assert RATE.code(np.array([found.settings["lr"]]))[0] == pytest.approx(0.4, abs=0.2)
    assert found.predicted == pytest.approx(-2, abs=0.2)


def test_large_noise_asks_for_replicates_and_a_smooth_metric_for_none():
    loud = next_batch(measured(bowl, noise=1.0, repeats=2), "loss", {}, lower_is_better=True)
    quiet = next_batch(measured(bowl), "loss", {}, lower_is_better=True)
    assert any(run.repeats is not None for run in loud.runs)
    assert all(run.repeats is None for run in quiet.runs[:4])


def test_a_larger_batch_begins_with_a_smaller_one():
    belief = believe(measured(bowl).coded, measured(bowl).values)
    small, large = (choose_batch(belief, lambda places: places, number) for number in (2, 3))
    np.testing.assert_array_equal(small, large[:2])


def test_ranks_stay_powers_of_two_and_all_settings_within_the_limits():
    found = next_batch(measured(bowl, 0.1), "loss", {"lr": (1e-5, 0.1)}, lower_is_better=True)
    for run in found.runs:
        assert run.settings["rank"] in RANK.levels
        assert 1e-5 <= run.settings["lr"] <= 0.1
        assert float(f"{run.settings['lr']:.3g}") == run.settings["lr"]


def test_beyond_the_tested_range_is_searched_where_limits_allow_it():
    runs = measured(lambda x, y: 2 - x + 0.1 * y)
    inside = next_batch(runs, "loss", {}, lower_is_better=True)
    beyond = next_batch(runs, "loss", {"lr": (1e-4, 1.0)}, lower_is_better=True)
    assert inside.runs[0].settings["lr"] <= 1e-2 < beyond.runs[0].settings["lr"]


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        ({"lr": (2e-4, 1.0)}, "limits.lr: found 0.0002 to 1; 0.0001 to 0.01 were tested"),
        ({"rnk": (1, 64)}, "limits: rnk is not a factor; did you mean `rank`?"),
        ({"lr": (0.0, 1.0)}, "limits.lr: found 0; a log scale needs values above 0"),
    ],
)
def test_limits_that_cannot_hold_are_refused(limits, what):
    with pytest.raises(DataError) as caught:
        next_batch(measured(bowl), "loss", limits, lower_is_better=True)
    assert what in str(caught.value)


def test_the_record_comes_back_as_it_was_written(tmp_path):
    found = next_batch(measured(bowl), "loss", {}, lower_is_better=True)
    write_next_batch(tmp_path, found)
    assert read_next_batch(tmp_path) == found
