"""`olmix generate` on the command line: the next round after a fit, and what `--inspect` says."""

import csv

import numpy as np
import pytest
import yaml

from fit_fixtures import log_weight, plant
from olmix.cli.main import main
from olmix.config import FitConfig
from olmix.fit import fit_swarm


def _run(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    output = capsys.readouterr()
    return caught.value.code, output.out, output.err


def _generation(folder, design="dirichlet", **source):
    config = {
        "name": "s",
        "data": {
            "sources": [{"name": n, "paths": ["x"], **(source if n == "a" else {})} for n in "abcd"]
        },
        "priors": {"token_counts": dict.fromkeys("abcd", 1000)},
        "swarm": {"variants": 20, "design": design},
        "max_tokens": 1000,
    }
    file = folder / "generation.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


def _rows(folder):
    with (folder / "swarm.csv").open() as lines:
        return list(csv.DictReader(lines))


def test_the_next_round_has_new_mixtures_alone_and_grows(capsys, tmp_path):
    planted = plant(tmp_path, {"y": log_weight})
    fit_swarm(planted.config(), tmp_path / "fit")
    words = (
        "generate",
        "-c",
        _generation(tmp_path, "optimal"),
        "-o",
        tmp_path / "round2",
        "--no-plots",
    )
    after = ("--after", tmp_path / "fit" / "latest")
    status, _, err = _run(capsys, *words, *after, "-n", 6)
    assert status == 0, err
    first = _rows(tmp_path / "round2")
    assert {row["kind"] for row in first} == {"sampled"}
    assert [row["mixture"] for row in first] == list("012345")
    weights = np.array([[float(row[name]) for name in "abcd"] for row in first])
    assert (np.abs(weights[:, None] - planted.mixtures[None]).max(axis=2) > 1e-4).all()
    status, _, err = _run(capsys, *words, *after, "-n", 9)
    assert status == 0, err
    assert "(6 were there before)" in err
    assert _rows(tmp_path / "round2")[:6] == first


def test_a_round_needs_no_config_beside_the_fit(capsys, tmp_path):
    """Domains, limits and pins are those of the fit; the variants are bare."""
    planted = plant(tmp_path, {"y": log_weight})
    config = planted.config().to_plain()
    first, last = "a", "d"
    config["priors"] = {"token_counts": dict.fromkeys("abcd", 100)}
    config["constraints"] = {"target_tokens": 1000, "repetition_factor": 4.0}
    config["filtering"] = {"fixed_weight": {last: 0.25}}
    fit_swarm(FitConfig.from_dict(config), tmp_path / "fit")
    words = ("generate", "--after", tmp_path / "fit" / "latest", "--no-plots")
    status, _, err = _run(capsys, *words, "-o", tmp_path / "more", "-n", 5)
    assert status == 0, err
    assert "with your own trainer" in err
    rows = _rows(tmp_path / "more")
    assert len(rows) == 5
    assert all(float(row[first]) <= 0.4 + 1e-9 for row in rows)
    assert all(float(row[last]) == pytest.approx(0.25) for row in rows)
    variant = yaml.safe_load(next((tmp_path / "more").glob("*.yaml")).read_text())
    assert set(variant) == {"name", "mix"}
    status, _, err = _run(capsys, *words, "-o", tmp_path / "other", "--base", "launch.yaml")
    assert (status, "--base needs '-c'" in err) == (2, True)


def test_scales_repeats_mixtures_of_the_fit(capsys, tmp_path):
    """The proposal and seven runs are written, to be trained at a larger size."""
    fit_swarm(plant(tmp_path, {"y": log_weight}).config(), tmp_path / "fit")
    words = ("generate", "-c", _generation(tmp_path), "-o", tmp_path / "larger", "--no-plots")
    status, _, err = _run(capsys, *words, "--scales", tmp_path / "fit" / "latest")
    assert status == 0, err
    assert len(list((tmp_path / "larger").glob("*.yaml"))) == 8
    assert [row["kind"] for row in _rows(tmp_path / "larger")] == ["sampled"] * 8


def test_a_folder_without_a_fit_is_named(capsys, tmp_path):
    words = ("-c", _generation(tmp_path), "-o", tmp_path / "out", "--after", tmp_path / "nofit")
    status, _, err = _run(capsys, "generate", *words)
    assert status == 2
    assert "nofit" in err


def test_inspecting_a_swarm_with_a_pin_raises_no_alarm(capsys, tmp_path):
    file = _generation(tmp_path, weight=0.2)
    status, _, err = _run(capsys, "generate", "-c", file, "-o", tmp_path / "out", "--no-plots")
    assert status == 0, err
    assert "of 3 free domains, rank 3" in err
    _, out, _ = _run(capsys, "generate", "--inspect", tmp_path / "out")
    assert "too low" not in out
    assert "3, 1 pinned" in out
    assert "of 12" in out
