"""What the suite says of tests that are skipped; hooks of pytest, taken up by `conftest.py`.

A test that lacks a real component (SLURM, a browser, a package) is skipped on a person's machine
and fails with CI=true: a CI that skips hides something. A reason that begins with `elsewhere: ` is
none of these: the test is for another kind of machine.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ELSEWHERE = "elsewhere: "
PACKAGES = Path(__file__).parents[1] / ".ci/packages.txt"


def _reason(longrepr: object) -> str:
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return text.removeprefix("Skipped: ")


def _is_lack(report: pytest.TestReport | pytest.CollectReport) -> bool:
    expected_to_fail = hasattr(report, "wasxfail")
    return (
        report.skipped
        and not expected_to_fail
        and not _reason(report.longrepr).startswith(ELSEWHERE)
    )


def _check(report):
    if os.environ.get("CI") == "true" and _is_lack(report):
        report.longrepr = f"with CI=true nothing is skipped: {_reason(report.longrepr)}"
        report.outcome = "failed"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Let a skipped test fail in CI."""
    return _check((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Let a module that is skipped as a whole fail in CI."""
    return _check((yield))


def pytest_terminal_summary(terminalreporter):
    """Say how to get what tests lack; `-ra` has named each of them with its reason."""
    lacking = [report for report in terminalreporter.stats.get("skipped", ()) if _is_lack(report)]
    if lacking:
        packages = " ".join(PACKAGES.read_text(encoding="utf-8").split())
        terminalreporter.write_line(
            f"{len(lacking)} skipped for what is not installed. Python packages: `make test` "
            f"installs them. Programs, on Debian: apt-get install {packages}"
        )
