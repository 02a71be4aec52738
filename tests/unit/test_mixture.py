import numpy as np
import pytest

from olmix.errors import ConfigError
from olmix.mixture import Mixture, Share, repetition_factors


def test_a_nested_weight_is_the_product_along_its_path():
    mix = Mixture.parse(
        {
            "dclm": {
                "weight": 0.8,
                "repetition_factor": 2.0,
                "code": {"weight": 0.25, "high": [0.5, 3.0], "low": 0.5},
                "web": {"weight": 0.75},
            },
            "wiki": 0.2,
        }
    )
    assert {name: share.weight for name, share in mix.items()} == pytest.approx(
        {"dclm:code:high": 0.1, "dclm:code:low": 0.1, "dclm:web": 0.6, "wiki": 0.2}
    )
    factors = {name: share.repetition_factor for name, share in mix.items()}
    assert factors == {"dclm:code:high": 3.0, "dclm:code:low": 2.0, "dclm:web": 2.0, "wiki": 1.0}


def test_weights_belong_to_domains_by_name():
    mix = Mixture.from_weights(("a", "b", "c"), np.array([0.5, 0.3, 0.2]))
    assert mix.weights(("c", "x", "a")).tolist() == [0.2, 0.0, 0.5]


def test_a_sum_within_a_hundredth_is_rescaled_and_beyond_it_refused():
    mix = Mixture({"a": Share(0.5), "b": Share(0.495)})
    assert sum(share.weight for share in mix.values()) == pytest.approx(1, abs=1e-12)
    with pytest.raises(ConfigError, match=r"add up to 0\.9"):
        Mixture({"a": Share(0.5), "b": Share(0.4)})


def test_full_precision_weights_come_back_bit_for_bit():
    weights = np.random.default_rng(0).dirichlet(np.ones(24))
    domains = tuple(f"d{i}" for i in range(24))
    mix = Mixture.from_weights(domains, weights)
    again = Mixture.parse(mix.to_plain())
    assert again.weights(domains).tolist() == mix.weights(domains).tolist()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([0.5, 0.5], "found list; a mixture maps domain names to weights"),
        ({}, "at least one domain"),
        ({"a": "half", "b": 0.5}, "found 'half'; a number is needed"),
        ({"a": True}, "found True; a number is needed"),
        ({"a": {"repetition_factor": 1.0}}, "a: weight is missing"),
        ({"a": float("nan"), "b": 1.0}, "a: weight is nan"),
        ({"a": {"weight": 1.0, "note": "x"}}, "unknown key 'note'"),
        ({"a": -0.005, "b": 1.005}, "a: weight is -0.005; it must lie between 0 and 1"),
        ({"s": {"weight": 1.0, "x": 0.4, "y": 0.4}}, "s: the weights below it add up to 0.8"),
        ({"s": {"weight": 0.5, "x": 1.0, "y": 1.0}}, "s: the weights below it add up to 2"),
    ],
)
def test_what_is_no_mixture_is_refused_by_name(raw, message):
    with pytest.raises(ConfigError, match=message):
        Mixture.parse(raw)


def test_repetition_is_at_least_one_pass():
    factors = repetition_factors(np.array([0.5, 0.5]), 100, np.array([10.0, 1000.0]))
    assert factors.tolist() == [5.0, 1.0]
