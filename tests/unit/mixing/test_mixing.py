"""The batches that any trainer reads from a manifest: quotas, passes, order, position, ranks."""

import copy
import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.config import LaunchConfig
from olmix.errors import ConfigError, DataError
from olmix.mixing import Mixing
from olmix.text.yaml import write_yaml
from olmix.train.command import run_command
from olmix.train.proxy.run import prepare
from train_fixtures import Project

CONTEXT = 4
DOMAINS = ("a", "b", "c")
shares = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any)


@pytest.fixture(scope="module")
def files():
    """Token files whose numbers tell their domain and place: a from 0, b from 1000, c from 2000."""
    with tempfile.TemporaryDirectory() as folder:
        for index, name in enumerate(DOMAINS):
            for part in range(2):
                start = 1000 * index + 100 * part
                tokens = np.arange(start, start + 30 + 20 * index, dtype=np.uint16)
                tokens.tofile(Path(folder) / f"{name}{part}.bin")
        yield Path(folder)


def manifest(files, weights, num_windows, **rest):
    """Write a manifest as a launch does; returns its path."""
    total = sum(weights)
    domains = {
        name: {
            "weight": weight / total,
            "repetition_factor": 1000.0,
            "paths": [str(files / f"{name}*.bin")],
        }
        for name, weight in zip(DOMAINS, weights, strict=True)
    }
    plain = {"dtype": "uint16", "max_tokens": num_windows * CONTEXT, "domains": domains, **rest}
    file = files / "data_manifest.json"
    file.write_text(json.dumps({"tokenizer": None, "seed": 0, **plain}))
    return file


def opened(file, batch_size=4, **rest):
    return Mixing(file, context_length=CONTEXT, batch_size=batch_size, **rest)


def rows(mixing):
    """All windows that are handed out, (windows, CONTEXT + 1)."""
    return np.concatenate([np.empty((0, CONTEXT + 1), np.int32), *mixing])


@given(shares, st.integers(1, 60), st.integers(1, 5))
def test_every_prefix_has_each_domains_share_to_within_one_window(files, weights, steps, batch):
    taken = rows(opened(manifest(files, weights, steps * batch), batch))[:, 0] // 1000
    assert len(taken) == steps * batch
    counts = np.cumsum(taken[:, None] == np.arange(3), axis=0)
    wanted = np.arange(1, len(taken) + 1)[:, None] * np.array(weights) / sum(weights)
    assert (np.abs(counts - wanted) < 1).all()


@given(shares, st.integers(1, 40), st.integers(0, 2**31 - 1))
def test_nothing_repeats_within_a_pass_and_each_pass_is_whole(files, weights, steps, seed):
    mixing = opened(manifest(files, weights, 4 * steps, seed=seed))
    sizes = {domain.name: domain.num_windows for domain in mixing.plan.domains}
    found = rows(mixing)[:, 0]
    for index, name in enumerate(DOMAINS):
        mine = found[found // 1000 == index].tolist()
        for start in range(0, len(mine), sizes.get(name, 1)):
            visited = mine[start : start + sizes[name]]
            assert len(set(visited)) == len(visited)


@given(shares, shares, st.integers(0, 5))
def test_all_runs_of_a_swarm_see_a_domain_in_the_same_order(files, one, other, seed):
    found = [
        rows(opened(manifest(files, weights, 80, seed=seed)))[:, 0] for weights in (one, other)
    ]
    for index in range(3):
        short, long = sorted((run[run // 1000 == index].tolist() for run in found), key=len)
        assert long[: len(short)] == short


@given(shares, st.integers(1, 20), st.data())
def test_a_restored_run_goes_on_as_if_it_had_not_stopped(files, weights, steps, data):
    file = manifest(files, weights, 4 * steps)
    whole = list(opened(file))
    done = data.draw(st.integers(0, steps))
    first = opened(file)
    for _ in range(done):
        next(first)
    state = json.loads(json.dumps(first.state_dict()))
    second = opened(file)
    second.load_state_dict(state)
    np.testing.assert_array_equal(rows(second), rows(whole[done:]))


@given(shares, st.integers(1, 12), st.sampled_from([1, 2, 3, 4, 6, 12]))
def test_ranks_partition_every_step(files, weights, steps, world_size):
    file = manifest(files, weights, 12 * steps)
    whole = list(opened(file, 12))
    parts = [opened(file, 12, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step, tokens in enumerate(zip(*parts, strict=True)):
        np.testing.assert_array_equal(np.concatenate(tokens), whole[step])


def test_a_position_holds_for_any_number_of_ranks(files):
    file = manifest(files, (1, 2, 3), 48)
    half = opened(file, rank=1, world_size=2)
    next(half)
    whole = opened(file)
    whole.load_state_dict(half.state_dict())
    assert whole.step == 1


def test_a_copy_in_another_process_opens_the_files_itself(files):
    mixing = opened(manifest(files, (1, 2, 3), 48), rank=1, world_size=2)
    next(mixing)
    for other in (pickle.loads(pickle.dumps(mixing)), copy.copy(mixing)):
        assert other.step == 1
        np.testing.assert_array_equal(next(other), mixing.batch(1))


@pytest.mark.parametrize("change", [{"seed": 1}, {"num_windows": 52}, {"weights": (3, 2, 1)}])
def test_the_position_of_another_run_is_refused(files, change):
    given_ = {"weights": (1, 2, 3), "num_windows": 48}
    state = opened(manifest(files, **given_)).state_dict()
    other = opened(manifest(files, **{**given_, **change}))
    with pytest.raises(DataError, match="the saved position is for different data"):
        other.load_state_dict(state)


@pytest.mark.parametrize("state", [{}, {"step": -1}, {"step": 13}, {"step": "1"}])
def test_a_position_that_is_none_is_refused(files, state):
    mixing = opened(manifest(files, (1, 2, 3), 48))
    with pytest.raises(DataError, match="the saved position"):
        mixing.load_state_dict({"plan": mixing.state_dict()["plan"], **state})


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"batch_size": 13}, "max_tokens: 48 tokens are less than one step of 13 x 4"),
        ({"world_size": 3}, "batch_size: 4 sequences cannot be shared evenly by 3 ranks"),
        ({"rank": 2, "world_size": 2}, "rank: found rank 2 of 2; ranks count from 0"),
        ({"batch_size": 0}, "found 4 x 0; both are at least 1"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(files, given_, said):
    with pytest.raises(ConfigError, match=said):
        opened(manifest(files, (1, 1, 1), 12), **given_)


def test_a_file_that_is_no_manifest_is_named(files, tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        opened(tmp_path / "none.json")
    file = manifest(files, (1, 1, 1), 12, max_tokens=0)
    with pytest.raises(DataError, match="data_manifest.json: max_tokens"):
        opened(file)


def test_a_run_without_steps_left_ends(files):
    mixing = opened(manifest(files, (1, 0, 0), 8))
    assert (len(mixing), len(list(mixing)), list(mixing)) == (2, 2, [])


def of_project(tmp_path, **training):
    """Launch a command over the data of a proxy run; returns its manifest and the proxy's plan."""
    project = Project(tmp_path)
    plain = project.plain(**training)
    proxy = prepare(LaunchConfig.from_dict(plain))
    kept = {key: plain["training"][key] for key in ("max_tokens", *training)}
    command = {"trainer": "command", "command": f"{sys.executable} -c pass", **kept}
    folder = project.folder()
    write_yaml(folder.config, {**plain, "training": command})
    assert run_command(folder).state == "finished"
    return folder.path / "data_manifest.json", proxy


@pytest.mark.parametrize("training", [{}, {"seed": 5}, {"target_tokens": 5120, "subset_seed": 2}])
def test_the_embedded_trainer_sees_bitwise_the_same(tmp_path, training):
    file, proxy = of_project(tmp_path, **training)
    mixing = Mixing(file, context_length=16, batch_size=4)
    assert mixing.vocab_size == 257
    np.testing.assert_array_equal(list(mixing), proxy.plan.batches(0, proxy.plan.num_steps))
    target = mixing.validation(max_windows=40)["target"]
    np.testing.assert_array_equal(target, proxy.validation.tokens[: len(target)])


def test_a_matched_run_without_a_tokenizer_is_refused(tmp_path):
    file, _ = of_project(tmp_path, target_tokens=5120)
    plain = json.loads(file.read_text())
    file.write_text(json.dumps({**plain, "tokenizer": None}))
    with pytest.raises(DataError, match="5,120 tokens, but its manifest lacks a tokenizer"):
        Mixing(file, context_length=16, batch_size=4)


def test_less_than_a_window_of_a_matched_domain_is_refused(tmp_path):
    file, _ = of_project(tmp_path, target_tokens=5120)
    plain = json.loads(file.read_text())
    plain["domains"]["code"]["tokens_seen"] = 16
    file.write_text(json.dumps(plain))
    with pytest.raises(DataError, match="domain code: its longest file has 16 tokens"):
        Mixing(file, context_length=16, batch_size=4)


def test_the_import_needs_neither_jax_nor_torch():
    code = "import sys, olmix.mixing; print({'jax', 'torch', 'scipy', 'pandas'} & {*sys.modules})"
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "set()\n"
