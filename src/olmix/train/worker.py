"""A process that trains runs as it is told: ``python -m olmix.train.worker [--core N]``.

It reads one JSON object a line on standard input and answers in the same way on standard output:

    {"ready": true, "device": "cpu"}                                 once, when it can take work
    -> {"runs": ["runs/a/a-0000"]}                                   several train side by side
    {"run": ..., "step": 64, "num_steps": 312, "tokens_per_second": 1.1e5, "loss": 4.1, ...}
    {"run": ..., "state": "finished", "error": null}                 once for each run

With `--plain` it loads no library and sets no number of threads: for runs of other trainers, which
are processes of their own.

`state` is finished, failed, skipped (the same run was finished before) or interrupted. A line
that cannot be read is answered with a failed `run` of null. When standard input ends, or on
SIGTERM, the worker writes a checkpoint, sets the run back to pending, and leaves.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from olmix.train.environment import pin, use_compilation_cache, use_one_thread

if TYPE_CHECKING:
    from olmix.train.outcome import Outcome, RunProgress

__all__ = ["main"]


_LOCK_POLL_S = 0.2


class _Inbox:
    """The requests on standard input, read by a thread so that its end is seen during a run."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # Unlike Queue and Event, a SimpleQueue and a flag may be changed from a signal handler.
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stopped = False

    def start(self) -> None:
        """Read in the background; SIGTERM counts as the end of the input."""
        threading.Thread(target=self._read, name="stdin", daemon=True).start()
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        # Ctrl-C reaches the whole group of processes; the parent decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def stop(self) -> None:
        """Let the current run stop and take no other."""
        self._stopped = True
        self._lines.put(None)

    def stopped(self) -> bool:
        """Whether the input has ended."""
        return self._stopped

    def __iter__(self) -> Iterator[str]:
        while not self.stopped():
            line = self._lines.get()
            if line is not None and not self.stopped() and line.strip():
                yield line

    def _read(self) -> None:
        # Not through sys.stdin: a thread that waits in it breaks the end of the process.
        rest = b""
        while block := os.read(self._descriptor, 1 << 16):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                self._lines.put(line.decode("utf-8", errors="replace"))
        self.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Take requests until standard input ends."""
    options = _parse(arguments)
    send = _take_over_stdout()
    if options.core is not None:
        pin(options.core)
    if not options.plain:
        use_one_thread()
    inbox = _Inbox(sys.stdin.fileno())
    inbox.start()

    send({"ready": True, "device": "any" if options.plain else use_compilation_cache()})
    for line in inbox:
        try:
            runs = _read_request(line)
        except ValueError as error:
            send({"run": None, "state": "failed", "error": str(error)})
            continue
        _serve([Path(run) for run in dict.fromkeys(runs)], inbox, send)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="olmix.train.worker", description=__doc__.split("\n")[0])
    parser.add_argument("--core", type=int, help="the core to stay on, if the system allows it")
    parser.add_argument(
        "--plain", action="store_true", help="for trainers other than the embedded one"
    )
    return parser.parse_args(arguments)


def _take_over_stdout() -> Callable[[dict[str, object]], None]:
    """Keep standard output for answers; whatever else is printed goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(answer: dict[str, object]) -> None:
        # The parent may be gone; the end of standard input will say so.
        with suppress(BrokenPipeError):
            out.write(json.dumps(answer) + "\n")
            out.flush()

    return send


def _read_request(line: str) -> list[str]:
    try:
        request = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"this line is not JSON ({error}): {line.strip()[:200]}") from None
    runs = request.get("runs") if isinstance(request, dict) else None
    if not isinstance(runs, list) or not runs or not all(isinstance(run, str) for run in runs):
        raise ValueError(f'a request is {{"runs": ["FOLDER", ...]}}; found {line.strip()[:200]}')
    return runs


def _serve(runs: Sequence[Path], inbox: _Inbox, send: Callable[[dict[str, object]], None]) -> None:
    """Train some runs and answer for each of them, whatever happens."""
    from olmix.records.run import RunFolder
    from olmix.train.dispatch import train_any
    from olmix.train.outcome import fail_run

    def on_progress(progress: RunProgress) -> None:
        send({**asdict(progress), "run": str(progress.run), "share": progress.share})

    waiting = dict.fromkeys(runs)

    def answer(outcome: Outcome) -> None:
        waiting.pop(outcome.run, None)
        send({"run": str(outcome.run), "state": outcome.state, "error": outcome.error})

    try:
        with ExitStack() as held:
            # In one order everywhere, so that two workers never wait for each other.
            for run in sorted(runs):
                if run.is_dir():
                    _lock(run, inbox, held)
            folders = [RunFolder(run) for run in runs]
            for outcome in train_any(folders, on_progress=on_progress, should_stop=inbox.stopped):
                answer(outcome)
    except Exception as error:  # noqa: BLE001  whatever it is, the launcher waits for answers
        for run in list(waiting):
            answer(fail_run(RunFolder(run), error))


def _lock(run: Path, inbox: _Inbox, held: ExitStack) -> None:
    """Hold the lock of a run until `held` is closed; give up when the input ends."""
    from olmix.records.run import lock

    while not inbox.stopped():
        attempt = ExitStack()
        if attempt.enter_context(lock(run / ".lock", wait=False)):
            held.push(attempt)
            return
        attempt.close()
        time.sleep(_LOCK_POLL_S)


if __name__ == "__main__":
    sys.exit(main())
