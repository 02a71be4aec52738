"""`group.json` and `jobs.jsonl`: those of the release before load, and damaged ones are told."""

import json
import shutil
from pathlib import Path

import pytest

from olmix.config import SlurmInfra
from olmix.config.infra import InfraConfig
from olmix.errors import DataError
from olmix.records.group import (
    JOBS_FILE,
    GroupRecord,
    Job,
    add_job,
    read_group_record,
    read_jobs,
    write_group_record,
    write_launch_note,
)

GOLDEN = Path(__file__).parent / "golden" / "first"
"""Written by the release before groups were records."""


def test_a_group_of_the_release_before_loads_and_is_written_as_it_was(tmp_path):
    record = read_group_record(GOLDEN)
    assert record.group_id == "first"
    assert [run.name for run in record.runs] == ["a-0000", "a-0001"]
    assert record.runs[1].num_tokens == 100
    assert record.runs[0].mix["b"]["weight"] == 0.75
    infra = InfraConfig.from_dict({"infra": record.infra}, kept=True).infra
    assert isinstance(infra, SlurmInfra)
    assert (infra.num_gpus, infra.modules, infra.setup) == (1, ("cuda",), "export A=1\n")
    (tmp_path / "first").mkdir()
    write_group_record(tmp_path / "first", record)
    written = json.loads((tmp_path / "first" / "group.json").read_text())
    assert written == json.loads((GOLDEN / "group.json").read_text())
    assert read_group_record(tmp_path / "first") == record


def test_jobs_of_the_release_before_belong_to_the_group_of_their_folder():
    url = "file:///runs/my%20first/slurm/logs"
    assert read_jobs(GOLDEN) == [Job("17", ("a-0000", "a-0001"), url, "first")]


def test_the_note_beside_the_variants_has_names_and_no_mixtures(tmp_path):
    write_launch_note(GOLDEN, tmp_path, read_group_record(GOLDEN))
    note = read_group_record(tmp_path / "launch-first.json")
    assert note.folder == str(GOLDEN)
    assert [run.identity for run in note.runs] == ["0" * 16, "0" * 15 + "1"]
    assert {run.mix for run in note.runs} == {None}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"runs": [{"name": "../../victim"}]}, r'runs\[0\].name: found "../../victim"; .*folder'),
        ({"runs": [{"name": "/etc"}]}, r"runs\[0\].name"),
        ({"runs": [{"name": ".."}]}, r"runs\[0\].name"),
        ({"runs": [{"name": "a\nb"}]}, r"runs\[0\].name"),
        ({"runs": [{"name": 5}]}, r"runs\[0\].name: found 5; text is needed"),
        ({"runs": [{}]}, r"runs\[0\].name: this key is required"),
        ({"runs": ["a"]}, r"runs\[0\]"),
        ({"runs": {"a": 1}}, "runs: found"),
        ({"runs": None}, "runs: found null"),
        ({"runs": [{"name": "a", "num_tokens": -1}]}, "num_tokens"),
        ({"runs": [{"name": "a", "num_tokens": 10**400}]}, "num_tokens"),
        ({"runs": [{"name": "a", "num_tokens": float("nan")}]}, "num_tokens"),
        ({"runs": [{"name": "a", "mix": [1]}]}, "mix"),
        ({"infra": []}, "infra"),
        ({"packages": {"jax": 1}}, "packages"),
        ({"machine": None}, "machine"),
        ({"format": 2}, "format"),
        ({"format": float("inf")}, "format"),
    ],
)
def test_a_damaged_group_is_told_with_file_and_place(tmp_path, changes, said):
    plain = json.loads((GOLDEN / "group.json").read_text())
    (tmp_path / "group.json").write_text(json.dumps({**plain, **changes}))
    with pytest.raises(DataError, match=said) as error:
        read_group_record(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}/group.json: ")


@pytest.mark.parametrize(
    "text", ["", "{}", '{"other": 1}', "[]", "null", "3", "{", "[" * 3000, "\udcff", "9" * 5000]
)
def test_what_is_no_group_at_all_is_told(tmp_path, text):
    (tmp_path / "group.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"group\.json: "):
        read_group_record(tmp_path)


def test_of_many_problems_the_first_are_shown(tmp_path):
    (tmp_path / "group.json").write_text(json.dumps({"runs": [{"name": ".."}] * 1000}))
    with pytest.raises(DataError, match=r"\.\.\. and 995 more") as error:
        read_group_record(tmp_path)
    assert str(error.value).count("\n") == 5


def test_keys_of_later_releases_are_passed_over_and_missing_ones_are_empty(tmp_path):
    (tmp_path / "group.json").write_text('{"runs": [{"name": "a", "new": 1}], "newer": []}')
    record = read_group_record(tmp_path)
    assert record.runs[0].identity == ""
    assert record.machine == {}
    assert GroupRecord().runs == ()


def test_a_line_that_a_power_failure_cut_off_costs_one_job_alone(tmp_path, caplog):
    group = tmp_path.name
    add_job(tmp_path, Job("1", ("a",), group=group))
    with (tmp_path / JOBS_FILE).open("a") as file:
        file.write('{"id": "2", "ru')
    add_job(tmp_path, Job("3", ("c",), "u", group, "cluster"))
    assert read_jobs(tmp_path) == [
        Job("1", ("a",), group=group),
        Job("3", ("c",), "u", group, "cluster"),
    ]
    assert "line 2 is not a job" in caplog.text


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "--user=root", "runs": ["a"]}',
        '{"id": "-1", "runs": ["a"]}',
        '{"id": "1 2", "runs": ["a"]}',
        '{"id": ["1"], "runs": ["a"]}',
        '{"id": null, "runs": ["a"]}',
        '{"id": "1", "runs": "abc"}',
        '{"id": "1", "runs": ["../../victim"]}',
        '{"id": "1", "runs": [null]}',
        '{"id": "1", "runs": ["a"], "url": 5}',
        '{"id": "1", "runs": ["a"], "group": 5}',
        '{"id": "1"}',
        "[1]",
        "null",
        "[" * 5000,
        "9" * 5000,
        "\udcff",
    ],
)
def test_what_is_no_job_is_told_and_passed_over(tmp_path, caplog, line):
    good = '{"id": "7", "runs": ["a"]}'
    text = f"{line}\n{good}\n"
    (tmp_path / JOBS_FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert [job.id for job in read_jobs(tmp_path)] == ["7"]
    assert "line 1 is not a job" in caplog.text


def test_jobs_that_were_submitted_for_another_group_are_told_and_left_alone(tmp_path, caplog):
    folder = tmp_path / "mine"
    folder.mkdir()
    add_job(folder, Job("5", ("a",), group="theirs"))
    add_job(folder, Job("6", ("a",), group="mine"))
    assert [job.id for job in read_jobs(folder)] == ["6"]
    assert "line 1: job 5 belongs to the group theirs and is left alone" in caplog.text
    # A folder that was renamed still holds its own group.
    shutil.copytree(GOLDEN, tmp_path / "renamed")
    add_job(tmp_path / "renamed", Job("8", ("a",), group="first"))
    assert [job.id for job in read_jobs(tmp_path / "renamed")] == ["17", "8"]
