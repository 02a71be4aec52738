"""Where each parameter of an experiment stands in its file, and where it lives in a config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from olmix.config.experiment import ExperimentConfig
from olmix.errors import nearest
from olmix.sweep.derived_values import names_used
from olmix.sweep.design import SEED, variable_names
from olmix.sweep.errors import ExperimentSchemaError, Finding, Location, ValidationError
from olmix.sweep.framework import Base, Framework, Path_
from olmix.sweep.merge import flatten
from olmix.sweep.mixtures import MIX

__all__ = ["Names", "check_names", "find_names"]


@dataclass(frozen=True)
class Names:
    """The parameters of an experiment.

    Attributes:
        locations: where each stands in the experiment file.
        paths: where each lives in the config. A parameter that only stands in other values, such as
            `sample_size` in a path, lives nowhere.
    """

    locations: Mapping[str, Location]
    paths: Mapping[str, Path_]

    def source(self, path: Path_) -> Location:
        """Return what of the experiment file sets a path of the config."""
        if not path:
            return ()
        owners = {self.paths[name]: self.locations[name] for name in self.paths}
        for length in range(len(path), 0, -1):
            where = owners.get(path[:length])
            if where is not None:
                return (*where, *path[length:]) if where[0] == "controls" else where
        below = [where for other, where in owners.items() if other[: len(path)] == path]
        return below[0] if below else ()


def find_names(config: ExperimentConfig, framework: Framework, base: Base) -> Names:
    """Return the parameters of an experiment, those that its conditions set included."""
    locations: dict[str, Location] = {name: ("variables", name) for name in config.variables}
    for index, group in enumerate(config.paired):
        locations |= {name: ("paired", index, name) for name in group}
    for name in config.controls:
        locations.setdefault(name, ("controls", name))
    if config.replicates != 1:
        locations.setdefault(SEED, ("replicates",))
    if any(SEED in point for point in config.points):
        locations.setdefault(SEED, ("points",))
    for index, condition in enumerate(config.conditions):
        for name in condition.set:
            locations.setdefault(name, ("conditions", index, "set", name))
    used = set(names_used([config.variables, list(config.paired), config.controls]))
    used |= set(names_used([condition.set for condition in config.conditions]))
    paths = {name: framework.path_of(base, name) for name in locations}
    if MIX in paths and framework.mix_path is not None:
        paths[MIX] = framework.mix_path
    lives = {
        name: path
        for name, path in paths.items()
        if name == MIX or name not in used or framework.knows(base, path)
    }
    return Names(locations, lives)


def check_names(
    config: ExperimentConfig, framework: Framework, base: Base, names: Names
) -> Iterator[Finding]:
    """Yield parameters that the base cannot have, and those that are set twice or not at all."""
    for name, what in framework.check_names(base, names.paths):
        yield Finding(ValidationError, what, names.locations[name])
    if MIX in names.paths and framework.mix_path is None:
        what = f"{framework.name} has no mixtures of data sets; torchtune and trl have them"
        yield Finding(ValidationError, what, names.locations[MIX])
    if config.replicates != 1 and (
        SEED in config.variables or any(SEED in group for group in config.paired)
    ):
        what = "replicates set the seed, and seed is a variable too; keep one"
        yield Finding(ExperimentSchemaError, what, ("replicates",))
    yield from _check_points(config)
    yield from _check_owners(config, names)
    for index, condition in enumerate(config.conditions):
        for name in condition.when:
            if name not in names.locations:
                guess = nearest(name, names.locations)
                known = ", ".join(names.locations)
                hint = f"did you mean `{guess}`?" if guess else f"there are: {known}"
                what = f"{name} is neither a variable nor a control; {hint}"
                yield Finding(ExperimentSchemaError, what, ("conditions", index, "when", name))


def _check_points(config: ExperimentConfig) -> Iterator[Finding]:
    """Yield variables that a point leaves out, and names in it that are no variable."""
    wanted = set(variable_names(config))
    for index, point in enumerate(config.points):
        for name in sorted(wanted - set(point)):
            what = f"{name} has no value; a point has one for every variable"
            yield Finding(ExperimentSchemaError, what, ("points", index))
        for name in sorted(set(point) - wanted - {SEED}):
            guess = nearest(name, wanted)
            hint = f"did you mean `{guess}`?" if guess else f"there are: {', '.join(wanted)}"
            what = f"{name} is no variable; {hint}"
            yield Finding(ExperimentSchemaError, what, ("points", index, name))


def _check_owners(config: ExperimentConfig, names: Names) -> Iterator[Finding]:
    """Yield parameters that set what another one sets: an alias and its path, or a part of it."""
    owners: dict[Path_, str] = {}
    for name, path in names.paths.items():
        if names.locations[name][0] == "conditions":
            continue  # to replace a value is what a condition is for
        for leaf in _leaves(config, name, path):
            rival = next((other for other in owners if _overlap(leaf, other)), None)
            if rival is None:
                owners[leaf] = name
            elif owners[rival] != name:
                deeper = max(leaf, rival, key=len)
                what = f"{name} and {owners[rival]} both set {'.'.join(deeper)}; keep one"
                yield Finding(ExperimentSchemaError, what, names.locations[name])


def _overlap(one: Path_, other: Path_) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def _leaves(config: ExperimentConfig, name: str, path: Path_) -> set[Path_]:
    """Return the paths of everything that a parameter sets in any run."""
    values: list[Any]
    if name == MIX:
        return {path}  # it sets all of the data
    if name in config.controls:
        values = [config.controls[name]]
    else:
        group = next((group for group in config.paired if name in group), config.variables)
        found = group.get(name)
        values = found if isinstance(found, list) else [None]
    leaves: set[Path_] = set()
    for value in values:
        tree = value if isinstance(value, Mapping) and value else None
        leaves |= {path} if tree is None else {leaf for leaf, _ in flatten(tree, path)}
    return leaves
