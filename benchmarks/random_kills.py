"""SIGKILL at random moments of every stage, for `reliability.py`.

A stage runs to its end once. Then it is started in the same place and killed, all of its processes
or one of them, at a moment drawn between its loading and its end, and started again, until it ends
before it is killed. What it leaves must be what the undisturbed run left. Rounds follow one another
until there were kills enough.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from olmix.records.run import RunFolder
from olmix.text.yaml import write_yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from fit_fixtures import SLOPES, log_linear, plant  # noqa: E402
from grpo_fixtures import SMALL  # noqa: E402
from tiny_swarm import write_swarm  # noqa: E402
from write_points import restore, tree  # noqa: E402

_TIMES = re.compile(rb'("(?:time|updated|seconds|tokens_per_second|created|started)": )[^,\n}]+')
_EARLIEST = 0.25
"""Share of the undisturbed run that is mostly loading."""
Content = dict[str, bytes]


@dataclass(frozen=True)
class Stage:
    """A command that is killed.

    Attributes:
        words: of the command.
        prepare: writes what it reads into a folder.
        kills: how often it is killed, for 50 of a launch.
        compared: what must be the same in the end.
    """

    words: Sequence[str]
    prepare: Callable[[Path], object]
    kills: int
    compared: Callable[[Path], Content]


def descendants(process: int) -> list[int]:
    """Return all processes below one, by their parents in /proc."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, queue = [], [process]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def kill(processes: Sequence[int]) -> None:
    """End processes with SIGKILL; some may have ended."""
    for one in processes:
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def plain(folder: Path, *kept: str) -> Content:
    """Return the files below these parts of a folder, without times, locks and printed logs."""
    return {
        name: _TIMES.sub(rb"\1T", content)
        for part in kept
        for name, content in tree(folder / part).items()
        if not name.endswith((".lock", "log.txt", "report.html", "report.json"))
    }


def _fitted(folder: Path) -> None:
    write_swarm(folder, 1)
    plant(
        folder,
        {"a_bpb": lambda mixtures: 2 + np.exp(-0.5 + mixtures @ SLOPES[:3])},
        num=12,
        domains="abc",
    )
    _olmix(["fit", "-c", "fit.yaml", "-o", "fit"], folder)


def _launched(folder: Path) -> None:
    write_swarm(folder, 12)
    _olmix(["launch", "run", "-v", "variants", "-c", "launch.yaml", "-g", "one", "--yes"], folder)


def _olmix(words: Sequence[str], folder: Path) -> None:
    subprocess.run([*_command(words), *words], cwd=folder, check=True, capture_output=True)


def _command(words: Sequence[str]) -> list[str]:
    if words[0].startswith("+"):
        return [sys.executable, str(ROOT / "run_training.py")]
    return [sys.executable, "-m", "olmix", "-q"]


def _experiment(folder: Path) -> None:
    content = {
        "experiment_name": "study",
        "base_config": "llama3_2/1B_lora_single_device",
        "variables": {"lora_rank": [4, 8, 16], "learning_rate": [1e-4, 2e-4, 3e-4]},
        "controls": {"output_dir": "runs"},
    }
    write_yaml(folder / "experiment.yaml", content)


def _logged(folder: Path) -> None:
    _experiment(folder)
    _olmix(["sweep", "generate", "experiment.yaml", "-o", "study", "--no-validate"], folder)
    for number in range(9):
        run = folder / f"study/runs/run_{number:03d}"
        (run / "logs").mkdir(parents=True)
        (run / "logs/log_1.txt").write_text(f"Step 1 | loss:3 \nStep 2 | loss:{1 + number / 9} \n")
        (run / "epoch_0").mkdir()
        (run / "epoch_0/model.safetensors").write_text("x")


def _rewards(folder: Path) -> Content:
    rows = RunFolder(folder / "run").read_metrics()
    return {"rewards": json.dumps([(row.get("step"), row.get("reward")) for row in rows]).encode()}


def _swarm_tables(folder: Path) -> Content:
    parts = [f"quickstart/{name}" for name in ("results", "fit", "variants")]
    kept = (".csv", "fit.json", "proposal.json", "verification.json", "mix.yaml")
    found = plain(folder, *parts)
    return {
        name: text for name, text in found.items() if name.endswith(kept) and "runs.c" not in name
    }


STAGES = {
    "quickstart": Stage(
        ["quickstart", "--runs", "12", "--seeds", "3", "--max-tokens", "80000"],
        lambda _: None,
        20,
        _swarm_tables,
    ),
    "collect": Stage(
        ["collect", "runs/one", "-o", "results", "--per-checkpoint"],
        _launched,
        20,
        lambda folder: plain(folder, "results"),
    ),
    "fit": Stage(
        ["fit", "-c", "fit.yaml", "-o", "fit"],
        lambda folder: plant(folder, {"loss": log_linear, "other": log_linear}),
        20,
        lambda folder: plain(folder, "fit"),
    ),
    "verify": Stage(
        ["verify", "--fit", "fit/latest", "-c", "launch.yaml", "--seeds", "3", "--yes"],
        _fitted,
        20,
        lambda folder: plain(folder, "fit"),
    ),
    "sweep generate": Stage(
        ["sweep", "generate", "experiment.yaml", "-o", "study", "--no-validate", "--slurm"],
        _experiment,
        20,
        lambda folder: plain(folder, "study"),
    ),
    "sweep results": Stage(
        ["sweep", "results", "study"],
        _logged,
        20,
        lambda folder: plain(folder, "study/results"),
    ),
    "grpo": Stage(
        [*SMALL, "training.checkpoint_interval=1", "hydra.run.dir=run"],
        lambda _: None,
        6,
        _rewards,
    ),
}


def kill_stage(name: str, folder: Path, share: float, seed: int) -> str:
    """Kill a stage at random moments; returns how it ended each time."""
    stage, rng = STAGES[name], random.Random(f"{seed} {name}")
    fresh, place = folder / "fresh", folder / "place"
    fresh.mkdir()
    stage.prepare(fresh)
    # Configs hold paths: they are written where the command will run.
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    stage.prepare(place)
    restore(place, fresh)
    started = time.perf_counter()
    _olmix(stage.words, place)
    whole = time.perf_counter() - started
    wanted = stage.compared(place)
    killed, rounds, same, failed = 0, 0, 0, 0
    while killed < max(1, round(stage.kills * share)):
        restore(fresh, place)
        ended = False
        while not ended:
            ended, status, kills = _start(stage.words, place, rng, whole)
            killed += kills
            if ended and status:
                failed += 1
                ended = False
                if failed > 10 * stage.kills:
                    return f"{killed} kills, then status {status} again and again"
        rounds += 1
        same += stage.compared(place) == wanted
    return (
        f"{killed} kills in {rounds} rounds of {whole:.0f} s: {same} of {rounds} ended with the "
        f"same bytes in {len(wanted)} files"
    )


def _start(
    words: Sequence[str], place: Path, rng: random.Random, whole: float
) -> tuple[bool, int, int]:
    """Start a stage and kill it, unless it ends before; whether it ended, its status, kills."""
    process = subprocess.Popen(
        [*_command(words), *words],
        cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        return True, process.wait(rng.uniform(_EARLIEST, 1.2) * whole), 0
    except subprocess.TimeoutExpired:
        everyone = [process.pid, *descendants(process.pid)]
        if rng.random() < 0.5:
            kill(everyone)
            process.wait()
            return False, -signal.SIGKILL, 1
        kill([rng.choice(everyone)])
        status = process.wait()
        kill(everyone[1:])
        return status == 0, status, 1


def two_fits(folder: Path) -> str:
    """Start two fits into one folder at once."""
    plant(folder, {"loss": log_linear, "other": log_linear})
    words = [*_command(["fit"]), "fit", "-c", "fit.yaml", "-o"]
    subprocess.run([*words, "alone"], cwd=folder, check=True, capture_output=True)
    both = [
        subprocess.Popen([*words, "fit"], cwd=folder, stdout=subprocess.DEVNULL) for _ in range(2)
    ]
    statuses = sorted(process.wait() for process in both)
    found, wanted = plain(folder, "fit"), plain(folder, "alone")
    different = [n for n in wanted if found.get(n) != wanted[n] and "path_to" not in n]
    extra = sorted(set(found) - set(wanted))
    return f"statuses {statuses}; files that differ from those of one fit: {different + extra}"


def stale_locks(folder: Path, launch: Callable[[Path, Path], subprocess.Popen[bytes]]) -> str:
    """Launch among the locks and half files of a machine that is gone."""
    variants = write_swarm(folder, 4)
    runs = folder / "runs"
    status = launch(variants, runs).wait()
    gone = {"pid": 1, "host": "a-machine-that-is-gone", "started": 0.0, "mark": "x"}
    for run in [runs / "group", *(path.parent for path in runs.glob("group/*/status.json"))]:
        (run / ".lock").write_text("4194304\n")
        (run / ".status.lock").write_text("4194304\n")
        (run / ".summary.json.ffffffff-4194304.tmp").write_text("{")
        (run / "process.json").write_text(json.dumps(gone))
    for summary in sorted(runs.glob("group/*/summary.json"))[:2]:
        summary.unlink()
        (summary.parent / "status.json").unlink()
    again = launch(variants, runs).wait()
    left = len(list(runs.glob("group/*/summary.json")))
    return f"first launch: status {status}; among the locks: status {again}, {left} of 4 finished"
