"""What `olmix verify` reads and prints."""

import json
from pathlib import Path

import pytest

from olmix.cli.main import cli
from olmix.cli.verify import show_verification
from olmix.errors import DataError
from olmix.records.fit.verification import read_verification
from olmix.text.files import write_json

GOLDEN = Path(__file__).parents[2] / "golden" / "fit_folder_0_1" / "fit" / "golden"


def test_gains_are_printed_in_the_words_of_the_page(capsys):
    show_verification(read_verification(GOLDEN), num_swarm_runs=18)
    shown = capsys.readouterr().out
    assert "Measured average of all metrics over 3 fresh seeds" in shown
    assert "best seen" in shown
    assert "+0.5179 (+0.0381 to +0.9978)" in shown
    assert "−0.1232 ± 0.00" in shown
    assert "18 runs in the fit, 12 runs in the verification." in shown


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
