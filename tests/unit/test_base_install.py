"""The base install stays light: what it brings and weighs, and what works with nothing else."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
BASE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
EXPECTED = {
    *("annotated-types", "click", "markdown-it-py", "mdurl", "numpy", "psutil", "pydantic"),
    *("pydantic-core", "pygments", "pyyaml", "rich", "typing-extensions", "typing-inspection"),
}
MOST_BYTES = 120 * 10**6
"""Nearly all of it is NumPy with its linear algebra; SciPy alone would be as much again."""

ALONE = """
import sys
from importlib import metadata

allowed = {allowed}
owners = metadata.packages_distributions()

class Absent:
    def find_spec(self, name, path=None, target=None):
        found = owners.get(name.partition(".")[0])
        if found and not allowed & {{one.lower().replace("_", "-") for one in found}}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from olmix.cli.main import main
main(sys.argv[1:])
"""


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(requirements):
    """Return the distributions that these requirements bring, extras left out."""
    found, queue = set(), list(requirements)
    while queue:
        requirement = Requirement(queue.pop())
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        name = plain(requirement.name)
        if applies and name not in found:
            found.add(name)
            queue += metadata.requires(name) or []
    return found


def test_it_brings_these_packages_and_no_other():
    assert closure(BASE) <= EXPECTED


def test_it_weighs_little():
    files = (file for name in closure(BASE) for file in metadata.files(name) or ())
    size = sum(path.stat().st_size for file in files if (path := Path(file.locate())).is_file())
    assert 10**6 < size < MOST_BYTES


@pytest.fixture
def alone(tiny):
    def run(*words):
        program = ALONE.format(allowed={*EXPECTED, "olmix"})
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=tiny.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_configs_tokens_swarms_and_launches_need_nothing_else(alone, tiny):
    assert "quickstart" in alone("--help")
    assert "token_counts" in alone("priors", "compute", "-c", "launch.yaml")
    alone("generate", "-c", "generation.yaml", "-o", "variants", "--base", "launch.yaml")
    assert "tiny" in alone("launch", "preview", "-v", "variants")
    alone("schema", "-o", "schemas")
    text = tiny.launch.read_text().replace("trainer: proxy", "trainer: command\n  command: 'true'")
    tiny.launch.write_text(re.sub(r"(?m)^  (d_model|num_heads|context|batch|log_).*\n", "", text))
    alone("generate", "-c", "generation.yaml", "-o", "bare")
    alone("launch", "run", "-v", "bare", "-c", "launch.yaml", "-g", "one", "--yes")
    assert "finished" in alone("launch", "status", "runs/one")
