import json

import numpy as np
import pytest

from olmix.config import GenerationConfig, LaunchConfig
from olmix.errors import ConfigError, DataError
from olmix.generate import diagnose, generate, group_of, inspect_folder, sample_swarm
from olmix.generate.known_mixtures import load_mixtures
from olmix.mixture import Mixture

NAMES = ("a", "b", "c")


def _config(**swarm):
    return GenerationConfig.from_dict(
        {
            "name": "s",
            "data": {"sources": [{"name": name, "paths": ["x"]} for name in NAMES]},
            "priors": {"token_counts": dict.fromkeys(NAMES, 1000)},
            "swarm": {"variants": 6, "references": ["natural", "uniform"], **swarm},
            "max_tokens": 1000,
        }
    )


def test_tables_are_read_by_name_whatever_the_order_of_columns(tmp_path):
    file = tmp_path / "old.csv"
    file.write_text("run,c,x,a,b\n1,0.5,9,0.2,0.3\n2,0.1,9,0.1,0.1\n")
    np.testing.assert_allclose(load_mixtures(file, NAMES), [[0.2, 0.3, 0.5]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("run,x\n1,1\n", "no column is a domain"),
        ("run,a,b\n1,0.1,0.2\n", "no row is a mixture"),
        ("run,a,b\n1,half,0.5\n", ":2: a: found 'half'; a weight is needed"),
    ],
)
def test_tables_that_hold_no_mixtures_are_refused(tmp_path, text, said):
    file = tmp_path / "old.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=said):
        load_mixtures(file, NAMES)


def test_a_pickle_needs_a_flag(tmp_path):
    pd = pytest.importorskip("pandas")
    file = tmp_path / "old.pkl"
    pd.DataFrame({"run": ["x"], "b": [0.25], "a": [0.75]}).to_pickle(file)
    with pytest.raises(ConfigError, match="--allow-pickle"):
        load_mixtures(file, NAMES)
    np.testing.assert_allclose(load_mixtures(file, NAMES, allow_pickle=True), [[0.75, 0.25, 0]])


def test_a_pickle_is_not_opened_without_the_flag(tmp_path):
    file = tmp_path / "old.pkl"
    file.write_bytes(b"cos\nsystem\n(S'touch /nowhere/x'\ntR.")
    with pytest.raises(ConfigError, match="loading one runs the code in it"):
        sample_swarm(_config(existing_mix_file=str(file)))


def test_mixtures_that_were_run_before_are_not_sampled_again(tmp_path):
    before = generate(_config(), tmp_path / "first")
    file = str(before.folder / "swarm.csv")
    again = sample_swarm(_config(existing_mix_file=file))
    old = {tuple(v.mix.weights(NAMES)) for v in before.variants}
    assert len(again) == 6  # natural and uniform were run before too
    assert not old & {tuple(v.mix.weights(NAMES)) for v in again}


def test_a_swarm_is_extended_from_its_folder(tmp_path):
    before = generate(_config(), tmp_path / "first")
    more = _config(design="polytope", augment=str(before.folder))
    made = generate(more, tmp_path / "second")
    assert len(made.files) == 6
    assert made.group_id != before.group_id
    assert group_of(more, None) == made.group_id


def test_swarms_are_diagnosed():
    corners = [Mixture.from_weights(NAMES, row) for row in np.eye(3)]
    found = diagnose([*corners, corners[0]], NAMES, 100, 10)
    assert (found.num_runs, found.num_mixtures, found.num_live, found.rank) == (4, 3, 3, 3)
    assert found.d_efficiency_linear == pytest.approx(1)
    assert found.least_distance == pytest.approx(np.sqrt(2))
    assert (found.total_tokens, found.total_flops) == (400, 6 * 10 * 400)
    assert not found.enough
    assert json.dumps(found.to_plain())


def test_domains_that_move_together_lower_the_rank():
    rows = [[0.2, 0.2, 0.6], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8], [0.1001, 0.1001, 0.7998]]
    found = diagnose([Mixture.from_weights(NAMES, np.array(row)) for row in rows], NAMES)
    assert (found.num_live, found.rank, found.near_duplicates) == (3, 2, 1)
    assert found.d_efficiency_linear < 1e-3


PINNED = {
    "a domain": (["p", "a", "b", "c"], lambda free: np.column_stack([[0.2] * 9, 0.8 * free])),
    "a source of two topics": (
        ["s:x", "s:y", "a", "b"],
        lambda free: np.column_stack(
            [0.4 * free[:, 0], 0.4 * (1 - free[:, 0]), 0.6 * free[:, 1], 0.6 * (1 - free[:, 1])]
        ),
    ),
    "a topic within its source": (
        ["s:x", "s:y", "s:z", "a"],
        lambda free: np.column_stack(
            [
                0.3 * (1 - free[:, 0]),
                0.7 * (1 - free[:, 0]) * free[:, 1],
                0.7 * (1 - free[:, 0]) * (1 - free[:, 1]),
                free[:, 0],
            ]
        ),
    ),
}


@pytest.mark.parametrize("what", PINNED)
def test_pins_raise_no_alarm(what):
    names, place = PINNED[what]
    rows = place(np.random.default_rng(0).dirichlet(np.ones(3), 9))
    found = diagnose([Mixture.from_weights(names, row) for row in rows], names)
    assert (found.num_live, found.num_free, found.rank) == (4, 3, 3)
    assert not found.enough


def test_even_swarms_have_less_discrepancy_than_lopsided_ones():
    rng = np.random.default_rng(0)
    even = rng.dirichlet(np.ones(3), 200)
    lopsided = rng.dirichlet([20, 1, 1], 200)

    def discrepancy(rows):
        return diagnose([Mixture.from_weights(NAMES, row) for row in rows], NAMES).discrepancy

    assert discrepancy(even) < 0.3 * discrepancy(lopsided)


def test_a_folder_of_launch_configs_knows_its_tokens_and_flops(tmp_path):
    base = LaunchConfig.from_dict(
        {
            "name": "base",
            "training": {"proxy_model_id": "olmo3_14m", "max_tokens": 1000},
            "data": {"sources": [{"name": name, "paths": ["x"]} for name in NAMES]},
            "eval": {"type": "inloop", "tasks": {"qa": {"arc": "eval/arc"}}},
        }
    )
    generate(_config(), tmp_path, base)
    found = inspect_folder(tmp_path)
    assert found.total_tokens == 8 * 1000
    assert found.total_flops == 6.0 * 13_895_808 * 8 * 1000
