"""Draws from a fit folder: what a next round is placed by."""

import numpy as np
import pytest

from fit_fixtures import log_linear, log_weight, plant, reused
from olmix.config import GenerationConfig
from olmix.errors import DataError
from olmix.fit import fit_swarm
from olmix.fit.saved_draws import load_draws
from olmix.generate import sample_swarm
from olmix.generate.optimal import distances_to
from olmix.laws.stack import parts_of


def _fitted(planted, **changes):
    fit_swarm(planted.config(**changes), planted.folder / "fit")
    return load_draws(planted.folder / "fit" / "latest")


@pytest.mark.parametrize("law", ["log_linear", "gp"])
def test_draws_scatter_around_the_prediction_and_agree_where_runs_are(tmp_path, law):
    planted = plant(tmp_path, {"y": log_linear}, num=30)
    fit = _fitted(planted, regression={"type": law})
    seen, corner = planted.mixtures[3], np.array([0.0, 0.0, 0.0, 1.0])
    drawn = fit.draw(np.array([seen, corner]), 60, seed=0)
    predicted = fit.fit.predict(np.array([seen, corner]))["y"]
    spread = np.std(planted.metrics["y"])
    np.testing.assert_allclose(np.median(drawn, axis=0)[0], predicted[0], atol=0.1 * spread)
    assert drawn[:, 0].std() < 0.2 * spread
    assert drawn[:, 1].std() > drawn[:, 0].std()


def test_draws_count_metrics_with_their_directions_and_weights(tmp_path):
    planted = plant(tmp_path, {"y": log_linear, "acc": lambda x: -log_linear(x)}, noise=0.001)
    asked = {
        "lower_is_better": {"acc": False},
        "filtering": {"obj_weights": {"y": 1.0, "acc": 3.0}},
        "regression": {"type": "log_linear"},
    }
    fit = _fitted(planted, **asked)
    at = planted.mixtures[:5]
    drawn = fit.draw(at, 40, seed=0).mean(axis=0)
    # A quarter of y, and three quarters of minus acc, which is y again: less is better.
    np.testing.assert_allclose(drawn, log_linear(at), rtol=0.02)


def test_a_larger_number_of_draws_begins_with_a_smaller_one(tmp_path):
    fit = _fitted(plant(tmp_path, {"y": log_weight}))
    at = np.eye(4)
    np.testing.assert_allclose(fit.draw(at, 12, 1)[:5], fit.draw(at, 5, 1), rtol=1e-6)


def test_formulas_that_auto_chose_are_not_alone_in_placing_a_round(tmp_path):
    """Refits of a formula agree on a spot, even where the formula is wrong."""
    planted = plant(tmp_path, {"y": log_weight}, num=40, noise=0.001)
    by_auto, by_hand = (
        _fitted(planted, regression={"type": law}) for law in ("auto", "log_weight")
    )
    assert not any("gp" in part.name for part, _ in parts_of(by_auto.fit.laws["y"]))
    shares = {part.name: share for part, share in parts_of(by_auto.drawn["y"])}
    assert shares.pop("gp_sqrt") == 0.5
    assert sum(shares.values()) == pytest.approx(0.5)
    assert by_hand.drawn["y"] is by_hand.fit.laws["y"]
    corners = np.eye(4)
    wide, narrow = (fit.draw(corners, 60, 0).std(axis=0) for fit in (by_auto, by_hand))
    assert (wide > narrow).all()


def test_columns_that_move_together_are_drawn_as_one(tmp_path):
    planted = reused(tmp_path, num=12)
    fit = _fitted(planted)
    assert fit.domains == tuple(planted.ratios)
    assert fit.draw(planted.mixtures, 3, 0).shape == (3, 12)
    assert fit.runs.shape == (12, 4)


def test_tables_that_have_changed_are_refused(tmp_path):
    planted = plant(tmp_path, {"y": log_weight})
    _fitted(planted)
    planted.metrics["z"] = planted.metrics["y"]
    planted.write()
    with pytest.raises(DataError, match="no longer have the domains or metrics that were fitted"):
        load_draws(tmp_path / "fit" / "latest")


def test_a_round_after_a_fit_is_better_than_the_swarm_before_it(tmp_path):
    """The planted law's best mixture lies inside of a face, away from all runs."""
    planted = plant(tmp_path, {"y": log_weight}, num=24)
    fit = _fitted(planted)
    config = GenerationConfig.from_dict(
        {
            "name": "s",
            "data": {"sources": [{"name": name, "paths": ["x"]} for name in "abcd"]},
            "priors": {"token_counts": dict.fromkeys("abcd", 1000)},
            "swarm": {"variants": 16, "after": str(tmp_path / "fit" / "latest")},
            "max_tokens": 1000,
        }
    )
    variants = sample_swarm(config, fit=fit)
    weights = np.array([variant.mix.weights("abcd") for variant in variants])
    before, after = log_weight(planted.mixtures), log_weight(weights)
    assert np.median(after) < np.quantile(before, 0.1)
    assert after.min() < before.min()
    assert distances_to(weights, planted.mixtures).min() > 0
