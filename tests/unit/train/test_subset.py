"""What a matched run sees of its domains: a fixed, nested part of their documents."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.config import LaunchConfig, ProxyTraining
from olmix.errors import ConfigError
from olmix.mixing.subset import cut_documents
from olmix.records.matching import cuts_of, length_note, tokens_left
from olmix.train.proxy.run import prepare
from train_fixtures import Project

EOS = 0


def files(*texts):
    return tuple(np.array(text, dtype=np.uint16) for text in texts)


THREE = files([1, 1, EOS, 2, EOS, 3, 3, 3, EOS], [4, EOS, 5, 5, EOS])


def documents(tokens):
    """Split at EOS; the rest is a document too."""
    ends = np.flatnonzero(np.asarray(tokens) == EOS) + 1
    return [part.tolist() for part in np.split(tokens, ends) if part.size]


@given(st.integers(1, 13), st.integers(0, 50))
def test_documents_are_whole_but_for_the_last_and_taken_once(tokens, seed):
    kept = cut_documents(THREE, EOS, tokens, (seed, "code"))
    assert len(kept) == tokens
    whole = [[1, 1, EOS], [2, EOS], [3, 3, 3, EOS], [4, EOS], [5, 5, EOS]]
    *first, last = documents(kept)
    for document in first:
        whole.remove(document)
    assert any(document[: len(last)] == last for document in whole)


@given(st.integers(1, 12), st.integers(0, 50))
def test_the_subset_of_a_longer_run_begins_with_that_of_a_shorter_one(tokens, seed):
    longer = cut_documents(THREE, EOS, tokens + 1, (seed, "code"))
    np.testing.assert_array_equal(
        longer[:tokens], cut_documents(THREE, EOS, tokens, (seed, "code"))
    )


def test_seed_and_domain_choose_the_documents():
    order = {tuple(cut_documents(THREE, EOS, 13, (seed, "code"))) for seed in range(20)}
    assert len(order) > 5
    other = tuple(cut_documents(THREE, EOS, 13, (0, "prose")))
    assert other != tuple(cut_documents(THREE, EOS, 13, (0, "code")))


def test_a_weight_means_as_many_passes_as_in_the_large_run(tmp_path):
    """2,560 tokens stand for 10,240: a quarter of each domain is left, and passes are fourfold."""
    project = Project(tmp_path)
    plain = project.plain(target_tokens=10_240)
    plain["mix"] = {name: [0.5, 2.0] for name in ("code", "prose")}
    matched = prepare(LaunchConfig.from_dict(plain))
    sizes = {domain.name: domain.num_tokens for domain in matched.plan.domains}
    assert sizes == {"code": 1500, "prose": 1000}
    assert matched.plan.epochs["code"] == pytest.approx(0.5 * 10_240 / 6000, rel=0.02)


def test_all_runs_of_a_swarm_see_the_same_documents_whatever_their_seed(tmp_path):
    project = Project(tmp_path)
    seen = []
    for seed, subset_seed in ((0, None), (7, None), (0, 1)):
        plain = project.plain(target_tokens=5_120, seed=seed)
        if subset_seed is not None:
            plain["training"]["subset_seed"] = subset_seed
        plan = prepare(LaunchConfig.from_dict(plain)).plan
        seen.append({domain.name: domain.files[0].tobytes() for domain in plan.domains})
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


def test_a_run_as_long_as_its_target_is_not_cut(tmp_path):
    project = Project(tmp_path)
    own = prepare(project.config()).plan
    same = prepare(LaunchConfig.from_dict(project.plain(target_tokens=2560))).plan
    np.testing.assert_array_equal(own.batches(0, 40), same.batches(0, 40))


def test_a_subset_of_less_than_a_step_is_refused_with_what_would_do(tmp_path):
    project = Project(tmp_path)
    plain = project.plain(target_tokens=600_000)
    with pytest.raises(ConfigError) as caught:
        prepare(LaunchConfig.from_dict(plain))
    said = str(caught.value)
    assert "leaves runs of 2,560 tokens 26 tokens of its 6,000, less than one step of 64" in said
    assert "Raise training.max_tokens to 6,400" in said
    assert "data.prose" in said


@given(st.integers(1, 10**12), st.integers(1, 10**7), st.integers(1, 10**7))
def test_what_is_left_is_never_less_than_the_share(tokens, run, more):
    training = ProxyTraining.from_dict({"max_tokens": 512 + run, "target_tokens": 512 + run + more})
    left = tokens_left(tokens, training)
    assert tokens * training.num_tokens <= left * training.pass_tokens * (1 + 1e-12)
    assert left <= tokens


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"target_tokens": 100}, "a run has 160,000 tokens; the large run has at least as many"),
        ({"subset_seed": 1}, "it belongs to target_tokens; give that too"),
        ({"target_parameters": 1}, "it belongs to target_tokens; give that too"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(training, said):
    with pytest.raises(ConfigError, match=said):
        ProxyTraining.from_dict(training)


def test_tokens_per_parameter_are_compared():
    def note(**training):
        return length_note(ProxyTraining.from_dict({"max_tokens": 160_000, **training}))

    size = ProxyTraining().num_parameters
    assert note() is None
    assert "give training.target_parameters" in note(target_tokens="1M")
    same = {"target_tokens": 1_600_000, "target_parameters": 10 * size}
    assert "warning" not in note(**same)
    other = note(target_tokens=1_600_000, target_parameters=size)
    assert (
        "matching works best if they are the same. Set training.max_tokens to about 1,600,000"
        in other
    )


def test_domains_are_counted_from_their_files(tmp_path):
    config = LaunchConfig.from_dict(Project(tmp_path).plain(target_tokens=25_600))
    assert [(cut.name, cut.tokens, cut.left) for cut in cuts_of(config)] == [
        ("code", 6000, 600),
        ("prose", 4000, 400),
    ]
