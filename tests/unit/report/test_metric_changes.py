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
    changes = metric_changes(found)
    (change,) = changes.rows
    assert changes.measured
    assert changes.scale == "bits per byte"
    assert change.share == pytest.approx(0.5 / 4)
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
    (change,) = metric_changes(found).rows
    assert change.gain == pytest.approx(0.2)
    assert change.kind == "better"


def test_a_change_within_its_error_is_unclear(content):
    found = replace(
        content,
        verification_rows=rows({"natural": [3.0, 4.0, 5.0], "proposed": [2.0, 4.5, 5.4]}),
        verification=replace(content.verification, metrics={"docs_bpb": {}}),
    )
    (change,) = metric_changes(found).rows
    assert change.kind == "unclear"


def test_the_objective_itself_is_no_cost(content):
    changes = metric_changes(content).rows
    assert len(content.objective.metrics) == 1
    assert content.objective.metrics[0].name not in {change.metric for change in changes}


def test_predictions_stand_in_where_nothing_was_measured(fit):
    content = replace(read_fit_folder(fit), verification=None)
    changes = metric_changes(content)
    assert not changes.measured
    assert {change.kind for change in changes.rows} <= {"better", "worse"}


def test_bars_of_metrics_without_a_common_unit_show_the_printed_per_cent(content):
    cells = {"natural": ("2.0", "10.0"), "proposed": ("2.2", "10.4")}
    found = replace(
        content,
        verification_rows=tuple(
            {"mixture": mixture, "seed": "1", "pile_loss": pile, "web_loss": web}
            for mixture, (pile, web) in cells.items()
        ),
        verification=replace(content.verification, metrics={"pile_loss": {}, "web_loss": {}}),
    )
    changes = metric_changes(found)
    assert changes.scale == "per cent of natural"
    assert [row.metric for row in changes.rows] == ["pile_loss", "web_loss"]
    assert [row.size for row in changes.rows] == pytest.approx([-0.1, -0.04])
