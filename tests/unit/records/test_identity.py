"""Two configs are the same run when they train the same thing, wherever it lies."""

import shutil

import numpy as np
import pytest

from olmix.config import LaunchConfig
from olmix.errors import ConfigError, DataError
from olmix.records.identity import run_identity
from train_fixtures import Project


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "here")


def identity(plain):
    return run_identity(LaunchConfig.from_dict(plain))


def test_names_descriptions_infra_and_checkpoints_do_not_count(project):
    plain = project.plain()
    other = project.plain(name="other", checkpoint_interval_s=99.0)
    other.update(description="again", group_id="g", infra={"backend": "local", "workers": 7})
    assert identity(other) == identity(plain)


def test_another_folder_does_not_count(project, tmp_path):
    before = identity(project.plain())
    shutil.move(project.root, tmp_path / "there")
    moved = Project.__new__(Project)
    for name in ("tokenizer", "code", "prose", "target"):
        setattr(moved, name, tmp_path / "there" / getattr(project, name).name)
    assert identity(moved.plain()) == before


def test_the_order_of_domains_and_evaluations_does_not_count(project):
    plain = project.plain()
    other = project.plain()
    other["data"]["sources"].reverse()
    other["mix"] = dict(reversed(other["mix"].items()))
    other["eval"]["paths"] = dict(reversed(other["eval"]["paths"].items()))
    assert identity(other) == identity(plain)


def test_a_domain_without_weight_does_not_count(project):
    with_it = project.plain(weights=(1.0, 0.0))
    without = project.plain(weights=(1.0, 0.0))
    del without["mix"]["prose"]
    assert identity(with_it) == identity(without)


def test_a_length_written_another_way_does_not_count(project):
    plain = project.plain(d_hidden=48)
    assert identity(plain) == identity(project.plain())
    assert identity(project.plain(max_tokens="2560")) == identity(project.plain())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 1),
        ("max_tokens", 2624),
        ("d_model", 24),
        ("num_layers", 2),
        ("num_heads", 4),
        ("d_hidden", 40),
        ("context_length", 32),
        ("batch_size", 5),
        ("learning_rate", 4e-3),
        ("embedding_lr_multiplier", 1.0),
        ("beta1", 0.8),
        ("beta2", 0.99),
        ("weight_decay", 0.0),
        ("clip_norm", 2.0),
        ("warmup_fraction", 0.2),
        ("log_interval", 4),
        ("eval_interval", 10),
    ],
)
def test_every_number_of_the_training_section_counts(project, key, value):
    assert identity(project.plain(**{key: value})) != identity(project.plain())


def test_the_mixture_counts(project):
    assert identity(project.plain(weights=(0.61, 0.39))) != identity(project.plain())
    other = project.plain()
    other["mix"]["code"]["repetition_factor"] = 3.0
    assert identity(other) != identity(project.plain())


def test_what_is_evaluated_counts(project):
    plain = project.plain()
    fewer = project.plain()
    del fewer["eval"]["paths"]["prose"]
    renamed = project.plain()
    renamed["eval"]["paths"]["poetry"] = renamed["eval"]["paths"].pop("prose")
    shorter = project.plain()
    shorter["eval"]["max_tokens"] = 64
    assert len({identity(found) for found in (plain, fewer, renamed, shorter)}) == 4


def test_the_type_of_the_tokens_counts(project):
    other = project.plain()
    other["data"]["dtype"] = "uint8"
    assert identity(other) != identity(project.plain())


@pytest.mark.parametrize("name", ["code", "target", "tokenizer"])
def test_the_contents_of_the_files_count(project, name):
    before = identity(project.plain())
    file = getattr(project, name)
    if name == "tokenizer":
        file.write_text(file.read_text() + " ")
    else:
        tokens = np.fromfile(file, dtype=np.uint16)
        tokens[7] += 1
        tokens.tofile(file)
    assert identity(project.plain()) != before


def test_a_missing_file_is_named(project):
    project.code.unlink()
    with pytest.raises(DataError, match=r"domain code: .*code\.bin: no such file"):
        identity(project.plain())


def test_a_base_without_a_mixture_is_no_run(project):
    plain = project.plain()
    del plain["mix"]
    with pytest.raises(ConfigError, match="mix: this key is required to train"):
        identity(plain)


def test_runs_of_other_trainers_are_told_apart_by_their_configs(project):
    plain = project.plain()
    plain["training"] = {"trainer": "olmo_core", "proxy_model_id": "olmo3_14m", "max_tokens": 10}
    first = identity(plain)
    assert identity({**plain, "name": "renamed"}) == first
    plain["training"] = {**plain["training"], "seed": 1}
    assert identity(plain) != first
