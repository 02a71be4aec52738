"""Secrets of the launcher's environment reach the runs, and nothing that anybody can read."""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from private_slurm import DAEMONS, private_slurm
from reporting_swarm import ended, wait_for

from olmix.cli.main import main
from olmix.config import GenerationConfig, LaunchConfig
from olmix.generate import generate

pytestmark = pytest.mark.slow

TRAINER = """\
import os, sys
import olmix.runlog

assert os.environ["HF_TOKEN"].startswith("hf_"), "the environment does not reach the run"
with olmix.runlog.start(num_steps=2) as run:
    run.log(1, loss=1.0)
    if os.path.basename(os.environ["OLMIX_RUN_DIR"]).endswith("-0001"):
        raise ValueError("the loss is no number")
    run.finish(score=2.0)
"""
"""It fails with a traceback for one run of the swarm."""


@pytest.fixture
def planted(monkeypatch):
    """Put secrets that nobody else has into the environment; gives what must not be seen."""
    hexadecimal = secrets.token_hex(20)
    found = {name: f"planted{secrets.token_hex(12)}" for name in ("aws", "beaker", "kaggle", "url")}
    values = {
        "WANDB_API_KEY": hexadecimal,
        "HF_TOKEN": f"hf_{secrets.token_hex(17)}",
        "AWS_SECRET_ACCESS_KEY": found["aws"],
        "BEAKER_TOKEN": found["beaker"],
        "KAGGLE_KEY": found["kaggle"],
        "HTTPS_PROXY": f"http://me:{found['url']}@127.0.0.1:9",
        "AWS_ENDPOINT_URL": f"http://me:{found['url']}@127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
        "WANDB_MODE": "offline",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return [hexadecimal, values["HF_TOKEN"], *found.values()]


class Watch:
    """Looks through the command lines of all processes, again and again.

    Args:
        words: what no command line may hold.
    """

    def __init__(self, words):
        self.seen = {}
        self.looks = 0
        self._words = [word.encode() for word in words]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        while not self._end.wait(0.01):
            self.looks += 1
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    line = file.read_bytes()
                    self.seen |= {word.decode(): line for word in self._words if word in line}

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


def found_in(folder, words):
    """Return the files below a folder that hold one of some words, in content or name."""
    found = []
    for file in folder.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        if any(word.encode() in content or word in file.name for word in words):
            found.append(str(file.relative_to(folder)))
    return found


@pytest.fixture
def swarm(tiny):
    """Return a function that writes 5 variants and gives their folder."""
    trainer = tiny.folder / "trainer.py"
    trainer.write_text(TRAINER)

    def build(infra, *, command=True):
        base = LaunchConfig.from_yaml(tiny.launch).to_plain()
        if command:
            words = f"{sys.executable} {trainer}"
            base["training"] = {"trainer": "command", "command": words, "max_tokens": 6400}
        base["trackers"] = {"wandb": {"project": "planted", "mode": "offline"}}
        config = LaunchConfig.from_dict({**base, "infra": infra})
        plan = GenerationConfig.from_yaml(tiny.generation)
        return generate(plan, tiny.folder / "variants", config).folder

    return build


@pytest.fixture
def checkout(tmp_path, planted, monkeypatch):
    """Work in a git checkout whose remote has a token in its address."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    url = f"https://me:{planted[-1]}@127.0.0.1:9/mine.git"
    who = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    for words in (
        ["init", "--quiet"],
        [*who, "commit", "--quiet", "--allow-empty", "-m", "first"],
        ["remote", "add", "origin", url],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)
    monkeypatch.chdir(folder)


def olmix(*words, status=0):
    """Run a command line in a process of its own; gives all that it printed."""
    command = [sys.executable, "-m", "olmix", "--debug", "launch", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_watch_sees_what_it_is_to_see(tmp_path, planted):
    with Watch(planted) as watch:
        process = subprocess.Popen([sys.executable, "-c", "input()", planted[2]], stdin=-1)
        wait_for(lambda: watch.seen, "secret in a command line")
        process.communicate(b"\n")
    assert list(watch.seen) == [planted[2]]
    (tmp_path / "log").write_text(f"so {planted[1]} it is")
    assert found_in(tmp_path, planted) == ["log"]


@pytest.mark.parametrize("command", [True, False], ids=["command", "embedded"])
def test_on_this_machine(planted, swarm, checkout, tmp_path, command):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    variants, runs = swarm({"backend": "local"}, command=command), tmp_path / "runs"
    first = sorted(variants.glob("*.yaml"))[1]
    if not command:
        broken = first.read_text().replace("learning_rate: 0.008", "learning_rate: 1.0e+30")
        first.write_text(broken)
    with Watch(planted) as watch:
        printed = olmix("preview", "-v", variants, "-o", runs)
        printed += olmix("run", "-v", variants, "-o", runs, "--yes", status=1)
        printed += olmix("status", "-o", runs)
        printed += olmix("resume", "-o", runs, "--yes", status=1)
        if command:
            log = olmix("logs", first.stem, "-o", runs)
            assert "Traceback" in log
            printed += log
    assert watch.looks > 100
    assert watch.seen == {}
    assert [word for word in planted if word in printed] == []
    assert list(runs.glob("*/*/wandb/offline-run-*/*.wandb"))
    assert found_in(runs, planted) == []
    assert found_in(variants, planted) == []
    about = json.loads(next(runs.glob("*/group.json")).read_text())
    assert set(about["git"]) == {"commit", "branch", "dirty"}


@pytest.mark.skipif(os.geteuid() != 0, reason="a private SLURM needs root")
@pytest.mark.skipif(
    any(shutil.which(name) is None for name in (*DAEMONS, "sbatch", "scontrol")),
    reason="SLURM is not installed (slurm-wlm, munge)",
)
def test_on_slurm(planted, swarm, checkout, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    runs = tmp_path / "runs"
    variants = swarm({"backend": "slurm", "python": sys.executable})
    with private_slurm(tmp_path / "slurm") as environment, Watch(planted) as watch:
        monkeypatch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        printed = olmix("preview", "-v", variants, "-o", runs)
        printed += olmix("run", "-v", variants, "-o", runs, "--yes")
        (group,) = runs.iterdir()
        wait_for(lambda: ended(group), "end")
        printed += olmix("status", "-o", runs)
        printed += olmix("logs", sorted(variants.glob("*.yaml"))[1].stem, "-o", runs)
        time.sleep(0.5)
        logs = [*tmp_path.glob("slurm/*.log"), *group.glob("slurm/logs/*.log")]
        assert len(logs) == 3 + 5
        assert found_in(runs, planted) == []
        assert [file for file in logs if any(w in file.read_text() for w in planted)] == []
    states = [json.loads(file.read_text())["state"] for file in group.glob("*/status.json")]
    assert sorted(states) == ["failed", *["finished"] * 4]
    assert "Traceback" in printed
    assert watch.seen == {}
    assert [word for word in planted if word in printed] == []
    assert found_in(variants, planted) == []


def test_on_beaker(planted, swarm, checkout, tmp_path, monkeypatch, capfd):
    pytest.importorskip("beaker", reason="beaker-py is not installed")
    from fake_beaker_service import TOKEN, WORKSPACE, serve, trust

    runs = tmp_path / "runs"
    variants = swarm(
        {
            "backend": "beaker",
            "budget": "ai2/oe-base",
            "workspace": WORKSPACE,
            "cluster": "ai2/jupiter",
            "image": "tester/olmix",
            "python": sys.executable,
            "gpus": 0,
            "mounts": [{"path": str(runs), "host_path": "/net/disk"}],
            "env_secrets": {"WANDB_API_KEY": "wandb-key"},
        }
    )

    def olmix_here(*words, status=0):
        """Run a command line in this process, whose gRPC trusts the service."""
        with pytest.raises(SystemExit) as done:
            main(["launch", *map(str, words)])
        assert done.value.code == status

    (tmp_path / "beaker").mkdir()
    words = [*planted, TOKEN]
    with serve(tmp_path / "beaker") as running, Watch(words) as watch:
        trust(monkeypatch, running)
        monkeypatch.setenv("BEAKER_TOKEN", TOKEN)
        olmix_here("preview", "-v", variants, "-o", runs)
        olmix_here("run", "-v", variants, "-o", runs, "--yes")
        sent = running.service.sent
        assert len(sent) == 5
        for entry in sent:  # what Beaker does: it starts the command
            subprocess.run(entry.spec["tasks"][0]["command"], check=False)
        olmix_here("status", "-o", runs)
        olmix_here("cancel", "-o", runs, "--yes")
    specs = json.dumps([entry.spec for entry in sent])
    printed = "".join(capfd.readouterr())
    assert [word for word in words if word in specs + printed] == []
    assert '"secret": "wandb-key"' in specs
    assert watch.seen == {}
    assert found_in(runs, words) == []
    assert found_in(variants, words) == []
    assert (
        "ValueError: the loss is no number" in (next(runs.glob("*/*-0001/status.json"))).read_text()
    )
