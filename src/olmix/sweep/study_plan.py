"""From an experiment to its runs: names resolved, values derived, configs merged and checked.

Nothing here writes. `preview` shows a plan and `generate` writes it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from olmix.sweep.conditions import Watch
from olmix.sweep.derived_values import DerivationError, Scope, resolve, unknown_references
from olmix.sweep.design import Point, build_points
from olmix.sweep.errors import (
    ExperimentSchemaError,
    Finding,
    TypeMismatchError,
    ValidationError,
    raise_problems,
)
from olmix.sweep.experiment import Experiment, load_experiment
from olmix.sweep.framework import OUTPUT_DIR, Base, Framework, Note, Path_, RunCost
from olmix.sweep.frameworks import check_section, find_framework
from olmix.sweep.merge import DELETE, Merged, at, expand, flatten, has, merge_all
from olmix.sweep.mixtures import MIX, is_mixture
from olmix.sweep.names import check_names, find_names
from olmix.sweep.own_folders import collisions, shared_folders, with_folders
from olmix.sweep.plan_checks import check_number, check_points, warn_of_length, warn_of_scale
from olmix.sweep.scalars import render_flow
from olmix.text.files import digest
from olmix.text.numbers import counted

__all__ = ["PlannedRun", "StudyPlan", "build_plan", "check_places", "config_hash"]


@dataclass(frozen=True)
class PlannedRun:
    """One run: its parameters and its complete config.

    Attributes:
        id: ``run_000``.
        params: value of every variable.
        config: the merged config.
        given: every value that the experiment sets, by its path.
        cost: what it takes.
        hash: identity of the config; where its results go does not count.
        output_key: where its config says that.
    """

    id: str
    params: Mapping[str, object]
    config: dict[str, Any]
    given: Mapping[Path_, Any]
    cost: RunCost
    hash: str
    output_key: Path_ = OUTPUT_DIR

    @property
    def output_dir(self) -> str | None:
        """Folder of the results."""
        found = at(self.config, self.output_key)
        return found if isinstance(found, str) else None


@dataclass(frozen=True)
class StudyPlan:
    """All runs of an experiment.

    Attributes:
        experiment: the experiment.
        framework: what trains the runs.
        base: the config that they start from.
        runs: the runs, each config once.
        findings: warnings and notices.
        own: keys of the folders that end in the run's id, because runs would share them.
    """

    experiment: Experiment
    framework: Framework
    base: Base
    runs: tuple[PlannedRun, ...]
    findings: tuple[Finding, ...]
    own: Mapping[Path_, str]


def config_hash(config: Mapping[str, object], output_key: Path_ = OUTPUT_DIR) -> str:
    """Return a hash of everything in a config but the folder of its results."""
    plain = merge_all(config, expand({output_key: DELETE})).config
    return digest(_hashable(plain), 12)


def build_plan(source: str | Path | Mapping[str, object] | Experiment) -> StudyPlan:
    """Read an experiment, and plan and check its runs.

    Raises:
        ConfigWriterError: with every problem found (see `olmix.sweep.errors`).
        MissingPackageError: the framework is not installed.
    """
    experiment = source if isinstance(source, Experiment) else load_experiment(source)
    framework = find_framework(experiment)
    found = check_section(framework)
    raise_problems(((f.kind, experiment.problem(f)) for f in found), experiment.name)
    base = framework.load_base(experiment)
    return _Planner(experiment, framework, base).plan()


def check_places(plan: StudyPlan, folder: Path) -> None:
    """Check the paths of all configs, once it is known to which folder they are written.

    Raises:
        ValidationError: with every path that cannot be.
    """
    names = find_names(plan.experiment.config, plan.framework, plan.base)
    root = folder.absolute()
    first: dict[Path_, Note] = {}  # all runs have the same fault
    for run in plan.runs:
        for note in plan.framework.check_places(run.config, root):
            first.setdefault(note.path, note)
    findings = (Finding(ValidationError, n.what, names.source(n.path)) for n in first.values())
    found = ((f.kind, plan.experiment.problem(f)) for f in findings)
    raise_problems(found, plan.experiment.name)


@dataclass
class _Planner:
    experiment: Experiment
    framework: Framework
    base: Base
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = self.experiment.config
        self._names = find_names(config, self.framework, self.base)
        self._watches = [Watch(config, index) for index in range(len(config.conditions))]

    def plan(self) -> StudyPlan:
        config = self.experiment.config
        self.findings += check_names(config, self.framework, self.base, self._names)
        self.findings += check_points(config)
        self._raise()
        planned = [run for run in map(self._run, build_points(config)) if run is not None]
        self.findings += (finding for watch in self._watches for finding in watch.problems())
        self._raise()
        different: dict[str, PlannedRun] = {}
        for run in planned:
            different.setdefault(digest(_hashable(run.config), 32), run)
        runs = list(different.values())
        self.findings += check_number(config, len(runs))
        self.findings += warn_of_scale(config, self.framework, self.base, self._names)
        self.findings += warn_of_length(config, [run.cost.steps for run in runs])
        self._raise()
        if len(planned) > len(runs):
            what = (
                f"{len(planned)} combinations give {counted(len(runs), 'different config')}; "
                "equal ones are generated once"
            )
            self.findings.append(Finding(None, what, notice=True))
        runs = _number(runs[: config.max_runs])
        own = shared_folders(self.framework, [run.config for run in runs])
        runs = [_with_own_folders(run, own) for run in runs]
        self._check_folders(own, runs)
        whole = [(run.config, run.given) for run in runs]
        self._note(self.framework.check_runs(self.base, whole))
        self._raise()
        findings = tuple(dict.fromkeys(self.findings))
        return StudyPlan(self.experiment, self.framework, self.base, tuple(runs), findings, own)

    def _check_folders(self, own: Mapping[Path_, str], runs: Sequence[PlannedRun]) -> None:
        for path, folder in own.items():
            what = (
                f"runs would share the {'.'.join(path)} {folder} and overwrite each other; "
                f"each writes to a folder of its own below it, such as {folder}/run_000"
            )
            self.findings.append(Finding(None, what, notice=True))
        for path, folder in collisions(self.framework, [run.config for run in runs]):
            what = f"two runs write to {folder}; give each its own folder"
            self.findings.append(Finding(ValidationError, what, self._names.source(path)))

    def _raise(self) -> None:
        found = ((f.kind, self.experiment.problem(f)) for f in self.findings)
        raise_problems(found, self.experiment.name)

    def _run(self, point: Point) -> PlannedRun | None:
        """Plan the run at a point; `None` where it is skipped or its values do not hold."""
        config = self.experiment.config
        given = {**config.controls, **point}
        skipped = False
        for index, (condition, watch) in enumerate(
            zip(config.conditions, self._watches, strict=True)
        ):
            scope = self._scope(given, point)
            try:
                applies = watch.matches(functools.partial(self._value, scope=scope))
            except DerivationError as error:
                self._wrong(error, "conditions", index)
                return None
            skipped |= applies and condition.skip
            if applies:
                given |= condition.set
        values = None if skipped else self._resolve(given, point)
        if values is None:
            return None
        mixed = self._mix(values)
        if mixed is None:
            return None
        override = self._override(values | mixed)
        merged = self._merge(override)
        folder, key = self.framework.default_output_dir, self.framework.output_key
        if folder is not None and not has(merged.config, key):
            merged = replace(merged, config=merge_all(merged.config, expand({key: folder})).config)
        leaves = dict(flatten(override))
        added = self.framework.complete(merged.config, leaves)
        # Of a preset it is not known what it has.
        wrong = [m for m in merged.mismatches if self.base.data or m.new != DELETE]
        for mismatch in wrong:
            where = self._names.source(mismatch.path)
            self.findings.append(Finding(TypeMismatchError, mismatch.explain(), where))
        for path, component, gone in merged.dropped:
            what = f"{component} does not take {', '.join(gone)}: left out of {'.'.join(path)}"
            self.findings.append(Finding(None, what, self._names.source(path), notice=True))
        if not wrong:
            given_paths = tuple(path for path, value in leaves.items() if value != DELETE)
            notes = self.framework.check_config(self.base, merged.config, given_paths)
            self._note([*added, *notes])
            self._check_references(merged.config)
        slurm = config.slurm
        cost = self.framework.cost(self.base, merged.config, slurm.num_gpus if slurm else 1)
        params = {name: values[name] for name in point}
        identity = config_hash(merged.config, key)
        return PlannedRun("", params, merged.config, leaves, cost, identity, key)

    def _merge(self, override: Mapping[str, object]) -> Merged:
        framework = self.framework
        return merge_all(self.base.data, override, framework.parameters_of, framework.lists)

    def _mix(self, values: dict[str, Any]) -> dict[str, Any] | None:
        """Return the data sets of a run's mixture, and note its true shares; `None` on errors."""
        if MIX not in values:
            return {}
        try:
            mixed = self.framework.mix(self.experiment.config.sources, values[MIX])
        except DerivationError as error:
            self._wrong(error, *self._names.locations[MIX])
            return None
        values[MIX] = dict(mixed.shares)
        return {MIX: mixed.datasets}

    def _override(self, values: Mapping[str, object]) -> dict[str, object]:
        # A mixture that is not made yet stands nowhere.
        paths = {n: p for n, p in self._names.paths.items() if not is_mixture(n, values.get(n))}
        return expand({paths[name]: value for name, value in values.items() if name in paths})

    def _scope(self, given: Mapping[str, object], point: Point) -> Scope:
        given = dict(given)

        @functools.cache
        def view() -> Mapping[str, object]:
            override = self._override(given)
            return self._merge(override).config

        kept = [key for key in self.base.data if key not in point]
        path_of = functools.partial(self.framework.path_of, self.base)
        return Scope(given, self._names.paths, self.base.data, path_of, view, kept)

    def _value(self, name: str, scope: Scope) -> object:
        return resolve(scope.names.get(name), scope, self._names.paths.get(name, ()))

    def _resolve(self, given: Mapping[str, object], point: Point) -> dict[str, object] | None:
        """Return the values of a run with everything derived put in; `None` if one cannot be."""
        scope = self._scope(given, point)
        values: dict[str, Any] = {}
        for name in given:
            try:
                values[name] = self._value(name, scope)
            except DerivationError as error:
                where = self._names.locations[name]
                self._wrong(error, *where, *(error.path if where[0] == "controls" else ()))
        return values if len(values) == len(given) else None

    def _wrong(self, error: DerivationError, *where: str | int) -> None:
        self.findings.append(Finding(ExperimentSchemaError, str(error), where))

    def _check_references(self, config: Mapping[str, object]) -> None:
        if self.framework.writes_whole_configs:
            for path, what in unknown_references(config):
                self.findings.append(Finding(ValidationError, what, self._names.source(path)))

    def _note(self, notes: Iterable[Note]) -> None:
        for note in notes:
            kind = ValidationError if note.level == "error" else None
            where = self._names.source(note.path) if note.path else ("framework_config",)
            self.findings.append(Finding(kind, note.what, where, note.level == "notice"))


def _number(runs: Iterable[PlannedRun]) -> list[PlannedRun]:
    """Give all runs an id with the same number of digits, at least three."""
    listed = list(runs)
    digits = max(3, len(str(len(listed) - 1)))
    return [replace(run, id=f"run_{index:0{digits}d}") for index, run in enumerate(listed)]


def _with_own_folders(run: PlannedRun, own: Mapping[Path_, str]) -> PlannedRun:
    return replace(
        run, config=with_folders(run.config, own, lambda _, folder: f"{folder}/{run.id}")
    )


def _hashable(value: object) -> object:
    """Return a value that JSON can hold; numbers that it cannot become words."""
    if isinstance(value, Mapping):
        return {str(key): _hashable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_hashable(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return render_flow(value)
    return value
