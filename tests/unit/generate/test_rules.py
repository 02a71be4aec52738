"""What is infeasible is explained with the domain and the numbers."""

import numpy as np
import pytest

from olmix.config import GenerationConfig
from olmix.errors import InfeasibleError
from olmix.generate import sample_swarm
from olmix.generate.constraints import build_constraints
from olmix.generate.dirichlet import prior_mixture
from olmix.generate.solve import check_feasible, nearest
from olmix.text.numbers import readable_count

BOTH = ["natural", "uniform"]


def _config(swarm=None, counts=None, max_tokens=40_000_000_000, weights=None):
    pins = weights or {}
    sources = [
        {"name": name, "paths": ["x"], **({"weight": pins[name]} if name in pins else {})}
        for name in ("arxiv", "dclm", "wikipedia")
    ]
    return GenerationConfig.from_dict(
        {
            "name": "s",
            "data": {"sources": sources},
            "priors": {
                "token_counts": counts
                or {"arxiv": 21_000_000_000, "dclm": 130_000_000_000, "wikipedia": 3_692_487_830}
            },
            "swarm": {"variants": 8, "references": BOTH, "minimum_weight": 0.0, **(swarm or {})},
            "max_tokens": max_tokens,
        }
    )


def _weights(config):
    return np.array([v.mix.weights(config.data.domains) for v in sample_swarm(config)])


def _refused(swarm=None, **kwargs):
    with pytest.raises(InfeasibleError) as caught:
        sample_swarm(_config(swarm, **kwargs))
    return str(caught.value)


def test_a_required_domain_beyond_its_tokens_names_domain_tokens_and_cap():
    said = _refused({"nonzero_weight": ["wikipedia"], "minimum_weight": 0.1})
    assert (
        "wikipedia needs at least 0.1 but 3.69B tokens x 1.0 repetition over 40B allow 0.09231"
        in said
    )


def test_a_group_that_its_tokens_cannot_fill_is_explained_by_its_own_rules_only():
    said = _refused({"group_bounds": [{"names": ["wikipedia"], "min": 0.2}]})
    assert "These rules contradict each other" in said
    assert "wikipedia lies between 0.2 and 1" in said
    assert "3.69B tokens x 1.0 repetition over 40B allow wikipedia 0.09231" in said
    assert "dclm" not in said


def test_bounds_that_contradict_each_other_are_both_named():
    bounds = [{"names": ["arxiv", "dclm"], "max": 0.5}, {"names": ["wikipedia"], "max": 0.05}]
    said = _refused({"group_bounds": bounds})
    assert "arxiv + dclm lies between 0 and 0.5" in said
    assert "wikipedia lies between 0 and 0.05" in said
    assert "allow" not in said


def test_a_ratio_against_a_pin_is_explained():
    ratio = {"names": ["arxiv"], "over": ["wikipedia"], "max": 1.0}
    said = _refused({"ratio_bounds": [ratio]}, weights={"arxiv": 0.4})
    assert "arxiv is at most 1 x wikipedia" in said
    assert "arxiv is pinned to 0.4" in said


def test_minimum_weights_that_leave_no_choice_are_explained():
    counts = dict.fromkeys(("arxiv", "dclm", "wikipedia"), 40)
    said = _refused({"minimum_weight": 0.45}, counts=counts, max_tokens=100)
    assert "add up to 0 of the mixture" in said


def test_minima_and_caps_that_skip_over_one_are_explained():
    # Two domains hold at most 0.98, three hold at least 1.05.
    counts = dict.fromkeys(("arxiv", "dclm", "wikipedia"), 49)
    said = _refused({"minimum_weight": 0.35}, counts=counts, max_tokens=100)
    assert "These rules contradict each other" in said
    assert "(swarm.minimum_weight)" in said


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.999])
@pytest.mark.parametrize("design", ["dirichlet", "polytope", "optimal"])
def test_budgets_near_all_tokens_at_one_pass_give_all_variants(share, design):
    counts = {"arxiv": 300, "dclm": 600, "wikipedia": 100}
    swarm = {"design": design, "repetition_factor": 1.0, "allow_repetition": False}
    config = _config({**swarm, "variants": 40}, counts=counts, max_tokens=round(1000 * share))
    weights = _weights(config)
    assert len(weights) == 42
    assert build_constraints(config).contains(weights).all()


@pytest.mark.parametrize("design", ["dirichlet", "polytope", "optimal"])
def test_a_set_that_one_draw_in_a_million_meets_gives_all_variants(design):
    narrow = [
        {"names": ["arxiv"], "min": 0.3, "max": 0.301},
        {"names": ["wikipedia"], "min": 0.05, "max": 0.051},
    ]
    config = _config({"design": design, "variants": 40, "group_bounds": narrow})
    rng = np.random.default_rng(0)
    prior = config.priors.natural(config.data.domains)
    drawn = rng.dirichlet(prior, 1_000_000)
    met = (np.abs(drawn[:, 0] - 0.3005) < 5e-4) & (np.abs(drawn[:, 2] - 0.0505) < 5e-4)
    assert met.mean() < 1e-5
    weights = _weights(config)
    assert len(weights) == 42
    assert build_constraints(config).contains(weights).all()


def test_all_domains_may_be_required():
    names = ["arxiv", "dclm", "wikipedia"]
    config = _config({"nonzero_weight": names, "variants": 60})
    assert (_weights(config) >= 1e-4 - 1e-12).all()


@pytest.mark.parametrize("design", ["dirichlet", "polytope", "optimal"])
def test_a_large_minimum_weight_and_equal_strengths_work(design):
    strengths = {"min_strength": 1.0, "max_strength": 1.0}
    swarm = {**strengths, "design": design, "minimum_weight": 0.4, "enable_bound": False}
    weights = _weights(_config({**swarm, "variants": 30}))
    assert ((weights == 0) | (weights >= 0.4 - 1e-9)).all()


def test_groups_and_ratios_hold_in_every_variant():
    swarm = {
        "group_bounds": [{"names": ["arxiv", "wikipedia"], "min": 0.2, "max": 0.4}],
        "ratio_bounds": [{"names": ["arxiv"], "over": ["wikipedia"], "min": 2.0, "max": 5.0}],
        "variants": 50,
    }
    for design in ("dirichlet", "polytope"):
        arxiv, _, wikipedia = _weights(_config({**swarm, "design": design})).T
        assert (arxiv + wikipedia >= 0.2 - 1e-9).all()
        assert (arxiv + wikipedia <= 0.4 + 1e-9).all()
        assert (arxiv >= 2 * wikipedia - 1e-9).all()
        assert (arxiv <= 5 * wikipedia + 1e-9).all()


def test_the_nearest_mixture_is_the_mixture_itself_where_it_is_feasible():
    rules = build_constraints(_config())
    inside = np.array([0.3, 0.65, 0.05])
    np.testing.assert_allclose(nearest(rules, inside), inside, atol=1e-9)
    moved = nearest(rules, np.array([0.1, 0.5, 0.4]))
    assert rules.contains(moved[None])[0]
    assert np.abs(moved - [0.1, 0.5, 0.4]).sum() == pytest.approx(2 * (0.4 - rules.caps[2]))


def test_feasible_swarms_pass_silently():
    check_feasible(build_constraints(_config()))


@pytest.mark.parametrize(
    ("tokens", "text"), [(3_692_487_830, "3.69B"), (40e9, "40B"), (1.4e8, "140M"), (1200, "1,200")]
)
def test_counts_are_readable(tokens, text):
    assert readable_count(tokens) == text


def test_topics_that_hold_colons_are_pinned_and_kept_apart():
    topics = [
        {"name": name, "paths": [f"{index}.npy"], "weight": weight}
        for index, (name, weight) in enumerate([("a", 0.2), ("a:x", 0.5), ("b:y", 0.3)])
    ]
    config = GenerationConfig.from_dict(
        {
            "data": {
                "sources": [{"name": "w", "topics": topics}, {"name": "v", "paths": ["v.npy"]}]
            },
            "priors": {"token_counts": {"w:a": 100, "w:a:x": 10**6, "w:b:y": 100, "v": 10**6}},
            "swarm": {"variants": 4, "enable_bound": False, "minimum_topic_weight": 0.01},
            "max_tokens": 1000,
        }
    )
    for variant in sample_swarm(config):
        weights = variant.mix.weights(("w:a", "w:a:x", "w:b:y"))
        if weights.sum():
            np.testing.assert_allclose(weights / weights.sum(), [0.2, 0.5, 0.3], atol=1e-6)


def test_a_topic_whose_name_begins_as_another_has_its_own_share():
    topics = [{"name": name, "paths": [f"{name}.npy"]} for name in ("a", "a:x")]
    config = GenerationConfig.from_dict(
        {
            "data": {"sources": [{"name": "w", "topics": topics}]},
            "priors": {"token_counts": {"w:a": 100, "w:a:x": 300}},
            "max_tokens": 10,
        }
    )
    found = prior_mixture(config.data.tree(), {"w:a": 0.25, "w:a:x": 0.75}, config.swarm)
    assert found == pytest.approx({"w:a": 0.25, "w:a:x": 0.75})
