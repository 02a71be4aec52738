"""Training run folders: alone, or several side by side."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from olmix.errors import DivergedError, in_words
from olmix.records.run import RunFolder
from olmix.train.environment import compile_lock
from olmix.train.outcome import Outcome, RunProgress, fail_run, note_failure, run_logs
from olmix.train.proxy.lanes import Lanes
from olmix.train.proxy.loop import CHUNK, programs
from olmix.train.proxy.run import ProxyRun, prepare, read_config

__all__ = ["Outcome", "RunProgress", "train_runs"]

logger = logging.getLogger(__name__)

REPORT_INTERVAL_S = 0.5
"""Seconds between two reports of progress, at least."""
CALL_TARGET_S = 0.5
"""Seconds that one call of the compiled program takes, at most, where steps are slow."""


def train_runs(
    folders: Sequence[RunFolder],
    *,
    on_progress: Callable[[RunProgress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Train run folders and yield how each of them ended.

    Runs of equal sizes that are at the same step are trained side by side, the others one after
    another. An error of one run is reported as its outcome and leaves the others alone.

    Args:
        folders: run folders with a `config.yaml`; the caller holds their locks.
        on_progress: called for each run at most twice a second.
        should_stop: asked between chunks of steps; a run that stops writes a checkpoint first.
    """
    jobs: list[ProxyRun] = []
    with run_logs(folders):
        for folder in folders:
            if should_stop():
                yield Outcome(folder.path, "interrupted")
                continue
            try:
                work = prepare(read_config(folder))
                if folder.is_finished(work.identity):
                    yield Outcome(folder.path, "skipped")
                    continue
                jobs.append(ProxyRun(folder, work))
            except Exception as error:  # noqa: BLE001  a bad run must not end the others
                yield fail_run(folder, error)
        try:
            for group in _groups(jobs):
                yield from _Sitting(group, on_progress, should_stop).train()
        except BaseException as error:
            for job in jobs:
                if not job.writer.ended:
                    job.writer.end_with(error)
            raise


def _groups(jobs: Sequence[ProxyRun]) -> list[list[ProxyRun]]:
    """Split jobs into those that can be trained side by side."""
    groups: dict[object, list[ProxyRun]] = {}
    for job in jobs:
        training = job.work.training
        validation = job.work.validation.tokens
        key = (
            job.work.geometry,
            training.num_steps,
            training.eval_interval,
            job.step,
            validation.shape,
            validation.tobytes(),
        )
        groups.setdefault(key, []).append(job)
    return list(groups.values())


class _Sitting:
    """One uninterrupted training of a group of runs."""

    def __init__(
        self,
        jobs: Sequence[ProxyRun],
        on_progress: Callable[[RunProgress], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._jobs = list(jobs)
        self._live = dict(enumerate(jobs))
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._training = jobs[0].work.training
        self._first_step = self._step = jobs[0].step
        self._started = self._saved = self._reported = 0.0
        self._ended: list[Outcome] = []

    def train(self) -> Iterator[Outcome]:
        """Train until all runs have ended, and yield each outcome as it comes."""
        try:
            yield from self._train()
        except Exception as error:  # noqa: BLE001  a failed run must not end the worker
            note_failure(error)
            for job in self._live.values():
                if not job.writer.ended:
                    job.writer.end_with(error, step=self._step)
                    yield Outcome(job.folder.path, "failed", in_words(error))
        finally:
            for job in self._jobs:
                job.writer.close()

    def _train(self) -> Iterator[Outcome]:
        self._report(0.0)
        works = [job.work for job in self._jobs]
        geometry = replace(works[0].geometry, lanes=len(works) if len(works) > 1 else 0)
        with compile_lock():
            programs(geometry)
        swarm = Lanes(geometry, [job.initial for job in self._jobs], [w.hyper for w in works])
        self._started = self._saved = time.monotonic()
        count = 1
        while self._live and self._step < self._training.num_steps:
            if self._should_stop():
                yield from self._interrupt(swarm)
                return
            called = time.monotonic()
            self._advance(swarm, count)
            seconds = time.monotonic() - called
            count = min(CHUNK, 2 * count, max(1, int(count * CALL_TARGET_S / max(seconds, 1e-9))))
            yield from self._take_ended()
            self._keep(swarm)
        for job in self._live.values():
            job.finish(self._seconds(), self._rate())
            yield Outcome(job.folder.path, "finished")

    def _advance(self, swarm: Lanes, count: int) -> None:
        """Take up to `count` steps, no further than the next evaluation, and record them."""
        interval = self._training.eval_interval
        stop = min(self._step + count, self._training.num_steps)
        if interval:
            stop = min(stop, (self._step // interval + 1) * interval)
        log = swarm.train([job.work.plan.batches(self._step, stop) for job in self._jobs])
        start, self._step = self._step, stop
        for index in list(self._live):
            self._guard(index, partial(ProxyRun.record_losses, first_step=start, log=log[index]))
        due = interval and stop % interval == 0
        if self._live and (due or stop == self._training.num_steps):
            nats = swarm.evaluate(self._jobs[0].work.validation)
            for index in list(self._live):
                self._guard(index, partial(ProxyRun.record_evaluation, step=stop, nats=nats[index]))

    def _guard(self, index: int, record: Callable[[ProxyRun], None]) -> None:
        """Let a run that diverged fail by itself."""
        job = self._live[index]
        try:
            record(job)
        except DivergedError as error:
            logger.error("%s: %s", job.folder.name, error)
            # The same steps would diverge again: there is nothing to resume.
            job.folder.checkpoint.unlink(missing_ok=True)
            job.writer.end_with(error, step=self._step)
            del self._live[index]
            self._ended.append(Outcome(job.folder.path, "failed", str(error)))

    def _take_ended(self) -> list[Outcome]:
        ended, self._ended = self._ended, []
        return ended

    def _keep(self, swarm: Lanes) -> None:
        """Write checkpoints and report progress where they are due."""
        now = time.monotonic()
        unfinished = self._step < self._training.num_steps
        if unfinished and now - self._saved >= self._training.checkpoint_interval_s:
            self._save(swarm)
        if now - self._reported >= REPORT_INTERVAL_S:
            self._report(self._rate())

    def _save(self, swarm: Lanes) -> None:
        for index, job in self._live.items():
            job.save(self._step, swarm.state(index), self._seconds())
        self._saved = time.monotonic()

    def _interrupt(self, swarm: Lanes) -> Iterator[Outcome]:
        self._save(swarm)
        for job in self._live.values():
            job.writer.interrupt(step=self._step, tokens_per_second=self._rate())
            logger.info("%s stopped at step %d and can be resumed", job.folder.name, self._step)
            yield Outcome(job.folder.path, "interrupted")

    def _report(self, rate: float) -> None:
        self._reported = time.monotonic()
        for job in self._live.values():
            job.writer.progress(step=self._step, tokens_per_second=rate)
            self._on_progress(
                RunProgress(job.folder.path, self._step, self._training.num_steps, rate, job.loss)
            )

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _rate(self) -> float:
        """Return the tokens per second of each run in this sitting."""
        steps = self._step - self._first_step
        tokens = steps * self._training.batch_size * self._training.context_length
        return tokens / max(self._seconds(), 1e-9)
