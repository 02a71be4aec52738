"""From run folders to a proposal, without an edit in between."""

import numpy as np
import pytest

from olmix.cli.main import main
from olmix.config import FitConfig, LaunchConfig
from olmix.records.run import RunFolder, Status
from olmix.text.files import write_json
from olmix.text.yaml import write_yaml

DOMAINS = ("web", "code", "math")
SIZES = {"web": 3000, "code": 2000, "math": 1000}


def _launch(folder, name, weights):
    return LaunchConfig.from_dict(
        {
            "name": name,
            "training": {"trainer": "proxy"},
            "data": {
                "dtype": "uint16",
                "tokenizer": str(folder / "tokenizer.json"),
                "sources": [{"name": d, "paths": [str(folder / f"{d}.bin")]} for d in DOMAINS],
            },
            "eval": {"type": "validation", "paths": {"x": ["x.bin"], "y": ["y.bin"]}},
            "mix": dict(zip(DOMAINS, weights, strict=True)),
        }
    ).to_plain()


@pytest.fixture
def group(tmp_path):
    """A group of runs whose losses follow a log-linear law of their shares."""
    for domain, size in SIZES.items():
        np.zeros(size, dtype=np.uint16).tofile(tmp_path / f"{domain}.bin")
    rng = np.random.default_rng(0)
    entries = []
    for index, weights in enumerate(rng.dirichlet(np.ones(3), 24).tolist()):
        run = RunFolder(tmp_path / "runs" / "g" / f"r-{index:02}")
        shares = dict(zip(DOMAINS, weights, strict=True))
        noise = rng.normal(0, 0.002, 2)
        metrics = {
            "x_bpb": float(1 + np.exp(-1 - 2 * shares["code"]) + noise[0]),
            "y_bpb": float(1 + np.exp(-1 - shares["web"]) + noise[1]),
        }
        write_yaml(run.config, _launch(tmp_path, run.name, weights))
        summary = {"metrics": metrics, "weights": shares, "token_shares": shares, "seed": 0}
        write_json(run.summary, summary)
        run.write_status(Status("finished", "id"))
        entries.append({"name": run.name, "identity": "id", "seed": 0})
    write_json(tmp_path / "runs/g/group.json", {"runs": entries})
    return tmp_path / "runs/g"


def _olmix(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def test_a_fit_runs_on_what_was_collected_without_an_edit(group, tmp_path):
    out = tmp_path / "results"
    assert _olmix("collect", group, "-o", out, "--strict") == 0
    config = FitConfig.from_yaml(out / "fit.yaml")
    assert config.priors.token_counts == SIZES
    assert config.eval.metrics == ("x_bpb", "y_bpb")
    assert _olmix("fit", "-c", out / "fit.yaml", "-o", tmp_path / "fit") == 0
    assert (tmp_path / "fit/latest/report.html").is_file()


def test_priors_of_a_file_are_taken_for_the_fit_config(group, tmp_path):
    counts = {"code": 5, "math": 6, "web": 7, "other": 8}
    write_yaml(tmp_path / "priors.yaml", {"priors": {"token_counts": counts}})
    out = tmp_path / "results"
    assert _olmix("collect", group, "-o", out, "--priors", tmp_path / "priors.yaml") == 0
    assert FitConfig.from_yaml(out / "fit.yaml").priors.token_counts == {
        "web": 7,
        "code": 5,
        "math": 6,
    }


def test_strict_exits_with_1_and_names_the_run(group, tmp_path, capsys):
    RunFolder(group / "r-03").write_status(Status("failed", "id", error="no space left"))
    assert _olmix("collect", group, "-o", tmp_path / "results") == 0
    assert _olmix("collect", group, "-o", tmp_path / "results", "--strict") == 1
    assert "r-03 is not in the tables: no space left" in capsys.readouterr().err


def test_without_token_counts_the_tables_come_alone_and_say_why(group, tmp_path, capsys):
    (tmp_path / "web.bin").unlink()
    assert _olmix("collect", group, "-o", tmp_path / "results") == 0
    assert not (tmp_path / "results/fit.yaml").exists()
    assert "Pass --priors FILE" in capsys.readouterr().err


def test_priors_that_lack_a_domain_leave_the_tables_of_before(group, tmp_path):
    out = tmp_path / "results"
    assert _olmix("collect", group, "-o", out) == 0
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    for run in sorted(group.glob("r-*"))[:4]:
        (run / "status.json").unlink()
    write_yaml(tmp_path / "priors.yaml", {"token_counts": {"code": 5, "math": 6}})
    assert _olmix("collect", group, "-o", out, "--priors", tmp_path / "priors.yaml") == 2
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    new = tmp_path / "new"
    assert _olmix("collect", group, "-o", new, "--priors", tmp_path / "priors.yaml") == 2
    assert not new.exists()
