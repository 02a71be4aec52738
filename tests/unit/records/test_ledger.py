"""What the proposals of a study promised, and what was measured of them."""

from dataclasses import replace

import pytest

from olmix.errors import DataError
from olmix.records.fit.ledger import (
    LEDGER,
    LedgerEntry,
    add_entry,
    ledger_statement,
    of_objective,
    read_ledger,
)
from olmix.records.fit.proposal import Gain, PredictedGain
from olmix.records.fit.verification import MeanAndError
from olmix.records.metric_identity import MetricIdentity

ENTRY = LedgerEntry(
    fit="abc",
    group="verify-1",
    metric="networkx_bpb",
    lower_is_better=True,
    unit="bits per byte",
    laws={"networkx_bpb": "gp_sqrt"},
    num_runs=32,
    num_tokens=100_000,
    seeds=(2000, 2001, 2002),
    promise=2.5,
    truth=MeanAndError(2.52, 0.01),
    optimism=0.02,
    promised_gain=PredictedGain(0.1, 0.02, 0.06, 0.14, 0.99),
    measured_gain=Gain(0.08, 0.01, 0.05, 0.11),
)


def test_lines_are_added_and_the_same_verification_replaces_its_own(tmp_path):
    folder = tmp_path / "fit" / "abc"
    folder.mkdir(parents=True)
    assert read_ledger(folder) == ()
    other = replace(ENTRY, group="verify-2", num_parameters=12_000)
    add_entry(folder, ENTRY)
    add_entry(folder, other)
    add_entry(folder, replace(ENTRY, optimism=0.03))
    assert read_ledger(folder) == (other, replace(ENTRY, optimism=0.03))


def test_all_fits_of_a_study_share_one_ledger_and_latest_is_one_of_them(tmp_path):
    for name in ("abc", "def"):
        (tmp_path / name).mkdir()
    (tmp_path / "latest").symlink_to("abc")
    add_entry(tmp_path / "latest", ENTRY)
    assert read_ledger(tmp_path / "def") == (ENTRY,)


def test_a_line_that_is_none_is_named(tmp_path):
    folder = tmp_path / "abc"
    folder.mkdir()
    add_entry(folder, ENTRY)
    with (tmp_path / LEDGER).open("a") as file:
        file.write('{"fit": 3}\n')
    with pytest.raises(DataError, match=r"ledger.jsonl, line 2: .*fit"):
        read_ledger(folder)


def test_promises_of_the_same_objective_are_told_with_what_came():
    other = replace(ENTRY, group="v2", optimism=-0.01, measured_gain=Gain(0.12, 0.02))
    measured = {"networkx_bpb": MetricIdentity(evaluation="1f")}
    otherwise = replace(ENTRY, measured_with={"networkx_bpb": MetricIdentity(evaluation="2e")})
    entries = [ENTRY, other, replace(ENTRY, metric="arc"), otherwise]
    said = ledger_statement(of_objective(entries, "networkx_bpb", measured))
    assert "2 proposals" in said
    assert "+0.1000 promised and +0.080 ± 0.010 measured" in said
    assert "+0.0050 on average" in said
    assert ledger_statement(of_objective([ENTRY], "arc", measured)) == ""
