"""Fit folders to report on; those of a session are shared and never changed."""

from __future__ import annotations

import pytest

from olmix.report import write_report
from sample_fit import write_sample_fit

HOSTILE = {
    "docs": "<script>alert(1)</script>",
    "code": "a\"b'c & d",
    "scripture": "🎉 漢字",
    "cpp": "$x_1$",
    "stubs": "under_score",
    "math": "#0072b2",
    "unicode": "</svg><img src=x onerror=alert(1)>",
}
COMMANDS = ("olmix fit -c fit.yaml -o fit", "olmix verify --fit fit/latest -c launch.yaml")


@pytest.fixture
def fit(tmp_path):
    """Return a small fit folder of this test alone, without a report."""
    return write_sample_fit(tmp_path / "fit" / "abc", num_runs=8, num_domains=3, num_metrics=2)


@pytest.fixture
def no_figures(monkeypatch):
    """Leave the figures out, for tests of something else: they take most of the time."""
    monkeypatch.setattr("olmix.report.write.draw_figures", lambda *args: [])


@pytest.fixture(scope="session")
def reported(tmp_path_factory):
    """Return a fit folder with a report, verified, to look at only."""
    folder = tmp_path_factory.mktemp("sample") / "fit" / "abc"
    write_sample_fit(folder, num_runs=8, num_domains=4, num_metrics=3)
    write_report(folder, commands=COMMANDS)
    return folder


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    """Return a fit folder with a report over domains of hostile names, to look at only."""
    folder = tmp_path_factory.mktemp("hostile") / "fit" / "abc"
    write_sample_fit(folder, num_runs=6, num_metrics=3, rename=HOSTILE)
    write_report(folder, commands=("olmix fit -c '<b>.yaml' -o \"$HOME\" && echo </pre>",))
    return folder
