"""The commands of the pages on launching, from nothing to tables: here, and on a private SLURM."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from private_slurm import DAEMONS, private_slurm

ROOT = Path(__file__).parents[2]
BESIDE = str(Path(sys.executable).parent)

pytestmark = pytest.mark.slow


def _commands(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    block = re.search(r"```bash\n(.*?)```", text, re.DOTALL)[1]
    return [line for line in block.splitlines() if not line.startswith("pip ")]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Data and variants, which the pages make in the same way."""
    folder = tmp_path_factory.mktemp("prepared")
    shutil.copytree(ROOT / "configs", folder / "configs")
    for line in _commands("launch_local.md")[:2]:
        _run(line, folder)
    return folder


def _run(line, folder, **variables):
    environment = {**os.environ, "PATH": f"{BESIDE}:{os.environ['PATH']}", **variables}
    return subprocess.run(
        line, shell=True, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )


def _check(folder):
    with (folder / "results/runs.csv").open() as lines:
        states = [row["state"] for row in csv.DictReader(lines)]
    assert states == ["finished"] * 20
    assert (folder / "results/ratios.csv").is_file()
    assert (folder / "results/metrics.csv").is_file()
    assert (folder / "fit/latest/report.html").is_file()


def test_the_commands_of_the_page_on_this_machine(prepared, tmp_path):
    folder = shutil.copytree(prepared, tmp_path / "here")
    for line in _commands("launch_local.md")[2:]:
        _run(line, folder)
    _check(folder)


@pytest.mark.skipif(
    os.geteuid() != 0 or any(shutil.which(name) is None for name in (*DAEMONS, "sbatch")),
    reason="a private SLURM needs root, slurm-wlm and munge",
)
def test_the_commands_of_the_page_on_slurm(prepared, tmp_path):
    folder = shutil.copytree(prepared, tmp_path / "there")
    lines = _commands("launch_slurm.md")
    assert lines[:2] == _commands("launch_local.md")[:2]
    with private_slurm(tmp_path / "private") as variables:
        for line in lines[2:]:
            done = _run(
                line.replace("--watch", "--watch --every 1"),
                folder,
                SLURM_CONF=variables["SLURM_CONF"],
            )
            if " preview " in line:
                assert "#SBATCH --array=0-19" in done.stdout
    _check(folder)
