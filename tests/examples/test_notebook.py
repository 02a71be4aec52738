"""The notebook of docs/notebook.md, run as marimo runs it."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("marimo", reason="the extra dev is not installed")
NOTEBOOK = Path(__file__).parents[2] / "examples" / "csv_to_decision.py"
# marimo's own code, on this Python.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def test_the_notebook_goes_from_two_tables_to_a_decision():
    _, found = runpy.run_path(str(NOTEBOOK))["app"].run()
    assert found["decision"] == "verify it"
    assert found["scores"].loc["networkx_bpb", "spearman"] > 0.8
    assert found["mixtures"]["proposed"].sum() == pytest.approx(1)
    assert found["best"].gain["mean"] == pytest.approx(0.25, abs=0.1)
    assert found["costs"].loc["scripture_bpb", "change"] > 0.5
