"""The example of a trainer of one's own, by the commands of its page."""

import csv
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from olmix.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder like the repository's root after `olmix prepare`, with small data."""
    for name in ("examples/own_trainer", "configs/generations"):
        shutil.copytree(ROOT / name, tmp_path / name)
    rng = np.random.default_rng(0)
    for index, name in enumerate(("code", "docs", "math")):
        shares = rng.dirichlet(np.full(500, 0.1))
        for file, size in ((f"train/{name}/0.bin", 170_000), (f"validation/{name}.bin", 2000)):
            path = tmp_path / "data" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            (rng.choice(500, size, p=shares) + 100 * index).astype(np.uint16).tofile(path)
    monkeypatch.chdir(tmp_path)
    beside = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", beside, prepend=":")
    return tmp_path


def _commands():
    """Return the commands of the page, but for `olmix prepare`, whose data the fixture makes."""
    page = (ROOT / "docs" / "collect.md").read_text(encoding="utf-8")
    section = page.partition("## Your own trainer")[2]
    block = re.search(r"```bash\n(.*?)```", section, re.DOTALL)[1]
    return [shlex.split(line)[1:] for line in block.splitlines() if " prepare " not in line]


def test_the_commands_of_the_page_run_from_mixtures_to_a_proposal(work):
    for words in _commands():
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0, words
    assert (work / "fit/latest/report.html").is_file()
    with (work / "results/runs.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert {row["state"] for row in rows} == {"finished"}
    for row in rows:
        # Quotas are exact to a window.
        asked = float(row["asked:code"])
        assert float(row["trained:code"]) == pytest.approx(asked, abs=1.5 * 64 / 160_000)


def test_the_trainer_is_short():
    source = (ROOT / "examples/own_trainer/train.py").read_text(encoding="utf-8")
    body = source.split('"""', 2)[2]
    lines = [line for line in body.splitlines() if line and "import" not in line]
    assert len(lines) <= 20
