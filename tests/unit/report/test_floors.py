"""Floors in words: what was asked, what comes closest, and what a verification found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from olmix.records.fit.folder import read_fit_folder
from olmix.report.floors import Floors, read_floors
from olmix.text.files import write_json


@pytest.fixture
def content(fit):
    """A fit with a floor of 5 % for all, of which docs comes closest to its own."""
    at = {
        "docs_bpb": {"natural": 2.0, "proposed": 2.1},
        "code_bpb": {"natural": 2.0, "proposed": 1.9},
    }
    metrics = {
        name: {
            "predicted": mixtures["proposed"],
            "cv_rmse": 0.1,
            "law": "log_linear",
            "mixtures": mixtures,
        }
        for name, mixtures in at.items()
    }
    write_json(
        fit / "predicted_performance.json", {"format": 1, "objective": "x", "metrics": metrics}
    )
    found = read_fit_folder(fit)
    settings = replace(found.settings, proposer=replace(found.settings.proposer, floors="5 %"))
    proposal = replace(found.proposal, floors={"docs_bpb": 2.1, "code_bpb": 2.1})
    return replace(found, settings=settings, proposal=proposal, verification=None)


def test_floors_are_told_with_the_metric_that_reached_its_own(content):
    assert read_floors(content, {"docs_bpb": "docs"}).words == (
        "all metrics at most 5 % worse, for mean predictions; closest: docs, 5.0 % worse (reached)"
    )


def test_without_floors_nothing_is_told(content):
    assert (
        read_floors(replace(content, proposal=replace(content.proposal, floors={})), {}) == Floors()
    )


def test_a_metric_that_measured_beyond_its_floor_is_named(fit, content):
    found = read_fit_folder(fit)
    rows = tuple(
        {"mixture": mixture, "seed": "1", "docs_bpb": value}
        for mixture, value in (("natural", "2.0"), ("proposed", "2.2"))
    )
    measured = replace(
        content,
        verification=replace(found.verification, metrics={"docs_bpb": {}}),
        verification_rows=rows,
    )
    found = read_floors(measured, {})
    assert found.missed == "docs_bpb (10.0 % worse)"
    assert found.words.endswith(f"; measured beyond: {found.missed}")
    assert found.brief == ""
