"""Sweeps of any trainer: config files in its format, flags, keys that must exist."""

import json
import shlex
import sys
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.errors import ConfigError
from olmix.sweep import TorchtuneValidationError, build_plan, generate_configs
from olmix.sweep.command.formats import read_text, render_text
from olmix.sweep.status import read_states

BASE = {
    "out_dir": "out",
    "train": {"lr": 0.1, "steps": 5, "betas": [0.9, 0.99]},
    "data": {"name": 'a "quoted" name', "tab": "x\ty", "on": True},
}
COMMAND = ["trainer", "--config", "{config}"]


def experiment(folder, suffix=".yaml", variables=None, **section):
    base = folder / f"base{suffix}"
    base.write_text(render_text(BASE, suffix), encoding="utf-8")
    return {
        "experiment": {"name": "study", "framework": "command"},
        "framework_config": {
            "command": COMMAND,
            "base_config_file": str(base),
            "output_key": "out_dir",
        }
        | section,
        "variables": variables or {"train.lr": [1e-5, 0.2]},
    }


def said(made):
    with pytest.raises(ConfigError) as found:
        build_plan(made)
    return str(found.value)


READERS = {".json": json.loads, ".toml": tomllib.loads}


@pytest.mark.parametrize("suffix", [".json", ".toml", ".yaml"])
def test_configs_are_in_the_format_of_the_base(suffix, tmp_path):
    made = experiment(tmp_path, suffix)
    result = generate_configs(made, tmp_path / "out", slurm=True)
    file = tmp_path / "out" / "configs" / f"run_000{suffix}"
    assert result.configs[0] == file
    config, _ = read_text(file.read_text(), suffix, "x")
    assert config["train"] == {"lr": 1e-5, "steps": 5, "betas": [0.9, 0.99]}
    assert config["data"] == BASE["data"]
    assert config["out_dir"] == "out/run_000"
    if suffix in READERS:
        assert READERS[suffix](file.read_text()) == config
    script = (tmp_path / "out" / "run_experiment.sh").read_text()
    assert f'config="configs/$run{suffix}"' in script
    assert 'trainer --config "$config"' in script
    again = generate_configs(made, tmp_path / "out")
    assert again.num_new == 0


values = st.recursive(
    st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_toml_is_read_as_it_was_written(data):
    try:
        text = render_text(data, ".toml")
        text.encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    assert tomllib.loads(text) == data


def test_toml_has_no_null():
    with pytest.raises(ConfigError, match="a.b: TOML has no null"):
        render_text({"a": {"b": None}}, ".toml")


def test_a_key_must_be_in_the_base_or_said_to_be_new(tmp_path):
    made = experiment(tmp_path, variables={"train.lrr": [1, 2]})
    assert "has no `train.lrr`; did you mean `train.lr`? If not, list it in" in said(made)
    made["framework_config"]["new_keys"] = ["train.lrr"]
    assert len(build_plan(made).runs) == 2
    made["framework_config"]["new_keys"] = ["train"]
    assert len(build_plan(made).runs) == 2


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"command": ["trainer"]}, "give the command that trains a run"),
        (
            {"command": ["trainer", "{config}", "{lr}"]},
            "found {config} and {lr}; the settings of a run",
        ),
        ({"command": ["trainer", "--lr={lr}"]}, "the command has {lr}, and a run has no such key"),
        ({"base_config_file": "/none.ini"}, "the suffix must say the format: .yaml"),
        ({"base_config_file": "/none.yaml"}, "/none.yaml"),
        ({"output_key": "output_dir"}, "a run is not told where to write"),
        ({"recipe": "x"}, "command takes no recipe"),
    ],
)
def test_the_section_is_checked(section, message, tmp_path):
    assert message in said(experiment(tmp_path, **section))


def test_a_command_with_a_config_needs_one_to_start_from():
    made = {
        "experiment": {"name": "study", "framework": "command"},
        "framework_config": {"command": COMMAND},
    }
    assert "needs a base_config_file" in said(made)


def test_flags_are_those_of_the_base_and_of_the_experiment(tmp_path):
    made = {
        "experiment": {"name": "study", "framework": "command"},
        "framework_config": {
            "command": ["python", "train.py", "--out={output_dir}", "{flags}"],
            "new_keys": ["lr", "note"],
        },
        "variables": {"lr": [0.1, 1e-5]},
        "controls": {"note": "it's $HOME"},
    }
    result = generate_configs(made, tmp_path / "out", slurm=True)
    assert result.configs[1].name == "run_001.sh"
    line = result.configs[1].read_text().splitlines()[-1]
    assert shlex.split(line) == [
        *("exec", "python", "train.py", "--out=runs/run_001"),
        *("--note=it's $HOME", "--lr=1.0e-05", "--output_dir=runs/run_001"),
    ]


def test_check_command_is_asked_about_every_config(tmp_path):
    check = tmp_path / "check.py"
    check.write_text(
        "import sys, yaml\nlr = yaml.safe_load(open(sys.argv[1]))['train']['lr']\n"
        "sys.exit(f'lr is {lr}' if lr > 1 else 0)\n"
    )
    words = [sys.executable, str(check), "{config}"]
    made = experiment(tmp_path, variables={"train.lr": [0.1, 2.0]}, check_command=words)
    with pytest.raises(TorchtuneValidationError) as found:
        generate_configs(made, tmp_path / "out")
    [problem] = found.value.problems
    assert (problem.where, problem.what) == ("configs/run_001.yaml", "lr is 2.0")
    made["framework_config"]["check_command"] = ["no-such-program", "{config}"]
    with pytest.raises(TorchtuneValidationError, match="no-such-program: No such file"):
        generate_configs(made, tmp_path / "other")


def test_a_run_has_finished_where_its_command_succeeded(tmp_path):
    folder = generate_configs(experiment(tmp_path), tmp_path / "out").folder
    log = '{"step": 1, "loss": 2.0}\n'
    for run in ("run_000", "run_001"):
        (folder / "out" / run).mkdir(parents=True)
        (folder / "out" / run / "metrics.jsonl").write_text(log)
    (folder / "configs" / "run_000.done").touch()
    assert [s.state for s in read_states(folder)] == ["finished", "started"]
    assert [s.loss for s in read_states(folder)] == [2.0, 2.0]
