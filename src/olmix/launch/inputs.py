"""What runs are given: the files that they read, which are missing, and rates that cannot train.

What a sweep's runs read only their trainers know; a `command` may use its data section or not.
"""

from __future__ import annotations

from collections.abc import Iterator

from olmix.config import CommandTraining, LaunchConfig, LocalInfra, ValidationEval
from olmix.errors import DataError
from olmix.launch.group_plan import Group
from olmix.records.tokens import end_of_document, expand

__all__ = ["check_inputs", "local_inputs", "missing_inputs", "wild_rate"]

_WILD_RATE = 1.0
"""A learning rate above it is a slip: AdamW moves each weight by about the rate in every step."""


def local_inputs(group: Group) -> Iterator[tuple[str, list[str]]]:
    """Yield what each list of files is for, and its local paths and patterns.

    Domains that no run of a group gives weight are left out, and so are addresses (``s3://``).
    """
    for runs in _sharing_data(group):
        run, used = runs[0], {name for one in runs for name in _trained_on(one)}
        for name in run.data.domains:
            if name in used:
                yield f"domain {name}", [p for p in run.data.paths_of(name) if "://" not in p]
        if isinstance(run.eval, ValidationEval):
            for name, paths in run.eval.paths.items():
                yield f"eval.paths.{name}", [path for path in paths if "://" not in path]
        if run.data.tokenizer is not None:
            yield "data.tokenizer", [run.data.tokenizer]


def missing_inputs(group: Group) -> list[str]:
    """Return every file that a run needs here and that is missing or is no tokenizer.

    The embedded trainer reads its files on the launching machine too, to know them again; others
    do where they run here.
    """
    here = isinstance(group.infra, LocalInfra)
    if any(isinstance(getattr(run, "training", None), CommandTraining) for run in group.runs):
        return []
    if not (group.embedded or here):
        return []
    found = []
    for what, paths in local_inputs(group):
        try:
            files = expand(paths, what)
            if what == "data.tokenizer" and group.embedded:
                end_of_document(files[0])
        except DataError as error:
            found += str(error).splitlines()
    return list(dict.fromkeys(found))


def check_inputs(group: Group) -> None:
    """Raise a `DataError` with every file of `missing_inputs`, if there is one."""
    missing = missing_inputs(group)
    if missing:
        raise DataError("\n".join(missing))


def wild_rate(group: Group) -> str | None:
    """Return which learning rate cannot be meant, or `None`."""
    for run in group.runs:
        rate = getattr(getattr(run, "training", None), "learning_rate", None)
        if rate is not None and rate > _WILD_RATE:
            return (
                f"{run.name}: training.learning_rate is {rate:g}; above {_WILD_RATE:g} AdamW "
                "diverges, and 1e-4 to 1e-2 are usual"
            )
    return None


def _trained_on(run: LaunchConfig) -> Iterator[str]:
    shares = {} if run.mix is None else run.mix.to_plain()
    return (name for name, share in shares.items() if share["weight"] > 0)


def _sharing_data(group: Group) -> list[list[LaunchConfig]]:
    """Return the runs of launch configs by the files they are given; all of a swarm share them."""
    found: dict[tuple[int, int], list[LaunchConfig]] = {}
    for run in group.runs:
        if isinstance(run, LaunchConfig):
            found.setdefault((id(run.data), id(run.eval)), []).append(run)
    return list(found.values())
