"""Which figures are drawn, and what is said about them."""

from __future__ import annotations

import pytest

from olmix.records.fit.folder import read_fit_folder
from olmix.report.figures import draw_figures
from sample_fit import edit_json, write_sample_fit


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "fit" / "abc"
    write_sample_fit(folder, num_runs=6, num_domains=2, num_metrics=2)
    weights = {"objective/metrics": {"networkx_bpb": 1.0, "docs_bpb": 1.0}}
    edit_json(folder / "proposal.json", **weights, **{"objective/name": "average of all metrics"})
    content = read_fit_folder(folder)
    curves = {run: ([1.0, 2.0], [3.0, 2.0]) for run in content.runs}
    return {picture.file: picture for picture in draw_figures(content, curves)}


def test_an_average_is_drawn_before_its_metrics(pictures):
    fits = [picture for picture in pictures.values() if picture.group == "fits"]
    assert [fit.title for fit in fits] == [
        "Objective: average of all metrics",
        "networkx_bpb",
        "docs_bpb",
    ]


def test_captions_say_the_runs_the_split_the_seed_and_the_file(pictures):
    caption = pictures["networkx_bpb_log_weight_fit.png"].caption
    for words in ("6 runs", "5-fold cross-validation", "seed 0", "predictions.csv"):
        assert words in caption


def test_the_numbers_of_a_figure_are_in_its_text(pictures):
    svg = pictures["opt_avg_all_metrics_log_weight_optimal.png"].svg
    assert 'aria-label="Bar chart. Proposed: code 71.4 %, docs 28.6 %.' in svg


def test_curves_are_drawn_where_there_are_any(pictures):
    assert pictures["training.png"].group == "training"
    assert "Training loss against tokens of 6 runs." in pictures["training.png"].svg


def test_the_figure_of_the_worst_mixture_says_so(tmp_path):
    folder = tmp_path / "fit" / "abc"
    write_sample_fit(folder, num_runs=4, num_domains=2, num_metrics=1, verified=False)
    edit_json(folder / "proposal.json", worst=True)
    titles = [picture.title for picture in draw_figures(read_fit_folder(folder), {})]
    assert titles[0] == "Natural and worst mixture"
