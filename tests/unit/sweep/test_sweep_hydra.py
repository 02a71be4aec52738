"""Sweeps of composed runs: words that mean what was written, and runs that compose."""

import os

import pytest

from olmix.errors import ConfigError
from olmix.sweep import build_plan, generate_configs
from olmix.sweep.document import YamlDocument
from olmix.sweep.status import validate_folder
from olmix.text.yaml import write_yaml

compose = pytest.importorskip("olmix.grpo.compose")
pytest.importorskip("hydra", reason="needs hydra-core; `make test` installs it")


def experiment(variables, preset="quick_test", **sections):
    return {
        "experiment": {"name": "rl", "framework": "hydra"},
        "framework_config": {"base_config": preset},
        "variables": variables,
    } | sections


def overrides(result, index):
    path = result.configs[index]
    return YamlDocument(path.read_text(encoding="utf-8"), str(path)).data["overrides"]


TEXTS = [
    *(r".*\.q_proj", r".*\d+\.kv", "back\\", "a\\\\'b", r"\'", "\\\\"),
    *("it's", "'", '"q"', "a,b", "x=y", "#tag", "50%", "[x]", "{y}", "a:b", "1:30:00", "(a)"),
    *("null", "true", "yes", "1e-4", "0x1F", "inf", "nan", ".5", "1_000", "", " lead", "a b"),
    *("ü é", "tab\tx", "new\nline", "\u2028x", "\U0001f600", "~x", "+x", "@a", "*", "a;b"),
]


def test_every_text_arrives_as_it_was_written(tmp_path):
    made = experiment({"training.question_column": TEXTS})
    result = generate_configs(made, tmp_path / "out", validator="none")
    assert len(result.runs) == len(TEXTS)
    for index, text in enumerate(TEXTS):
        composed = compose.compose(overrides(result, index))
        assert composed["training"]["question_column"] == text


def test_a_misspelt_preset_key_and_value_are_found_without_training(tmp_path):
    variables = {
        "optimizer.learing_rate": [1e-5],
        "optimizer.learning_rate": [1e-5, "fast"],
        "grpo.num_generations": [1, 4],
    }
    file = tmp_path / "e.yaml"
    write_yaml(file, experiment(variables, "quik_test"))
    with pytest.raises(ConfigError) as found:
        build_plan(file)
    said = str(found.value)
    assert "there is no experiment `quik_test`; did you mean `quick_test`?" in said
    assert "optimizer.learing_rate: unknown key; did you mean `learning_rate`?" in said
    assert 'optimizer.learning_rate: found "fast"' in said
    assert "grpo.num_generations: found 1; it must be greater than or equal to 2" in said
    assert all(problem.line for problem in found.value.problems)


def test_a_file_of_a_group_is_chosen_and_its_keys_can_be_set(tmp_path):
    variables = {"model": ["gemma3_tiny", "llama3.2_1b"], "grpo": ["gspo"]}
    made = experiment(variables, controls={"optimizer.learning_rate": 1e-4})
    result = generate_configs(made, tmp_path / "out", validator="none")
    assert "model=llama3.2_1b" in overrides(result, 1)
    first, second = (compose.compose(overrides(result, index)) for index in (0, 1))
    assert first["model"] != second["model"]
    assert second["model"] == compose.compose(["model=llama3.2_1b"])["model"]
    assert second["grpo"]["variant"] == "gspo"
    assert second["optimizer"]["learning_rate"] == 1e-4


def test_a_file_that_a_group_does_not_have_is_an_error_at_its_line(tmp_path):
    file = tmp_path / "e.yaml"
    write_yaml(file, experiment({"model": ["gemma3_tiny", "gemma3_1bb"]}))
    with pytest.raises(ConfigError, match="there is no model `gemma3_1bb`; did you mean") as found:
        build_plan(file)
    [problem] = found.value.problems
    assert (problem.where, problem.line) == ("variables.model", 7)


def test_files_that_were_changed_are_composed_again(tmp_path):
    folder = generate_configs(experiment({"seed": [1, 2]}), tmp_path / "out").folder
    file = folder / "configs" / "run_001.yaml"
    file.write_text(file.read_text().replace("++seed=2", "++sed=2"))
    first, second = validate_folder(folder, "inprocess").values()
    assert not first.errors
    assert second.errors == ("sed: unknown key; did you mean `seed`?",)


def test_checking_needs_no_jax(monkeypatch, tmp_path):
    (tmp_path / "jax.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    assert len(build_plan(experiment({"seed": [1, 2]})).runs) == 2


def test_runs_start_from_what_a_composed_file_says(tmp_path):
    base = tmp_path / "composed.yaml"
    composed = compose.compose(["+experiment=quick_test", "optimizer.learning_rate=7e-5"])
    write_yaml(base, composed)
    made = experiment({"seed": [1, 2]})
    made["framework_config"] = {"base_config_file": str(base)}
    result = generate_configs(made, tmp_path / "out")
    again = compose.compose(overrides(result, 1))
    assert again == composed | {"seed": 2}


def test_a_key_can_be_deleted(tmp_path):
    plain = compose.compose(["+experiment=quick_test"])
    name = next(iter(plain["grpo"]["rewards"]))
    made = experiment({"seed": [1, 2]}, controls={f"grpo.rewards.{name}": "!delete"})
    result = generate_configs(made, tmp_path / "out", validator="none")
    rewards = compose.compose(overrides(result, 0))["grpo"]["rewards"]
    assert name not in rewards
    assert rewards.keys() < plain["grpo"]["rewards"].keys()
