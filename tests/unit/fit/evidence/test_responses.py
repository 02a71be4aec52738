import numpy as np
import pytest

from fit_fixtures import log_linear, pinned_swarm, plant
from olmix.fit.evidence.effects import interaction_matrix
from olmix.fit.evidence.responses import responses, ternary
from olmix.fit.swarm import read_swarm
from olmix.fit.swarm_fit import fit_laws


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    planted = plant(tmp_path_factory.mktemp("responses"), {"y": log_linear}, num=40)
    config = planted.config(regression={"type": "log_linear"})
    return fit_laws(config, read_swarm(config))


def test_a_response_starts_without_the_domain_and_ends_with_nothing_else(fit):
    rows = [row for row in responses(fit, np.full(4, 0.25)) if row[0] == "a"]
    weights = [row[1] for row in rows]
    assert (weights[0], weights[-1]) == (0, 1)
    law = fit.fits[0].best.law
    ends = law.predict([[0, 1 / 3, 1 / 3, 1 / 3], [1, 0, 0, 0]])
    np.testing.assert_allclose([rows[0][2], rows[-1][2]], ends)
    assert all(low < value < high for _, _, value, low, high in rows)


def test_from_a_vertex_the_other_domains_share_what_is_left(fit):
    rows = [row for row in responses(fit, np.array([1.0, 0, 0, 0])) if row[0] == "a"]
    law = fit.fits[0].best.law
    assert rows[0][2] == pytest.approx(law.predict([[0, 1 / 3, 1 / 3, 1 / 3]])[0])


def test_the_triangle_is_that_of_the_three_largest_domains(fit):
    columns, rows = ternary(fit, np.array([0.1, 0.4, 0.2, 0.3]))
    assert columns == ("b", "d", "c", "predicted")
    array = np.array(rows)
    np.testing.assert_allclose(array[:, :3].sum(axis=1), 1)
    mixtures = np.zeros((len(rows), 4))
    mixtures[:, [1, 3, 2]] = array[:, :3]
    np.testing.assert_allclose(array[:, 3], fit.fits[0].best.law.predict(mixtures))


def test_two_domains_have_no_triangle(tmp_path):
    planted = plant(tmp_path, {"y": lambda x: 2 + np.exp(-x[:, 0])}, domains="ab")
    config = planted.config(regression={"type": "log_linear"})
    assert ternary(fit_laws(config, read_swarm(config)), np.array([0.5, 0.5])) == ((), [])


@pytest.mark.parametrize("kind", ["log_linear", "gp"])
def test_a_pinned_domain_has_no_response_and_no_effect_and_keeps_its_weight(tmp_path, kind):
    config = pinned_swarm(tmp_path).config(regression={"type": kind})
    fit = fit_laws(config, read_swarm(config))
    fixed = fit.swarm.pinned["d"]
    at = fit.natural
    assert at[3] == pytest.approx(fixed)
    rows = responses(fit, at)
    assert {row[0] for row in rows} == set("abc")
    most = max(row[1] for row in rows if row[0] == "a")
    assert most == pytest.approx(1 - fixed)
    end = fit.fits[0].best.law.predict([[1 - fixed, 0, 0, fixed]])[0]
    assert next(row[2] for row in rows if row[1] == most) == pytest.approx(end)
    columns, triangle = ternary(fit, at)
    assert set(columns[:3]) == set("abc")
    np.testing.assert_allclose(np.array(triangle)[:, :3].sum(axis=1), 1)
    assert interaction_matrix(fit.swarm, fit.fits, at)[3, 0] == 0
