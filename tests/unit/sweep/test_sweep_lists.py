"""Dotted paths into the entries of a list, such as one of several data sets."""

import pytest

from olmix.sweep import TypeMismatchError, generate_configs, merge
from olmix.sweep.document import YamlDocument
from olmix.sweep.torchtune.registry import read_registry

BASE = "llama3_2/1B_lora_single_device"
LISTED = """\
dataset:  # two of them
  - _component_: torchtune.datasets.alpaca_dataset  # the first
    source: json  # where from
    data_files: /a.json
  - _component_: torchtune.datasets.alpaca_cleaned_dataset
names:
- q_proj  # queries
-   v_proj
nested:
  - - 1
    - -2
  - [3, 4]
z: 1
"""


def test_numbers_go_into_a_list_and_leave_its_other_entries():
    base = {"data": [{"source": "a", "split": "train"}, {"source": "b"}], "n": [1, 2]}
    merged = merge(base, {"data": {"0": {"source": "c"}, 1: {"field": "x"}}, "n": {"1": 5}})
    assert merged["data"] == [{"source": "c", "split": "train"}, {"source": "b", "field": "x"}]
    assert merged["n"] == [1, 5]
    assert base["data"][0]["source"] == "a"


def test_an_entry_that_is_not_there_and_one_of_another_type_are_errors():
    with pytest.raises(TypeMismatchError, match="data has 1 entries, numbered from 0 to 0"):
        merge({"data": [1]}, {"data": {"1": 2}})
    with pytest.raises(TypeMismatchError, match=r"data.0 is int in the base \(1\); found text"):
        merge({"data": [1]}, {"data": {"0": "x"}})


def test_a_list_is_changed_in_its_own_text():
    document = YamlDocument(LISTED, "base")
    wanted = YamlDocument(LISTED, "base").data
    wanted["dataset"][0]["source"] = "csv"
    wanted["dataset"][1]["split"] = "test"
    wanted["names"][1] = "k_proj"
    wanted["nested"][0][1] = 9
    text = document.render(wanted)
    assert YamlDocument(text, "new").data == wanted
    for line in (
        "dataset:  # two of them",
        "    source: csv  # where from",
        "    split: test",
        "- q_proj  # queries",
        "- k_proj",
        "    - 9",
        "  - [3, 4]",
    ):
        assert line in text.splitlines()


def test_a_variable_may_be_a_path_into_a_list(tmp_path):
    mine = tmp_path / "mine.yaml"
    text = read_registry().configs[BASE].path.read_text()
    start, end = text.index("dataset:\n"), text.index("seed: null")
    listed = LISTED[: LISTED.index("names:")]
    mine.write_text(text[:start] + listed + text[end:])
    made = {
        "experiment_name": "lists",
        "base_config_file": str(mine),
        "recipe": "lora_finetune_single_device",
        "variables": {"dataset.0.data_files": ["/a.json", "/b.json"]},
        "controls": {"dataset": {1: {"packed": False}}},
    }
    result = generate_configs(made, tmp_path / "out", validator="none")
    found = YamlDocument(result.configs[1].read_text(), "run").data["dataset"]
    assert found[0]["data_files"] == "/b.json"
    assert found[1]["packed"] is False
    made["variables"] = {"dataset.0.data_fils": ["/a.json"]}
    with pytest.raises(Exception, match="takes no argument `data_fils`; did you mean") as error:
        generate_configs(made, tmp_path / "never", validator="none")
    assert "dataset.0.data_fils" in str(error.value)
