"""What is lost when things die: `python benchmarks/reliability.py [KILLS] [--seed S] [--only W]`.

A launch of 32 runs on this machine is killed with SIGKILL, launcher and workers together, at random
moments until it has been killed KILLS times or is finished, and then finished. After every kill the
runs that were finished before must be there, untouched. In the end every number must be the one of
a launch that nothing disturbed. The other stages are killed alike (`random_kills.py`). Then single
faults: a full disk, status files of rubbish, names, two launchers, two fits, locks of a machine
that is gone, a clock that jumps, and a run that diverges. `--only` tries the faults whose name
holds a word.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from olmix.text.files import write_json
from random_kills import STAGES, descendants, kill, kill_stage, stale_locks, two_fits
from tiny_swarm import write_swarm

NUM_RUNS = 32
KILLS = 50


def launch(variants: Path, runs: Path, *options: str, **how: object) -> subprocess.Popen[bytes]:
    """Start `olmix launch run`."""
    words = ["-q", "launch", "run", "-v", str(variants), "-c", str(variants.parent / "launch.yaml")]
    words += ["-g", "group", "-o", str(runs), "--yes", *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **how}
    return subprocess.Popen(
        [sys.executable, "-m", "olmix", *words], start_new_session=True, **quiet
    )


def finished(runs: Path) -> dict[str, str]:
    """Return the summary of every finished run, as text."""
    return {
        file.parent.name: file.read_text() for file in sorted(runs.glob("group/*/summary.json"))
    }


def metrics(runs: Path) -> dict[str, object]:
    """Return the metrics of every finished run."""
    return {name: json.loads(text)["metrics"] for name, text in finished(runs).items()}


def kill_again_and_again(folder: Path, kills: int, seed: int) -> str:
    """Kill a launch at random moments; returns what was lost."""
    rng = random.Random(seed)
    variants = write_swarm(folder, NUM_RUNS)
    runs, lost, killed = folder / "killed", 0, 0
    for _ in range(kills):
        before = finished(runs)
        process = launch(variants, runs)
        try:
            process.wait(rng.uniform(1.0, 6.0))
        except subprocess.TimeoutExpired:
            kill([process.pid, *descendants(process.pid)])
            process.wait()
            killed += 1
        after = finished(runs)
        lost += sum(after.get(name) != text for name, text in before.items())
        if len(after) == NUM_RUNS:
            break
    if launch(variants, runs).wait():
        said = [json.loads(file.read_text()) for file in runs.glob("group/*/status.json")]
        return f"the last launch failed: { ({str(one['error']) for one in said}) }"
    same = compare_with_calm(folder, variants, runs)
    return f"{killed} kills, {lost} finished runs lost or trained again, {same}"


def full_disk(folder: Path) -> str:
    """Let a small disk of its own fill up in the middle of a launch, then make room."""
    variants = write_swarm(folder, 8)
    runs, filler = folder / "disk/runs", folder / "disk/filler"
    (folder / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(folder / "disk")]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return "not tried: a disk of its own needs root"
    try:
        process = launch(variants, runs, stderr=subprocess.PIPE)
        while not finished(runs) and process.poll() is None:
            time.sleep(0.01)
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        said = process.communicate()[1].decode().strip().splitlines()
        before = finished(runs)
        filler.unlink()
        status = launch(variants, runs).wait()
        after = finished(runs)
        kept = sum(after.get(name) == text for name, text in before.items())
        same = compare_with_calm(folder, variants, runs)
        return (
            f"status {process.returncode} with {len(before)} of 8 finished, said {said[-1:]}; then "
            f"status {status}, {kept} of {len(before)} kept, {same}"
        )
    finally:
        subprocess.run(["umount", str(folder / "disk")], check=True)


def compare_with_calm(folder: Path, variants: Path, runs: Path) -> str:
    """Launch once more where nothing is disturbed, and compare every number."""
    calm = folder / "calm"
    if launch(variants, calm).wait():
        return "the calm launch failed"
    wanted = metrics(calm)
    same = sum(metrics(runs).get(name) == found for name, found in wanted.items())
    return f"{same} of {len(wanted)} runs with the very numbers of an undisturbed launch"


def rubbish(folder: Path) -> str:
    """Write rubbish over files of finished runs and over the checkpoint of one that was killed."""
    variants = write_swarm(folder, 8)
    runs = folder / "runs"
    process = launch(variants, runs)
    while len(finished(runs)) < 5 or not list(runs.glob("group/*/checkpoint.npz")):
        if process.poll() is not None:
            return "not tried: the launch was over too soon"
        time.sleep(0.01)
    kill([process.pid, *descendants(process.pid)])
    process.wait()
    before = finished(runs)
    for name, text in zip(before, ["", "{", "[]", '{"state": 5}', "null"], strict=False):
        (runs / "group" / name / "status.json").write_text(text)
    checkpoints = list(runs.glob("group/*/checkpoint.npz"))
    for file in checkpoints:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    for file in runs.glob("group/*/metrics.jsonl"):
        with file.open("ab") as log:
            log.write(b'{"step": 99999, "lo')
    (runs / "group/group.json").write_text("{")
    status = launch(variants, runs).wait()
    kept = sum(finished(runs).get(name) == text for name, text in before.items())
    return (
        f"5 status files, {len(checkpoints)} checkpoints and the group's file broken: status "
        f"{status}, {kept} of {len(before)} finished runs kept, "
        f"{compare_with_calm(folder, variants, runs)}"
    )


def names(folder: Path) -> str:
    """Try names that a shell or a path would take for something else."""
    variants = write_swarm(folder, 1)
    refused = 0
    hostile = ["../up", "a b", "it's", 'say "x"', "line\nbreak", "$(touch x)", "..", "-rf", ""]
    for name in hostile:
        mix = {"a": {"weight": 1.0}}
        file = variants / "tiny-0000.yaml"
        write_json(file, {"name": name, "mix": mix})  # JSON is YAML
        refused += launch(variants, folder / "runs").wait() == 2
    return f"{refused} of {len(hostile)} refused with status 2; nothing was made"


def two_launchers(folder: Path) -> str:
    """Start a second launcher while the first is at work."""
    variants = write_swarm(folder, 8)
    first = launch(variants, folder / "runs")
    while not list(folder.glob("runs/group/*/status.json")) and first.poll() is None:
        time.sleep(0.05)
    second = launch(variants, folder / "runs").wait()
    status = first.wait()
    return f"the second ended with status {second}, the first with {status} and 8 runs"


def clock(folder: Path) -> str:
    """Let the clock of a launch jump a year ahead, and two years back, while runs train."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        return "not tried: there is no libfaketime"
    variants = write_swarm(folder, 8)
    runs, offset = folder / "runs", folder / "offset"
    offset.write_text("+0\n")
    faked = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    process = launch(variants, runs, env={**os.environ, **faked})
    for jump in ("+365d", "-365d"):
        before = len(finished(runs))
        while len(finished(runs)) < before + 2 and process.poll() is None:
            time.sleep(0.05)
        offset.write_text(f"{jump}\n")
    status = process.wait()
    kept = finished(runs)
    again = launch(variants, runs).wait()
    same = sum(finished(runs)[name] == text for name, text in kept.items())
    return (
        f"status {status}, {len(kept)} of 8 finished; launched again: status {again}, "
        f"{same} of {len(kept)} left alone; {compare_with_calm(folder, variants, runs)}"
    )


def diverges(folder: Path) -> str:
    """Train with a learning rate that explodes."""
    variants = write_swarm(folder, 2, learning_rate=1e6, clip_norm=1e9)
    status = launch(variants, folder / "runs").wait()
    said = [json.loads(f.read_text()) for f in folder.glob("runs/group/*/status.json")]
    errors = {str(one["error"])[:70] for one in said}
    return f"status {status}, states {sorted({one['state'] for one in said})}: {'; '.join(errors)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kills", nargs="?", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    kills, seed = asked.kills, asked.seed
    faults: dict[str, Callable[[Path], str]] = {
        f"SIGKILL of everything at {kills} random moments, 32 runs": lambda f: kill_again_and_again(
            f, kills, seed
        ),
        **{
            f"SIGKILL at random moments of {name}": partial(
                kill_stage, name, share=kills / KILLS, seed=seed
            )
            for name in STAGES
        },
        "a full disk, then room": full_disk,
        "rubbish in files": rubbish,
        "hostile names of runs": names,
        "two launchers": two_launchers,
        "two fits into one folder": two_fits,
        "locks and half files of a machine that is gone": partial(stale_locks, launch=launch),
        "a clock that jumps a year ahead and two back": clock,
        "a run that diverges": diverges,
    }
    for what, fault in faults.items():
        if asked.only in what:
            with tempfile.TemporaryDirectory() as folder:
                print(f"{what}: {fault(Path(folder))}", flush=True)


if __name__ == "__main__":
    main()
