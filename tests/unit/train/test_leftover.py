import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from olmix.train import leftover
from olmix.train.leftover import START_VARIABLE, announce, end_leftover, forget, remember
from patience import wait_for


def start(program):
    """Start a group of two processes that ends only when all of it is told to."""
    words = ["bash", "-c", f"{program} & wait"]
    return subprocess.Popen(words, start_new_session=True)


def start_marked(run_dir, command):
    """Start a command as a run does; returns its process and the number that it prints first."""
    process = subprocess.Popen(
        ["bash", "-c", command],
        env={**os.environ, **announce(run_dir)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    remember(run_dir, process.pid)
    number = int(process.stdout.readline())
    process.stdout.close()
    return process, number


def is_alive(pid):
    """Whether a process runs; one that nobody has asked for does not."""
    found = leftover._look_up(pid)
    return found is not None and found.alive


def test_a_command_that_outlived_its_worker_ends_with_all_that_it_started(tmp_path):
    process = start("sleep 3600")
    remember(tmp_path, process.pid)
    # Init reaps an orphan; here its parent must.
    threading.Thread(target=process.wait).start()
    assert end_leftover(tmp_path, grace_s=10)
    assert process.wait() != 0
    assert not end_leftover(tmp_path, grace_s=10)


def test_one_that_does_not_listen_is_killed(tmp_path):
    words = [sys.executable, "-c"]
    words.append(
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)\n"
        "time.sleep(3600)"
    )
    process = subprocess.Popen(words, start_new_session=True, stdout=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    remember(tmp_path, process.pid)
    threading.Thread(target=process.wait).start()
    assert end_leftover(tmp_path, grace_s=0.2)
    assert process.wait() == -9


def test_another_process_with_the_same_number_is_left_alone(tmp_path):
    process = start("sleep 3600")
    try:
        remember(tmp_path, process.pid)
        file = tmp_path / "process.json"
        about = json.loads(file.read_text())
        for changed in ({"started": about["started"] - 1}, {"host": "elsewhere"}, {"pid": "x"}):
            file.write_text(json.dumps({**about, **changed}))
            assert not end_leftover(tmp_path, grace_s=0.1)
        file.write_text("{")
        assert not end_leftover(tmp_path, grace_s=0.1)
        time.sleep(0.1)
        assert process.poll() is None
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def test_what_has_ended_is_forgotten(tmp_path):
    remember(tmp_path, os.getpid())
    forget(tmp_path)
    forget(tmp_path)
    assert not end_leftover(tmp_path, grace_s=0.1)


def test_a_group_of_processes_that_nobody_reaps_is_gone(tmp_path):
    """As where Olmix itself is the first process of a container, and inherits all orphans."""
    process = start("sleep 3600")
    remember(tmp_path, process.pid)
    watch = threading.Thread(target=end_leftover, args=(tmp_path, 10), daemon=True)
    watch.start()
    watch.join(5)
    waits = watch.is_alive()
    process.wait()
    watch.join(5)
    assert not waits
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("launcher", ["", "setsid "], ids=["group", "session of its own"])
@pytest.mark.parametrize("end", ["exit 1", "kill -9 $$"], ids=["exit", "kill -9"])
def test_what_a_dead_leader_left_is_ended(tmp_path, launcher, end):
    """`torchrun` starts its workers in sessions of their own."""
    command = f"{launcher}bash -c 'echo $$; exec sleep 60 >&-' & sleep 0.2; {end}"
    process, child = start_marked(tmp_path, command)
    process.wait()
    assert is_alive(child)
    assert end_leftover(tmp_path, grace_s=10)
    assert not is_alive(child)
    assert not end_leftover(tmp_path, grace_s=10)


def test_a_start_that_was_not_noted_to_its_end_is_found_by_its_mark(tmp_path):
    environment = {**os.environ, **announce(tmp_path)}
    process = subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True)
    marked = environment[START_VARIABLE]
    wait_for(lambda: leftover._bears_mark(process.pid, marked), "mark")
    assert end_leftover(tmp_path, grace_s=10)
    assert process.wait() == -signal.SIGTERM


def test_a_child_without_an_environment_is_known_by_the_log_that_it_prints_to(tmp_path):
    command = "env -i bash -c 'echo $$ >&2; exec sleep 60' & sleep 0.2; kill -9 $$"
    with (tmp_path / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            ["bash", "-c", command], stdout=log, stderr=subprocess.PIPE, start_new_session=True
        )
    remember(tmp_path, process.pid)
    child = int(process.stderr.readline())
    process.stderr.close()
    process.wait()
    assert end_leftover(tmp_path, grace_s=10)
    assert not is_alive(child)


def test_a_group_that_got_the_number_later_is_left_alone_though_its_leader_is_dead(tmp_path):
    command = "bash -c 'echo $$; exec sleep 60 >&-' & sleep 0.2; exit 1"
    process, child = start_marked(tmp_path, command)
    process.wait()
    try:
        announce(tmp_path)  # what is there bears another mark
        file = tmp_path / "process.json"
        about = {**json.loads(file.read_text()), "pid": process.pid, "started": 5}
        file.write_text(json.dumps(about))
        assert not end_leftover(tmp_path, grace_s=0.1)
        assert is_alive(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_group_that_was_told_to_stop_is_not_told_twice(tmp_path):
    code = (
        "import signal, time; told = []\n"
        "signal.signal(15, lambda *_: told.append(1)); print(0, flush=True)\n"
        "while not told: time.sleep(0.01)\n"
        f"time.sleep(0.5); open({str(tmp_path / 'told')!r}, 'w').write(str(len(told)))"
    )
    process, _ = start_marked(tmp_path, f'exec {sys.executable} -c "{code}"')
    os.killpg(process.pid, signal.SIGTERM)
    assert end_leftover(tmp_path, grace_s=10, told=True)
    assert process.wait() == 0
    assert (tmp_path / "told").read_text() == "1"


def test_one_that_cannot_be_killed_is_waited_for_so_long_and_no_longer(
    tmp_path, monkeypatch, caplog
):
    process = start("sleep 3600")
    remember(tmp_path, process.pid)
    monkeypatch.setattr(leftover, "_KILL_S", 0.2)
    monkeypatch.setattr(leftover, "_send", lambda *_: None)
    try:
        with caplog.at_level(logging.WARNING):
            assert end_leftover(tmp_path, grace_s=0.1)
        assert "were killed but have not ended" in caplog.text
        assert str(process.pid) in caplog.text
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
