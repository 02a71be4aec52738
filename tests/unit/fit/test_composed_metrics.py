"""Metrics that are copies, sums or averages of others are named; noise and others are not."""

import numpy as np
import pytest

from olmix.fit.composed_metrics import composed_notes

NAMES = [f"m{index}" for index in range(6)]


def _measured(runs=30, metrics=6, seed=0):
    return np.random.default_rng(seed).normal(2, [0.01, 0.1, 1, 0.3, 5, 0.2][:metrics], (runs, 6))


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({0: 0.5, 1: 0.5}, "the mean of m0 and m1 in"),
        ({0: 0.2, 1: 0.2, 2: 0.2, 3: 0.2, 4: 0.2}, "the mean of the other metrics in"),
        ({0: 0.3, 1: 0.7}, "a weighted mean of m0 and m1 in"),
        ({0: 1, 1: 1, 3: 1}, "a sum of m0, m1 and m3 in"),
        ({2: 1}, "m2 again in"),
        ({2: 1.44}, "1.44 times m2 in"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_what_a_metric_is_made_of_is_said(weights, words, order):
    values = _measured()
    # Parts of one spread, so that each of them is seen in the whole.
    values = values / values.std(axis=0)
    values[:, 5] = sum(w * values[:, i] for i, w in weights.items())
    if order == -1 and len(weights) == 1:
        return  # of two copies the later column is named, whichever it is
    (note,) = composed_notes(NAMES[::order], values[:, ::order])
    assert note.startswith(f"m5 is {words}") or order == -1
    assert note.startswith("m5 is ")
    assert "filtering.drop_metrics" in note


def test_rounding_hides_nothing():
    values = _measured()
    values[:, 5] = np.round((values[:, 1] + values[:, 3]) / 2, 3)
    (note,) = composed_notes(NAMES, values)
    assert note.startswith("m5 is the mean of m1 and m3 in every run")


@pytest.mark.parametrize("runs", [4, 8, 30])
@pytest.mark.parametrize("seed", range(3))
def test_noise_is_made_of_nothing_however_few_the_runs(runs, seed):
    assert composed_notes(NAMES, _measured(runs, seed=seed)) == []


def test_gaps_and_constants_are_no_parts():
    values = _measured()
    values[:, 0] = 1.0
    values[::2, 1] = np.nan
    assert composed_notes(NAMES, values) == []
