"""`olmix fit` as a command: its folder, its reuse, its refusals, and what a kill leaves."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fit_fixtures import log_linear, log_weight, plant
from olmix.cli.main import main
from olmix.config import LaunchConfig
from olmix.fit import fit_swarm, load_fit
from olmix.fit import pipeline as fitting
from olmix.mixture import Mixture
from olmix.text.files import read_json
from patience import STUCK_S

pytestmark = pytest.mark.filterwarnings("ignore:The set_bad:PendingDeprecationWarning")

TRUTHS = {"y": log_linear, "eval/z (BPB)": log_weight}


@pytest.fixture
def planted(tmp_path):
    return plant(tmp_path, TRUTHS, num=24, noise=0.1, replicates=3)


def _run(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    output = capsys.readouterr()
    return caught.value.code, output.out, output.err


def _fit(capsys, planted):
    return _run(capsys, "fit", "-c", planted.config_file, "-o", planted.folder / "fit")


def _no_nan(value):
    raise AssertionError(f"found {value}")


def _folders(planted):
    return sorted(entry.name for entry in (planted.folder / "fit").iterdir())


def test_the_folder_holds_everything_that_the_docs_promise(capsys, planted):
    status, out, _ = _fit(capsys, planted)
    assert status == 0
    folder = planted.folder / "fit" / "latest"
    promised = [
        "config.json",
        "fit.json",
        "models.json",
        "predictions.csv",
        *(f"interaction_matrix.{kind}" for kind in ("csv", "npy", "png")),
        *(f"interaction_matrix_signed_evidence.{kind}" for kind in ("csv", "npy", "png")),
        *(f"{name}.{kind}" for name in ("responses", "ternary") for kind in ("csv", "png")),
        "calibration.png",
        "path_to_regression_model.txt",
        "proposal.json",
        "predicted_performance.json",
        "mix.yaml",
        "report.html",
    ]
    fit = read_json(folder / "fit.json")
    for metric, stem in (("y", "y"), ("eval/z (BPB)", "eval_z_BPB")):
        law = fit["metrics"][metric]["chosen"]
        promised += [f"{stem}_{law}_fit.png", f"{stem}_{law}_correlations.json"]
        promised += [f"{stem}_{law}_optimal.json", f"{stem}_{law}_optimal.png"]
    label = read_json(folder / "proposal.json")["objective"]["law"]
    promised += [f"opt_avg_all_metrics_{label}_optimal.{kind}" for kind in ("json", "png")]
    missing = [name for name in promised if not (folder / name).is_file()]
    assert missing == []
    assert read_json(folder / "proposal.json")["statement"] in out.replace("\n", " ")


def test_the_content_of_the_files_is_that_of_the_docs(planted):
    result = fit_swarm(planted.config(), planted.folder / "fit")
    for file in result.folder.glob("*.json"):
        json.loads(file.read_text(), parse_constant=_no_nan)
    fit, proposal = (
        read_json(result.folder / "fit.json"),
        read_json(result.folder / "proposal.json"),
    )
    assert {"format", "domains", "metrics", "runs", "notes"} <= fit.keys()
    assert {"used", "names", "dropped"} <= fit["runs"].keys()
    for metric in fit["metrics"].values():
        wanted = "lower_is_better num_runs objective_weight chosen candidates noise_sd signal"
        assert {*wanted.split(), "signal_p_value"} <= metric.keys()
        for law in metric["candidates"].values():
            scores = {"spearman", "pearson", "r2", "rmse", "regret"}
            assert law["cv"].keys() == law["train"].keys() == scores
    wanted = "objective proposer kl_reg caps mixtures gains repetition reliable warnings statement"
    assert set(wanted.split()) <= proposal.keys()
    assert {"name", "lower_is_better", "metrics"} <= proposal["objective"].keys()
    assert set(proposal["mixtures"]) == {"natural", "uniform", "best_seen", "proposed"}
    for mixture in proposal["mixtures"].values():
        assert sum(mixture["weights"].values()) == pytest.approx(1.0, abs=1e-9)
        assert {"mean", "low", "high"} == mixture["predicted"].keys()
    assert {"run", "measured"} <= proposal["mixtures"]["best_seen"].keys()
    for gain in proposal["gains"].values():
        assert {"mean", "std_error", "low", "high", "probability"} == gain.keys()
    config = read_json(result.folder / "config.json")
    assert config["hash"] == result.folder.name
    assert {"data_hash", "versions", "regression", "priors"} <= config.keys()
    optimal = read_json(next(result.folder.glob("opt_avg_all_metrics_*_optimal.json")))
    assert {row["domain"]: row["weight"] for row in optimal} == proposal["mixtures"]["proposed"][
        "weights"
    ]


def test_a_table_of_accuracies_needs_directions_and_says_which_way_is_better(capsys, planted):
    planted.metrics = {"y_acc": planted.metrics["y"], "z": planted.metrics["eval/z (BPB)"]}
    status, _, err = _fit(capsys, planted.write())
    assert status == 2
    assert "y_acc: higher is better" in err
    assert "    lower_is_better:\n      y_acc: false\n" in err
    planted.settings |= {"lower_is_better": {"y_acc": False}, "regression": {"type": "log_linear"}}
    status, out, _ = _fit(capsys, planted.write())
    assert status == 0
    rows = {line.split()[0]: line.split()[1] for line in out.splitlines() if line.startswith("  ")}
    assert (rows["metric"], rows["y_acc"], rows["z"]) == ("better", "higher", "lower")


def test_a_metric_that_decides_alone_is_named_and_standardise_evens_it_out(capsys, planted):
    planted.metrics["y"] = [100.0 * value for value in planted.metrics["y"]]
    planted.settings["regression"] = {"type": "log_linear"}
    _, _, err = _fit(capsys, planted.write())
    assert "warning: y varies" in err.replace("\n", " ")
    planted.settings["standardise"] = True
    _, _, err = _fit(capsys, planted.write())
    assert "warning: y varies" not in err.replace("\n", " ")
    folder = planted.folder / "fit" / "latest"
    weights = read_json(folder / "proposal.json")["objective"]["metrics"]
    assert weights == {
        name: metric["objective_weight"]
        for name, metric in read_json(folder / "fit.json")["metrics"].items()
    }
    spread = {name: np.std(values) for name, values in planted.metrics.items()}
    assert weights["y"] * spread["y"] == pytest.approx(
        weights["eval/z (BPB)"] * spread["eval/z (BPB)"], rel=0.01
    )


def test_the_mix_file_can_be_put_into_a_launch_config(planted, tiny):
    limits = {"enabled": True, "target_tokens": 4_000_000, "repetition_factor": 2.0}
    result = fit_swarm(planted.config(constraints=limits), planted.folder / "fit")
    from olmix.text.yaml import read_yaml

    mix = Mixture.parse(read_yaml(result.folder / "mix.yaml").data["mix"])
    weights = result.proposal.weights("proposed")
    np.testing.assert_allclose(mix.weights(tuple("abcd")), list(weights.values()), atol=1e-12)
    plain = {**read_yaml(tiny.launch).data, "mix": mix.to_plain()}
    plain["data"]["sources"].append({"name": "d", "paths": ["a.bin"]})
    assert LaunchConfig.from_dict(plain).mix is not None


def test_the_same_fit_is_not_done_twice(capsys, planted, monkeypatch):
    assert _fit(capsys, planted)[0] == 0
    before = {
        file.name: file.read_bytes()
        for file in (planted.folder / "fit" / "latest").glob("*")
        if file.suffix in (".json", ".csv")
    }

    def refuse(*args):
        raise AssertionError("it was fitted again")

    monkeypatch.setattr(fitting, "_compute", refuse)
    status, _, err = _fit(capsys, planted)
    assert status == 0
    assert "nothing to fit" in err
    for name, content in before.items():
        assert (planted.folder / "fit" / "latest" / name).read_bytes() == content


def test_another_config_makes_another_folder_and_latest_follows(planted):
    output = planted.folder / "fit"
    one = fit_swarm(planted.config(), output)
    two = fit_swarm(planted.config(proposer={"kl_reg": 0.3}), output)
    assert one.folder != two.folder
    assert (output / "latest").resolve() == two.folder.resolve()
    again = fit_swarm(planted.config(), output)
    assert again.reused
    assert again.proposal == one.proposal
    assert (output / "latest").resolve() == one.folder.resolve()


def test_a_folder_that_lost_a_file_is_made_whole(planted):
    output = planted.folder / "fit"
    first = fit_swarm(planted.config(), output)
    content = (first.folder / "models.json").read_bytes()
    (first.folder / "models.json").unlink()
    again = fit_swarm(planted.config(), output)
    assert not again.reused
    assert (again.folder / "models.json").read_bytes() == content


def test_a_fit_without_a_proposal_has_none(capsys, planted):
    planted.settings["proposer"] = {"fit_only": True}
    planted.write()
    assert _fit(capsys, planted)[0] == 0
    folder = planted.folder / "fit" / "latest"
    assert not (folder / "proposal.json").exists()
    assert (folder / "report.html").is_file()
    assert load_fit(folder).metrics == ("eval/z (BPB)", "y")


def test_progress_ends_where_it_said(planted):
    steps = []
    fit_swarm(planted.config(), planted.folder / "fit", steps.append)
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert steps[-1].done == steps[-1].total


def test_a_fit_that_breaks_leaves_nothing(planted):
    def explode(progress):
        if "proposal" in progress.note:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fit_swarm(planted.config(), planted.folder / "fit", explode)
    assert _folders(planted) == []


def test_explain_says_in_words_what_was_decided(capsys, planted):
    config, output = planted.config_file, planted.folder / "fit"
    status, out, _ = _run(capsys, "fit", "-c", config, "-o", output, "--explain")
    assert status == 0
    for heading in ("What was asked", "The swarm and the laws", "The proposal"):
        assert f"\n{heading}\n  - " in out
    assert "proposer.kl_reg" in out.replace("\n    ", " ")


KILLED = """
import os, signal, sys
from olmix.config import FitConfig
from olmix.fit import fit_swarm
def on_progress(now):
    if now.note.startswith("best mixture"):
        os.kill(os.getpid(), signal.SIGKILL)
fit_swarm(FitConfig.from_yaml(sys.argv[1]), sys.argv[2], on_progress)
"""


def test_a_fit_that_is_killed_leaves_no_fit_and_the_next_one_does_it(planted):
    output = planted.folder / "fit"
    words = [sys.executable, "-c", KILLED, str(planted.config_file), str(output)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert [name for name in _folders(planted) if not name.startswith(".")] == []
    result = fit_swarm(planted.config(), output)
    assert not result.reused
    # What the killed one had begun is cleared away.
    assert _folders(planted) == sorted([result.folder.name, "latest"])


FITTED = """
import sys
from olmix.config import FitConfig
from olmix.fit import fit_swarm
fit_swarm(FitConfig.from_yaml(sys.argv[1]), sys.argv[2])
"""


def test_two_fits_at_the_same_time_do_not_disturb_each_other(planted):
    output = planted.folder / "fit"
    words = [sys.executable, "-c", FITTED, str(planted.config_file), str(output)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
        for _ in range(2)
    ]
    for process in both:
        _, err = process.communicate(timeout=STUCK_S)
        assert process.returncode == 0, err.decode()
    folder = output / "latest"
    alone = fit_swarm(planted.config(), planted.folder / "alone")
    for name in ("fit.json", "models.json", "proposal.json", "predictions.csv", "mix.yaml"):
        assert (folder / name).read_bytes() == (alone.folder / name).read_bytes()
    assert _folders(planted) == sorted([alone.folder.name, "latest"])


def test_an_output_that_is_a_file_is_refused(capsys, planted):
    (planted.folder / "fit").write_text("mine")
    status, _, err = _fit(capsys, planted)
    assert status == 2
    assert f"{planted.folder / 'fit'}: File exists" in err
    assert (planted.folder / "fit").read_text() == "mine"


def _table(planted, name, text):
    (planted.folder / name).write_text(text)


def _rows(planted, name):
    return (planted.folder / name).read_text().splitlines()


def _edit_row(planted, name, row, change):
    rows = _rows(planted, name)
    rows[row] = change(rows[row])
    _table(planted, name, "\n".join(rows) + "\n")


def _first_cell(text):
    return lambda row: ",".join([row.split(",")[0], text, *row.split(",")[2:]])


_NO_ID = "one column named `run`, `run_id` or `index` is needed; "

BAD_TABLES = {
    "no file": (
        lambda p: (p.folder / "ratios.csv").unlink(),
        ["ratios.csv: there is no such file"],
    ),
    "a folder": (
        lambda p: ((p.folder / "metrics.csv").unlink(), (p.folder / "metrics.csv").mkdir()),
        ["metrics.csv: cannot be read"],
    ),
    "an empty file": (
        lambda p: _table(p, "metrics.csv", ""),
        ["metrics.csv:1: " + _NO_ID + "found an empty file"],
    ),
    "a header alone": (
        lambda p: _table(p, "metrics.csv", "run,y\n"),
        ["metrics.csv: the table has no rows"],
    ),
    "no id": (
        lambda p: _edit_row(p, "ratios.csv", 0, lambda row: row.replace("run", "experiment")),
        ["ratios.csv:1: " + _NO_ID + "found experiment, a, b"],
    ),
    "two ids": (
        lambda p: _edit_row(p, "ratios.csv", 0, lambda row: row.replace("a,b", "run_id,b")),
        ["ratios.csv:1: " + _NO_ID + "found run, run_id"],
    ),
    "a column twice": (
        lambda p: _edit_row(p, "ratios.csv", 0, lambda row: row.replace("a,b", "b,b")),
        ["ratios.csv:1: the column b is given twice"],
    ),
    "a run twice": (
        lambda p: _edit_row(p, "metrics.csv", 2, lambda row: row.replace("r001", "r000")),
        ["metrics.csv: the run r000 is given twice"],
    ),
    "a run without a name": (
        lambda p: _edit_row(p, "metrics.csv", 2, lambda row: row.replace("r001", " ")),
        ["metrics.csv:3: the run is empty"],
    ),
    "a short row": (
        lambda p: _edit_row(p, "ratios.csv", 4, lambda row: row.rsplit(",", 2)[0]),
        ["ratios.csv:5: 3 cells; the header has 5"],
    ),
    "words, numbers of code and a short row at once": (
        lambda p: (
            _edit_row(p, "metrics.csv", 1, _first_cell("high")),
            _edit_row(p, "metrics.csv", 2, _first_cell("1_000")),
            _edit_row(p, "metrics.csv", 3, lambda row: "r002"),
        ),
        [
            "metrics.csv:2: y: found 'high'; a number is needed",
            "metrics.csv:3: y: found '1_000'; a number is needed",
            "metrics.csv:4: 1 cell; the header has 3",
        ],
    ),
    "bytes that are no text": (
        lambda p: (p.folder / "metrics.csv").write_bytes(b"run,y\n\xff\xfe,1\n"),
        ["metrics.csv: cannot be read"],
    ),
    "weights of all kinds": (
        lambda p: (
            _edit_row(p, "ratios.csv", 1, _first_cell("")),
            _edit_row(p, "ratios.csv", 2, _first_cell("-0.5")),
            _edit_row(p, "ratios.csv", 3, _first_cell("40")),
        ),
        [
            "ratios.csv: run r000: a is empty; write 0 for none",
            "ratios.csv: run r001: a is -0.5; a weight must not be negative",
            "ratios.csv: run r002: the weights add up to 40.",
        ],
    ),
    "other domains and other metrics at once": (
        lambda p: (
            _edit_row(p, "ratios.csv", 0, lambda row: row.replace("d", "e")),
            p.settings.update(filtering={"obj_weights": {"yy": 1}}),
        ),
        [
            "ratios.csv: its columns are not the domains of priors: the priors lack e; the table "
            "lacks d",
            "filtering.obj_weights: there is no metric yy; did you mean y?",
        ],
    ),
    "no common run": (
        lambda p: _table(p, "metrics.csv", "run,y\nx,1\nz,2\n"),
        ["have no run in common: the first starts with r000, the second with x"],
    ),
    "too few runs": (
        lambda p: _table(p, "metrics.csv", "\n".join(_rows(p, "metrics.csv")[:6]) + "\n"),
        ["y: 4 domains need at least 5 different mixtures; found 3"],
    ),
    "a metric that never changes": (
        lambda p: _table(p, "metrics.csv", "run,y\n" + "".join(f"{run},0.25\n" for run in p.runs)),
        ["y is 0.25 in every run, so nothing can be learned from it. Add it to filtering"],
    ),
    "no metric at all": (
        lambda p: _table(p, "metrics.csv", "run\n" + "".join(f"{run}\n" for run in p.runs)),
        ["metrics.csv:1: there is no column besides the run"],
    ),
    "empty metrics": (
        lambda p: _table(p, "metrics.csv", "run,y\n" + "".join(f"{run},\n" for run in p.runs)),
        ["metrics.csv: no run has any of the metrics"],
    ),
}


def _refused(capsys, planted, words):
    status, out, err = _fit(capsys, planted)
    assert status == 2
    assert "Traceback" not in out + err
    for text in words:
        assert text in err
    assert not (planted.folder / "fit").exists()


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_refused_in_words(capsys, planted, name):
    spoil, words = BAD_TABLES[name]
    spoil(planted)
    if planted.settings.get("filtering"):
        tables = [(planted.folder / f).read_text() for f in ("ratios.csv", "metrics.csv")]
        planted.write()
        for file, text in zip(("ratios.csv", "metrics.csv"), tables, strict=True):
            _table(planted, file, text)
    _refused(capsys, planted, words)


CAPS = {"enabled": True, "target_tokens": "4M"}
TASKS = {"type": "offline", "tasks": {"all": ["y"]}}
BAD_CONFIGS = {
    "an unknown section": ({"filters": {}}, ["filters: unknown key; did you mean `filtering`?"]),
    "no such law": (
        {"regression": {"type": "log_liner"}},
        ['regression.type: found "log_liner"; allowed:', "Did you mean `log_linear`?"],
    ),
    "a law that is not there yet": (
        {"regression": {"type": "forest"}},
        ["regression.type: found "],
    ),
    "one fold": ({"regression": {"num_folds": 1}}, ["regression.num_folds: found 1;"]),
    "exact without a convex law": (
        {"proposer": {"type": "exact"}, "regression": {"type": "gp"}},
        ["proposer.type: `exact` needs a convex law"],
    ),
    "a negative divergence": ({"proposer": {"kl_reg": -1.0}}, ["proposer.kl_reg: found -1.0;"]),
    "caps without a target": (
        {"constraints": {"enabled": True}},
        ["constraints.target_tokens: it is required where enabled is true"],
    ),
    "caps that nothing fits": (
        {"constraints": {**CAPS, "repetition_factor": 0.5}},
        [
            "0.5 passes over their tokens are only 0.5 of it",
            "Lower constraints.target_tokens to 2e+06, or raise constraints.repetition_factor to 1",
        ],
    ),
    "a pin above its cap": (
        {
            "constraints": {**CAPS, "repetition_factor": 1.5},
            "filtering": {"fixed_weight": {"b": 0.5}},
        },
        ["filtering.fixed_weight: b is pinned to 0.5, but 1.5 passes over its tokens are 0.375"],
    ),
    "pins above 1": (
        {"filtering": {"fixed_weight": {"a": 0.7, "b": 0.7}}},
        ["filtering.fixed_weight: the fixed weights add up to 1.4"],
    ),
    "unknown domains and several mistakes at once": (
        {
            "filtering": {"fixed_weight": {"q": 0.1}, "keep_sources": ["web"]},
            "proposer": {"temperature": 0.5},
        },
        [
            "the priors have no domain named q",
            "the priors have no source named web",
            "proposer.temperature: it is a setting of proposer.type simulation",
        ],
    ),
    "an unknown metric": (
        {"eval": {"type": "offline", "tasks": {"all": ["y", "eval/z"]}}},
        ["eval.tasks: there is no metric eval/z"],
    ),
    "a weight for an unknown metric": (
        {"eval": TASKS, "filtering": {"obj_weights": {"yy": 1.0}}},
        ["filtering.obj_weights.yy: eval.tasks has no such metric"],
    ),
    "no weight above 0": (
        {"filtering": {"obj_weights": {"y": 0.0, "eval/z (BPB)": 0.0}}},
        ["all weights are 0, so there is nothing to optimise"],
    ),
    "everything held out": (
        {"regression": {"n_test": 100}},
        ["different mixtures; found 0 besides 26 runs held out by regression.n_test"],
    ),
    "a filter that leaves no run": (
        {"filtering": {"support_domains": ["a"]}},
        ["ratios.csv: `filtering` leaves none of 26 runs"],
    ),
    "priors that are no counts": (
        {"priors": {"token_counts": {"a": "many", "b": 1, "c": 0, "d": 1}}},
        ['priors.token_counts.a: found "many"', "priors.token_counts.c: found 0;"],
    ),
    "no file of priors": ({"priors": "priors.yaml"}, ["olmix priors compute -c CONFIG -o"]),
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_a_bad_config_is_refused_in_words(capsys, planted, name):
    changes, words = BAD_CONFIGS[name]
    planted.settings |= changes
    planted.write()
    _refused(capsys, planted, words)


def test_a_config_that_is_not_there_or_not_yaml_is_refused(capsys, planted):
    planted.config_file.write_text("swarm: [\n")
    _refused(capsys, planted, ["fit.yaml", "not valid YAML"])
    planted.config_file.unlink()
    _refused(capsys, planted, ["fit.yaml: there is no such file"])


def test_the_tables_may_lie_anywhere_beside_the_config(capsys, planted, monkeypatch):
    monkeypatch.chdir(Path("/"))
    assert _fit(capsys, planted)[0] == 0
