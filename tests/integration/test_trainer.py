"""The worker process: its protocol, and that it may be killed at any time."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from olmix.records.run import lock
from patience import STUCK_S, wait_for
from train_fixtures import Project

pytestmark = pytest.mark.slow

LONG = {"max_tokens": 64 * 12_000, "checkpoint_interval_s": 0.0, "log_interval": 500}
FACTOR = 1000.0
CORE = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


class Worker:
    """A worker process and a line of talk with it."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "olmix.train.worker", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def send(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def ask(self, *folders):
        self.send(json.dumps({"runs": [str(folder.path) for folder in folders]}))

    def answer(self):
        """The next line that is no progress."""
        while True:
            line = json.loads(self.process.stdout.readline())
            if "step" not in line:
                return line

    def leave(self):
        """End its input; returns the rest of its answers, its errors and its exit status."""
        out, err = self.process.communicate(timeout=STUCK_S)
        return [json.loads(line) for line in out.splitlines()], err, self.process.returncode


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def long_folder(project, name="long"):
    folder = project.folder(name, **LONG)
    text = folder.config.read_text()
    folder.config.write_text(text.replace("repetition_factor: 2.0", f"repetition_factor: {FACTOR}"))
    return folder


def step_of(folder):
    return folder.read_status().step


def metrics_of(folder):
    return json.loads(folder.summary.read_text())["metrics"], folder.metrics.read_bytes()


def test_a_worker_trains_skips_and_survives_what_fails(project):
    good, other, broken = (project.folder(name) for name in ("good", "other", "broken"))
    broken.config.write_text("name: [")
    with Worker("--core", str(CORE)) as worker:
        assert worker.answer() == {"ready": True, "device": "cpu"}
        worker.ask(good)
        assert worker.answer() == {"run": str(good.path), "state": "finished", "error": None}
        worker.ask(good)
        assert worker.answer()["state"] == "skipped"
        worker.ask(broken)
        answer = worker.answer()
        assert (answer["run"], answer["state"]) == (str(broken.path), "failed")
        assert "not valid YAML" in answer["error"]
        for line in ("garbage", "[]", '{"runs": []}', '{"runs": "a"}'):
            worker.send(line)
            answer = worker.answer()
            assert (answer["run"], answer["state"]) == (None, "failed")
            assert line[:4] in answer["error"]
        worker.ask(other)
        assert worker.answer()["state"] == "finished"
        answers, errors, code = worker.leave()
    assert (answers, errors, code) == ([], "", 0)
    assert metrics_of(good) == metrics_of(other)


def test_a_second_worker_uses_the_compiled_program_silently_and_gets_the_same_bits(project):
    folders = [project.folder(name) for name in ("one", "two")]
    for folder in folders:
        with Worker() as worker:
            worker.ask(folder)
            wait_for(folder.summary.exists, "summary")
            _, errors, code = worker.leave()
        assert (errors, code) == ("", 0)
    assert metrics_of(folders[0]) == metrics_of(folders[1])


def test_kill_9_and_a_second_worker_give_bitwise_the_same_metrics(project):
    straight, killed = long_folder(project, "straight"), long_folder(project, "killed")
    with Worker() as worker:
        worker.answer()
        worker.ask(straight)
        assert worker.answer()["state"] == "finished"
        worker.ask(killed)
        wait_for(lambda: step_of(killed) > 100 and killed.checkpoint.exists(), "checkpoint")
        worker.process.send_signal(signal.SIGKILL)
        worker.process.wait()
    assert killed.read_status().state == "running"
    with Worker() as worker:
        worker.answer()
        worker.ask(killed)
        assert worker.answer()["state"] == "finished"
    assert "resumes at step" in killed.log.read_text()
    assert metrics_of(killed) == metrics_of(straight)


@pytest.mark.parametrize("how", ["end of input", "SIGTERM"])
def test_a_worker_that_is_let_go_writes_a_checkpoint_and_leaves(project, how):
    folder = long_folder(project)
    with Worker() as worker:
        worker.answer()
        worker.ask(folder)
        wait_for(lambda: step_of(folder) > 0, "progress")
        if how == "SIGTERM":
            worker.process.send_signal(signal.SIGTERM)
            worker.process.wait(timeout=STUCK_S)
        answers, errors, code = worker.leave()
    assert (errors, code) == ("", 0)
    assert answers[-1] == {"run": str(folder.path), "state": "interrupted", "error": None}
    status = folder.read_status()
    assert status.state == "pending"
    assert 0 < status.step < status.num_steps
    assert folder.checkpoint.is_file()
    assert not folder.summary.exists()


def test_a_worker_waits_for_the_lock_of_a_run_but_not_beyond_its_input(project):
    folder = project.folder()
    with lock(folder.path / ".lock", wait=True), Worker() as worker:
        worker.answer()
        worker.ask(folder)
        time.sleep(0.5)
        assert folder.read_status().state == "pending"
        answers, errors, code = worker.leave()
    assert (answers[-1]["state"], errors, code) == ("interrupted", "", 0)


def test_ctrl_c_is_left_to_the_parent(project):
    folder = project.folder()
    with Worker() as worker:
        worker.answer()
        worker.process.send_signal(signal.SIGINT)
        worker.ask(folder)
        assert worker.answer()["state"] == "finished"


def measure(request):
    words = [sys.executable, "-m", "olmix.train.proxy.measure"]
    return subprocess.run(words, input=request, capture_output=True, text=True, check=False)


def test_measure_answers_with_a_speed():
    training = {"d_model": 16, "num_heads": 2}
    done = measure(json.dumps({"training": training, "vocab_size": 64, "seconds": 0.1}))
    assert (done.stderr, done.returncode) == ("", 0)
    assert json.loads(done.stdout)["tokens_per_second"] > 0


def test_measure_refuses_a_request_without_a_training_section():
    done = measure("{}")
    assert (done.stdout, done.returncode) == ("", 2)
    assert "training: this key is required" in done.stderr
