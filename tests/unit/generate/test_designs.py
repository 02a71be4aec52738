"""The statistics of the designs against their theory."""

import numpy as np
import pytest

from olmix.config import GenerationConfig
from olmix.domains import SEPARATOR
from olmix.generate import diagnose, sample_swarm
from olmix.generate.optimal import distances_to
from olmix.mixture import Mixture

COUNTS = {"web:a": 300, "web:b": 100, "books": 400, "code": 200}


def _config(design="dirichlet", counts=COUNTS, max_tokens=1000, **swarm):
    sources = {}
    for name in counts:
        source, _, topic = name.partition(SEPARATOR)
        sources.setdefault(source, []).append(topic)
    plain = {
        "references": [],
        "enable_bound": False,
        "minimum_weight": 0.0,
        "design": design,
        **swarm,
    }
    return GenerationConfig.from_dict(
        {
            "name": "s",
            "data": {
                "sources": [
                    {"name": source, "topics": [{"name": t, "paths": ["x"]} for t in topics]}
                    if topics != [""]
                    else {"name": source, "paths": ["x"]}
                    for source, topics in sources.items()
                ]
            },
            "priors": {"token_counts": counts},
            "swarm": plain,
            "max_tokens": max_tokens,
        }
    )


def _weights(config):
    return np.array([v.mix.weights(config.data.domains) for v in sample_swarm(config)])


@pytest.mark.parametrize("strength", [0.5, 4.0, 40.0])
def test_dirichlet_shares_have_the_mean_and_variance_of_theory(strength):
    config = _config(variants=6000, min_strength=strength, max_strength=strength)
    weights = _weights(config)
    sources = np.column_stack([weights[:, :2].sum(axis=1), weights[:, 2:]])
    prior = np.array([0.4, 0.4, 0.2])
    np.testing.assert_allclose(sources.mean(axis=0), prior, atol=0.02)
    variance = prior * (1 - prior) / (strength + 1)
    np.testing.assert_allclose(sources.var(axis=0), variance, rtol=0.08)
    # The topics of a source are a Dirichlet of their own, whatever the source has.
    some = sources[:, 0] > 1e-3
    share = weights[some, 0] / sources[some, 0]
    assert share.mean() == pytest.approx(0.75, abs=0.02)
    assert share.var() == pytest.approx(0.75 * 0.25 / (strength + 1), rel=0.1)
    assert np.corrcoef(share, sources[some, 0])[0, 1] == pytest.approx(0, abs=0.06)


def test_strengths_are_drawn_log_uniformly():
    low, high = 0.5, 50.0
    config = _config(variants=8000, min_strength=low, max_strength=high)
    books = _weights(config)[:, 2]
    # The mean of 1 / (s + 1) for log s uniform.
    mean = np.log(high * (low + 1) / (low * (high + 1))) / np.log(high / low)
    assert books.var() == pytest.approx(0.4 * 0.6 * mean, rel=0.06)


def test_temperature_moves_the_mean_towards_uniform():
    config = _config(variants=4000, min_strength=5.0, max_strength=5.0, mix_temperature=0.0)
    mean = _weights(config).mean(axis=0)
    np.testing.assert_allclose(mean, [1 / 6, 1 / 6, 1 / 3, 1 / 3], atol=0.02)


def test_the_polytope_design_is_uniform_on_the_simplex():
    counts = {f"d{i}": 1 for i in range(8)}
    weights = _weights(_config("polytope", counts, variants=4000))
    size = 8
    np.testing.assert_allclose(weights.mean(axis=0), 1 / size, rtol=0.06)
    variance = (size - 1) / (size**2 * (size + 1))
    np.testing.assert_allclose(weights.var(axis=0), variance, rtol=0.15)
    # Each weight of a uniform mixture exceeds x with probability (1 - x)^(D - 1).
    for level in (0.05, 0.2, 0.4):
        assert (weights > level).mean() == pytest.approx((1 - level) ** (size - 1), abs=0.01)


def test_the_polytope_design_is_uniform_between_caps():
    # With caps (1, 1, 1/4) the third weight has density 2 (1 - x) / (1 - (3/4)^2) on [0, 1/4].
    counts = {"a": 1000, "b": 1000, "c": 250}
    swarm = {"variants": 6000, "enable_bound": True, "repetition_factor": 1.0}
    third = _weights(_config("polytope", counts, **swarm))[:, 2]
    assert third.max() <= 0.25 + 1e-9
    for level in (0.05, 0.125, 0.2):
        below = (1 - (1 - level) ** 2) / (1 - 0.75**2)
        assert (third <= level).mean() == pytest.approx(below, abs=0.02)


def test_pins_keep_ratios_while_free_topics_are_resampled():
    config = _config("polytope", variants=200, fixed_source_weights={"web": 0.4})
    weights = _weights(config)
    np.testing.assert_allclose(weights[:, :2].sum(axis=1), 0.4, atol=1e-12)
    assert weights[:, 0].std() > 0.05
    assert weights[:, 2].std() > 0.05


@pytest.mark.parametrize("criterion", ["D", "I"])
@pytest.mark.parametrize("model", ["log_linear", "gp"])
def test_optimal_designs_beat_random_ones_of_the_same_size(criterion, model):
    counts = {f"d{i}": 100 * (i + 1) ** 2 for i in range(6)}
    random = _weights(_config(counts=counts, variants=32))
    chosen = _weights(_config("optimal", counts, variants=32, criterion=criterion, model=model))
    names = list(counts)

    def known(weights):
        return diagnose([Mixture.from_weights(names, row) for row in weights], names)

    assert known(chosen).least_distance > 1.3 * known(random).least_distance
    if criterion == "D" and model == "log_linear":
        one, two = known(chosen), known(random)
        assert one.d_efficiency_linear > 1.3 * two.d_efficiency_linear
        assert one.d_efficiency_log_linear > 1.3 * two.d_efficiency_log_linear


def test_optimal_designs_hold_the_corners():
    counts = {f"d{i}": 100 for i in range(5)}
    chosen = _weights(_config("optimal", counts, variants=32))
    assert (distances_to(np.eye(5), chosen).min(axis=1) < 0.05).all()


def test_optimal_designs_tell_how_far_they_are():
    told = []
    config = _config("optimal", {f"d{i}": 100 for i in range(4)}, variants=40)
    sample_swarm(config, on_progress=told.append)
    assert [(now.share, now.note) for now in told] == [
        (0.5, "32 of 40 mixtures"),
        (1.0, "40 of 40 mixtures"),
    ]


def test_optimal_designs_do_not_repeat_what_is_run_already(tmp_path):
    counts = {f"d{i}": 100 for i in range(4)}
    table = tmp_path / "old.csv"
    table.write_text("run,d0,d1,d2,d3\na,1,0,0,0\nb,0,1,0,0\n")
    chosen = _weights(_config("optimal", counts, variants=16, augment=str(table)))
    assert (distances_to(np.eye(4)[:2], chosen).min(axis=1) > 0.03).all()
    assert distances_to(np.eye(4)[2:], chosen).min(axis=1).max() < 0.05
