"""A CI hides nothing: what is skipped elsewhere fails there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LACKING = """\
import pytest

@pytest.mark.skipif(True, reason="needs chromium")
def test_mark(): pass

@pytest.fixture
def server(): pytest.skip("needs a server")

def test_fixture(server): pass

def test_package(): pytest.importorskip("no_such_package_at_all")

def test_elsewhere(): pytest.skip("elsewhere: needs a GPU")

@pytest.mark.xfail
def test_expected(): assert False

def test_good(): pass
"""
MODULE = 'import pytest\npytest.importorskip("no_such_package_at_all")\n'


@pytest.fixture
def suite(tmp_path):
    def run(ci):
        (tmp_path / "test_lacking.py").write_text(LACKING)
        (tmp_path / "test_module.py").write_text(MODULE)
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        words = ["-ra", "-p", "skips", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "CI": ci},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_on_a_persons_machine_skips_are_named_and_it_is_said_what_to_install(suite):
    done = suite("")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 5 skipped, 1 xfailed" in done.stdout
    for reason in ("needs chromium", "needs a server", "no_such_package_at_all", "needs a GPU"):
        assert reason in done.stdout
    assert "4 skipped for what is not installed" in done.stdout
    assert "apt-get install chromium" in done.stdout
    assert "slurmdbd" in done.stdout


def test_in_ci_each_of_them_fails_but_those_for_other_machines(suite):
    done = suite("true")
    assert done.returncode != 0
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed, 3 errors" in done.stdout
    for reason in ("needs chromium", "needs a server"):
        assert f"with CI=true nothing is skipped: {reason}" in done.stdout
    for name in ("test_mark", "test_fixture", "test_package", "test_module"):
        assert name in done.stdout
