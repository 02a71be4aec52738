"""What people write is taken; what is wrong says how to mend it."""

import subprocess
import sys
from pathlib import Path

import pytest
from sweep_studies import BASE

from olmix.errors import ConfigError
from olmix.sweep import build_plan, generate_configs
from olmix.sweep.document import YamlDocument

ROOT = Path(__file__).parents[3]


def plan(folder, text):
    file = folder / "experiment.yaml"
    file.write_text(f"experiment_name: x\nbase_config: {BASE}\n{text}")
    return build_plan(file)


def said(made):
    return "\n".join(finding.what for finding in made.findings)


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ("/d/my.json", "json"),
        ("/d/my.JSONL", "json"),
        ("/d/my.csv", "csv"),
        ("hf://x/*.parquet", "parquet"),
        ("/d/my.txt", "text"),
        ("/d/my.jsonl.gz", "json"),
        ("[/d/a.json, /d/b.jsonl]", "json"),
        ("{train: /d/a.csv}", "csv"),
    ],
)
def test_a_source_follows_from_the_suffix_and_it_is_said(tmp_path, files, source):
    made = plan(tmp_path, f"controls:\n  dataset: {{data_files: {files}}}\n")
    assert made.runs[0].config["dataset"]["source"] == source
    assert f"dataset.source is {source}" in said(made)


@pytest.mark.parametrize("files", ["/d/my", "/d/my.bin", "[/d/a.json, /d/b.csv]"])
def test_a_suffix_that_tells_nothing_is_an_error(tmp_path, files):
    with pytest.raises(ConfigError, match=r"set dataset\.source: json"):
        plan(tmp_path, f"controls:\n  dataset: {{data_files: {files}}}\n")


def test_a_source_that_is_given_stays():
    controls = {"dataset": {"source": "text", "data_files": "/d.json"}}
    made = build_plan({"experiment_name": "x", "base_config": BASE, "controls": controls})
    assert made.runs[0].config["dataset"]["source"] == "text"


def test_keys_are_deleted_by_a_tag(tmp_path):
    made = plan(
        tmp_path,
        "variables:\n  seed: [1, 2]\n  optimizer.fused: [true, !delete ]\n"
        "controls:\n  profiler: !delete\n  model: {lora_dropout: !delete }\n",
    )
    first, second = made.runs[0].config, made.runs[1].config
    assert first["optimizer"]["fused"] is True
    assert "fused" not in second["optimizer"]
    for config in (first, second):
        assert "profiler" not in config
        assert "lora_dropout" not in config["model"]
    result = generate_configs(made.experiment, tmp_path / "out", validator="none")
    text = result.configs[1].read_text()
    assert YamlDocument(text, "").data == second | {"output_dir": result.runs[1].output_dir}


def test_keys_for_anchors_are_passed_over(tmp_path):
    made = plan(
        tmp_path,
        "x-data: &data {source: json, data_files: /d.json}\n"
        "controls:\n  dataset:\n    <<: *data\n    packed: false\n",
    )
    dataset = made.runs[0].config["dataset"]
    assert (dataset["data_files"], dataset["packed"]) == ("/d.json", False)


@pytest.mark.parametrize(
    "text",
    [
        'variables: {lora_rank: ["8", "16"]}',
        'controls: {learning_rate: "3e-4"}',
        'controls: {max_steps_per_epoch: "10"}',
        'controls: {shuffle: "true"}',
        'controls: {optimizer.eps: "1e-8"}',
    ],
)
def test_a_number_in_quotes_is_told_to_drop_them(tmp_path, text):
    with pytest.raises(ConfigError, match="drop the quotes"):
        plan(tmp_path, text + "\n")


@pytest.mark.parametrize("key", ["experiment_name: ", "output: {experiment_name: "])
@pytest.mark.parametrize("name", ["a" * 300, "é" * 120])
def test_a_name_too_long_for_a_folder_is_an_error(tmp_path, key, name):
    file = tmp_path / "e.yaml"
    first = "" if key.startswith("experiment") else "experiment_name: x\n"
    file.write_text(f"{first}base_config: {BASE}\n{key}{name}{'}' if '{' in key else ''}\n")
    with pytest.raises(ConfigError, match="bytes; at most 200"):
        build_plan(file)


def test_code_of_data_sets_is_warned_of():
    pytest.importorskip("datasets", reason="what a loader takes is read from its source")
    controls = {"dataset": {"source": "x/y", "trust_remote_code": True}}
    made = build_plan({"experiment_name": "x", "base_config": BASE, "controls": controls})
    assert "ignores trust_remote_code" in said(made)


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "torchtune_config_writer"],
        [sys.executable, "torchtune_config_writer.py"],
    ],
)
def test_a_file_alone_means_generate(command, tmp_path):
    file = tmp_path / "experiment.yaml"
    file.write_text(f"experiment_name: x\nbase_config: {BASE}\n")
    words = [*command, str(file), "-o", str(tmp_path / "out"), "--no-validate"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "✓ Generated 1 config in " in done.stderr
    assert (tmp_path / "out" / "configs" / "run_000.yaml").is_file()
