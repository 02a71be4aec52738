"""Figures of single metrics: those of 12 by default, of all or of none where asked."""

import pytest

from fit_fixtures import log_linear, plant
from olmix.fit import fit_swarm
from olmix.report import write_report
from olmix.report.figures import MOST_METRICS

NUMBER = MOST_METRICS + 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("figures")
    planted = plant(place, {f"m{i:02d}": log_linear for i in range(NUMBER)}, num=12)
    config = planted.config(regression={"type": "search"}, proposer={"type": "search"})
    return fit_swarm(config, place / "fit").folder


def test_without_plots_the_page_is_written_and_no_figure(folder):
    page = write_report(folder, drawn="none")
    assert not list(folder.glob("*.png"))
    assert "m13" in page.read_text()


def test_the_first_metrics_have_figures_and_all_where_asked(folder):
    write_report(folder)
    assert len(list(folder.glob("m*_fit.png"))) == MOST_METRICS
    assert len(list(folder.glob("m*_optimal.png"))) == MOST_METRICS
    assert list(folder.glob("opt_avg_all_metrics_*_optimal.png"))
    write_report(folder, drawn="all")
    assert len(list(folder.glob("m*_fit.png"))) == NUMBER
