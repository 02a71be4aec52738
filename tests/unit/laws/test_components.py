"""Components that many noisy metrics share."""

import numpy as np
import pytest

from fit_fixtures import draw_mixtures, log_weight, plant
from olmix.fit.crossval import SIGNAL_LEVEL
from olmix.fit.models_file import load_fit
from olmix.fit.pipeline import fit_swarm
from olmix.fit.saved_draws import load_draws
from olmix.fit.swarm import read_swarm
from olmix.fit.swarm_fit import fit_laws
from olmix.laws.components import COMPONENTS, NUM_COMPONENTS, FittedComponents, fit_components
from olmix.laws.gp import GpSqrt


def truths(mixtures):
    """Twenty metrics that are weighted sums of two curves, (20, n)."""
    curves = np.stack([log_weight(mixtures), np.sin(3 * mixtures[:, 1]) + mixtures[:, 2] ** 2])
    return 2 + np.random.default_rng(5).uniform(0.5, 1.5, (20, 2)) @ curves


def noisy(mixtures, seed, noise=1.0):
    clean = truths(mixtures)
    errors = np.random.default_rng(seed).standard_normal(clean.shape)
    return clean + noise * clean.std(axis=1, keepdims=True) * errors


@pytest.fixture(scope="module")
def fitted():
    x = draw_mixtures(60, 4, seed=1)
    y = noisy(x, 0)
    return x, y, fit_components(x, y, np.ones_like(y))


def test_noisy_metrics_lend_each_other_strength(fitted):
    x, y, laws = fitted
    at = draw_mixtures(200, 4, seed=2)
    clean = truths(at)
    alone = GpSqrt().fit_many(x, y, np.ones_like(y))
    errors = [
        np.mean([np.sqrt(np.mean((law.predict(at) - own) ** 2)) for law, own in pairs])
        for pairs in (list(zip(laws, clean, strict=True)), list(zip(alone, clean, strict=True)))
    ]
    assert errors[0] < 0.9 * errors[1]


def test_all_metrics_share_one_basis_of_eight(fitted):
    _, _, laws = fitted
    assert len({id(law.basis) for law in laws}) == 1
    assert len(laws[0].basis.members) == NUM_COMPONENTS


def test_its_slope_is_that_of_its_predictions(fitted):
    _, _, laws = fitted
    at = draw_mixtures(3, 4, seed=3)
    step = 1e-6 * np.eye(4)
    for domain in range(4):
        change = (laws[0].predict(at + step[domain]) - laws[0].predict(at - step[domain])) / 2e-6
        np.testing.assert_allclose(laws[0].gradient(at)[:, domain], change, rtol=1e-3, atol=1e-5)


def test_one_mixture_is_predicted_as_each_member_predicts_it(fitted):
    _, _, laws = fitted
    basis = laws[0].basis
    for mixture in draw_mixtures(4, 4, seed=3):
        at = mixture[None]
        np.testing.assert_allclose(basis.predict(at), [m.predict(at) for m in basis.members])
        slopes = [m.gradient(at) for m in basis.members]
        np.testing.assert_allclose(basis.gradient(at), slopes, atol=1e-10)


def test_answers_that_are_kept_are_those_of_the_mixtures_asked_for(fitted):
    _, _, laws = fitted
    one, two = draw_mixtures(5, 4, seed=3), draw_mixtures(5, 4, seed=4)
    first = laws[0].predict(one)
    assert not np.allclose(laws[0].predict(two), first)
    np.testing.assert_array_equal(laws[0].predict(one), first)
    moved = one.copy()
    laws[0].predict(moved)
    moved[:] = two
    np.testing.assert_array_equal(laws[0].predict(moved), laws[0].predict(two))


def test_draws_lie_around_the_prediction_and_components_err_independently(fitted):
    _, _, laws = fitted
    at = draw_mixtures(4, 4, seed=3)
    normals = np.random.default_rng(0).standard_normal((900, 4))
    drawn = laws[0].basis.sample(at, normals)
    deviations = drawn[:, :, 0] - drawn[:, :, 0].mean(axis=1, keepdims=True)
    correlation = np.corrcoef(deviations)[np.triu_indices(NUM_COMPONENTS, 1)]
    assert np.abs(correlation).max() < 0.2
    own = laws[0].sample(at, normals)
    np.testing.assert_allclose(own.mean(axis=0), laws[0].predict(at), atol=0.2 * own.std())


def test_it_is_read_back_as_it_was_written(fitted):
    _, _, laws = fitted
    at = draw_mixtures(5, 4, seed=3)
    again = FittedComponents.from_plain(laws[3].to_plain())
    np.testing.assert_array_equal(again.predict(at), laws[3].predict(at))


def _swarm(folder, num_metrics):
    planted = plant(folder, {"y": log_weight}, num=40, replicates=1)
    values = noisy(planted.mixtures, 1, noise=0.5)[:num_metrics]
    planted.metrics = {f"m{i:02d}": row.tolist() for i, row in enumerate(values)}
    return planted


def test_it_is_one_more_member_of_the_stack_where_there_are_more_metrics_than_components(tmp_path):
    planted = _swarm(tmp_path, 12)
    planted.metrics["m03"][5] = None
    config = planted.write().config(regression={"type": "gp"})
    fit = fit_laws(config, read_swarm(config))
    assert [COMPONENTS in one.candidates for one in fit.fits] == [i != 3 for i in range(12)]
    planted = _swarm(tmp_path, NUM_COMPONENTS)
    config = planted.write().config(regression={"type": "gp"})
    fit = fit_laws(config, read_swarm(config))
    assert not any(COMPONENTS in one.candidates for one in fit.fits)


def test_pure_noise_is_no_signal_with_it_either(tmp_path):
    planted = _swarm(tmp_path, 20)
    rng = np.random.default_rng(3)
    planted.metrics = {f"m{i:02d}": rng.standard_normal(40).tolist() for i in range(20)}
    config = planted.write().config(regression={"type": "gp"})
    fit = fit_laws(config, read_swarm(config))
    assert sum(one.signal_p_value < SIGNAL_LEVEL for one in fit.fits) <= 3


def test_a_fit_folder_holds_the_basis_once_and_gives_the_same_predictions(tmp_path):
    config = _swarm(tmp_path, 12).write().config(regression={"type": "gp"})
    result = fit_swarm(config, tmp_path / "fit")
    fit = fit_laws(config, read_swarm(config))
    loaded = load_fit(result.folder)
    at = draw_mixtures(6, 4, seed=8)
    assert any(COMPONENTS in str(one.best.law.to_plain()) for one in fit.fits)
    for one in fit.fits:
        np.testing.assert_allclose(loaded.predict(at)[one.name], one.best.law.predict(at))
    assert (result.folder / "models.json").read_text().count('"basis"') == 12
    assert np.isfinite(load_draws(result.folder).draw(at, 10, seed=0)).all()
