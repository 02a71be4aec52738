"""What a launch writes down of itself, and what it keeps out."""

from __future__ import annotations

import json

import pytest

from olmix.config import LocalInfra
from olmix.errors import ConfigError
from olmix.launch import describe_launch
from olmix.launch.foreign import CommandRun, load_mapping
from olmix.launch.plan import Group


def mapping(folder, words):
    text = "".join(
        f"  - {{id: run_{index}, config: c, hash: h{index}, command: {json.dumps(words)}}}\n"
        for index in range(2)
    )
    (folder / "run_mapping.yaml").write_text(f"experiment: study\nruns:\n{text}")
    return folder


def test_secrets_on_the_command_line_of_a_launcher_are_starred(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["go.py", "--api-key", "s3cr3t", "--lr", "0.1"])
    run = CommandRun("a", ("true",), tmp_path, "id", {})
    about = describe_launch(Group("g", (run,), LocalInfra()), {"a": "id"})
    assert about["command"] == ["go.py", "--api-key", "***", "--lr", "0.1"]


def test_commands_of_a_sweep_with_a_secret_are_refused_without_repeating_it(tmp_path):
    words = ["tune", "run", "recipe", "--api-key", "s3cr3t"]
    with pytest.raises(ConfigError, match="run_0: --api-key is a secret") as error:
        load_mapping(mapping(tmp_path, words))
    assert "s3cr3t" not in str(error.value)
    _, runs = load_mapping(mapping(tmp_path, [*words[:3], "tokenizer.eos_token=</s>"]))
    assert len(runs) == 2
