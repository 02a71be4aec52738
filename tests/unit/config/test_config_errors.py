import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bad_configs import CASES, FIT, GENERATION, LAUNCH

from olmix import FitConfig, GenerationConfig, LaunchConfig
from olmix.config.fit import ProposerConfig
from olmix.errors import ConfigError

MODELS = {"generation": GenerationConfig, "launch": LaunchConfig, "fit": FitConfig}


@pytest.mark.parametrize(
    ("model", "text"), [("generation", GENERATION), ("launch", LAUNCH), ("fit", FIT)]
)
def test_the_configs_that_the_bad_ones_are_made_of_are_good(tmp_path, model, text):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    MODELS[model].from_yaml(file)


@pytest.mark.parametrize(
    ("model", "text", "messages"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_malformed_config_is_told_what_is_wrong_and_where(tmp_path, model, text, messages):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        MODELS[model].from_yaml(file)
    for message in messages:
        assert message in str(caught.value)
    assert str(file) in str(caught.value)


def test_all_problems_of_a_file_come_at_once_in_the_order_of_its_lines(tmp_path):
    file = tmp_path / "config.yaml"
    text = GENERATION.replace("variants: 4", "variants: none").replace("topics:", "topcs:")
    file.write_text(text.replace("50M", "-1"))
    with pytest.raises(ConfigError) as caught:
        GenerationConfig.from_yaml(file)
    lines = [problem.line for problem in caught.value.problems]
    assert len(lines) == 3
    assert lines == sorted(lines)


def test_a_missing_file_a_folder_and_a_binary_file_are_config_errors(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        LaunchConfig.from_yaml(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="this is a folder"):
        LaunchConfig.from_yaml(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(ConfigError, match="cannot be read"):
        LaunchConfig.from_yaml(binary)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("max_tokens: -3", "training.max_tokens: found -3"),
        ("seeed: 3", "training.seeed: unknown key; did you mean `seed`?"),
        ("command: 5", "training.command: found 5; text is needed"),
        ("command: train {nope}", "training.command: found {nope}"),
    ],
)
def test_a_key_that_is_named_like_its_kind_of_section_is_told_apart(tmp_path, line, said):
    keys = {"trainer": "command", "command": "train", "max_tokens": "5"}
    keys |= dict([line.split(": ", 1)])
    text = "".join(f"  {key}: {value}\n" for key, value in keys.items())
    file = tmp_path / "launch.yaml"
    file.write_text(
        f"name: a\ntraining:\n{text}data: {{sources: [{{name: a, paths: [a.bin]}}]}}\n"
        "eval: {type: inloop, tasks: {a: {b: c}}}\n"
    )
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        LaunchConfig.from_yaml(file)
    where = list(keys).index(line.partition(":")[0]) + 3
    assert f"launch.yaml:{where}: " in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("eval: null\n", "eval: found null; a mapping is needed"),
        (
            "eval: {type: inloop, tasks: {a: {b: c}}}\ntraining: {proxy_model_id: null}\n",
            "training.proxy_model_id: found null; text is needed",
        ),
    ],
)
def test_null_at_a_key_that_needs_a_value_is_called_so(tmp_path, lines, said):
    file = tmp_path / "launch.yaml"
    file.write_text(f"name: a\ndata: {{sources: [{{name: a, paths: [a.bin]}}]}}\n{lines}")
    with pytest.raises(ConfigError, match=re.escape(said)):
        LaunchConfig.from_yaml(file)


@pytest.mark.parametrize(
    ("floors", "where"),
    [
        ({"all": "-5 %"}, ".all"),
        ({"all": "five"}, ".all"),
        ({"all": [1]}, ".all"),
        ("-5 %", ""),
        ([1, 2], ""),
    ],
)
def test_a_wrong_floor_is_told_once_with_both_of_its_forms(floors, where):
    with pytest.raises(ConfigError) as caught:
        ProposerConfig.from_dict({"floors": floors}, "fit.yaml")
    (problem,) = caught.value.problems
    assert problem.where == f"floors{where}"
    assert problem.what.endswith("a number from 0 up is needed, or a share such as `5 %`")


def test_floors_are_measured_from_natural_by_either_name():
    given = {"floors": "5 %", "floors_at": "natural"}
    assert ProposerConfig.from_dict(given, "fit.yaml").floors_at == "prior"
