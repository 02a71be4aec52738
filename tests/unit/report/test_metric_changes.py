"""What a proposal does to the other metrics: paired, in the direction of each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from olmix.records.fit.folder import read_fit_folder
from olmix.report.metric_changes import metric_changes


@pytest.fixture
def content(fit):
    return read_fit_folder(fit)


def rows(values):
    """Return rows of verification.csv: {mixture: [value of each seed]}."""
    return tuple(
        {"mixture": mixture, "seed": str(seed), "docs_bpb": str(value)}
        for mixture, column in values.items()
        for seed, value in enumerate(column)
    )


def test_a_measured_change_is_paired_by_seed(content):
    found = replace(
        content,
        verification_rows=rows({"natural": [3.0, 4.0, 5.0], "proposed": [2.5, 3.6, 4.4]}),
        verification=replace(content.verification, metrics={"docs_bpb": {}}),
    )
    measured, (change,) = metric_changes(found)
    assert measured
    assert change.gain == pytest.approx(0.5)
    assert change.std_error == pytest.approx(0.1 / 3**0.5)
    assert change.kind == "better"


def test_higher_is_better_where_the_fit_says_so(content):
    name = content.metrics[1].name
    higher = replace(content.metrics[1], lower_is_better=False)
    cells = {"natural": ["0.3", "0.4"], "proposed": ["0.5", "0.6"]}
    found = replace(
        content,
        metrics=(content.metrics[0], higher),
        verification_rows=tuple(
            {"mixture": mixture, "seed": str(seed), name: value}
            for mixture, column in cells.items()
            for seed, value in enumerate(column)
        ),
        verification=replace(content.verification, metrics={name: {}}),
    )
    _, (change,) = metric_changes(found)
    assert change.gain == pytest.approx(0.2)
    assert change.kind == "better"


def test_a_change_within_its_error_is_unclear(content):
    found = replace(
        content,
        verification_rows=rows({"natural": [3.0, 4.0, 5.0], "proposed": [2.0, 4.5, 5.4]}),
        verification=replace(content.verification, metrics={"docs_bpb": {}}),
    )
    _, (change,) = metric_changes(found)
    assert change.kind == "unclear"


def test_the_objective_itself_is_no_cost(content):
    _, changes = metric_changes(content)
    assert len(content.objective.metrics) == 1
    assert content.objective.metrics[0].name not in {change.metric for change in changes}


def test_predictions_stand_in_where_nothing_was_measured(fit):
    content = replace(read_fit_folder(fit), verification=None)
    measured, changes = metric_changes(content)
    assert not measured
    assert {change.kind for change in changes} <= {"better", "worse"}
