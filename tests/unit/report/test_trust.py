"""Three lights: what makes trust in a prediction strong, weak or none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from olmix.records.fit.folder import read_fit_folder
from olmix.records.fit.proposal import Distance
from olmix.records.fit.scores import Scores
from olmix.report.trust import Light, overall, read_lights


@pytest.fixture
def content(fit):
    found = read_fit_folder(fit)
    metric = replace(found.metrics[0], noise_sd=0.1)
    return replace(
        found,
        metrics=(metric, *found.metrics[1:]),
        proposal=replace(found.proposal, distance=Distance(0.1, 0.2)),
    )


def with_scores(content, **scores):
    """Return a fit whose only metric is predicted so well on held-out runs."""
    metric = content.metrics[0]
    law = replace(metric.law, cv=Scores(**scores))
    metric = replace(metric, candidates={**metric.candidates, metric.chosen: law})
    return replace(content, metrics=(metric, *content.metrics[1:]))


def test_all_three_strong_make_strong_trust(content):
    lights = read_lights(with_scores(content, spearman=0.95, rmse=0.15, r2=0.9))
    assert [light.level for light in lights] == ["strong"] * 3
    assert overall(lights) == "strong"
    assert lights[1].words == "error 1.5 times the noise"


@pytest.mark.parametrize(
    ("scores", "levels"),
    [
        ({"spearman": 0.5, "rmse": 0.15}, ["weak", "strong"]),
        ({"spearman": 0.95, "rmse": 0.35}, ["strong", "weak"]),
        ({"spearman": 0.95, "rmse": 0.9}, ["strong", "none"]),
    ],
)
def test_each_light_has_three_levels(content, scores, levels):
    lights = read_lights(with_scores(content, **scores))
    assert [light.level for light in lights[:2]] == levels


def test_without_a_reliable_signal_there_is_no_trust_whatever_the_correlation(content):
    doubtful = replace(content, proposal=replace(content.proposal, reliable=False))
    lights = read_lights(with_scores(doubtful, spearman=0.95, rmse=0.1))
    assert lights[0].level == "none"
    assert overall(lights) == "none"


def test_without_replicates_the_error_is_told_against_the_spread(content):
    metric = replace(content.metrics[0], noise_sd=float("nan"))
    plain = replace(content, metrics=(metric,))
    light = read_lights(with_scores(plain, spearman=0.9, r2=0.91))[1]
    assert (light.level, light.words) == ("strong", "error 0.30 of the spread between runs")


@pytest.mark.parametrize(
    ("nearest", "place"), [(0.1, "within"), (0.25, "at the edge of"), (0.5, "outside")]
)
def test_a_mixture_lies_within_at_the_edge_of_or_outside_what_was_tried(nearest, place):
    assert Distance(nearest, 0.2).place == place


def test_far_from_all_runs_trust_is_weak():
    near, far = Light("strong", "", ""), Light("none", "", "")
    assert overall([near, near, far]) == "weak"
    assert overall([]) == ""


def test_large_errors_weaken_the_trust_and_no_more():
    """The interval of the gain covers them, and the noise comes from few replicates."""
    near, large = Light("strong", "", ""), Light("none", "", "")
    assert overall([near, large, near]) == "weak"
    assert overall([large, near, near]) == "none"


def test_a_gain_that_may_be_0_is_a_fourth_light(content):
    sure = with_scores(content, spearman=0.95, rmse=0.15, r2=0.9)
    gain = replace(sure.proposal.gains["natural"], low=-0.01)
    unsure = replace(sure, proposal=replace(sure.proposal, gains={"natural": gain}))
    assert len(read_lights(sure)) == 3
    assert read_lights(unsure)[3].words == "the gain may be 0"
    assert overall(read_lights(unsure)) == "weak"
