import math

import pytest

from olmix.sweep.folder import Mapped
from olmix.sweep.results import main_effects, noise_sd


def run(number, **params):
    return Mapped(id=f"run_{number:03d}", params=params, hash=str(number))


def test_a_main_effect_averages_over_everything_else_and_a_seed_has_none():
    runs = [
        (run(0, rank=2, lr=0.1, seed=0), 1.0),
        (run(1, rank=2, lr=0.2, seed=0), 3.0),
        (run(2, rank=4, lr=0.1, seed=1), 5.0),
    ]
    effects = main_effects(runs)
    assert set(effects) == {"rank", "lr"}
    low, high = effects["rank"]
    assert (low.level, low.num_runs, low.mean) == ("2", 2, 2.0)
    assert low.spread == pytest.approx(math.sqrt(2))
    assert (high.mean, high.spread) == (5.0, None), "one run tells nothing about a spread"


def test_a_main_effect_counts_the_runs_that_have_not_ended():
    runs = [(run(0, rank=2), 1.0), (run(1, rank=4), 2.0), (run(2, rank=4), 3.0)]
    [few, many] = main_effects(runs, ["run_002"])["rank"]
    assert (few.num_unfinished, many.num_unfinished) == (0, 1)


def test_noise_is_what_seeds_change():
    runs = [(run(n, rank=r, seed=s), r + s) for n, (r, s) in enumerate(((2, 0), (2, 1), (4, 0)))]
    assert noise_sd(runs) == pytest.approx(math.sqrt(0.5))
    assert noise_sd(runs[1:]) is None
