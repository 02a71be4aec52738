"""The next round of a swarm: where its mixtures lie under planted posteriors."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from olmix.config import GenerationConfig
from olmix.errors import ConfigError, DataError
from olmix.generate import generate, sample_swarm
from olmix.generate.next_round import EXPLORE
from olmix.generate.optimal import distances_to

NAMES = ("a", "b", "c", "d")
BEST = np.array([0.6, 0.3, 0.1, 0.0])
RUNS = np.vstack([np.full((1, 4), 0.25), np.eye(4)])


@dataclass(frozen=True)
class Posterior:
    """Bowls whose bottoms scatter around `BEST` by `spread`."""

    spread: float
    domains: tuple[str, ...] = NAMES
    runs: np.ndarray = field(default_factory=RUNS.copy)
    proposal: np.ndarray = field(default_factory=lambda: np.array([0.5, 0.3, 0.1, 0.1]))

    def draw(self, mixtures, number, seed):
        rng = np.random.default_rng(seed)
        order = [self.domains.index(name) for name in NAMES]
        bottoms = BEST + self.spread * rng.standard_normal((number, 4))
        return distances_to(bottoms, mixtures[:, order])


def _config(**swarm):
    return GenerationConfig.from_dict(
        {
            "name": "s",
            "data": {"sources": [{"name": name, "paths": ["x"]} for name in NAMES]},
            "priors": {"token_counts": dict.fromkeys(NAMES, 1000)},
            "swarm": {"variants": 16, "after": "fit/latest", **swarm},
            "max_tokens": 1000,
        }
    )


def _round(fit, **swarm):
    variants = sample_swarm(_config(**swarm), fit=fit)
    assert {variant.kind for variant in variants} == {"sampled"}
    return np.array([variant.mix.weights(NAMES) for variant in variants])


def _drawn(weights):
    return weights[np.arange(len(weights)) % EXPLORE != EXPLORE - 1]


def test_a_sure_fit_gathers_its_runs_near_the_best_mixture_without_repeating_one():
    weights = _round(Posterior(spread=0.01))
    assert distances_to(_drawn(weights), BEST[None]).max() < 0.12
    between = distances_to(weights, weights)[~np.eye(16, dtype=bool)]
    assert between.min() > 0.01
    assert distances_to(weights, RUNS).min() > 0.01


def test_a_round_says_what_more_runs_can_gain_at_most(caplog):
    """The bottoms of the bowls lie 0.14 from the proposal, and candidates come close to them."""
    caplog.set_level("INFO")
    _round(Posterior(spread=0.0))
    said = next(text for text in caplog.messages if "better by" in text)
    distance = float(np.linalg.norm(Posterior(0).proposal - BEST))
    assert 0.6 * distance < float(said.split("better by ")[1].split()[0]) <= distance


def test_an_unsure_fit_spreads_them():
    sure, unsure = (_drawn(_round(Posterior(spread))) for spread in (0.01, 0.2))
    assert distances_to(unsure, BEST[None]).mean() > 2 * distances_to(sure, BEST[None]).mean()


def test_a_quarter_of_a_round_is_drawn_from_the_design():
    weights = _round(Posterior(spread=0.001), variants=40)
    explored = weights[EXPLORE - 1 :: EXPLORE]
    assert len(explored) == 10
    assert distances_to(explored, BEST[None]).mean() > 0.3


def test_a_round_has_neither_references_nor_replicates_nor_runs_that_there_are():
    assert len(_round(Posterior(0.05), references=["natural", "uniform"], replicates=2)) == 16


def test_a_larger_round_begins_with_a_smaller_one():
    few, many = (_round(Posterior(0.1), variants=number) for number in (9, 20))
    np.testing.assert_array_equal(many[:9], few)


def test_later_rounds_of_one_config_are_new():
    first = _round(Posterior(0.05))
    second = _round(Posterior(0.05, runs=np.vstack([RUNS, first])))
    assert distances_to(second, first).min() > 1e-3


def test_a_round_keeps_the_rules():
    rules = {"minimum_weight": 0.05, "group_bounds": [{"names": ["a"], "max": 0.4}]}
    weights = _round(Posterior(0.05), **rules, fixed_source_weights={"d": 0.1})
    assert weights[:, 0].max() <= 0.4 + 1e-9
    np.testing.assert_allclose(weights[:, 3], 0.1, atol=1e-9)
    assert ((weights < 1e-9) | (weights >= 0.05 - 1e-9)).all()


def test_columns_of_a_fit_go_by_name():
    order = [2, 0, 3, 1]
    fit = Posterior(0.01)
    turned = Posterior(
        0.01,
        domains=tuple(NAMES[index] for index in order),
        runs=fit.runs[:, order],
        proposal=fit.proposal[order],
    )
    assert distances_to(_drawn(_round(turned)), BEST[None]).max() < 0.12


def test_a_fit_of_other_domains_is_refused():
    with pytest.raises(DataError, match="the fit and the config differ in d, e"):
        _round(Posterior(0.01, domains=("a", "b", "c", "e")))


def test_a_round_without_its_fit_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="only `olmix generate` can load a fit"):
        generate(_config(), tmp_path)


def test_files_of_earlier_releases_may_say_next():
    plain = {**_config().to_plain()}
    plain["swarm"] = {"next": "fit/latest", "variants": 16}
    assert GenerationConfig.from_dict(plain).swarm.after == "fit/latest"
