"""Ids and folders of runs of an experiment that is generated again: what has results stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from olmix.sweep.folder import Mapped, used_ids
from olmix.sweep.framework import Path_
from olmix.sweep.merge import at
from olmix.sweep.own_folders import shared_folders, with_folders
from olmix.sweep.study_plan import PlannedRun, StudyPlan

__all__ = ["keep_ids"]


def keep_ids(plan: StudyPlan, old: Mapping[str, Mapped], target: Path) -> tuple[PlannedRun, ...]:
    """Give runs that are in the folder the id that they have there, and new ones a new id.

    An id is never used again for another config: its results are still there.

    Args:
        plan: what was planned.
        old: runs of the folder, by their hash.
        target: the folder.
    """
    places = {
        str(Path(folder).parent)
        for run in plan.runs
        for path, folder in plan.framework.folders(run.config).items()
        if path in plan.own
    }
    used = {row.id for row in old.values()} | used_ids(target, places)
    digits = max(len(name.partition("_")[2]) for name in used)
    free = 1 + max(int(name.partition("_")[2]) for name in used)
    ids = []
    for run in plan.runs:
        known = old.get(run.hash)
        ids.append(f"run_{free:0{digits}d}" if known is None else known.id)
        free += known is None
    before = [_old_folders(plan, run, old.get(run.hash), target) for run in plan.runs]
    moved = [_move(plan, *entry) for entry in zip(plan.runs, ids, before, strict=True)]
    shared = shared_folders(plan.framework, [run.config for run in moved])
    if shared:  # a folder that several runs had is none that one of them can keep
        before = [{p: f for p, f in entry.items() if p not in shared} for entry in before]
        moved = [_move(plan, *entry) for entry in zip(plan.runs, ids, before, strict=True)]
    return tuple(moved)


def _old_folders(
    plan: StudyPlan, run: PlannedRun, known: Mapped | None, target: Path
) -> dict[Path_, str]:
    """Return where a run of the folder writes now, by the key that says so."""
    if known is None:
        return {}
    found = {} if known.output_dir is None else {run.output_key: known.output_dir}
    file = target / known.config
    texts = (
        str(at(run.config, path)) for path in plan.framework.folders(run.config).keys() - found
    )
    if any("${" not in text for text in texts) and file.is_file():
        written = plan.framework.read_config(file)
        found |= {path: str(at(written, path)) for path in plan.framework.folders(written)}
    return found


def _move(plan: StudyPlan, run: PlannedRun, new_id: str, before: Mapping[Path_, str]) -> PlannedRun:
    """Give a run its id, and its folders the names that go with it."""

    def rename(path: Path_, folder: str) -> str:
        plain = folder.removesuffix(f"/{run.id}") if path in plan.own else folder
        own = f"{plain}/{new_id}"
        if before.get(path) in (plain, own):
            return before[path]  # it has results; only the number of runs has changed
        return own if path in plan.own else folder

    paths = {**plan.own, **before}
    return replace(run, id=new_id, config=with_folders(run.config, paths, rename))
