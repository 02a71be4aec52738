"""`run_mapping.yaml` and `command.json`: old ones load, damaged ones are told."""

import shutil
from pathlib import Path

import pytest

from olmix.errors import DataError
from olmix.records.mapping import (
    CommandFile,
    read_command_file,
    read_mapping_record,
    write_command_file,
)

GOLDEN = Path(__file__).parent / "golden"


def test_a_sweep_of_the_release_before_loads():
    record = read_mapping_record(GOLDEN)
    assert (record.experiment, record.framework) == ("study", "torchtune")
    first, second = record.runs
    assert first.id == "run_000"
    assert first.params == {"lora_rank": 8, "learning_rate": 0.0001}
    assert first.hash == "1403513ea553"
    assert (second.config, second.command) == ("configs/run_001.yaml", ())


def test_a_command_of_the_release_before_loads_and_is_written_as_it_was(tmp_path):
    command = read_command_file(GOLDEN)
    assert command.words[:2] == ("tune", "run")
    assert command.identity == "1403513ea553"
    write_command_file(tmp_path, command)
    written = (tmp_path / "command.json").read_text()
    assert written == (GOLDEN / "command.json").read_text()


ROW = "id: run_0, hash: abc"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "experiment: this key is required"),
        ("[]", "a mapping is needed"),
        ("experiment: x\nruns: 5", "runs: found 5"),
        ("experiment: x\nruns: [1]", r"runs\[0\]"),
        ("experiment: x\nruns: [{id: ../../victim, hash: a}]", r"runs\[0\].id: found"),
        (f"experiment: x\nruns: [{{{ROW}, params: 5}}]", "params"),
        (f"experiment: x\nruns: [{{{ROW}, command: {{}}}}]", "command"),
        (f"experiment: x\nruns: [{{{ROW}, command: [[]]}}]", "command"),
        (f"experiment: x\nruns: [{{{ROW}}}, {{{ROW}}}]", "run_0 is there twice"),
        ("experiment: [", "run_mapping"),
    ],
)
def test_a_damaged_mapping_is_told_with_its_file(tmp_path, text, said):
    (tmp_path / "run_mapping.yaml").write_text(text)
    with pytest.raises(DataError, match=said) as error:
        read_mapping_record(tmp_path)
    assert str(tmp_path / "run_mapping.yaml") in str(error.value)


def test_numbers_that_are_texts_are_taken(tmp_path):
    row = "id: run_0, hash: 12345678, command: [train, 5, 0.1]"
    (tmp_path / "run_mapping.yaml").write_text(f"experiment: 7\nruns: [{{{row}}}]")
    record = read_mapping_record(tmp_path)
    assert record.experiment == "7"
    assert (record.runs[0].hash, record.runs[0].command) == ("12345678", ("train", "5", "0.1"))


def test_a_folder_without_a_mapping_is_no_experiment(tmp_path):
    with pytest.raises(DataError, match="this is not the folder of an experiment"):
        read_mapping_record(tmp_path)


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"words": [], "folder": "/", "identity": "a"}', '{"words": "go"}', "{"]
)
def test_a_damaged_command_is_told(tmp_path, text):
    (tmp_path / "command.json").write_text(text)
    with pytest.raises(DataError, match=r"command\.json"):
        read_command_file(tmp_path)


def test_commands_go_through_the_file_and_back(tmp_path):
    command = CommandFile(words=("a b", "$x"), folder="/x", identity="i", params={"lr": 0.1})
    write_command_file(tmp_path, command)
    assert read_command_file(tmp_path) == command
    shutil.rmtree(tmp_path)
