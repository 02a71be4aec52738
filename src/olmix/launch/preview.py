"""A preview of a launch: what it would do and cost; needs no credentials and no trainer."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from olmix.config import (
    CommandTraining,
    LaunchConfig,
    LocalInfra,
    OlmoCoreTraining,
    ProxyTraining,
)
from olmix.config.infra import Devices
from olmix.config.training import Training
from olmix.errors import DataError, OlmixError
from olmix.launch.command_runs import CommandRun
from olmix.launch.engines import engine_of
from olmix.launch.group_plan import Group, Run, identity_of
from olmix.launch.local.workers import available_cores, gpus_of, slots_of
from olmix.records.group import read_group_record
from olmix.records.run import RunFolder
from olmix.text.yaml import render_yaml

__all__ = [
    "ASSUMED_TOKENS_PER_SECOND",
    "LaunchEstimate",
    "estimate",
    "render_launch",
    "render_training",
]

ASSUMED_TOKENS_PER_SECOND = 100_000.0
"""Speed of the default proxy model on one core, used where none is given or measured; models of
other sizes are assumed to be slower or faster as they do more or less work for each token."""
_ASSUMED_VOCABULARY = 1024
_GROUPS_BESIDE = 5
"""Groups beside a new one, the latest, in which runs of its kind are looked for."""


@dataclass(frozen=True)
class LaunchEstimate:
    """The size, time and price of a launch.

    Attributes:
        num_runs: runs of the group.
        num_missing: those that are still to be trained; everything below is theirs.
        num_tokens: training tokens; `None` where the runs do not say.
        flops: 6 x non-embedding parameters x tokens; `None` where the size is not known.
        devices: cores or GPUs that one run takes.
        device: what they are.
        at_once: runs at a time; `None` where the cluster decides.
        tokens_per_second: speed of one run, `None` where nothing is known of it.
        source: where that speed comes from.
        device_hours: devices times hours.
        seconds: wall-clock time.
        cost: price of the device-hours.
    """

    num_runs: int
    num_missing: int
    num_tokens: int | None
    flops: float | None
    devices: float
    device: Literal["core", "GPU"]
    at_once: int | None
    tokens_per_second: float | None
    source: Literal["given", "measured", "assumed", "unknown"]
    device_hours: float | None
    seconds: float | None
    cost: float | None


def estimate(
    group: Group,
    folder: Path | None = None,
    tokens_per_second: float | None = None,
    rate_per_hour: float | None = None,
) -> LaunchEstimate:
    """Estimate tokens, FLOPs, time and price of what a group still has to train.

    Args:
        group: the runs.
        folder: the group's folder; finished runs in it are not counted, and their speed is.
        tokens_per_second: speed of one run; if left out that of finished runs, here or in the
            groups beside this one, or assumed. The assumption holds for the default proxy model on
            a server core of 2024 (see `benchmarks/trainer.py`).
        rate_per_hour: price of a device-hour; that of the config if left out.
    """
    finished = _finished(group, folder)
    missing = [
        run
        for run in group.runs
        if folder is None or run.name not in finished or _has_changed(run, folder)
    ]
    tokens = _sum(_num_tokens(run) for run in missing)
    speed, source = _speed(group, finished, folder, tokens_per_second)
    devices = _devices(group)
    at_once = _at_once(group, len(missing))
    seconds = hours = None
    if tokens is not None and speed is not None:
        hours = devices.number * tokens / speed / 3600
        seconds = None if at_once is None else tokens / speed / max(at_once, 1)
    rate = rate_per_hour if rate_per_hour is not None else group.infra.rate_per_hour
    return LaunchEstimate(
        num_runs=len(group.runs),
        num_missing=len(missing),
        num_tokens=None if tokens is None else int(tokens),
        flops=_sum(_flops(run) for run in missing),
        devices=devices.number,
        device=devices.kind,
        at_once=at_once,
        tokens_per_second=speed,
        source=source,
        device_hours=hours,
        seconds=seconds,
        cost=None if rate is None or hours is None else rate * hours,
    )


def _sum(values: Iterable[float | None]) -> float | None:
    """Return the sum, or `None` where a part of it is not known."""
    known = list(values)
    return None if None in known else float(sum(value for value in known if value is not None))


def _num_tokens(run: Run) -> float | None:
    return None if isinstance(run, CommandRun) else float(run.training.num_tokens)


def _flops(run: Run) -> float | None:
    if isinstance(run, CommandRun) or isinstance(run.training, CommandTraining):
        return None
    parameters = run.training.num_parameters
    return None if parameters is None else 6.0 * parameters * run.training.num_tokens


def _finished(group: Group, folder: Path | None) -> dict[str, float]:
    """Return the speed of every run that has finished, by name; 0 where it is not known."""
    if folder is None:
        return {}
    states = {run.name: RunFolder(folder / run.name).read_status() for run in group.runs}
    return {
        n: status.tokens_per_second for n, status in states.items() if status.state == "finished"
    }


def _has_changed(run: Run, folder: Path) -> bool:
    """Whether config, data or seed of a finished run are others by now, so that it is done again.

    Where its files cannot be read here, it has not.
    """
    try:
        return not RunFolder(folder / run.name).is_finished(identity_of(run))
    except DataError:
        return False


def _speed(
    group: Group, finished: dict[str, float], folder: Path | None, given: float | None
) -> tuple[float | None, Literal["given", "measured", "assumed", "unknown"]]:
    if given is not None:
        return given, "given"
    measured = [speed for speed in finished.values() if speed > 0]
    if measured:
        return sum(measured) / len(measured), "measured"
    trainings = [run.training for run in group.runs if isinstance(run, LaunchConfig)]
    beside = _speed_beside(trainings, folder)
    if beside is not None:
        return beside, "measured"
    if not group.embedded:
        return None, "unknown"
    return ASSUMED_TOKENS_PER_SECOND * _work(ProxyTraining()) / _mean_work(trainings), "assumed"


def _speed_beside(trainings: Sequence[Training], folder: Path | None) -> float | None:
    """Return the speed of such runs in the latest groups beside this one, `None` without any.

    Models of the embedded trainer may have another size: what they do for a token tells.
    """
    if not trainings or folder is None:
        return None
    files = sorted(folder.parent.glob("*/group.json"), key=lambda file: -file.stat().st_mtime)
    for file in files[:_GROUPS_BESIDE]:
        try:
            record = read_group_record(file.parent)
            size = _size_beside(record.config.get("training"), trainings[0])
            if size is None:
                continue
            states = [RunFolder(file.parent / run.name).read_status() for run in record.runs]
        except OlmixError:  # a damaged group tells nothing of this one
            continue
        speeds = [s.tokens_per_second for s in states if s.state == "finished"]
        known = [speed for speed in speeds if speed > 0]
        if known:
            return sum(known) / len(known) * size / _mean_work(trainings)
    return None


def _size_beside(theirs: object, ours: Training) -> float | None:
    """Return the work for a token of another group, `None` where it tells nothing of this one."""
    if not isinstance(theirs, Mapping) or theirs.get("trainer") != ours.trainer:
        return None
    if isinstance(ours, ProxyTraining):
        return _work(ProxyTraining.from_dict(theirs))
    plain = ours.to_plain()
    compared = {*theirs, *plain} - {"max_tokens", "seed"}
    same = all(theirs.get(key) == plain.get(key) for key in compared)
    return _work(ours) if same else None


def _mean_work(trainings: Sequence[Training]) -> float:
    return sum(map(_work, trainings)) / len(trainings)


def _work(training: Training) -> float:
    """Return the size of an embedded model with a vocabulary of 1,024: its work for each token."""
    if not isinstance(training, ProxyTraining):
        return 1.0
    return training.num_parameters + _ASSUMED_VOCABULARY * training.d_model


def _devices(group: Group) -> Devices:
    """Return what one run takes."""
    infra = group.infra
    if not isinstance(infra, LocalInfra):
        return infra.devices
    # OLMo-core takes all cores; what a command takes is not known.
    cores = len(available_cores()) if group.has_olmo_core else 1
    return Devices.of(1 if gpus_of(group, infra) else 0, cores)


def _at_once(group: Group, num_missing: int) -> int | None:
    infra = group.infra
    if isinstance(infra, LocalInfra):
        return min(len(slots_of(group, infra)), num_missing)
    limit = getattr(infra, "array_limit", None)
    return None if limit is None else min(limit, num_missing)


def render_launch(group: Group, folder: Path, runs: Sequence[str] | None = None) -> str:
    """Return exactly what `launch run` starts or submits.

    Args:
        group: the runs.
        folder: the group's folder.
        runs: names of the runs to start; all if left out.
    """
    names = [run.name for run in group.runs] if runs is None else list(runs)
    if not isinstance(group.infra, LocalInfra):
        return engine_of(group.infra).render(group, folder, names)
    slots = slots_of(group, group.infra)
    shared = slots[0].environment if slots and not gpus_of(group, group.infra) else {}
    lines = [f"{name}={shlex.quote(value)}" for name, value in shared.items()]
    for slot in slots[: len(names)]:
        own = {k: v for k, v in slot.environment.items() if k not in shared}
        assigned = " ".join(f"{name}={shlex.quote(value)}" for name, value in own.items())
        lines.append(f"{assigned} {shlex.join(slot.command)}".strip())
    lines += [f'{{"runs": ["{folder / name}"]}}' for name in names]
    return "\n".join([*lines, *_commands(group, names, folder)])


def render_training(group: Group) -> str:
    """Return the whole training of the first run as a YAML document, and how the others differ.

    It is empty where the runs are commands of another framework.
    """
    first = group.runs[0]
    if not isinstance(first, LaunchConfig):
        return ""
    plain = first.to_plain()
    shown = {key: plain[key] for key in ("training", "data", "eval", "mix") if key in plain}
    if isinstance(first.training, OlmoCoreTraining):
        shown["training"] = _spelled_out(first.training, shown["training"])
    others = [run for run in group.runs[1:] if isinstance(run, LaunchConfig)]
    differing = [
        key
        for key in ("training", "data", "eval", "mix")
        if any(getattr(run, key) != getattr(first, key) for run in others)
    ]
    said = f"; the other {len(others)} differ in {', '.join(differing) or 'nothing'}"
    return f"--- # training of {first.name}{said if others else ''}\n{render_yaml(shown)}"


def _spelled_out(training: OlmoCoreTraining, plain: dict[str, Any]) -> dict[str, Any]:
    """Return a training section with the lengths that follow from others."""
    found = {**plain, "max_tokens": training.num_tokens}
    if training.num_parameters is not None:
        found["model_parameters"] = training.num_parameters
    if training.global_batch_size is not None:
        sequences = training.global_batch_size // training.sequence_length
        found["global_batch_size"] = f"{sequences} sequences"
    return found


def _commands(group: Group, names: Sequence[str], folder: Path) -> list[str]:
    """Return the commands of runs that other trainers train."""
    lines = []
    for run in group.runs:
        if run.name not in names:
            continue
        if isinstance(run, CommandRun):
            lines.append(f"(cd {shlex.quote(str(run.folder))} && {shlex.join(run.words)})")
        elif isinstance(run, LaunchConfig) and isinstance(run.training, CommandTraining):
            lines.append(shlex.join(run.training.words(folder.resolve() / run.name)))
    return lines
