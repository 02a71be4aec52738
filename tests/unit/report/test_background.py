"""What the run folders tell about how a fit came about."""

from __future__ import annotations

import json

import pytest

from olmix.records.fit.folder import read_fit_folder
from olmix.report.background import (
    find_manifest,
    find_runs,
    read_curves,
    read_data,
    read_facts,
    read_machine,
)
from olmix.text.files import write_json
from olmix.text.yaml import write_yaml


@pytest.fixture
def group(fit):
    """Write the group of runs that the swarm came from, where quickstart keeps it."""
    group = fit.parent.parent / "runs" / "1a2b3c4d"
    data = fit.parent.parent / "data"
    for run in read_fit_folder(fit).runs:
        folder = group / run
        config = {
            "training": {"trainer": "proxy", "d_model": 64, "max_tokens": 1000},
            "data": {"tokenizer": str(data / "tokenizer.json")},
        }
        write_yaml(folder / "config.yaml", config)
        lines = [{"tokens": 10, "loss": 3.0}, {"tokens": 20, "loss": 2.5}, {"metrics": {}}]
        (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    machine = {"cores": 2, "processor": "Nice", "host": "secret"}
    git = {"commit": "5b344692000e8f79", "dirty": True}
    packages = {"jax": "0.10"}
    runs = [{"name": "r-0"}]
    about = {"machine": machine, "git": git, "packages": packages, "runs": runs}
    write_json(group / "group.json", about)
    domains = {"docs": {"train_tokens": 12345}, "kept": {"train_tokens": 0, "held_out": True}}
    write_json(data / "manifest.json", {"format": 2, "fingerprint": "", "domains": domains})
    return group


def test_the_runs_are_found_beside_the_tables(fit, group):
    assert find_runs(read_fit_folder(fit), None) == group


def test_the_runs_are_found_beside_those_of_the_verification(fit, group, tmp_path):
    moved = tmp_path / "elsewhere"
    group.parent.rename(moved)
    content = read_fit_folder(fit)
    assert find_runs(content, None) is None
    assert find_runs(content, moved / "verify") == moved / group.name


def test_a_group_that_lacks_runs_is_not_taken(fit, group):
    content = read_fit_folder(fit)
    (group / content.runs[-1]).rename(group / "other")
    assert find_runs(content, None) is None


def test_curves_are_tokens_and_losses_of_the_runs_that_logged_them(group):
    assert read_curves(group, ["natural", "gone"]) == {"natural": ([10, 20], [3.0, 2.5])}


def test_what_is_no_number_is_no_point_of_a_curve(group):
    (group / "natural" / "metrics.jsonl").write_text(
        '{"tokens": "1.2M", "loss": 3}\n{"tokens": 10, "loss": null}\n{"tokens": 20, "loss": 2.5}\n'
    )
    assert read_curves(group, ["natural"]) == {"natural": ([20], [2.5])}


def test_the_machine_is_told_without_its_name(group, tmp_path):
    assert read_machine([tmp_path, group]) == {"processor": "Nice", "cores": "2"}
    assert read_machine([tmp_path]) is None


def test_the_proxy_model_and_the_code_are_told(group, tmp_path):
    facts = read_facts([group])
    assert facts["Proxy model"] == "trainer proxy, d_model 64, max_tokens 1000"
    assert facts["Code"] == "commit 5b344692000e, with changes"
    assert facts["Trained with"] == "jax 0.10"
    assert read_facts([tmp_path]) == {}


def test_the_tokens_of_each_domain_come_from_the_manifest(group, tmp_path):
    manifest = find_manifest([tmp_path, group])
    assert read_data(manifest) == (("docs", "12,345", False), ("kept", "0", True))
    assert read_data(None) == read_data(tmp_path / "none.json") == ()
