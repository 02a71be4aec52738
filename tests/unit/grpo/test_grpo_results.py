import numpy as np
import pytest

from olmix.grpo.results import RunResult, against_noise
from olmix.records.fit.scores import LEVEL
from olmix.text.numbers import per_cent

RNG = np.random.default_rng(0)


def runs(means, seeds, noise=0.05):
    return [
        RunResult(
            f"{rate}-{seed}",
            "finished",
            {"optimizer.learning_rate": rate, "seed": str(seed)},
            seed=seed,
            objective=mean + noise * RNG.standard_normal(),
        )
        for rate, mean in means.items()
        for seed in range(seeds)
    ]


def test_a_difference_far_above_the_noise_is_said_to_be_one():
    [line] = against_noise(runs({"1e-3": 0.2, "3e-3": 0.8}, 3))
    assert line.startswith("objective: optimizer.learning_rate=3e-3 is 0.")
    assert "above optimizer.learning_rate=1e-3, more than the noise between seeds" in line


def test_settings_that_are_alike_are_seldom_told_apart():
    """The largest of three is picked and compared with both others: a family of comparisons."""
    alike = {"1e-3": 0.5, "2e-3": 0.5, "3e-3": 0.5}
    found = [against_noise(runs(alike, 3)) for _ in range(300)]
    wrong = np.mean([any(", more than" in line for line in lines) for lines in found])
    assert wrong < 0.12


def test_without_a_second_seed_nothing_is_claimed():
    [line] = against_noise(runs({"1e-3": 0.2, "3e-3": 0.8}, 1))
    assert "add seed=0,1,2 to the sweep" in line
    assert against_noise(runs({"1e-3": 0.2}, 3)) == []


@pytest.mark.parametrize("seeds", [2, 3])
def test_one_setting_with_more_runs_lends_its_noise_to_the_others(seeds):
    several = [*runs({"1e-3": 0.2}, seeds), *runs({"3e-3": 0.8}, 1)]
    [line] = against_noise(several)
    assert f"({per_cent(LEVEL)}, 1 and {seeds} runs)" in line
