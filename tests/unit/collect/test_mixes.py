"""Mixtures and shares as people and trainers write them."""

import pytest

from olmix.collect.mixes import read_mix, read_shares

HALF = {"code": 0.5, "web": 0.5}
FIFTH = {"code": 0.2, "web": 0.8}


@pytest.mark.parametrize(
    ("raw", "note"),
    [
        (FIFTH, ""),
        ({"code": {"weight": 0.2}, "web": [0.8, 2.0]}, ""),
        ({"code": 20, "web": 80.0}, "mix: in per cent, divided by 100"),
        ({"code": "0.2", "web": "0.8"}, "mix: text, read as numbers"),
        ({"code": "20 %", "web": "80%"}, "mix: text, read as numbers"),
        ({"code": "20", "web": 80}, "mix: text, read as numbers"),
    ],
)
def test_a_mix_that_can_be_read_in_one_way_is(raw, note):
    told = read_mix(raw)
    assert dict(told.weights) == pytest.approx(FIFTH)
    assert (told.note, told.problem) == (note, "")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"code": 0.15, "web": 0.8}, "add up to 0.95; they must add up to 1"),
        ({"code": 15, "web": 80}, "code: weight is 15"),
        ({"code": "much", "web": 0.8}, "code: found 'much'; a number is needed"),
        ({"code": "20 %", "web": 0.8}, "code: found '20 %'"),
        ({"code": -0.2, "web": 1.2}, "code: weight is -0.2"),
        ({"code": 200, "web": 800}, "code: weight is 200"),
        ([0.2, 0.8], "found list"),
        ("code", "found str"),
    ],
)
def test_of_a_wrong_mix_it_is_said_what_is_wrong(raw, words):
    told = read_mix(raw)
    assert not told.weights
    assert told.problem.startswith("mix: ")
    assert words in told.problem


def test_no_mix_is_nothing_wrong():
    assert read_mix(None) == read_mix({}) == read_shares(None, HALF, None)
    assert not read_mix(None).problem


@pytest.mark.parametrize(
    ("raw", "asked", "tokens", "note"),
    [
        (FIFTH, HALF, None, ""),
        ({"code": 20, "web": 80}, HALF, 1e6, "token_shares: in per cent, divided by 100"),
        ({"code": 200.0, "web": 800.0}, HALF, None, "token_shares: counts, divided by their sum"),
        ({"code": 20, "web": 80.0}, HALF, 100, "token_shares: in per cent, divided by 100"),
        ({"code": 30, "web": 120}, {}, 151, "token_shares: counts, divided by their sum"),
        ({"code": "0.2", "web": "0.8"}, HALF, None, "token_shares: text, read as numbers"),
    ],
)
def test_shares_per_cent_and_counts_are_normalised(raw, asked, tokens, note):
    told = read_shares(raw, asked, tokens)
    assert dict(told.weights) == pytest.approx(FIFTH)
    assert (told.note, told.problem) == (note, "")


@pytest.mark.parametrize(
    ("raw", "tokens", "words"),
    [
        ({"code": 0.5}, None, "add up to 0.5, without web"),
        ({"code": 5000}, None, "add up to 5000, without web"),
        ({"code": 200, "web": 800}, 65536, "the tokens of the run, 65536"),
        ({"code": 15, "web": 80}, None, "add up to 95"),
        ({"code": 0.15, "web": 0.8}, None, "add up to 0.95"),
        ({"code": 1500.5, "web": 800}, None, "add up to 2300.5"),
        ({"code": -200, "web": 1200}, 1000, "add up to 1000"),
        ({"code": None, "web": 0.8}, None, "code is None; numbers are needed"),
        ({"code": "NaN", "web": 0.8}, None, "code is 'NaN'; numbers are needed"),
        ({"code": 0.0, "web": 0.0}, None, "add up to 0"),
    ],
)
def test_of_wrong_shares_it_is_said_what_is_wrong(raw, tokens, words):
    told = read_shares(raw, HALF, tokens)
    assert not told.weights
    assert told.problem.startswith("token_shares: ")
    assert words in told.problem


def test_a_domain_that_was_not_asked_for_may_be_left_out():
    told = read_shares({"code": 2000}, {"code": 1.0, "web": 0.0}, None)
    assert dict(told.weights) == {"code": 1.0}
