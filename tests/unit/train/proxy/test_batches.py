"""Which tokens a run sees: windows, passes, and the order that all runs of a swarm share."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.config import ProxyTraining
from olmix.errors import ConfigError, DataError
from olmix.mixing.windows import Windows, open_windows, window_order
from olmix.mixture import Mixture, repetition_factors
from olmix.train.proxy.batches import plan_run

CONTEXT = 4


def windows(name, *sizes, start=0):
    """Files of consecutive numbers, so that a token tells where it stands."""
    edges = start + np.cumsum([0, *sizes])
    files = [np.arange(a, b, dtype=np.uint16) for a, b in itertools.pairwise(edges)]
    return Windows(name, tuple(files), CONTEXT)


def training(num_steps, batch_size=4, **rest):
    size = num_steps * batch_size * CONTEXT
    shape = {"context_length": CONTEXT, "batch_size": batch_size, "d_model": 8, "num_heads": 1}
    return ProxyTraining.from_dict({"max_tokens": size, **shape, **rest})


def plan(domains, shares, num_steps, seed=0, vocab_size=2**16, factor=10.0):
    mix = Mixture.parse({name: [weight, factor] for name, weight in shares.items()})
    return plan_run(domains, mix, training(num_steps, seed=seed), vocab_size)


def seen(found, name):
    """First tokens of the windows of a domain, in the order of the run."""
    tokens = found.batches(0, found.num_steps).reshape(-1, CONTEXT + 1)
    index = [domain.name for domain in found.domains].index(name)
    return tokens[found.slots == index][:, 0].tolist()


def test_windows_do_not_overlap_in_targets_and_stay_within_their_file():
    domain = windows("a", 9, 4, 5, 12)
    tokens = domain.read(np.arange(domain.num_windows))
    assert tokens[:, 0].tolist() == [0, 4, 13, 18, 22]
    assert (np.diff(tokens, axis=1) == 1).all()
    targets = tokens[:, 1:].ravel()
    assert len(set(targets)) == len(targets)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.integers(0, 2**31 - 1))
def test_no_window_repeats_within_a_pass(sizes, seed):
    domain = windows("a", *[max(size, 1) for size in sizes], CONTEXT + 1)
    found = plan([domain], {"a": 1.0}, 6, seed, factor=100.0)
    first = seen(found, "a")
    size = domain.num_windows
    passes = [first[start : start + size] for start in range(0, len(first), size)]
    for visited in passes:
        assert len(set(visited)) == len(visited)
    for visited in passes[:-1]:
        assert len(visited) == size


def test_each_pass_has_an_order_of_its_own():
    found = seen(plan([windows("a", 41)], {"a": 1.0}, 5), "a")
    assert sorted(found[:10]) == sorted(found[10:])
    assert found[:10] != found[10:]


def test_the_order_within_a_domain_is_the_same_whatever_the_mixture():
    domains = [windows("a", 401), windows("b", 401, start=1000), windows("c", 401, start=2000)]
    much = plan(domains[:2], {"a": 0.8, "b": 0.2}, 10)
    little = plan(domains, {"a": 0.3, "b": 0.3, "c": 0.4}, 10)
    for name in ("a", "b"):
        short, long = sorted([seen(much, name), seen(little, name)], key=len)
        assert long[: len(short)] == short


def test_the_order_does_not_depend_on_the_order_of_the_config():
    domains = [windows("a", 401), windows("b", 401, start=1000)]
    one = plan(domains, {"a": 0.5, "b": 0.5}, 10)
    other = plan(domains[::-1], {"b": 0.5, "a": 0.5}, 10)
    np.testing.assert_array_equal(one.batches(0, 10), other.batches(0, 10))


def test_another_seed_gives_another_order():
    assert window_order(0, "a", 0, 50).tolist() != window_order(1, "a", 0, 50).tolist()
    assert window_order(0, "a", 0, 50).tolist() != window_order(0, "b", 0, 50).tolist()


def test_batches_do_not_depend_on_where_a_chunk_begins():
    found = plan([windows("a", 401), windows("b", 401)], {"a": 0.7, "b": 0.3}, 9)
    parts = [found.batches(start, stop) for start, stop in ((0, 1), (1, 6), (6, 9))]
    np.testing.assert_array_equal(np.concatenate(parts), found.batches(0, 9))


def test_passes_and_shares_are_counted():
    found = plan([windows("a", 41), windows("b", 81)], {"a": 0.75, "b": 0.25}, 8)
    assert found.epochs == {"a": 24 / 10, "b": 8 / 20}
    assert found.token_shares == {"a": 0.75, "b": 0.25}


def test_too_many_passes_are_refused_with_what_would_do():
    with pytest.raises(ConfigError) as caught:
        plan([windows("a", 41), windows("b", 41)], {"a": 0.75, "b": 0.25}, 8, factor=1.0)
    assert "mix.a: the run takes 24 windows, 2.40 passes over the 10 that there are" in str(
        caught.value
    )
    assert "raise repetition_factor to 2.40" in str(caught.value)
    assert "mix.b" not in str(caught.value)
    with pytest.raises(ConfigError, match="mix.a: the run takes 24 windows"):
        plan([windows("a", 41), windows("b", 41)], {"a": 0.75, "b": 0.25}, 8, factor=2.0)


def test_a_run_may_go_one_window_over_a_factor_that_its_tokens_just_meet():
    domain = windows("a", 4 * 31 + 1)
    assert plan([domain], {"a": 1.0}, 8, factor=1.0).epochs["a"] == 32 / 31


@given(
    st.lists(st.integers(CONTEXT + 1, 60), min_size=1, max_size=6),
    st.floats(0.02, 0.98),
    st.integers(1, 40),
    st.integers(0, 3),
)
def test_the_factor_that_is_written_for_a_mixture_is_enough_for_its_run(sizes, weight, steps, odd):
    """Whatever is lost at the ends of files, and whatever the rounding of shares and steps."""
    domains = [windows("a", *sizes), windows("b", 10_000)]
    shape = {"context_length": CONTEXT, "batch_size": 4, "d_model": 8, "num_heads": 1}
    length = ProxyTraining.from_dict({"max_tokens": 4 * CONTEXT * steps + odd, **shape})
    weights = np.array([weight, 1 - weight])
    factors = repetition_factors(weights, length.num_tokens, np.array([sum(sizes), 10_000]))
    mix = Mixture.from_weights(["a", "b"], weights, factors)
    assert plan_run(domains, mix, length, 2**16).num_steps == steps


def test_a_domain_without_one_window_is_refused(tmp_path):
    np.arange(CONTEXT, dtype=np.uint16).tofile(tmp_path / "a.bin")
    with pytest.raises(DataError, match="domain a: its longest file has 4 tokens; a window needs"):
        open_windows("a", [str(tmp_path / "a.bin")], "uint16", CONTEXT)


def test_a_token_outside_the_vocabulary_is_found_before_training():
    found = plan([windows("a", 401)], {"a": 1.0}, 20, vocab_size=300)
    with pytest.raises(DataError, match="domain a: found token .*; the tokenizer has 300 tokens"):
        found.check()


def test_a_huge_token_does_not_wrap_around():
    file = np.full(50, 2**32 + 1, dtype=np.uint64)
    found = plan([Windows("a", (file,), CONTEXT)], {"a": 1.0}, 1, vocab_size=300)
    with pytest.raises(DataError, match="found token 4294967297"):
        found.check()
