"""From an experiment to its runs: names resolved, values derived, configs merged and checked.

Nothing here writes. `preview` shows a plan and `generate` writes it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from olmix.config.experiment import ConditionConfig
from olmix.errors import nearest
from olmix.io.files import digest
from olmix.sweep.design import SEED, Point, build_points, count_points
from olmix.sweep.errors import (
    ExperimentSchemaError,
    Finding,
    Location,
    TypeMismatchError,
    ValidationError,
    raise_problems,
)
from olmix.sweep.experiment import Experiment, load_experiment
from olmix.sweep.framework import Base, Cost, Framework, Path_, find_framework
from olmix.sweep.merge import expand, flatten, merge_all
from olmix.sweep.scalars import render_flow
from olmix.sweep.values import DerivationError, names_used, resolve

__all__ = ["Plan", "PlannedRun", "build_plan", "config_hash"]

_OUTPUT_DIR = "output_dir"


@dataclass(frozen=True)
class PlannedRun:
    """One run: its parameters and its complete config.

    Attributes:
        id: ``run_000``.
        params: value of every variable.
        config: the merged config.
        given: every value that the experiment sets, by its path.
        cost: what it takes.
    """

    id: str
    params: Mapping[str, Any]
    config: dict[str, Any]
    given: Mapping[Path_, Any]
    cost: Cost

    @property
    def hash(self) -> str:
        """Identity of the config; where its results go does not count."""
        return config_hash(self.config)

    @property
    def output_dir(self) -> str | None:
        """Folder of the results."""
        found = self.config.get(_OUTPUT_DIR)
        return found if isinstance(found, str) else None


@dataclass(frozen=True)
class Plan:
    """All runs of an experiment.

    Attributes:
        experiment: the experiment.
        framework: what trains the runs.
        base: the config that they start from.
        runs: the runs, each config once.
        findings: warnings and notices.
        num_equal: combinations that were left out because their config is that of another run.
    """

    experiment: Experiment
    framework: Framework
    base: Base
    runs: tuple[PlannedRun, ...]
    findings: tuple[Finding, ...]
    num_equal: int = 0


def config_hash(config: Mapping[str, Any]) -> str:
    """Return a hash of everything in a config but the folder of its results."""
    plain = {key: value for key, value in config.items() if key != _OUTPUT_DIR}
    return digest(_hashable(plain), 12)


def build_plan(source: str | Path | Mapping[str, Any] | Experiment) -> Plan:
    """Read an experiment, and plan and check its runs.

    Raises:
        ConfigWriterError: with every problem found (see `olmix.sweep.errors`).
        MissingPackageError: the framework is not installed.
    """
    experiment = source if isinstance(source, Experiment) else load_experiment(source)
    framework = find_framework(experiment)
    base = framework.load_base(experiment)
    return _Planner(experiment, framework, base).plan()


@dataclass
class _Planner:
    experiment: Experiment
    framework: Framework
    base: Base
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._locations = self._places()
        self._free = self._free_names()
        self._sources = {
            self.framework.path_of(self.base, name): where
            for name, where in self._locations.items()
        }

    def plan(self) -> Plan:
        config = self.experiment.config
        self._check_names()
        self._check_size()
        self._raise()
        runs: list[PlannedRun] = []
        seen: dict[str, PlannedRun] = {}
        total = 0
        for point in build_points(config):
            planned = self._run(point, f"run_{len(runs):03d}")
            if planned is None:
                continue
            total += 1
            key = digest(_hashable(planned.config), 32)
            if key not in seen:
                seen[key] = planned
                runs.append(planned)
        self._raise()
        if not runs:
            what = "every combination is skipped; no run is left"
            self.findings.append(Finding(ExperimentSchemaError, what, ("conditions",)))
        self._check_number(runs)
        self._warn_scale()
        self._raise()
        if total > len(runs):
            what = (
                f"{total} combinations give {len(runs)} different configs; "
                "equal ones are generated once"
            )
            self.findings.append(Finding(None, what, notice=True))
        if config.max_runs is not None and config.sampler.type != "grid":
            runs = runs[: config.max_runs]
        runs = _pad_ids(self._separate_outputs(runs))
        unique = tuple(dict.fromkeys(self.findings))
        return Plan(
            self.experiment, self.framework, self.base, tuple(runs), unique, total - len(runs)
        )

    def _raise(self) -> None:
        found = ((f.kind, self.experiment.problem(f)) for f in self.findings)
        raise_problems(found, self.experiment.name)

    # --- names ---

    def _places(self) -> dict[str, Location]:
        """Return where each parameter stands in the experiment file."""
        config = self.experiment.config
        places: dict[str, Location] = {name: ("variables", name) for name in config.variables}
        for index, group in enumerate(config.paired):
            places |= {name: ("paired", index, name) for name in group}
        places |= {name: ("controls", name) for name in config.controls if name not in places}
        if config.replicates != 1:
            places.setdefault(SEED, ("replicates",))
        return places

    def _free_names(self) -> set[str]:
        """Return parameters that no config holds: they are only used in other values."""
        config = self.experiment.config
        used = set(names_used([config.variables, list(config.paired), config.controls]))
        used |= set(names_used([condition.set for condition in config.conditions]))
        return {
            name
            for name in self._locations
            if name in used
            and not self.framework.knows(self.base, self.framework.path_of(self.base, name))
        }

    def _check_names(self) -> None:
        """Check that every parameter has one place of its own, which the base can have."""
        config = self.experiment.config
        places, free = self._locations, self._free
        set_names = {
            name: ("conditions", index, "set", name)
            for index, condition in enumerate(config.conditions)
            for name in condition.set
        }
        paths = {
            name: self.framework.path_of(self.base, name)
            for name in [*places, *set_names]
            if name not in free
        }
        for name, what in self.framework.check_names(self.base, paths):
            where = places.get(name, set_names.get(name, ()))
            self.findings.append(Finding(ValidationError, what, where))
        if config.replicates != 1 and (SEED in config.variables or _in_groups(config, SEED)):
            what = "replicates set the seed, and seed is a variable too; keep one of the two"
            self.findings.append(Finding(ExperimentSchemaError, what, ("replicates",)))
        owners: dict[Path_, str] = {}
        for name in (entry for entry in places if entry not in free):
            for path in self._leaves(name, paths[name]):
                for other, owner in owners.items():
                    if owner != name and (
                        other[: len(path)] == path or path[: len(other)] == other
                    ):
                        deeper = path if len(path) >= len(other) else other
                        what = (
                            f"{name} and {owner} both set {'.'.join(deeper)}; keep one of the two"
                        )
                        self.findings.append(Finding(ExperimentSchemaError, what, places[name]))
                        break
                else:
                    owners[path] = name
        for index, condition in enumerate(config.conditions):
            self._check_condition(condition, index, places)

    def _leaves(self, name: str, path: Path_) -> set[Path_]:
        config = self.experiment.config
        if name in config.controls:
            values = [config.controls[name]]
        else:
            found = config.variables.get(name)
            if found is None:
                found = next((group[name] for group in config.paired if name in group), [0])
            values = found if isinstance(found, list) else [0]
        leaves: set[Path_] = set()
        for value in values:
            tree: Any = value
            for step in reversed(path):
                tree = {step: tree}
            leaves |= {leaf for leaf, _ in flatten(tree)}
        return leaves

    def _check_condition(
        self, condition: ConditionConfig, index: int, places: Mapping[str, Location]
    ) -> None:
        for name in condition.when:
            if name not in places:
                guess = nearest(name, places)
                hint = f"did you mean `{guess}`?" if guess else f"there are: {', '.join(places)}"
                what = f"{name} is neither a variable nor a control; {hint}"
                where = ("conditions", index, "when", name)
                self.findings.append(Finding(ExperimentSchemaError, what, where))

    def _check_size(self) -> None:
        config = self.experiment.config
        number = count_points(config)
        largest = 100_000
        if number > largest:
            what = f"{number:,} combinations; at most {largest:,} are made. Use a sampler"
            self.findings.append(Finding(ExperimentSchemaError, what, ("variables",)))

    def _check_number(self, runs: list[PlannedRun]) -> None:
        config = self.experiment.config
        if (
            config.max_runs is not None
            and config.sampler.type == "grid"
            and len(runs) > config.max_runs
        ):
            what = (
                f"the grid has {len(runs)} runs, more than max_runs = {config.max_runs}; test "
                "fewer values, raise max_runs, or draw a sample: sampler: {type: latin_hypercube, "
                f"runs: {config.max_runs}}}"
            )
            self.findings.append(Finding(ExperimentSchemaError, what, ("max_runs",)))

    # --- one run ---

    def _run(self, point: Point, run_id: str) -> PlannedRun | None:
        """Plan the run at a point; `None` where it is skipped or its values do not hold."""
        config = self.experiment.config
        names = {**config.controls, **point}
        try:
            for condition in config.conditions:
                if _matches(condition, names, self.base.data):
                    if condition.skip:
                        return None
                    names |= condition.set
            kept = [key for key in self.base.data if key not in point]
            values = {
                name: resolve(value, names, self.base.data, kept) for name, value in names.items()
            }
        except DerivationError as error:
            self.findings.append(Finding(ExperimentSchemaError, str(error), self._source_of(error)))
            return None
        given: dict[Path_, Any] = {
            self.framework.path_of(self.base, name): value
            for name, value in values.items()
            if name not in self._free
        }
        override = expand(given)
        merged = merge_all(self.base.data, override, self.framework.parameters_of)
        leaves = dict(flatten(override))
        for mismatch in merged.mismatches:
            where = self._source(mismatch.path)
            self.findings.append(Finding(TypeMismatchError, mismatch.explain(), where))
        for path, component, gone in merged.dropped:
            what = f"{component} does not take {', '.join(gone)}: left out of {'.'.join(path)}"
            self.findings.append(Finding(None, what, self._source(path), notice=True))
        if not merged.mismatches:
            self._check_config(merged.config, tuple(leaves))
        slurm = config.slurm
        cost = self.framework.cost(self.base, merged.config, slurm.gpus if slurm else 1)
        params = {name: values[name] for name in point}
        return PlannedRun(run_id, params, merged.config, leaves, cost)

    def _check_config(self, config: Mapping[str, Any], given: tuple[Path_, ...]) -> None:
        for note in self.framework.check_config(self.base, config, given):
            kind = ValidationError if note.level == "error" else None
            finding = Finding(kind, note.what, self._source(note.path), note.level == "notice")
            self.findings.append(finding)

    def _source(self, path: Path_) -> Location:
        """Return the place of the experiment file that sets a path of the config."""
        for length in range(len(path), 0, -1):
            where = self._sources.get(path[:length])
            if where is not None:
                return (*where, *path[length:]) if where[0] == "controls" else where
        below = [w for p, w in self._sources.items() if p[: len(path)] == path]
        return below[0] if below else ()

    def _source_of(self, error: DerivationError) -> Location:
        """Return the place of the value that an error quotes."""
        quoted = re.search(r"\$\{.*\}", str(error))
        for name, where in self._locations.items():
            value = self.experiment.config.controls.get(name)
            if quoted is not None and quoted[0] in str(value):
                return where
        return ()

    # --- all runs ---

    def _warn_scale(self) -> None:
        """Warn where the LoRA rank varies and alpha does not, so that their ratio varies too."""
        config = self.experiment.config
        paths = {
            self.framework.path_of(self.base, name): name
            for name in (*config.variables, *(n for group in config.paired for n in group))
        }
        rank = next((name for path, name in paths.items() if path[-1] == "lora_rank"), None)
        if rank is None or any(path[-1] == "lora_alpha" for path in paths):
            return
        path = self.framework.path_of(self.base, rank)
        alpha = (*path[:-1], "lora_alpha")
        given = {self.framework.path_of(self.base, n): v for n, v in config.controls.items()}
        if "${" in str(given.get(alpha, given.get(alpha[:1], ""))):
            return
        self.findings.append(
            Finding(
                None,
                f"{rank} varies and lora_alpha stays the same, so the scale alpha/rank varies too; "
                f"to keep it, write lora_alpha: ${{mul:2,${{{rank}}}}} (2 * {rank}) in controls",
                self._locations[rank],
            )
        )

    def _separate_outputs(self, runs: list[PlannedRun]) -> list[PlannedRun]:
        """Give every run an `output_dir` of its own."""
        folders = [run.output_dir for run in runs]
        if len(runs) < 2 or None in folders or len(set(folders)) == len(folders):
            return runs
        separate = [
            replace(
                run,
                config=run.config | {_OUTPUT_DIR: f"{str(run.output_dir).rstrip('/')}/{run.id}"},
            )
            for run in runs
        ]
        what = (
            f"runs would share the output_dir {folders[0]} and overwrite each other; "
            "each writes to a folder of its own below it, such as /run_000"
        )
        self.findings.append(Finding(None, what, notice=True))
        return separate


def _matches(
    condition: ConditionConfig, names: Mapping[str, Any], config: Mapping[str, Any]
) -> bool:
    for name, wanted in condition.when.items():
        value = resolve(names.get(name), names, config)
        options = wanted if isinstance(wanted, list) else [wanted]
        if not any(_equal(value, option) for option in options):
            return False
    return True


def _equal(a: Any, b: Any) -> bool:
    """Compare values: 1 and 1.0 are equal, 1 and true are not."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _in_groups(config: Any, name: str) -> bool:
    return any(name in group for group in config.paired)


def _pad_ids(runs: list[PlannedRun]) -> list[PlannedRun]:
    """Give all ids the same number of digits, at least three."""
    digits = max(3, len(str(len(runs) - 1)))
    if digits == 3:
        return runs
    padded = []
    for index, run in enumerate(runs):
        new = f"run_{index:0{digits}d}"
        config = run.config
        folder = run.output_dir
        if folder is not None and folder.endswith(f"/{run.id}"):
            config = config | {_OUTPUT_DIR: f"{folder.removesuffix(run.id)}{new}"}
        padded.append(replace(run, id=new, config=config))
    return padded


def _hashable(value: Any) -> Any:
    """Return a value that JSON can hold; numbers that it cannot become words."""
    if isinstance(value, Mapping):
        return {str(key): _hashable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_hashable(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return render_flow(value)
    return value
