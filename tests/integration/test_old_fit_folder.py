"""A fit folder of version 0.1 loads, predicts, and gets its report."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from olmix.cli.main import cli
from olmix.fit import load_fit
from olmix.records.fit.folder import read_fit_folder
from olmix.report import explain, write_report
from olmix.text.csv import read_table

GOLDEN = Path(__file__).parents[1] / "golden" / "fit_folder_0_1"


@pytest.fixture
def old(tmp_path, monkeypatch):
    """Return a folder that `olmix fit` and `olmix verify` of version 0.1 wrote."""
    shutil.copytree(GOLDEN, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "fit" / "golden"


def test_all_of_it_loads(old):
    found = read_fit_folder(old)
    assert found.problems == ()
    assert found.objective.weights == {"code_bpb": 0.5, "math_bpb": 0.25, "prose_bpb": 0.25}
    assert found.objective.unit == "bits per byte"
    assert found.verification.level == 0.95
    assert len(found.verification_rows) == 12
    assert found.front.families == ("programs", "prose")
    assert found.ternary.weights.shape[1] == 3
    assert found.effects.shape == found.evidence.shape == (3, 4)
    assert len(found.predictions["math_bpb"].runs) == 17
    assert found.run_facts["g-00"]["tokens"] == "160000"


def test_verify_and_report_mean_the_same_objective(old):
    """The objective of the rows of verification.csv is that of verification.json."""
    found = read_fit_folder(old)
    for row in found.verification_rows:
        measured = {name: float(row[name]) for name in found.objective.weights}
        seed = found.verification.seeds.index(int(row["seed"]))
        noted = found.verification.mixtures[row["mixture"]].values[seed]
        assert found.columns.value(found.objective, measured) == pytest.approx(noted, rel=1e-12)


def test_its_laws_predict_what_they_predicted(old):
    loaded = load_fit(old)
    found = read_fit_folder(old)
    names = [metric.name for metric in found.metrics]
    table = read_table("results/ratios.csv")
    predicted = loaded.predict(table.select(loaded.domains))
    for name in names:
        fitted = dict(
            zip(found.predictions[name].runs, found.predictions[name].fitted, strict=True)
        )
        ours = dict(zip(table.runs, predicted[name], strict=True))
        np.testing.assert_allclose([ours[run] for run in fitted], list(fitted.values()), rtol=1e-9)
    average = loaded.objective.average(predicted)
    assert average.shape == (18,)
    words = ["predict", "--fit", str(old), "--ratios", "results/ratios.csv", "-o", "out.csv"]
    assert not cli.main(words, standalone_mode=False)


def test_its_report_is_written_and_says_the_level_of_each_interval(old):
    page = write_report(old).read_text(encoding="utf-8")
    assert "measured ± standard error with 95 % intervals" in page
    assert "Predicted with 90 % intervals" in page
    assert "worse than natural by 0.123 ± 0.002 BPB" in page
    assert "The proposal" in [heading for heading, _ in explain(old)]
