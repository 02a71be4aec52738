"""Every variant of every design keeps every rule, whatever the tree and the rules are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olmix.config import GenerationConfig
from olmix.domains import iter_nodes
from olmix.errors import InfeasibleError
from olmix.generate import sample_swarm
from olmix.generate.constraints import build_constraints

SLOW = settings(max_examples=40, derandomize=True)


@st.composite
def trees(draw):
    """Draw 2 to 4 sources with up to three levels, some shares pinned."""

    def pins(count):
        chosen = draw(st.lists(st.booleans(), min_size=count, max_size=count))
        shares = draw(st.lists(st.integers(1, 9), min_size=count + 1, max_size=count + 1))
        total = sum(shares)
        if all(chosen):
            chosen[0] = False
        few = draw(st.integers(0, 3)) == 0
        return [
            share / total if few and pin else None
            for pin, share in zip(chosen, shares, strict=False)
        ]

    def leaf(name, pin):
        return {"name": name, "paths": ["x"], **({} if pin is None else {"weight": pin})}

    def topic(name, pin):
        if draw(st.booleans()):
            return leaf(name, pin)
        count = draw(st.integers(1, 3))
        quality = [leaf(f"q{i}", p) for i, p in enumerate(pins(count))]
        return {"name": name, "quality": quality, **({} if pin is None else {"weight": pin})}

    sources = []
    count = draw(st.integers(2, 4))
    for index, pin in enumerate(pins(count)):
        shape = draw(st.sampled_from(["paths", "topics", "quality"]))
        if shape == "paths":
            sources.append(leaf(f"s{index}", pin))
            continue
        inner = draw(st.integers(1, 3))
        make = topic if shape == "topics" else leaf
        below = [make(f"{shape[0]}{i}", p) for i, p in enumerate(pins(inner))]
        pinned = {} if pin is None else {"weight": pin}
        sources.append({"name": f"s{index}", shape: below, **pinned})
    return sources


@st.composite
def configs(draw, design):
    sources = draw(trees())
    base = {"name": "p", "data": {"sources": sources}, "max_tokens": 1000}
    names = GenerationConfig.from_dict(
        {**base, "priors": {"token_counts": dict.fromkeys(_leaves(sources), 1)}}
    ).data.domains
    counts = {name: draw(st.integers(20, 3000)) for name in names}
    swarm = {
        "design": design,
        "seed": draw(st.integers(0, 1000)),
        "variants": draw(st.integers(1, 12)),
        "min_strength": draw(st.sampled_from([0.01, 0.5, 5.0])),
        "max_strength": draw(st.sampled_from([5.0, 50.0])),
        "minimum_weight": draw(st.sampled_from([0.0, 0.002, 0.05, 0.2])),
        "repetition_factor": draw(st.sampled_from([1.0, 1.5, 4.0])),
        "enable_bound": draw(st.booleans()),
    }
    if draw(st.integers(0, 3)) == 0:
        swarm["minimum_source_weight"] = 0.1
    if draw(st.integers(0, 3)) == 0:
        swarm["minimum_topic_weight"] = 0.2
    if draw(st.integers(0, 3)) == 0:
        swarm["nonzero_weight"] = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    if draw(st.integers(0, 3)) == 0:
        swarm["group_bounds"] = [{"names": [names[0], names[-1]], "min": 0.1, "max": 0.6}]
    if draw(st.integers(0, 3)) == 0:
        swarm["ratio_bounds"] = [{"names": [names[0]], "over": [names[-1]], "max": 2.0}]
    config = {**base, "priors": {"token_counts": counts}, "swarm": swarm}
    return GenerationConfig.from_dict(config)


def _leaves(sources, above=""):
    for node in sources:
        name = above + node["name"]
        below = node.get("topics") or node.get("quality")
        if below:
            yield from _leaves(below, name + ":")
        else:
            yield name


def _sampled(config):
    try:
        variants = sample_swarm(config)
    except InfeasibleError:
        return None
    return np.array([variant.mix.weights(config.data.domains) for variant in variants])


def _is_feasible(config):
    """Whether there is a mixture at all; a design may still draw too few different ones."""
    try:
        sample_swarm(config)
    except InfeasibleError as error:
        return "different ones" in str(error)
    return True


def _check(config, weights):
    rules = build_constraints(config)
    domains = config.data.domains
    assert np.abs(weights.sum(axis=1) - 1).max() < 1e-9
    assert (weights >= 0).all()
    assert (weights <= rules.caps + 1e-9).all()
    low = rules.minimum
    assert ((weights == 0) | (weights >= low - 1e-9)).all()
    assert (weights[:, rules.required] >= low[rules.required] - 1e-9).all()
    for name, path in iter_nodes(config.data.tree()):
        pin = path[-1].weight
        if pin is None:
            continue
        parent = name.rpartition(":")[0]
        below = [d == name or d.startswith(name + ":") for d in domains]
        above = [not parent or d.startswith(parent + ":") for d in domains]
        node, total = weights[:, below].sum(axis=1), weights[:, above].sum(axis=1)
        np.testing.assert_allclose(node, pin * total, atol=1e-9)
    assert rules.contains(weights, 1e-8).all()


def _every_variant_keeps_every_rule(design, data):
    config = data.draw(configs(design))
    weights = _sampled(config)
    if weights is not None:
        _check(config, weights)


@SLOW
@given(st.data())
def test_every_dirichlet_variant_keeps_every_rule(data):
    _every_variant_keeps_every_rule("dirichlet", data)


@SLOW
@given(st.data())
def test_every_polytope_variant_keeps_every_rule(data):
    _every_variant_keeps_every_rule("polytope", data)


@settings(SLOW, max_examples=3)
@given(st.data())
def test_every_optimal_variant_keeps_every_rule(data):
    _every_variant_keeps_every_rule("optimal", data)


def _more_variants_keep_the_earlier_ones(config):
    weights = _sampled(config)
    if weights is None:
        return
    more = config.swarm.model_copy(update={"variants": config.swarm.variants + 40})
    grown = _sampled(config.model_copy(update={"swarm": more}))
    np.testing.assert_allclose(grown[: len(weights)], weights, atol=1e-12)


@pytest.mark.parametrize("design", ["dirichlet", "polytope"])
@settings(SLOW, max_examples=8)
@given(st.data())
def test_more_variants_keep_the_earlier_ones(design, data):
    _more_variants_keep_the_earlier_ones(data.draw(configs(design)))


@settings(SLOW, max_examples=2)
@given(st.data())
def test_more_optimal_variants_keep_the_earlier_ones(data):
    _more_variants_keep_the_earlier_ones(data.draw(configs("optimal")))


@settings(SLOW, max_examples=25)
@given(st.data())
def test_designs_agree_on_what_is_feasible(data):
    config = data.draw(configs("dirichlet"))
    even = config.swarm.model_copy(update={"design": "polytope"})
    other = config.model_copy(update={"swarm": even})
    assert _is_feasible(config) == _is_feasible(other)
