"""The notebook of docs/notebook.md, run as marimo runs it."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "csv_to_decision.py"
# In a process of its own, where marimo is imported too: it makes other libraries take the process
# for a notebook.
RUN = """
import json, runpy, sys
_, found = runpy.run_path(sys.argv[1])["app"].run()
print(json.dumps({
    "decision": found["decision"],
    "spearman": float(found["scores"].loc["networkx_bpb", "spearman"]),
    "total": float(found["mixtures"]["proposed"].sum()),
    "gain": found["best"].gain["mean"],
    "cost": float(found["costs"].loc["scripture_bpb", "change"]),
}))
"""


@pytest.mark.skipif(find_spec("marimo") is None, reason="the extra dev is not installed")
def test_the_notebook_goes_from_two_tables_to_a_decision():
    words = [sys.executable, "-c", RUN, str(NOTEBOOK)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["decision"] == "verify it"
    assert found["spearman"] > 0.8
    assert found["total"] == pytest.approx(1)
    assert found["gain"] == pytest.approx(0.25, abs=0.1)
    assert found["cost"] > 0.5
