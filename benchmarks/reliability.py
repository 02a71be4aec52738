"""What is lost when things die: `python benchmarks/reliability.py [KILLS]`.

A launch of 32 runs on this machine is killed with SIGKILL, launcher and workers together, at random
moments until it has been killed KILLS times or is finished, and then finished. After every kill the
runs that were finished before must be there, untouched. In the end every number must be the one of
a launch that nothing disturbed. Then single faults: a full disk, status files of rubbish, names,
two launchers, a clock that jumps, and a run that diverges.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from olmix.io.files import write_json, write_yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from byte_tokens import EOS, byte_tokenizer  # noqa: E402

NUM_RUNS = 32
KILLS = 50


def write_swarm(folder: Path, num_runs: int, **training: object) -> Path:
    """Write data, a base and variants; returns the folder of the variants."""
    rng = np.random.default_rng(0)
    for name in "abc":
        shares = rng.dirichlet(np.full(EOS, 0.05))
        for suffix, length in (("bin", 60_000), ("val.bin", 1_000)):
            tokens = rng.choice(EOS, length, p=shares).astype(np.uint16)
            tokens[99::100] = EOS
            tokens.tofile(folder / f"{name}.{suffix}")
    (folder / "tokenizer.json").write_text(json.dumps(byte_tokenizer()))
    model = {"d_model": 32, "num_heads": 2, "context_length": 32, "batch_size": 4}
    base = {
        "name": "tiny",
        "training": {
            "trainer": "proxy",
            "max_tokens": 120_000,
            "checkpoint_interval_s": 0.5,
            **model,
            **training,
        },
        "data": {
            "dtype": "uint16",
            "tokenizer": str(folder / "tokenizer.json"),
            "sources": [{"name": n, "paths": [str(folder / f"{n}.bin")]} for n in "abc"],
        },
        "eval": {
            "type": "validation",
            "paths": {n: [str(folder / f"{n}.val.bin")] for n in "abc"},
        },
    }
    write_yaml(folder / "launch.yaml", base)
    for index in range(num_runs):
        weights = rng.dirichlet(np.ones(3)).round(4)
        mix = {n: {"weight": float(w)} for n, w in zip("abc", weights / weights.sum(), strict=True)}
        name = f"tiny-{index:04d}"
        write_yaml(folder / f"variants/{name}.yaml", {"name": name, "mix": mix})
    return folder / "variants"


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


def kill_again_and_again(folder: Path, kills: int) -> str:
    """Kill a launch at random moments; returns what was lost."""
    rng = random.Random(0)
    variants = write_swarm(folder, NUM_RUNS)
    runs, lost, killed = folder / "killed", 0, 0
    for _ in range(kills):
        before = finished(runs)
        process = launch(variants, runs)
        try:
            process.wait(rng.uniform(1.0, 6.0))
        except subprocess.TimeoutExpired:
            for one in [process.pid, *descendants(process.pid)]:
                try:
                    os.kill(one, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            process.wait()
            killed += 1
        after = finished(runs)
        lost += sum(after.get(name) != text for name, text in before.items())
        if len(after) == NUM_RUNS:
            break
    if launch(variants, runs).wait():
        return "the last launch failed"
    calm = folder / "calm"
    if launch(variants, calm).wait():
        return "the calm launch failed"
    same = sum(metrics(runs).get(name) == found for name, found in metrics(calm).items())
    return (
        f"{killed} kills, {lost} finished runs lost or trained again, "
        f"{same} of {NUM_RUNS} runs with the very numbers of an undisturbed launch"
    )


def full_disk(folder: Path) -> str:
    """Fill the disk in the middle: files may not grow beyond a size, then they may."""
    variants = write_swarm(folder, 4)
    runs = folder / "runs"
    code = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); "
        "sys.argv = ['olmix', *sys.argv[1:]]; runpy.run_module('olmix', run_name='__main__')"
    )
    words = [sys.executable, "-c", code, "-q", "launch", "run", "-v", str(variants), "-c"]
    words += [str(folder / "launch.yaml"), "-g", "group", "-o", str(runs), "--yes"]
    first = subprocess.run(words, capture_output=True, text=True, check=False)
    before = len(finished(runs))
    second = launch(variants, runs).wait()
    return (
        f"status {first.returncode} with {before} of 4 runs finished; afterwards status {second} "
        f"with {len(finished(runs))} of 4"
    )


def rubbish(folder: Path) -> str:
    """Write rubbish over the status files of finished and unfinished runs."""
    variants = write_swarm(folder, 4)
    runs = folder / "runs"
    launch(variants, runs).wait()
    texts = ["", "{", "[]", '{"state": 5}']
    for run, text in zip(sorted(runs.glob("group/tiny-*")), texts, strict=True):
        (run / "status.json").write_text(text)
    status = launch(variants, runs).wait()
    return f"status {status} with {len(finished(runs))} of 4 runs finished"


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
    while not list(folder.glob("runs/group/*/status.json")):
        time.sleep(0.05)
    second = launch(variants, folder / "runs").wait()
    status = first.wait()
    return f"the second ended with status {second}, the first with {status} and 8 runs"


def clock(folder: Path) -> str:
    """Let the times of all files lie in the future."""
    variants = write_swarm(folder, 4)
    runs = folder / "runs"
    launch(variants, runs).wait()
    before = finished(runs)
    later = time.time() + 10 * 365 * 86400
    for file in runs.rglob("*"):
        os.utime(file, (later, later))
    status = launch(variants, runs).wait()
    return f"status {status}, {sum(finished(runs)[n] == t for n, t in before.items())} of 4 kept"


def diverges(folder: Path) -> str:
    """Train with a learning rate that explodes."""
    variants = write_swarm(folder, 2, learning_rate=1e6, clip_norm=1e9)
    status = launch(variants, folder / "runs").wait()
    said = [json.loads(f.read_text()) for f in folder.glob("runs/group/*/status.json")]
    errors = {str(one["error"])[:70] for one in said}
    return f"status {status}, states {sorted({one['state'] for one in said})}: {'; '.join(errors)}"


def main() -> None:
    """Print the table."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    faults: dict[str, Callable[[Path], str]] = {
        f"SIGKILL of everything at {kills} random moments, 32 runs": lambda f: kill_again_and_again(
            f, kills
        ),
        "no file may grow beyond 20 kB (a full disk), then it may": full_disk,
        "rubbish in the status files": rubbish,
        "hostile names of runs": names,
        "two launchers": two_launchers,
        "files from the future": clock,
        "a run that diverges": diverges,
    }
    for what, fault in faults.items():
        with tempfile.TemporaryDirectory() as folder:
            print(f"{what}: {fault(Path(folder))}", flush=True)


if __name__ == "__main__":
    main()
