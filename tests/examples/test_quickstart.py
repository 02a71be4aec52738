"""The whole loop, as a newcomer runs it, and every command that the README shows."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from olmix.cli.main import cli
from patience import STUCK_S, wait_for

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALL = ("--runs", "12", "--seeds", "3", "--max-tokens", "40000")

pytestmark = pytest.mark.slow


def _start(*words, cwd, typed=""):
    return subprocess.run(
        [sys.executable, "-m", "olmix", *words],
        cwd=cwd,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=STUCK_S,
    )


def _olmix(*words, cwd, expect=0, typed=""):
    done = _start(*words, cwd=cwd, typed=typed)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def _finished(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("summary.json")}


@dataclass(frozen=True)
class Demo:
    """A small quickstart on the built-in texts that was killed in its swarm and started again.

    Attributes:
        folder: where it ran.
        killed: what the first start said.
        done: the second start, which finished.
        before: what was finished when it was killed.
        after: the same files in the end.
    """

    folder: Path
    killed: str
    done: subprocess.CompletedProcess
    before: dict
    after: dict


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    words = ("quickstart", *SMALL)
    log, command = folder / "killed.txt", [sys.executable, "-m", "olmix", *words]
    with (
        log.open("w") as said,
        subprocess.Popen(command, cwd=folder, start_new_session=True, stderr=said) as loop,
    ):
        wait_for(lambda: len(_finished(folder)) >= 3, "three finished runs", while_=loop)
        os.killpg(loop.pid, signal.SIGKILL)
    before = _finished(folder)
    done = _olmix(*words, cwd=folder)
    after = _finished(folder)
    kept = {path: after.get(path) for path in before}
    return Demo(folder, log.read_text(), done, before, kept)


def test_a_loop_that_is_killed_goes_on_where_it_stopped(demo):
    assert len(demo.before) >= 3
    assert demo.after == demo.before


def test_the_loop_ends_with_a_verified_mixture_and_a_report(demo):
    folder, done = demo.folder, demo.done
    assert "The proposed mixture" in done.stdout
    assert "better than natural by" in done.stdout
    assert re.search(r"12 runs in the fit, \d+ runs in the verification", done.stdout)
    fit = folder / "quickstart/fit/latest"
    assert re.search(r"^report    .*/report\.html", done.stdout, flags=re.M)
    verification = json.loads((fit / "verification.json").read_text())
    assert verification["metric"] == "networkx_bpb"
    assert len(verification["seeds"]) == 3
    page = (fit / "report.html").read_text()
    assert f"{verification['gains']['natural']['mean']:.3f}" in page
    assert (fit / "verification.png").read_bytes().startswith(b"\x89PNG")
    domains = set(verification["mixtures"]["proposed"]["weights"])
    assert len(domains) >= 5
    assert "networkx" not in domains


def _printed(stderr):
    """Return the commands that a quickstart said it ran."""
    lines = [line.split()[2:] for line in stderr.splitlines() if line.startswith("$ olmix")]
    return [" ".join(words[:2]).split(" -")[0] for words in lines]


def test_it_prints_every_command_that_it_runs(demo):
    assert "the loop takes about " in demo.killed
    start = ["priors compute", "generate", "launch run"]
    assert _printed(demo.killed) == ["prepare", "launch measure", *start]
    *first, collected, fit, verified = _printed(demo.done.stderr)
    assert first == ["prepare", *start]
    assert re.fullmatch(r"collect quickstart/runs/\w+", collected)
    assert (fit, verified) == ("fit", "verify")


def test_a_second_start_trains_nothing_again(demo):
    folder = demo.folder
    before = _finished(folder)
    done = _olmix("quickstart", *SMALL, cwd=folder)
    assert _finished(folder) == before
    assert "12 were finished before" in done.stderr
    assert "better than natural by" in done.stdout


ROUNDS = (
    "--runs",
    "24",
    "--seeds",
    "3",
    "--max-tokens",
    "20000",
    "--rounds",
    "3",
    "--scales",
    "1,2",
)


def _begun(demo, folder, *names):
    """Take over what every quickstart does before its runs: texts, speed of the machine."""
    (folder / "quickstart").mkdir()
    for name in names:
        source, target = demo.folder / "quickstart" / name, folder / "quickstart" / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)


def test_rounds_and_a_ladder_end_the_loop_and_are_not_trained_again(demo, tmp_path):
    _begun(demo, tmp_path, "data", "speed.json")
    done = _olmix("quickstart", *ROUNDS, cwd=tmp_path)
    assert "are expected to gain" in done.stdout
    assert "The ladder of networkx_bpb" in done.stdout
    fit = tmp_path / "quickstart/fit/latest"
    ladder = json.loads((fit / "ladder.json").read_text())
    assert [rung["num_tokens"] for rung in ladder["rungs"]] == [20_000, 40_000]
    rungs = ladder["rungs"]
    assert rungs[1]["num_parameters"] > 1.5 * rungs[0]["num_parameters"]
    assert {len(rung["verification"]["seeds"]) for rung in rungs} == {3}
    fits = [line for line in done.stderr.splitlines() if line.startswith("$ olmix fit")]
    assert ["--no-plots" in line for line in fits] == [True, True, False]
    assert len(json.loads((fit / "fit.json").read_text())["runs"]["used"]) == 24
    assert "Larger runs" in (fit / "report.html").read_text()
    before = _finished(tmp_path)
    again = _olmix("quickstart", *ROUNDS, cwd=tmp_path)
    assert _finished(tmp_path) == before
    assert again.stdout.splitlines()[-3:] == done.stdout.splitlines()[-3:]


def test_rounds_of_too_few_runs_are_refused_before_anything_is_done(tmp_path):
    done = _olmix("quickstart", "--rounds", "3", "--runs", "12", cwd=tmp_path, expect=2)
    assert "3 rounds need at least 24" in done.stderr
    assert not (tmp_path / "quickstart").exists()


def test_another_target_uses_the_same_swarm(demo, tmp_path):
    folder = shutil.copytree(demo.folder, tmp_path / "copy", symlinks=True)
    done = _olmix("quickstart", *SMALL, "--target", "average", cwd=folder)
    assert "12 were finished before" in done.stderr
    verification = json.loads((folder / "quickstart/fit/latest/verification.json").read_text())
    assert "average" in verification["metric"]


def test_an_edited_config_is_kept_and_used(demo, tmp_path):
    folder = shutil.copytree(demo.folder, tmp_path / "copy", symlinks=True)
    file = folder / "quickstart/fit.yaml"
    # A metric that counts nothing: the proposal stays, and with it the runs that verify it.
    edited = file.read_text().replace("    - scripture_bpb\n", "")
    edited = edited.replace("    scripture_bpb: 0.0\n", "")
    file.write_text(edited)
    done = _olmix("quickstart", *SMALL, cwd=folder)
    assert "fit.yaml was edited and is kept" in done.stderr
    assert file.read_text() == edited
    assert "better than natural by" in done.stdout
    latest = "quickstart/fit/latest/interaction_matrix.csv"
    kept, before = ((place / latest).read_text() for place in (folder, demo.folder))
    assert "scripture_bpb" in before
    assert "scripture_bpb" not in kept


def test_a_target_that_is_not_there_is_told_what_is(demo):
    done = _olmix("quickstart", *SMALL, "--target", "networx", cwd=demo.folder, expect=2)
    assert "Did you mean networkx?" in done.stderr


@pytest.fixture
def my_folder(tmp_path):
    """A newcomer's own texts: pieces of Python's library in three subfolders."""
    library = Path(os.__file__).parent
    parts = {"web": ("http", "html", "urllib"), "mail": ("email",), "data": ("json", "sqlite3")}
    parts["data"] += ("csv.py", "statistics.py", "decimal.py", "_pydecimal.py", "fractions.py")
    for domain, names in parts.items():
        (tmp_path / "my_folder" / domain).mkdir(parents=True)
        for name in names:
            source = library / name
            files = [source] if source.is_file() else source.rglob("*.py")
            for file in files:
                target = tmp_path / "my_folder" / domain / f"{name}-{file.name}".replace("/", "-")
                shutil.copy(file, target)
    return tmp_path


def test_the_loop_runs_on_your_own_folder_within_a_budget(my_folder):
    words = ("quickstart", "--data", "my_folder/", "--runs", "8", "--seeds", "3")
    budget = 5.0
    while (done := _start(*words, "--budget", f"{budget:g}", cwd=my_folder)).returncode == 2:
        # How much is enough is the machine's matter; it says so.
        enough = re.search(r"too few to learn from. Give it about (\d+) s", done.stderr)
        assert enough is not None, done.stderr
        budget = max(float(enough[1]), 1.5 * budget)
    assert budget > 5
    assert done.returncode == 0, done.stderr
    verification = json.loads((my_folder / "quickstart/fit/latest/verification.json").read_text())
    assert set(verification["mixtures"]["natural"]["weights"]) == {"data", "mail", "web"}
    assert (my_folder / "quickstart/speed.json").is_file()


# --- the README ---


def _commands():
    """Return every `olmix ...` command of the README, from code blocks and from tables."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", README, flags=re.S))
    lines = [line.split("#")[0].strip() for line in blocks.splitlines()]
    lines += re.findall(r"^\| `(olmix [^`]*)`", README, flags=re.M)
    return [line for line in dict.fromkeys(lines) if line.startswith("olmix ")]


def _make_targets():
    return sorted(set(re.findall(r"^make (\w[\w-]*)", README, flags=re.M)))


@pytest.mark.parametrize("command", _commands())
def test_every_command_of_the_readme_is_understood(command):
    words = shlex.split(command)[1:]
    found: click.Command = cli
    # Commands keep the first help option that they are asked for.
    context = click.Context(cli, **cli.context_settings)
    while isinstance(found, click.Group):
        found = found.get_command(context, words.pop(0))
        assert found is not None, command
    found.make_context("olmix", words, parent=context)


@pytest.mark.parametrize("target", _make_targets())
def test_every_make_target_of_the_readme_is_there(target):
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_stages_of_the_readme_run_in_a_row(demo, tmp_path):
    folder = shutil.copytree(demo.folder, tmp_path / "copy", symlinks=True) / "quickstart"
    shutil.rmtree(folder / "variants")
    # Those of GRPO have a training of their own in tests/integration, and checkpoints tests too.
    apart = ("quickstart", "grpo", "evaluate")
    stages = [command for command in _commands() if command.split()[1] not in apart]
    assert len(stages) >= 10
    for command in stages:
        groups = [path.stem for path in (folder / "variants").glob("*.yaml")]
        group = groups[0].rsplit("-", 2)[1] if groups else "none"
        words = shlex.split(command.replace("GROUP", group))[1:]
        _olmix(*words, cwd=folder, typed="y\n")
    assert (folder / "schemas/launch.json").is_file()
