import json
import os
import subprocess
import sys
import threading
import time

from olmix.train.leftover import end_leftover, forget, remember


def start(program):
    """Start a group of two processes that ends only when all of it is told to."""
    words = ["bash", "-c", f"{program} & wait"]
    return subprocess.Popen(words, start_new_session=True)


def test_a_command_that_outlived_its_worker_ends_with_all_that_it_started(tmp_path):
    process = start("sleep 60")
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
        "time.sleep(60)"
    )
    process = subprocess.Popen(words, start_new_session=True, stdout=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    remember(tmp_path, process.pid)
    threading.Thread(target=process.wait).start()
    assert end_leftover(tmp_path, grace_s=0.2)
    assert process.wait() == -9


def test_another_process_with_the_same_number_is_left_alone(tmp_path):
    process = start("sleep 60")
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
