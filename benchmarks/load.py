"""How much Olmix carries: `python benchmarks/load.py [PART ...]`.

Every part is one line: seconds and the peak memory of the process, start included, and what came
out. Parts are `runs` (5,000 run folders through status and collect), `fit` (200 domains and 100
metrics through fit and report), `slurm` (an array of 1,000 tasks on a SLURM of its own; needs root
and SLURM), `tokens` (10 GB of sparse token files through priors and prepare), and `watch` (`launch
status --watch` for the 360 refreshes of an hour, ten a second).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from olmix.config import LaunchConfig
from olmix.records.group import GroupRecord, GroupRun, write_group_record
from olmix.records.run import RunFolder, Status
from olmix.text.csv import write_table
from olmix.text.files import write_json
from olmix.text.yaml import render_yaml, write_yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "tests")]

NUM_RUNS, NUM_DOMAINS = 5_000, 24
SWARM_RUNS, SWARM_DOMAINS, SWARM_METRICS = 300, 200, 100
NUM_TASKS = 1_000
TOKEN_BYTES = 10 * 10**9
REFRESHES, EVERY_S = 360, 0.1
MB = 1 << 20


@dataclass(frozen=True)
class Used:
    """What a command took.

    Attributes:
        seconds: from its start to its end.
        peak: bytes of memory, its largest resident set.
        status: its exit status.
        said: what it printed.
    """

    seconds: float
    peak: int
    status: int
    said: str

    def __str__(self) -> str:
        failed = "" if self.status == 0 else f" (status {self.status}: {self.said[-300:]})"
        return f"{self.seconds:.1f} s, {self.peak / MB:.0f} MB{failed}"


METER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
found = [time.perf_counter() - started, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status)]
open(sys.argv[1], "w").write(json.dumps(found))
"""
"""A small process starts the command: a child counts the memory of its parent as its own."""


def olmix(folder: Path, *words: str, env: Mapping[str, str] | None = None) -> Used:
    """Run an `olmix` command and say what it took."""
    meter = [sys.executable, "-S", "-c", METER, str(folder / "used.json")]
    done = subprocess.run(
        [*meter, sys.executable, "-m", "olmix", "-q", *words],
        cwd=folder, stderr=subprocess.PIPE, text=True, env=env and dict(env), check=True,
    )  # fmt: skip
    return Used(*json.loads((folder / "used.json").read_text()), done.stderr)


def write_base(folder: Path, names: list[str], **training: object) -> LaunchConfig:
    """Write a launch config of a command over these domains."""
    base = {
        "name": "load",
        "infra": {"backend": "local", "workers": 1},
        "training": {"trainer": "command", "command": "true", "max_tokens": 10**6, **training},
        "data": {
            "dtype": "uint16",
            "sources": [{"name": n, "paths": [f"data/{n}.bin"]} for n in names],
        },
        "eval": {"type": "validation", "paths": {n: [f"data/{n}.val.bin"] for n in names}},
    }
    write_yaml(folder / "launch.yaml", base)
    return LaunchConfig.from_yaml(folder / "launch.yaml")


def write_runs(folder: Path, num_runs: int, *, finished: bool = True) -> Path:
    """Write the folder of a group as its launch and its runs would leave it."""
    rng = np.random.default_rng(0)
    names = [f"domain{index:02}" for index in range(NUM_DOMAINS)]
    base = write_base(folder, names)
    plain = base.to_plain()
    group = folder / "runs/load"
    runs = []
    for index, weights in enumerate(rng.dirichlet(np.ones(NUM_DOMAINS), num_runs)):
        run_name = f"load-{index:04}"
        mix = {n: {"weight": float(w)} for n, w in zip(names, weights, strict=True)}
        run = RunFolder(group / run_name)
        run.path.mkdir(parents=True)
        run.config.write_text(render_yaml({**plain, "name": run_name, "mix": mix}))
        metrics = {f"{name}_bpb": float(rng.normal(2, 0.1)) for name in names}
        with run.metrics.open("w") as log:
            for step in range(100, 1_001, 100):
                log.write(json.dumps({"step": step, "num_steps": 1_000, **metrics}) + "\n")
        if finished:
            shares = dict(zip(names, weights.tolist(), strict=True))
            summary = {"identity": run_name, "metrics": metrics, "token_shares": shares}
            write_json(run.summary, summary, sync=False)
        state = "finished" if finished else "pending"
        write_json(
            run.path / "status.json", vars(Status(state, run_name, 1_000, 1_000)), sync=False
        )
        runs.append(GroupRun(name=run_name, identity=run_name, seed=0, num_tokens=10**6, mix=mix))
    record = GroupRecord(group_id="load", infra=plain["infra"], runs=tuple(runs))
    write_group_record(group, record)
    return group


def many_runs(folder: Path) -> Iterator[str]:
    """Look at 5,000 runs, and collect them."""
    group = write_runs(folder, NUM_RUNS)
    what = f"{NUM_RUNS:,} runs of {NUM_DOMAINS} domains and as many metrics"
    yield f"launch status, {what}: {olmix(folder, 'launch', 'status', str(group))}"
    used = olmix(folder, "collect", str(group), "-o", "results")
    yield f"collect, {what}: {used}, {used.seconds / NUM_RUNS * 1000:.1f} ms a run"
    used = olmix(folder, "collect", str(group), "-o", "steps", "--per-checkpoint")
    yield f"collect --per-checkpoint, {what}: {used}"


def wide_swarm(folder: Path) -> Iterator[str]:
    """Fit 100 metrics over 200 domains, and write the page."""
    rng = np.random.default_rng(0)
    domains = [f"domain{index:03}" for index in range(SWARM_DOMAINS)]
    names = [f"run-{index:04}" for index in range(SWARM_RUNS)]
    prior = rng.dirichlet(np.full(SWARM_DOMAINS, 2.0))
    mixtures = rng.dirichlet(prior * SWARM_DOMAINS, SWARM_RUNS)
    slopes = rng.normal(0, 1, (SWARM_DOMAINS, SWARM_METRICS))
    values = 2 + np.exp(-0.5 + mixtures @ slopes) + rng.normal(0, 0.01, (SWARM_RUNS, SWARM_METRICS))
    metrics = {f"task-{i:03}_bpb": values[:, i].tolist() for i in range(SWARM_METRICS)}
    ratios = dict(zip(domains, mixtures.T.tolist(), strict=True))
    write_table(folder / "ratios.csv", names, ratios)
    write_table(folder / "metrics.csv", names, metrics)
    counts = {n: int(share * 10**12) + 1 for n, share in zip(domains, prior, strict=True)}
    content = {
        "swarm": {"ratios": "ratios.csv", "metrics": "metrics.csv"},
        "priors": {"token_counts": counts},
    }
    write_yaml(folder / "fit.yaml", content)
    what = f"{SWARM_RUNS} runs, {SWARM_DOMAINS} domains, {SWARM_METRICS} metrics"
    used = olmix(folder, "fit", "-c", "fit.yaml", "-o", "fit")
    page = folder / "fit/latest/report.html"
    size = f"; report.html {page.stat().st_size / MB:.1f} MB" if page.is_file() else ""
    yield f"fit with its report, {what}: {used}{size}"


def long_array(folder: Path) -> Iterator[str]:
    """Submit 1,000 tasks to a SLURM of its own, and follow them to the end."""
    from private_slurm import private_slurm  # beside the tests

    names = ["a", "b"]
    base = write_base(folder, names).to_plain()
    base["infra"] = {"backend": "slurm", "time": "00:10:00"}
    write_yaml(folder / "launch.yaml", base)
    shares = np.linspace(0.1, 0.9, NUM_TASKS)
    for index, share in enumerate(shares.tolist()):
        name = f"load-{index:04}"
        mix = {"a": {"weight": share}, "b": {"weight": 1 - share}}
        write_yaml(folder / f"variants/{name}.yaml", {"name": name, "mix": mix})
    with private_slurm(folder / "slurm") as environment:
        words = ["launch", "run", "-v", "variants", "-c", "launch.yaml", "-g", "load", "--yes"]
        yield f"launch of {NUM_TASKS:,} tasks on SLURM: {olmix(folder, *words, env=environment)}"
        status = ["launch", "status", "runs/load", "--json"]
        yield f"status while they run: {olmix(folder, *status, env=environment)}"
        started = time.perf_counter()
        while subprocess.run(
            ["squeue", "-h"], env=environment, capture_output=True, text=True, check=True
        ).stdout.strip():
            time.sleep(2)
        seconds = time.perf_counter() - started
        states: dict[str, int] = {}
        for file in (folder / "runs/load").glob("*/status.json"):
            state = json.loads(file.read_text())["state"]
            states[state] = states.get(state, 0) + 1
        yield f"all tasks ended {seconds:.0f} s later: {states}"
        used = olmix(folder, *status, env=environment)
        yield f"status when they have ended: {used}"


def sparse_tokens(folder: Path) -> Iterator[str]:
    """Count 10 GB of token files that are holes, and offer them to prepare."""
    names = [f"domain{index:02}" for index in range(10)]
    write_base(folder, names)
    for name in names:
        file = folder / "data" / name / "part-0.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as tokens:
            tokens.truncate(TOKEN_BYTES // len(names))
        (folder / f"data/{name}.bin").symlink_to(file)
    what = f"{TOKEN_BYTES / 10**9:.0f} GB in {len(names)} sparse token files"
    used = olmix(folder, "priors", "compute", "-c", "launch.yaml", "-o", "priors.yaml")
    yield f"priors, {what}: {used}"
    used = olmix(folder, "prepare", "--data", "data", "-o", "tokens")
    yield f"prepare, which finds no text in them: {used}"


def long_watch(folder: Path) -> Iterator[str]:
    """Watch 200 runs that wait for as many refreshes as an hour has."""
    group = write_runs(folder, 200, finished=False)
    words = ["launch", "status", str(group), "--watch", "--every", str(EVERY_S)]
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "olmix", *words], stdout=printed, stderr=printed
        )
        try:
            watched = psutil.Process(process.pid)
            sizes: list[tuple[int, int, int]] = []
            while (drawn := _count(printed, "load-0199")) < REFRESHES:
                if process.poll() is not None:
                    yield f"status --watch ended with {process.returncode}"
                    return
                sizes.append((drawn, watched.memory_info().rss, watched.num_fds()))
                time.sleep(1)
        finally:
            process.terminate()
            process.wait()
    early = next(size for size in sizes if size[0] >= REFRESHES // 10)
    late = sizes[-1]
    yield (
        f"status --watch, 200 runs, {late[0]} refreshes (an hour has {REFRESHES}): "
        f"{early[1] / MB:.1f} MB and {early[2]} open files after {early[0]} refreshes, "
        f"{late[1] / MB:.1f} MB and {late[2]} at the end"
    )


def _count(printed: object, word: str) -> int:
    descriptor = printed.fileno()  # type: ignore[attr-defined]
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0).decode(errors="replace").count(word)


PARTS: dict[str, Callable[[Path], Iterator[str]]] = {
    "runs": many_runs,
    "tokens": sparse_tokens,
    "watch": long_watch,
    "fit": wide_swarm,
    "slurm": long_array,
}


def main() -> None:
    """Print a line for every measurement."""
    for part in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            for line in PARTS[part](Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
