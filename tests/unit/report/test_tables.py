"""The tables of the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from olmix.records.fit.folder import read_fit_folder
from olmix.records.metric import Metric, Objective
from olmix.report.runs import runs_table, verification_table
from olmix.report.tables import domain_rows, gain_rows, law_rows, other_metrics, seed_rows
from sample_fit import edit_json


@pytest.fixture
def content(fit):
    return read_fit_folder(fit)


def test_domains_are_sorted_by_their_natural_share(content):
    rows = domain_rows(content)
    assert [row.domain for row in rows] == ["docs", "code", "scripture"]
    assert rows[0].change.startswith("−")
    assert rows[1].ratio.endswith("×")


def test_a_domain_with_a_natural_share_of_0_has_no_ratio(fit):
    edit_json(fit / "proposal.json", **{"mixtures/natural/weights/docs": 0.0})
    row = domain_rows(read_fit_folder(fit))[-1]
    assert (row.domain, row.ratio) == ("docs", "–")


def test_gains_that_were_not_measured_are_unknown(content):
    rows = gain_rows(replace(content, verification=None))
    assert {row.measured for row in rows} == {"–"}
    assert [row.over for row in rows] == ["natural", "uniform", "best seen"]


def test_every_seed_is_a_number(content):
    rows = seed_rows(content)
    assert [row.mixture for row in rows] == ["natural", "uniform", "best seen", "proposed"]
    assert all(len(row.values) == 5 and "±" in row.mean for row in rows)


def test_a_mixture_without_a_metric_is_unknown_there(content):
    assert other_metrics(content, ["natural", "gone"])[0][1][1] == "–"


def test_one_law_of_a_metric_is_the_chosen_one(content):
    assert [row.is_chosen for row in law_rows(content.metrics[0])].count(True) == 1


def test_every_run_is_a_row_and_the_best_is_first(content):
    table = runs_table(content)
    assert len(table.rows) == len(content.runs)
    assert [row.is_best for row in table.rows] == [True] + [False] * (len(table.rows) - 1)
    names = [column.name for column in table.columns]
    assert names == ["seed", "networkx_bpb", "docs %", "code %", "scripture %", "docs_bpb"]
    assert all(len(row.cells) == len(names) for row in table.rows)


def test_the_best_run_has_the_highest_value_where_higher_is_better(content):
    (metric,) = content.objective.metrics
    turned = Objective.build([replace(metric, lower_is_better=False)])
    rows = runs_table(replace(content, objective=turned)).rows
    values = [float(row.cells[1].value) for row in rows]
    assert values == sorted(values, reverse=True)


def test_an_average_has_a_column_of_its_own(content):
    both = Objective.build([Metric(metric.name) for metric in content.metrics])
    table = runs_table(replace(content, objective=both))
    assert [column.name for column in table.columns][1] == "objective"
    cells = table.rows[0].cells
    mean = (float(cells[-2].value) + float(cells[-1].value)) / 2
    assert float(cells[1].value) == pytest.approx(mean)


def test_runs_are_shown_without_weights_where_the_table_is_gone(fit):
    (fit.parent / "results" / "ratios.csv").unlink()
    table = runs_table(read_fit_folder(fit))
    assert not [column for column in table.columns if column.kind == "weight"]


def test_the_runs_of_the_verification_are_all_mixtures_with_all_seeds(content):
    table = verification_table(content)
    assert len(table.rows) == 20
    assert [column.name for column in table.columns][:2] == ["seed", "networkx_bpb"]
    assert verification_table(replace(content, verification=None)) is None
