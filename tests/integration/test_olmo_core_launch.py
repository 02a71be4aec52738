"""Real OLMo-core through the launchers: this machine and a real SLURM, killed in the middle of it.

Two runs of two tiny models. Here the second one's worker is killed, then its launcher, then it is
told to stop while it loads. On SLURM the first one meets its time limit and is then killed. So each
run is trained undisturbed in one place and disturbed in the other.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from private_slurm import DAEMONS, private_slurm

from olmix.launch import launch_local, load_group, read_group, read_log, submit_group
from olmix.records.run import INTERRUPTED, RunFolder
from olmix.text.files import read_json
from olmix.text.yaml import write_yaml
from patience import wait_for
from train_fixtures import Project

pytest.importorskip("olmo_core", reason="the extra olmo-core is not installed")
pytestmark = pytest.mark.slow

NEEDS_SLURM = pytest.mark.skipif(
    os.geteuid() != 0
    or any(shutil.which(name) is None for name in (*DAEMONS, "sbatch", "scontrol")),
    reason="a private SLURM needs root, and the packages slurm-wlm and munge",
)
RUNS = {"first": (0.5, 0.5), "second": (0.8, 0.2)}
STEPS, BATCH, LENGTH = 80, 256, 32
TRAINING = {
    "proxy_model_id": "olmo2_1m",
    "sequence_length": LENGTH,
    "global_batch_size": BATCH,
    "max_tokens": STEPS * BATCH,
    "learning_rate": 1e-3,
    "eval_interval": 25,
    "checkpoint_interval": 10,
}
RESUMED = re.compile(r"Will resume training from step (\d+)")


class Swarm:
    """The variants of a group, and what its runs leave."""

    def __init__(self, root, project, **infra):
        self.variants, self.runs = root / "variants", root / "runs"
        for name, weights in RUNS.items():
            plain = project.plain(name, weights=weights)
            for share in plain["mix"].values():
                share["repetition_factor"] = 6.0
            plain |= {"group_id": "tiny", "training": TRAINING, "infra": infra}
            write_yaml(self.variants / f"{name}.yaml", plain)

    def run(self, name):
        return RunFolder(self.runs / "tiny" / name)

    def steps(self, name):
        """Steps of the checkpoints of a run."""
        folders = (self.run(name).path / "checkpoints").glob("step*")
        return {int(path.name[4:]) for path in folders if path.name[4:].isdigit()}

    def sittings(self, name):
        """The steps whose loss each start of a run wrote down."""
        found = []
        for record in self.run(name).read_metrics():
            if record["step"] == 0 or "checkpoint/load_duration_s" in record:
                found.append([])
            if "train/CE loss" in record and "optim/LR (group 0)" in record:
                found[-1].append(record["step"])
        return found

    def curve(self, name):
        """What a run measured after each step, as last written: losses and bits per byte."""
        found = {}
        for record in self.run(name).read_metrics():
            about = found.setdefault(record["step"], {})
            about |= record.get("eval", {})
            about |= {key: record[key] for key in ("train/CE loss",) if key in record}
        return {step: about for step, about in found.items() if about}

    def result(self, name):
        """What counts of a summary: everything but times."""
        summary = read_json(self.run(name).summary)
        return {key: summary[key] for key in ("metrics", "final_loss", "token_shares", "tokens")}


def processes_of(folder, program):
    """Return the ids of processes that run `program` on something in a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if program in words and any(word.startswith(str(folder)) for word in words):
            found.append(int(file.parent.name))
    return found


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("olmo-core-data"))


@pytest.fixture(scope="module")
def one_core():
    """Keep this process and what it starts on one core, as a task of SLURM has one.

    Sums that are split over other numbers of threads may differ in their last bits.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture(scope="module")
def here(project, one_core, tmp_path_factory):
    """The group on this machine; what was seen on the way stands in `notes`."""
    swarm = Swarm(tmp_path_factory.mktemp("olmo-core-here"), project, backend="local")
    swarm.notes = {}
    words = [sys.executable, "-m", "olmix", "launch", "run", "--yes"]
    words += ["-v", str(swarm.variants), "-o", str(swarm.runs)]
    said = swarm.variants / "said"
    with said.open("w") as out:
        launcher = subprocess.Popen(words, stdout=out, stderr=out, start_new_session=True)
    wait_for(lambda: 20 in swarm.steps("second"), "checkpoint")
    swarm.notes["first"] = swarm.run("first").summary.stat().st_mtime_ns
    (worker,) = children_of(launcher.pid)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: max(swarm.steps("second")) >= 40, "further checkpoint")
    (worker,) = children_of(launcher.pid)
    launcher.kill()
    launcher.wait()
    wait_for(lambda: not Path(f"/proc/{worker}").exists(), "end of the worker")
    swarm.notes["orphaned"] = swarm.run("second").read_status()
    swarm.notes["kept"] = swarm.steps("second")
    swarm.notes["said"] = said.read_text()

    one = [sys.executable, "-m", "olmix.train.run_one", str(swarm.run("second").path)]
    size = swarm.run("second").metrics.stat().st_size
    loading = subprocess.Popen(one, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for(lambda: swarm.run("second").read_status().state == "running", "start")
    loading.terminate()
    swarm.notes["stopped while loading"] = loading.wait(120)
    swarm.notes["trained while loading"] = swarm.run("second").metrics.stat().st_size - size

    events = []
    launched = launch_local(load_group(swarm.variants), swarm.runs, events.append)
    swarm.notes |= {"events": events, "launched": launched}
    return swarm


@pytest.fixture(scope="module")
def there(project, tmp_path_factory):
    """The group on SLURM; what was seen on the way stands in `notes`."""
    root = tmp_path_factory.mktemp("olmo-core-there")
    infra = {"backend": "slurm", "python": sys.executable, "time": "30"}
    swarm = Swarm(root, project, **infra)
    swarm.notes = {}
    with private_slurm(root / "private") as environment, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        submitted = submit_group(load_group(swarm.variants), swarm.runs)
        task = f"{submitted.jobs[0].id}_0"
        wait_for(lambda: 20 in swarm.steps("first"), "checkpoint")
        # What SLURM does `signal_s` seconds before the time limit.
        subprocess.run(["scancel", "--batch", "--signal=USR1", task], check=True)
        wait_for(lambda: swarm.run("first").read_status().state == "pending", "saved state")
        swarm.notes["limit"] = swarm.run("first").read_status()
        queued = ["squeue", "-h", "--array", "-j", task, "-o", "%T"]
        wait_for(lambda: b"PENDING" in subprocess.check_output(queued), "requeued task")
        # It is kept back for two minutes, which may be cut short, but not to this very second.
        time.sleep(2)
        subprocess.run(["scontrol", "update", f"JobId={task}", "StartTime=now"], check=True)
        far = swarm.notes["limit"].step + 20
        wait_for(lambda: max(swarm.steps("first")) >= far, "further checkpoint")
        (process,) = processes_of(swarm.run("first").path, "olmix.train.run_one")
        os.kill(process, signal.SIGKILL)
        group = submitted.folder
        wait_for(
            lambda: (
                {r.name: r.status.state for r in read_group(group)}
                == {"first": "failed", "second": "finished"}
            ),
            "end",
        )
        swarm.notes["second"] = swarm.run("second").summary.stat().st_mtime_ns
        words = [sys.executable, "-m", "olmix", "launch", "resume", "--yes", "-o", str(swarm.runs)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        swarm.notes["resumed"] = done.stderr
        wait_for(lambda: swarm.run("first").read_status().state == "finished", "end")
    return swarm


def test_a_worker_that_is_killed_is_replaced_and_its_run_goes_on_from_its_checkpoint(here):
    assert "second retried: its worker ended by signal 9" in here.notes["said"]
    starts = [steps[0] for steps in here.sittings("second")]
    assert starts[0] == 1
    assert starts[1] % 10 == 1, "a checkpoint of every tenth step"
    assert starts[1] > 1, "it goes on from a checkpoint"


def test_a_worker_whose_launcher_is_killed_saves_its_run_and_ends(here):
    left = here.notes["orphaned"]
    assert left.state == "pending"
    stopped = left.step
    assert left.error == INTERRUPTED
    assert 40 <= stopped < STEPS
    assert stopped == max(here.notes["kept"])
    # Every step until then was written down, and none of them is done again.
    *_, killed, last = here.sittings("second")
    assert killed[-1] == stopped
    assert last == list(range(stopped + 1, STEPS + 1))


def test_a_run_that_is_told_to_stop_while_it_loads_does_not_begin_to_train(here):
    assert here.notes["stopped while loading"] == 75
    assert here.notes["trained while loading"] == 0


def test_what_is_finished_is_not_trained_again(here):
    launched = here.notes["launched"]
    assert (launched.skipped, launched.finished) == (("first",), ("second",))
    assert here.run("first").summary.stat().st_mtime_ns == here.notes["first"]
    assert here.sittings("first") == [list(range(1, STEPS + 1))]


def test_a_launch_tells_how_far_its_runs_are(here):
    told = [e.detail for e in here.notes["events"] if e.state == "progress" and e.run == "second"]
    assert told[-1]["step"] == STEPS
    assert told[-1]["num_steps"] == STEPS
    assert told[-1]["tokens_per_second"] > 0
    assert told[-1]["loss"] == pytest.approx(here.result("second")["final_loss"])


def test_metrics_come_in_the_order_of_steps_as_trackers_want_them(here):
    steps = [record["step"] for record in here.run("first").read_metrics()]
    assert steps == sorted(steps)


def test_the_log_of_a_run_is_its_own(here):
    assert "Will resume training from step" in read_log(here.runs / "tiny", "second")
    assert "Will resume training" not in read_log(here.runs / "tiny", "first")


def test_only_the_last_checkpoints_are_kept(here):
    for name in RUNS:
        assert here.steps(name) == {STEPS - 10, STEPS}


@NEEDS_SLURM
def test_before_the_time_limit_of_slurm_a_run_saves_its_state_and_goes_on_from_there(there):
    left = there.notes["limit"]
    stopped = left.step
    assert left.error == INTERRUPTED
    assert 20 <= stopped < STEPS
    before, after, *_ = there.sittings("first")
    assert before == list(range(1, stopped + 1))
    assert after[0] == stopped + 1


@NEEDS_SLURM
def test_a_task_of_slurm_that_is_killed_is_submitted_again_alone_and_goes_on(there):
    assert "finished or in the queue: 1 run" in there.notes["resumed"]
    assert ": 1 run" in there.notes["resumed"]
    *_, last = there.sittings("first")
    assert last[0] % 10 == 1, "a checkpoint of every tenth step"
    assert last == list(range(last[0], STEPS + 1))
    assert last[0] > there.notes["limit"].step + 10
    assert there.run("second").summary.stat().st_mtime_ns == there.notes["second"]
    assert there.sittings("second") == [list(range(1, STEPS + 1))]


@NEEDS_SLURM
@pytest.mark.parametrize("name", RUNS)
def test_what_was_disturbed_and_what_was_not_agree_in_every_bit(here, there, name):
    assert there.result(name) == here.result(name)
    assert there.curve(name) == here.curve(name)
    assert sorted(here.curve(name)) == list(range(1, STEPS + 1))
