"""Which runs of a swarm are repeated at a larger size."""

from dataclasses import dataclass

import numpy as np
import pytest

from fit_fixtures import draw_mixtures
from olmix.config import GenerationConfig
from olmix.errors import DataError
from olmix.generate import sample_swarm
from olmix.generate.larger_runs import mixtures_to_repeat
from olmix.simplex import hellinger

DOMAINS = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Known:
    """A fit as far as the choice needs it."""

    runs: np.ndarray
    proposal: np.ndarray
    domains: tuple[str, ...] = DOMAINS

    def draw(self, mixtures, number, seed):
        raise NotImplementedError


@pytest.fixture
def fit():
    return Known(draw_mixtures(60, 4, seed=3), np.array([0.55, 0.25, 0.15, 0.05]))


def test_the_proposal_comes_first_and_the_others_are_runs_each_once(fit):
    chosen = mixtures_to_repeat(fit, DOMAINS, 8, 0)
    np.testing.assert_allclose(chosen[0], fit.proposal)
    apart = np.abs(chosen[1:, None] - fit.runs).max(axis=2)
    assert (apart.min(axis=1) < 1e-9).all()
    assert len(set(apart.argmin(axis=1))) == 7


def test_some_are_near_the_proposal_and_the_rest_spread(fit):
    chosen = mixtures_to_repeat(fit, DOMAINS, 8, 0)
    distances = hellinger(fit.proposal[None], chosen[1:])[0]
    nearest = np.sort(hellinger(fit.proposal[None], fit.runs)[0])
    assert np.isclose(distances, nearest[0]).any()
    assert distances.max() > np.median(nearest)
    assert np.linalg.matrix_rank(chosen) == 4


def test_columns_follow_the_config_and_the_seed_repeats(fit):
    turned = DOMAINS[::-1]
    np.testing.assert_allclose(
        mixtures_to_repeat(fit, turned, 6, 1)[:, ::-1], mixtures_to_repeat(fit, DOMAINS, 6, 1)
    )


def test_more_than_there_are_is_refused(fit):
    with pytest.raises(DataError, match="different mixtures besides its proposal"):
        mixtures_to_repeat(fit, DOMAINS, 90, 0)


def test_factors_are_those_of_the_large_run_that_the_runs_are_matched_to():
    """Else the trainer refuses the passes that the small runs made."""
    config = GenerationConfig.from_dict(
        {
            "data": {"sources": [{"name": name, "paths": [name]} for name in DOMAINS]},
            "priors": {"token_counts": dict.fromkeys(DOMAINS, 100)},
            "swarm": {"larger": "fit", "variants": 4},
            "max_tokens": 100,
            "target_tokens": 1600,
        }
    )
    known = Known(draw_mixtures(60, 4, seed=3), np.array([0.55, 0.25, 0.15, 0.05]))
    first = sample_swarm(config, fit=known)[0].mix
    assert first["a"].repetition_factor == pytest.approx(0.55 * 1600 / 100)
