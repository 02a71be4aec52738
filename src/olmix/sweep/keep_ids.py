"""Ids and folders of runs of an experiment that is generated again: what has results stays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

from olmix.sweep.folder import CONFIGS, Mapped, ids_with_results, used_ids
from olmix.sweep.framework import Path_
from olmix.sweep.merge import at
from olmix.sweep.own_folders import shared_folders, with_folders
from olmix.sweep.study_plan import PlannedRun, StudyPlan

__all__ = ["keep_ids"]


def keep_ids(
    plan: StudyPlan,
    old: Mapping[str, Mapped],
    target: Path,
    text_of: Callable[[PlannedRun], str],
) -> tuple[PlannedRun, ...]:
    """Give runs that are in the folder the id that they have there, and new ones a new id.

    An id is never used again for another config: its results are still there. Configs that a killed
    process wrote keep their ids if they are those that would be written now.

    Args:
        plan: what was planned.
        old: runs of the folder, by their hash.
        target: the folder.
        text_of: gives the config file of a run.
    """
    places = {
        str(Path(folder).parent)
        for run in plan.runs
        for path, folder in plan.framework.folders(run.config).items()
        if path in plan.own
    }
    known = {row.id for row in old.values()}
    others = known | used_ids(target, places)
    written = {file.stem: file for file in (target / CONFIGS).glob("run_*")}
    unmapped = written.keys() - known - ids_with_results(target, places)
    if unmapped:
        runs = _with_ids(plan, old, target, others - unmapped)
        texts = {run.id: text_of(run) for run in runs if run.id in unmapped}
        same = (written[run].read_text(encoding="utf-8") == texts.get(run) for run in unmapped)
        if all(same):
            return runs
    return _with_ids(plan, old, target, others)


def _with_ids(
    plan: StudyPlan, old: Mapping[str, Mapped], target: Path, used: Collection[str]
) -> tuple[PlannedRun, ...]:
    """Give runs their old ids, and new ones those that follow the used ones."""
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
