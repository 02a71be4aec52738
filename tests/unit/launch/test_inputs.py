"""Files that runs read are looked for before anything starts, all at once."""

import shutil

import pytest
from click.testing import CliRunner

from olmix.cli.main import cli
from olmix.config import CommandTraining
from olmix.errors import DataError
from olmix.launch import check_inputs, launch_local, load_group, missing_inputs, wild_rate
from olmix.text.yaml import read_yaml, write_yaml


@pytest.fixture
def broken(variants, tiny):
    """Return a group whose first two domains, an evaluation set and tokenizer are damaged."""
    run = load_group(variants.folder).runs[0]
    for name in run.data.domains[:2]:
        for path in run.data.paths_of(name):
            for file in tiny.folder.glob(str(path).removeprefix(f"{tiny.folder}/")):
                file.unlink()
    return load_group(variants.folder)


def test_nothing_is_missing_from_a_whole_swarm(variants):
    assert missing_inputs(load_group(variants.folder)) == []


def test_all_missing_files_are_named_at_once(broken, variants, tmp_path):
    first, second = broken.runs[0].data.domains[:2]
    with pytest.raises(DataError, match="no such file") as caught:
        check_inputs(broken)
    assert f"domain {first}:" in str(caught.value)
    assert f"domain {second}:" in str(caught.value)
    with pytest.raises(DataError, match=f"(?s)domain {first}:.*domain {second}:"):
        launch_local(broken, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_preview_of_a_launch_that_cannot_start_ends_with_2(broken, variants, tmp_path):
    here = CliRunner().invoke(cli, ["launch", "preview", "-v", str(variants.folder)])
    assert isinstance(here.exception, DataError)  # `main` makes it status 2
    assert str(here.exception).count("no such file") == 2
    assert "olmix.train.worker" in here.output
    ray = tmp_path / "ray.yaml"
    ray.write_text("infra: {backend: ray, address: auto}")
    there = CliRunner().invoke(
        cli, ["launch", "preview", "-v", str(variants.folder), "-c", str(ray)]
    )
    assert there.exit_code == 0, "a cluster may see what this machine does not"


def test_a_tokenizer_that_is_none_is_found(variants, tiny):
    group = load_group(variants.folder)
    shutil.copy(tiny.launch, group.runs[0].data.tokenizer)
    with pytest.raises(DataError, match=r"this is not a tokenizer.json"):
        check_inputs(group)


def test_domains_without_weight_and_files_of_commands_are_not_looked_for(broken):
    first, second = broken.runs[0].data.domains[:2]
    kept = [run for run in broken.runs if not {first, second} & _weighted(run)]
    assert missing_inputs(type(broken)("g", tuple(kept), broken.infra)) == []
    training = CommandTraining(command="train {run_dir}", max_tokens=100)
    runs = tuple(run.model_copy(update={"training": training}) for run in broken.runs)
    assert missing_inputs(type(broken)("g", runs, broken.infra)) == []


def _weighted(run):
    return {name for name, share in run.mix.to_plain().items() if share["weight"] > 0}


def test_a_learning_rate_that_cannot_be_meant_is_told(variants):
    assert wild_rate(load_group(variants.folder)) is None
    content = read_yaml(variants.files[2]).data
    content["training"]["learning_rate"] = 1e30
    write_yaml(variants.files[2], content)
    assert "learning_rate is 1e+30" in wild_rate(load_group(variants.folder))
    shown = CliRunner().invoke(cli, ["launch", "preview", "-v", str(variants.folder)])
    assert shown.exit_code == 0
