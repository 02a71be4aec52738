"""Results of evaluations: `olmix evaluate`, lm-evaluation-harness, OLMES and olmo-eval.

lm-evaluation-harness writes `results_TIME.json` per call, with `results: {task: {"acc,none": ...,
"acc_stderr,none": ...}}` (version 0.4; before it `acc` and `acc_stderr`), the tasks of each group
in `group_subtasks`, and directions in `higher_is_better`. OLMES writes `metrics.json` with a list
of `tasks`, the same entries as lines of `metrics-all.jsonl`, and one as
`task-NNN-NAME-metrics.json`; before 2025 `metrics.json` had a list of `metrics`, whose entries hold
the numbers beside the name of the task. Its aggregates, such as that of MMLU, are entries too.
olmo-eval, which came after it in 2026, writes `metrics.json` with `tasks` of
``{"task", "metrics": {metric: {scorer: value}}, "primary_metric": "metric:scorer"}``, and the
aggregates of its suites in `summary`. A metric is named ``task/metric``, there
``task/metric/scorer``. `olmix evaluate` writes `bits_per_byte.json`, whose metrics are named as
those of the embedded trainer are.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from olmix.errors import DataError
from olmix.records.checkpoint_bits import CHECKPOINT_BITS, read_checkpoint_bits
from olmix.records.log_readers import Curves, flatten, number
from olmix.records.metric import error_of
from olmix.records.metric_identity import MetricIdentity
from olmix.text.files import read_json, read_records

__all__ = ["LM_EVAL", "OLMES", "Evaluated", "find_evaluations", "read_evaluations"]

LM_EVAL = "results_*.json"
_SINGLE = "metrics.json"
OLMES = ("metrics-all.jsonl", _SINGLE, "task-*-metrics.json")
"""Files of OLMES; where a folder has several kinds, the first is the whole of it."""
_DEPTH = 4
"""Folders below that of a run in which results are looked for."""
_STEP = re.compile(r"(?:^|[/_\-=.])(?:step|iter|checkpoint|ckpt)s?[_\-=]?(\d+)")
_LISTED = re.compile(r"primary_score$|bits_per_byte(?!.*_m[ai]cro$)")
"""Metrics of an OLMES task that are collected where nobody names any; of the two averages of an
aggregate its primary score is one."""
_NO_METRICS = frozenset({"task", "num_instances", "task_config", "processing_time"})
"""Keys beside the numbers of a task, in the older `metrics.json` of OLMES."""


@dataclass
class Evaluated:
    """The results of one run.

    Attributes:
        curves: metrics by step; step 0 where no file or folder names one.
        listed: metrics that are collected where nobody names any: those of tasks, or of groups in
            place of their subtasks.
        lower_is_better: directions that the files give.
        measured_with: task, version, shots and seed of each metric, as far as the files say.
    """

    curves: Curves = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    lower_is_better: dict[str, bool] = field(default_factory=dict)
    measured_with: dict[str, MetricIdentity] = field(default_factory=dict)

    @property
    def final(self) -> dict[str, float]:
        """The last value of each listed metric, and its standard error."""
        wanted = {n for n in self.curves if n in self.listed or error_of(n) in self.listed}
        return {n: points[max(points)] for n, points in self.curves.items() if n in wanted}


def find_evaluations(folder: Path) -> list[Path]:
    """Return the result files of a run, the earliest first.

    Of the files of one folder that OLMES wrote, those of the first kind that is there count.
    """
    files: list[Path] = []
    for place, folders, names in os.walk(folder):
        if len(Path(place).relative_to(folder).parts) >= _DEPTH:
            folders.clear()
        of_olmes = next((some for kind in OLMES if (some := fnmatch.filter(names, kind))), [])
        own = [CHECKPOINT_BITS] if CHECKPOINT_BITS in names else []
        files += [Path(place, name) for name in (*fnmatch.filter(names, LM_EVAL), *of_olmes, *own)]
    # A name holds the time of its evaluation, which copying a folder does not change.
    return sorted(files, key=lambda file: (_step_in(str(file.relative_to(folder))), file.name))


def read_evaluations(files: Sequence[Path], folder: Path) -> Evaluated:
    """Return what the result files of a run hold; of two of one step the later counts.

    Args:
        files: what `find_evaluations` returned.
        folder: that of the run; folders below it may name a step.

    Raises:
        DataError: a file is damaged.
    """
    found = Evaluated()
    for file in files:
        if file.match(LM_EVAL):
            plain = _read(file)
            step = _step_in(f"{file.relative_to(folder)} {plain.get('model_name', '')}")
            _add_harness(found, plain, step)
            continue
        step = _step_in(str(file.relative_to(folder)))
        if file.name == CHECKPOINT_BITS:
            for name, value in read_checkpoint_bits(file).metrics.items():
                found.curves.setdefault(name, {})[step] = value
                found.listed.add(name)
                found.lower_is_better[name] = True
            continue
        for entry in _olmes_entries(file):
            _add_olmes(found, entry, step)
        if file.name == _SINGLE:
            _add_suites(found, _mapping(_read(file).get("summary")), step)
    return found


def _read(file: Path) -> Mapping[str, object]:
    plain = read_json(file)
    if not isinstance(plain, Mapping):
        raise DataError(f"{file}: expected a JSON object, as evaluation harnesses write")
    return plain


def _step_in(text: str) -> int:
    steps = _STEP.findall(text)
    return int(steps[-1]) if steps else 0


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _add_harness(found: Evaluated, plain: Mapping[str, object], step: int) -> None:
    """Add what lm-evaluation-harness wrote: `results`, and groups that stand apart."""
    tasks = {**_mapping(plain.get("groups")), **_mapping(plain.get("results"))}
    members = {
        member
        for group, inner in _mapping(plain.get("group_subtasks")).items()
        if isinstance(inner, list | tuple) and _measures(tasks.get(group))
        for member in inner
    }
    higher, identity = _mapping(plain.get("higher_is_better")), _harness_identity(plain)
    for task, entry in tasks.items():
        for key, raw in _mapping(entry).items():
            value = number(raw)
            name = f"{task}/{key}"
            if value is None or key == "sample_len":
                continue
            found.curves.setdefault(name, {})[step] = value
            found.measured_with[name] = identity(task)
            if error_of(name) is None and task not in members:
                found.listed.add(name)
            direction = _mapping(higher.get(task)).get(key.partition(",")[0])
            if isinstance(direction, bool):
                found.lower_is_better[name] = not direction


def _harness_identity(plain: Mapping[str, object]) -> Callable[[str], MetricIdentity]:
    """Return what gives the identity of a task: its version, shots, and the questions asked."""
    versions, shots = _mapping(plain.get("versions")), _mapping(plain.get("n-shot"))
    hashes, config = _mapping(plain.get("task_hashes")), _mapping(plain.get("config"))
    limit, seed = config.get("limit"), config.get("fewshot_seed")

    def identity(task: str) -> MetricIdentity:
        asked = [f"version {versions[task]}"] if task in versions else []
        asked += [f"{shots[task]} shots"] if task in shots else []
        asked += [f"limit {limit}"] if limit is not None else []
        questions, drawn = hashes.get(task), shots.get(task) and isinstance(seed, int)
        return MetricIdentity(
            evaluation=questions if isinstance(questions, str) else "",
            definition=", ".join(asked),
            seeds=(int(str(seed)),) if drawn else (),
        )

    return identity


def _measures(entry: object) -> bool:
    """Whether the entry of a group holds numbers of its own, and not a heading alone."""
    return any(number(value) is not None for value in _mapping(entry).values())


def _olmes_entries(file: Path) -> Iterator[Mapping[str, object]]:
    """Yield the entry of each task in a file of OLMES; nothing where it is of another tool.

    Raises:
        DataError: it holds the results of several models.
    """
    entries: Iterable[object]
    are_flat = False
    if file.suffix == ".jsonl":
        entries = read_records(file.read_bytes())
    else:
        plain = _read(file)
        several = plain.get("tasks", plain.get("metrics"))
        are_flat = several is plain.get("metrics")
        entries = several if isinstance(several, list) else [plain]
    models: dict[str, None] = {}
    for entry in entries:
        if not isinstance(entry, Mapping):
            continue
        models[str(entry.get("model"))] = None
        if len(models) > 1:
            raise DataError(
                f"{file}: holds results of several models ({', '.join(models)}); evaluate each "
                "into the folder of its own run"
            )
        if isinstance(entry.get("metrics"), Mapping):
            yield entry
        elif are_flat:
            numbers = {key: value for key, value in entry.items() if key not in _NO_METRICS}
            yield {**entry, "metrics": numbers}


def _add_olmes(found: Evaluated, entry: Mapping[str, object], step: int) -> None:
    config = _mapping(entry.get("task_config"))
    names = (
        entry.get("alias"),
        _mapping(config.get("metadata")).get("alias"),
        entry.get("task_name"),
        entry.get("task"),
        config.get("task_name"),
    )
    task = next((name for name in names if isinstance(name, str)), None)
    if task is None:
        return
    told = {"shots": config.get("num_shots"), "limit": config.get("limit")}
    asked = [f"{name} {value}" for name, value in told.items() if isinstance(value, int)]
    seed = config.get("fewshot_seed")
    identity = MetricIdentity(
        definition=", ".join(asked),
        seeds=(seed,) if isinstance(seed, int) and config.get("num_shots") else (),
    )
    # Of OLMES, where its primary score is a copy of this one; of olmo-eval, which has no such copy.
    copied = f"{task}/{config.get('primary_metric')}"
    primary = f"{task}/{str(entry.get('primary_metric')).replace(':', '/')}"
    for key, value in flatten({task: entry["metrics"]}).items():
        found.curves.setdefault(key, {})[step] = value
        found.measured_with[key] = identity
        if key == primary or _LISTED.search(key.rpartition("/")[2]):
            found.listed.add(key)
    if copied in found.listed:
        score = f"{task}/primary_score"
        found.listed.discard(score)
        found.lower_is_better[score] = True  # only bits per byte are listed by their own name


def _add_suites(found: Evaluated, summary: Mapping[str, object], step: int) -> None:
    """Add the primary scores in the summary of olmo-eval: those of its suites are only there."""
    for name, entry in summary.items():
        metric, value = _mapping(entry).get("metric"), number(_mapping(entry).get("score"))
        if isinstance(metric, str) and value is not None:
            key = f"{name}/{metric.replace(':', '/')}"
            found.curves.setdefault(key, {})[step] = value
            found.listed.add(key)
