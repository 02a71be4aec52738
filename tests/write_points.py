"""What a kill between any two writes of a command leaves behind.

Python tells an audit hook of every file that is opened for writing, renamed, removed or made,
before it happens. The hook copies the folder that is watched: the copy is what a SIGKILL at that
moment would have left, buffers that were not written and all. So the list of moments comes from the
code as it runs.

    with Warm() as warm:
        states = warm.kill_states(["priors", "compute", ...], folder)
        for state in states:
            restore(state, folder)
            warm.run(["priors", "compute", ...])

As a script this is the process of `Warm`: it imports the stages once and forks for every command.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WATCHED, BELOW, STATES = "WRITE_POINTS_WATCHED", "WRITE_POINTS_BELOW", "WRITE_POINTS_STATES"
_LEFTOVER = re.compile(r"\..+\.tmp")
"""What is being written; the next writer removes it without a look at what is in it."""
_ALL_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
IMPORTS = """
import matplotlib.pyplot, cvxpy, scipy.stats, jinja2, numpy
import olmix.cli.main, olmix.fit, olmix.report, olmix.verify, olmix.collect, olmix.launch
import olmix.generate, olmix.priors, olmix.sweep, olmix.sweep.torchtune.adapter
import olmix.sweep.results, olmix.plotting.sweeps
"""


def _paths(event: str, args: tuple[Any, ...]) -> list[str]:
    """Return the paths that an event of the audit hook is about to change."""
    if event == "open":
        path, _, flags = args
        changes = isinstance(flags, int) and flags & _ALL_WRITES and not isinstance(path, int)
        found = [(path, -1)] if changes else []
    elif event in ("os.rename", "os.link"):
        found = [(args[0], args[2]), (args[1], args[3])]
    elif event == "os.symlink":
        found = [(args[1], args[2])]
    elif event == "os.mkdir":
        found = [(args[0], args[2])]
    elif event in ("os.remove", "os.rmdir"):
        found = [(args[0], args[1])]
    elif event == "os.truncate" and not isinstance(args[0], int):
        found = [(args[0], -1)]
    else:
        return []
    whole = []
    for path, descriptor in found:
        name = os.fsdecode(path)
        if isinstance(descriptor, int) and descriptor >= 0:
            name = str(Path(f"/proc/self/fd/{descriptor}").readlink() / name)
        whole.append(os.path.abspath(name))  # noqa: PTH100
    return whole


def install() -> None:
    """Copy the watched folder before each write below `BELOW`, from now on in this process."""
    watched, below, states = (Path(os.environ[name]) for name in (WATCHED, BELOW, STATES))
    busy = False

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal busy
        if busy or not (event == "open" or event.startswith("os.")):
            return
        paths = [Path(path) for path in _paths(event, args)]
        if not any(path.is_relative_to(below) for path in paths):
            return
        busy = True
        try:
            _copy(watched, _new_state(states))
            if event == "open" and not any(_LEFTOVER.fullmatch(p) for p in paths[0].parts):
                # Opened, and killed before anything was written.
                flags = args[2]
                if flags & os.O_TRUNC or (flags & os.O_CREAT and not paths[0].exists()):
                    torn = _new_state(states)
                    _copy(watched, torn)
                    (torn / paths[0].relative_to(watched)).write_bytes(b"")
        finally:
            busy = False

    sys.addaudithook(hook)


def _new_state(states: Path) -> Path:
    return states / f"{time.monotonic_ns():020}-{os.getpid()}"


def _copy(folder: Path, to: Path) -> None:
    try:
        shutil.copytree(folder, to, symlinks=True)
    except shutil.Error as error:
        # What another process renamed meanwhile is not there.
        if not all("No such file" in why for *_, why in error.args[0]):
            raise


def restore(state: Path, folder: Path) -> None:
    """Let a folder be what a kill left."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(state, folder, symlinks=True)


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of every file and link, and the empty folders."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = b"-> " + os.fsencode(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[name] = b"empty folder"
    return found


def _distinct(states: Path) -> list[Path]:
    """Return one state of those that differ in leftovers alone: the one that has most of them."""
    by_key: dict[str, Path] = {}
    for state in sorted(states.iterdir()):
        kept = {
            name: content
            for name, content in tree(state).items()
            if not any(_LEFTOVER.fullmatch(part) for part in Path(name).parts)
        }
        by_key[repr(kept)] = state
    return list(by_key.values())


class Warm:
    """A process that has imported the stages and forks for every command."""

    def __init__(self, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        hook = log.parent / "hook"
        hook.mkdir(exist_ok=True)
        here = Path(__file__).parent
        (hook / "sitecustomize.py").write_text(
            f"import os, sys\nif {STATES!r} in os.environ:\n    sys.path.append({str(here)!r})\n"
            "    import write_points\n    write_points.install()\n"
        )
        path = os.pathsep.join(filter(None, [str(hook), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, **(environment or {})},
        )

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, words: Sequence[str], cwd: Path, watch: Mapping[str, str] | None = None) -> int:
        """Run `olmix WORDS` and return its status; what it prints goes to the log."""
        request = {"words": list(words), "cwd": str(cwd), "log": str(self.log), "env": watch or {}}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def kill_states(
        self, words: Sequence[str], folder: Path, states: Path, below: Path | None = None
    ) -> list[Path]:
        """Run a command to its end; return what a kill before each of its writes would leave.

        Args:
            words: the command.
            folder: what is watched, and where the command runs.
            states: where the states are kept.
            below: only writes into this part of the folder count; all of them if left out.
        """
        states.mkdir()
        watch = {WATCHED: str(folder), BELOW: str(below or folder), STATES: str(states)}
        status = self.run(words, folder, watch)
        assert status == 0, self.log.read_text()
        return _distinct(states)


def _serve() -> None:
    exec(IMPORTS)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_carry_out(request))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201


def _carry_out(request: Mapping[str, Any]) -> int:
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["cwd"])
    os.environ.update(request["env"])
    if STATES in os.environ:
        install()
    from olmix.cli.main import main

    sys.argv = ["olmix", *request["words"]]
    try:
        main()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    _serve()
