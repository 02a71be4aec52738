"""What the page says in sentences: no more than is known."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from olmix.records.fit.folder import read_fit_folder
from olmix.records.fit.verification import MeasuredGain, MeasuredMix
from olmix.report import sentences as readings


@pytest.fixture
def content(fit):
    return read_fit_folder(fit)


def with_gain(content, low, high):
    gain = MeasuredGain((low + high) / 2, 0.1, low, high, p_value=0.5)
    return replace(content, verification=replace(content.verification, gains={"natural": gain}))


@pytest.mark.parametrize(
    ("low", "high", "where"),
    [(0.18, 0.2, "inside"), (0.5, 0.7, "above"), (0.0, 0.1, "below")],
)
def test_it_is_said_whether_the_prediction_held(content, low, high, where):
    assert f"lies {where} the predicted interval" in readings.gain_reading(
        with_gain(content, low, high)
    )


def test_what_was_not_tested_is_said(content):
    assert "larger models or longer training was not tested" in readings.scope(content)
    run = content.runs[0]
    sized = replace(content, run_facts={run: {"tokens": "160000"}})
    assert "(160,000 tokens each)" in readings.scope(sized)
    doubtful = replace(
        content, verification=None, proposal=replace(content.proposal, reliable=False)
    )
    assert readings.scope(doubtful) == ""


def test_seeds_are_compared_in_pairs_and_a_failed_one_does_not_count(content):
    values = {"natural": (2.0, 2.0, np.nan), "proposed": (1.0, 3.0, 1.0)}
    mixtures = {name: MeasuredMix({}, seeds, np.nan, np.nan) for name, seeds in values.items()}
    found = replace(content, verification=replace(content.verification, mixtures=mixtures))
    assert "natural for 1 of 2 seeds" in readings.verification_reading(found)
    higher = replace(found.verification, lower_is_better=False)
    assert "natural for 1 of 2 seeds" in readings.verification_reading(
        replace(found, verification=higher)
    )


@pytest.mark.parametrize(
    ("effects", "words"),
    [
        ([-1.0, 0.0, 2.0], "docs helps most and more scripture harms most"),
        ([-1.0, -0.5, -0.2], "docs helps most and more scripture helps least"),
        ([0.1, 0.5, 0.2], "more code hurts most, and none helps"),
        ([np.nan, np.nan, 1.0], "^$"),
    ],
)
def test_effects_are_called_what_they_are(content, effects, words):
    found = replace(content, effects=np.array([effects, effects]))
    assert re.search(words, readings.effects_reading(found))


def test_an_unchanged_mixture_is_said_to_be_unchanged(content):
    natural = content.proposal.mixtures["natural"]
    same = replace(content.proposal, mixtures={"natural": natural, "proposed": natural})
    found = readings.mixture_reading(replace(content, proposal=same))
    assert found == "The proposed mixture is practically the natural one."


def test_metrics_without_a_signal_are_named_once_and_briefly(content):
    silent = tuple(replace(content.metrics[0], name=f"m{i}", signal=False) for i in range(30))
    assert "m6 and 23 more." in readings.warnings(replace(content, metrics=silent))[-1]
