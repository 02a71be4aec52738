"""Token files that change between launches, rounds and fits are named, with what to do."""

import json

import numpy as np
import pytest

from olmix.cli.main import main
from olmix.config import FitConfig, GenerationConfig, LaunchConfig
from olmix.generate import changes_since
from olmix.launch import describe_launch, identity_of, load_group, write_launch
from olmix.records.fingerprint import changed_contents, local_fingerprints
from olmix.records.run import RunFolder, Status
from olmix.text.files import write_json
from olmix.text.yaml import read_yaml, write_yaml
from train_fixtures import Project


def _olmix(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def _launched(project, group, shares):
    """A group as a launch leaves it, its runs finished."""
    folder = project.root / "variants" / group
    for index, share in enumerate(shares):
        plain = project.plain(name=f"{group}-{index}", weights=(share, 1 - share))
        folder.mkdir(parents=True, exist_ok=True)
        write_yaml(folder / f"{group}-{index}.yaml", {**plain, "group_id": group})
    loaded = load_group(folder)
    place = project.root / "runs" / group
    write_launch(
        place, loaded, describe_launch(loaded, {r.name: identity_of(r) for r in loaded.runs})
    )
    for run, share in zip(loaded.runs, shares, strict=True):
        done = RunFolder(place / run.name)
        write_yaml(done.config, run.to_plain())
        mix = {"code": share, "prose": 1 - share}
        metrics = {"target_bpb": 2.0 - share, "prose_bpb": 1.0 + share**2}
        write_json(done.summary, {"metrics": metrics, "weights": mix, "token_shares": mix})
        done.write_status(Status("finished", identity_of(run)))
    return place


def _change(project):
    """Tokenise the texts of one domain again."""
    np.arange(5000, dtype=np.uint16).tofile(project.code)


def test_a_launch_notes_what_its_domains_held(tmp_path):
    project = Project(tmp_path)
    place = _launched(project, "a", (0.2, 0.8))
    found = json.loads((place / "group.json").read_text())["fingerprints"]
    assert found == local_fingerprints(project.config().data)
    copy = json.loads((project.root / "variants/a/launch-a.json").read_text())
    assert copy["fingerprints"] == found


def test_files_that_are_not_here_have_no_fingerprint(tmp_path):
    project = Project(tmp_path)
    plain = project.plain()
    plain["data"]["sources"][0]["paths"] = ["s3://bucket/*.npy"]
    plain["data"]["sources"].append({"name": "gone", "paths": [str(tmp_path / "gone.bin")]})
    assert set(local_fingerprints(LaunchConfig.from_dict(plain).data)) == {"prose"}
    assert changed_contents({"a": "1"}, {"a": "1", "b": "2"}) == ()


def test_a_group_that_goes_on_with_other_files_is_told(tmp_path, capsys):
    project = Project(tmp_path)
    _launched(project, "a", (0.2, 0.8))
    words = ("launch", "run", "-v", project.root / "variants/a", "-o", project.root / "runs")
    assert _olmix(*words, "--dry-run", "--strict") == 0
    _change(project)
    capsys.readouterr()
    assert _olmix(*words, "--dry-run") == 0
    said = capsys.readouterr().err
    assert "warning: code: the token files as they are now are not those of the runs in" in said
    assert "prose" not in said
    assert _olmix(*words, "--dry-run", "--strict") == 2
    # A group whose runs were trained on both says so from then on.
    place = _launched(project, "a", (0.2, 0.8))
    assert json.loads((place / "group.json").read_text())["changed"] == ["code"]
    _olmix("collect", place, "-o", tmp_path / "out")
    assert "code: the token files of later runs in" in capsys.readouterr().err


def test_groups_on_other_files_are_joined_with_a_word(tmp_path, capsys):
    project = Project(tmp_path)
    first = _launched(project, "a", (0.1, 0.3, 0.5))
    _change(project)
    second = _launched(project, "b", (0.6, 0.8, 0.9))
    out = tmp_path / "out"
    assert _olmix("collect", first, second, "-o", out) == 0
    said = capsys.readouterr().err
    assert f"note: code: the token files of {second} are not those of the runs in {first}" in said
    assert "train the mixtures again" in said
    report = json.loads((out / "completeness.json").read_text())
    assert report["changed"] == ["code"]
    assert set(report["fingerprints"]) == {str(first), str(second)}
    kept = FitConfig.from_yaml(out / "fit.yaml").priors.fingerprints
    assert set(kept) == {"prose"}  # what is not the same for all runs has none
    assert _olmix("collect", first, second, "-o", tmp_path / "strict", "--strict") == 2
    assert not (tmp_path / "strict").exists()
    assert _olmix("collect", second, "-o", tmp_path / "one", "--strict") == 0


def test_tokens_counted_before_are_told_from_those_trained_on(tmp_path, capsys):
    project = Project(tmp_path)
    old = local_fingerprints(project.config().data)
    counts = {"token_counts": {"code": 6000, "prose": 4000}, "fingerprints": old}
    write_yaml(tmp_path / "priors.yaml", counts)
    _change(project)
    place = _launched(project, "a", (0.1, 0.3, 0.5))
    words = ("collect", place, "-o", tmp_path / "out", "--priors", tmp_path / "priors.yaml")
    assert _olmix(*words) == 0
    said = capsys.readouterr().err
    assert f"code: the token files that {tmp_path / 'priors.yaml'} counts are not those" in said


def test_a_fit_says_what_it_was_made_of_and_what_follows_it_is_compared(tmp_path, capsys):
    project = Project(tmp_path)
    place = _launched(project, "a", np.linspace(0.05, 0.95, 20).tolist())
    out = tmp_path / "out"
    assert _olmix("collect", place, "-o", out) == 0
    plain = read_yaml(out / "fit.yaml").data
    plain["regression"] = {"type": "log_linear", "num_folds": 2}
    write_yaml(out / "fit.yaml", plain)
    assert _olmix("fit", "-c", out / "fit.yaml", "-o", tmp_path / "fit") == 0
    latest = tmp_path / "fit" / "latest"
    now = local_fingerprints(project.config().data)
    assert json.loads((latest / "fit.json").read_text())["fingerprints"] == now
    section = project.plain()["data"]
    generation = {
        "data": section,
        "priors": {"token_counts": {"code": 6000, "prose": 4000}},
        "swarm": {"after": str(latest), "variants": 4},
        "max_tokens": 2560,
    }
    assert changes_since(GenerationConfig.from_dict(generation)) == []
    augment = {"augment": str(project.root / "variants/a"), "variants": 4}
    _change(project)
    (said,) = changes_since(GenerationConfig.from_dict(generation))
    assert said.startswith("code: the token files as they are now are not those of the runs of")
    (said,) = changes_since(GenerationConfig.from_dict({**generation, "swarm": augment}))
    assert "launch-a.json" in said
    write_yaml(tmp_path / "generation.yaml", generation)
    words = ("generate", "-c", tmp_path / "generation.yaml", "-o", tmp_path / "next")
    assert _olmix(*words, "--no-plots", "--strict") == 2
    assert not (tmp_path / "next").exists()
    launch = project.plain()
    del launch["mix"]
    write_yaml(tmp_path / "launch.yaml", launch)
    capsys.readouterr()
    assert _olmix("verify", "--fit", latest, "-c", tmp_path / "launch.yaml", "--strict") == 2
    assert "code: the token files as they are now are not those of the swarm" in (
        capsys.readouterr().err
    )
