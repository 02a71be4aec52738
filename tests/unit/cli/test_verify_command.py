"""What `olmix verify` reads and prints."""

import json
from pathlib import Path

import click
import pytest

from olmix.cli.main import cli
from olmix.cli.verify import show_verification
from olmix.errors import ConfigError, DataError
from olmix.records.fit.verification import read_verification
from olmix.text.files import write_json

GOLDEN = Path(__file__).parents[2] / "golden" / "fit_folder_0_1" / "fit" / "golden"


def test_gains_are_printed_in_the_words_of_the_page(capsys):
    show_verification(read_verification(GOLDEN), num_swarm_runs=18)
    shown = capsys.readouterr().out
    assert "Measured average of all metrics over 3 fresh seeds" in shown
    assert "best seen" in shown
    assert "+0.518 (+0.038 to +0.998)" in shown
    assert "−0.123 (−0." in shown
    assert "18 runs in the fit, 12 runs in the verification." in shown


def test_without_token_counts_the_natural_mixture_is_called_uniform_and_told_once(capsys):
    show_verification(read_verification(GOLDEN), 18, "uniform")
    shown = capsys.readouterr().out
    # The statement is that of the file, written by a release that did not know.
    assert "natural" not in shown.rpartition("The proposed mixture is")[0]
    assert shown.count("  uniform  ") >= 2


def _proposal(folder, metric="a_bpb"):
    shares = {"a": 0.5, "b": 0.3, "c": 0.2}
    other = {"a": 0.2, "b": 0.3, "c": 0.5}
    names = ("natural", "uniform", "best_seen")
    proposal = {
        "objective": {"name": metric, "lower_is_better": True, "metrics": {metric: 1.0}},
        "mixtures": {
            **{name: {"weights": shares} for name in names},
            "proposed": {"weights": other},
        },
        "gains": {},
        "reliable": True,
        "statement": "",
    }
    write_json(folder / "fit/proposal.json", proposal)
    law = {"log_linear": {}}
    entry = {"lower_is_better": True, "num_runs": 9, "objective_weight": 1.0}
    metrics = {metric: {**entry, "chosen": "log_linear", "candidates": law}}
    fit = {"domains": list("abc"), "metrics": metrics, "runs": {"used": ["r0"]}}
    write_json(folder / "fit/fit.json", fit)


def _verify(tiny, *words):
    words = ["verify", "--fit", "fit", "-c", str(tiny.launch), "-o", "runs", *words]
    return cli.main(words, standalone_mode=False)


def test_a_ladder_is_priced_size_by_size_before_anything_starts(tiny, monkeypatch, capsys):
    monkeypatch.chdir(tiny.folder)
    _proposal(tiny.folder)
    assert _verify(tiny, "--seeds", "3", "--scales", "4,1", "--dry-run") == 0
    said = capsys.readouterr().err
    # Natural and proposed with 3 seeds, at 6,400 and at 25,600 tokens.
    assert said.index("6 runs, 38,400 tokens") < said.index("6 runs, 153,600 tokens")
    assert "nothing was started" in said
    assert not (tiny.folder / "runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "16"], "need --scales"),
        (["--all"], "need --scales"),
        (["--scales", "1,x"], "numbers with commas"),
        (["--scales", "1,1"], "different numbers above 0"),
        (["--scales", "1", "--target", "16"], "needs two --scales"),
        (["--scales", "1,4", "--target", "2"], "must be above 4"),
        (["--scales", "1,4", "--target", "20K"], "must be above 4"),
        (["--scales", "1,4", "--target", "far"], "a multiple such as 64, or tokens such as 10B"),
    ],
)
def test_ladders_that_make_no_sense_are_refused(tiny, monkeypatch, words, said):
    monkeypatch.chdir(tiny.folder)
    _proposal(tiny.folder)
    with pytest.raises((ConfigError, click.UsageError), match=said):
        _verify(tiny, *words, "--dry-run")


def test_nothing_is_trained_where_the_objective_cannot_be_measured(tiny, monkeypatch):
    monkeypatch.chdir(tiny.folder)
    shares = {"a": 0.5, "b": 0.3, "c": 0.2}
    names = ("natural", "uniform", "best_seen", "proposed")
    proposal = {
        "objective": {"name": "arc", "lower_is_better": False, "metrics": {"arc": 1.0}},
        "mixtures": {name: {"weights": shares} for name in names},
        "gains": {},
        "reliable": True,
        "statement": "",
    }
    write_json(tiny.folder / "fit/proposal.json", proposal)
    words = ["verify", "--fit", "fit", "-c", str(tiny.launch), "-o", "runs", "--yes"]
    with pytest.raises(DataError, match="needs arc, which the trainer of .* does not measure"):
        cli.main(words, standalone_mode=False)
    assert not (tiny.folder / "runs").exists()
    assert json.loads((tiny.folder / "fit/proposal.json").read_text()) == proposal


def test_another_evaluation_set_than_that_of_the_swarm_is_refused(tiny, monkeypatch):
    monkeypatch.chdir(tiny.folder)
    _proposal(tiny.folder)
    file = tiny.folder / "fit/fit.json"
    fit = json.loads(file.read_text())
    identity = {"a_bpb": {"definition": "bits per byte of the first 9 tokens"}}
    write_json(file, {**fit, "measured_with": identity})
    with pytest.raises(DataError, match=r"a_bpb: the swarm of .*fit and the config .*first 9 "):
        _verify(tiny, "--seeds", "3", "--dry-run")
