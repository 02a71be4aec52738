"""Every folder that a run writes is its own, or it is an error."""

import shutil

import pytest
from sweep_studies import BASE

from olmix.sweep import ValidationError, build_plan, generate_configs
from olmix.sweep.document import YamlDocument
from olmix.sweep.status import read_states
from olmix.sweep.torchtune.registry import read_registry


def experiment(**sections):
    found = {"experiment_name": "study", "base_config": BASE, "variables": {"lora_rank": [8, 16]}}
    return found | sections


def folders(plan):
    return [plan.framework.folders(run.config) for run in plan.runs]


def assert_own(plan):
    """Each folder of each run is written by no other one."""
    owners = {}
    for number, found in enumerate(folders(plan)):
        for folder in found.values():
            assert owners.setdefault(folder, number) == number, folder


@pytest.mark.parametrize(
    "key", ["checkpointer.output_dir", "metric_logger.log_dir", "profiler.output_dir"]
)
def test_a_folder_set_for_all_runs_is_made_their_own_and_it_is_said(key):
    plan = build_plan(experiment(controls={key: "/shared/"}))
    assert_own(plan)
    path = tuple(key.split("."))
    assert [found[path] for found in folders(plan)] == ["/shared/run_000", "/shared/run_001"]
    assert any(f"share the {key} /shared" in finding.what for finding in plan.findings)


def test_a_base_that_names_its_folders_one_by_one_gives_each_run_its_own(tmp_path):
    text = read_registry().configs[BASE].path.read_text()
    assert text.count("  output_dir: ${output_dir}\n") == 1
    mine = tmp_path / "older.yaml"
    mine.write_text(text.replace("  output_dir: ${output_dir}\n", "  output_dir: /ckpt\n"))
    made = {"experiment_name": "x", "base_config_file": str(mine), "variables": {"seed": [1, 2]}}
    plan = build_plan(made)
    assert_own(plan)
    assert [run.config["checkpointer"]["output_dir"] for run in plan.runs] == [
        "/ckpt/run_000",
        "/ckpt/run_001",
    ]


def test_every_shipped_config_gives_each_run_its_own_folders():
    for name in read_registry().configs:
        made = {"experiment_name": "x", "base_config": name, "variables": {"seed": [1, 2]}}
        try:
            plan = build_plan(made)
        except ValidationError:
            continue  # a recipe that takes no seed
        assert_own(plan)


def test_folders_that_differ_in_writing_alone_are_the_same():
    plan = build_plan(experiment(variables={"output_dir": ["/r/x", "/r//x/", "/r/y/../x"]}))
    assert_own(plan)


def test_what_the_experiment_keeps_apart_is_left_as_it_is():
    plan = build_plan(experiment(controls={"checkpointer.output_dir": "/c/{lora_rank}"}))
    assert [run.config["checkpointer"]["output_dir"] for run in plan.runs] == ["/c/8", "/c/16"]


def test_a_folder_of_one_run_that_another_writes_under_another_key_is_an_error():
    paired = [{"output_dir": ["/a", "/b"], "checkpointer.output_dir": ["/b", "/c"]}]
    with pytest.raises(ValidationError, match="two runs write to /b"):
        build_plan(experiment(variables={}, paired=paired))


@pytest.mark.parametrize("place", ["/m", "/m/out", "/m/x/../out"])
def test_a_checkpointer_does_not_write_where_it_reads(place):
    controls = {"checkpointer.checkpoint_dir": "/m/", "output_dir": place}
    with pytest.raises(ValidationError, match=r"is in checkpointer\.checkpoint_dir"):
        build_plan(experiment(controls=controls))
    controls["output_dir"] = "/mm"
    assert len(build_plan(experiment(controls=controls)).runs) == 2


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("{top}/model", "../model/out"),
        ("{top}/model", "../link/out"),
        ("{top}", "runs"),
        ("../model", "{top}/model"),
        (".", "runs"),
    ],
)
def test_relative_folders_are_judged_from_the_folder_of_the_experiment(tmp_path, source, place):
    (tmp_path / "model").mkdir()
    (tmp_path / "link").symlink_to("model")
    controls = {
        "checkpointer.checkpoint_dir": source.format(top=tmp_path),
        "output_dir": place.format(top=tmp_path),
    }
    target = tmp_path / "study"
    with pytest.raises(ValidationError, match=r"is in checkpointer\.checkpoint_dir") as caught:
        generate_configs(experiment(controls=controls), target, validator="none")
    assert len(caught.value.problems) == 1
    assert not target.exists()
    controls["output_dir"] = "../elsewhere"
    controls["checkpointer.checkpoint_dir"] = str(tmp_path / "model")
    assert generate_configs(experiment(controls=controls), target, validator="none").is_valid


def test_status_looks_where_the_checkpoints_are(tmp_path):
    controls = {"checkpointer.output_dir": "saved", "output_dir": "runs"}
    folder = generate_configs(
        experiment(controls=controls), tmp_path / "out", validator="none"
    ).folder
    for number, place in enumerate(("saved", "runs")):
        epoch = folder / place / f"run_00{number}" / "epoch_0"
        epoch.mkdir(parents=True)
        (epoch / "model.pt").write_text("x")
    assert [state.state for state in read_states(folder)] == ["finished", "not started"]


def test_runs_keep_all_their_folders_when_others_come_and_go(tmp_path):
    def generate(*ranks):
        controls = {"checkpointer.output_dir": "/c", "output_dir": "/r"}
        made = experiment(controls=controls, variables={"lora_rank": list(ranks)})
        result = generate_configs(made, tmp_path / "out", validator="none")
        return {
            run.params["lora_rank"]: (
                run.output_dir,
                YamlDocument((result.folder / run.config).read_text(), "").data["checkpointer"][
                    "output_dir"
                ],
            )
            for run in result.runs
        }

    assert generate(2) == {2: ("/r", "/c")}
    assert generate(2, 4) == {2: ("/r", "/c"), 4: ("/r/run_001", "/c/run_001")}
    assert generate(4) == {4: ("/r/run_001", "/c/run_001")}
    assert generate(8, 4) == {4: ("/r/run_001", "/c/run_001"), 8: ("/r/run_002", "/c/run_002")}


def test_a_killed_generate_frees_no_id(tmp_path):
    def generate(*ranks):
        made = experiment(variables={"lora_rank": list(ranks)}, controls={"output_dir": "runs"})
        return generate_configs(made, tmp_path / "out", validator="none")

    first = generate(2, 4)
    # Killed between the mapping and the moving of configs: one is in no mapping any more.
    shutil.copy(first.configs[1], first.folder / "configs" / "run_002.yaml")
    # Killed before the configs: only the results of a run are left.
    (first.folder / "runs" / "run_004").mkdir(parents=True)
    second = generate(2, 16)
    assert [run.id for run in second.runs] == ["run_000", "run_005"]
    names = sorted(file.name for file in (first.folder / "configs").iterdir())
    assert names == ["run_000.yaml", "run_005.yaml"]
    assert (first.folder / "replaced" / "run_002.yaml").is_file()
