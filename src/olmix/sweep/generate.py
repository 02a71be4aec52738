"""Writing an experiment: configs, mapping and report in one folder, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from olmix import __version__
from olmix.errors import DataError, Problem
from olmix.sweep.document import YamlDocument
from olmix.sweep.errors import MergeError, TorchtuneValidationError
from olmix.sweep.experiment import Experiment
from olmix.sweep.folder import (
    CONFIGS,
    EXPERIMENT,
    MAPPING,
    REPORT,
    Mapped,
    choose_folder,
    read_mapping,
    render_mapping,
    set_aside,
)
from olmix.sweep.framework import Verdict
from olmix.sweep.keep_ids import keep_ids
from olmix.sweep.report import describe_params, render_report
from olmix.sweep.slurm import old_scripts, write_scripts
from olmix.sweep.study_plan import PlannedRun, StudyPlan, build_plan, check_places
from olmix.text.files import folder_beside, write_text
from olmix.text.progress import OnProgress

__all__ = ["SweepResult", "Validator", "generate_configs"]

Validator = Literal["inprocess", "subprocess", "none"]


@dataclass(frozen=True)
class SweepResult:
    """The generated experiment.

    Attributes:
        folder: the experiment's folder.
        runs: its runs, as `run_mapping.yaml` has them.
        report: text of `validation_report.txt`.
        plan: what was planned, with warnings and notices.
        num_new: configs that were written; the others were there before and are the same.
        script: the SLURM script, if one was asked for.
        is_valid: whether no check found an invalid config.
    """

    folder: Path
    runs: tuple[Mapped, ...]
    report: str
    plan: StudyPlan
    num_new: int
    script: Path | None
    is_valid: bool

    @property
    def configs(self) -> tuple[Path, ...]:
        """The config files."""
        return tuple(self.folder / run.config for run in self.runs)


def generate_configs(
    experiment: str | Path | Mapping[str, object] | Experiment,
    output_dir: str | Path | None = None,
    *,
    validator: Validator = "inprocess",
    smoke: bool = False,
    slurm: bool = False,
    on_progress: OnProgress | None = None,
) -> SweepResult:
    """Turn an experiment into complete, checked configs.

    Args:
        experiment: path of an `experiment.yaml`, or its content.
        output_dir: the folder to write; overrides what the experiment says. A folder that holds
            this experiment already gets what changed: equal configs keep their ids and files.
        validator: the framework's own check in this process, by its command line, or not at all.
        smoke: whether every config is also trained for two steps on a tiny model.
        slurm: whether to write an array script.
        on_progress: called after each check.

    Raises:
        ConfigWriterError: the experiment is wrong; nothing is written.
        TorchtuneValidationError: the framework refuses configs. The folder is kept, with the
            report and without an array script.
        DataError: the folder holds something else.
        MissingPackageError: a package for the checks asked for is not installed.
    """
    plan = build_plan(experiment)
    if validator != "none":
        plan.framework.require()
    target = choose_folder(plan.experiment.config, output_dir)
    check_places(plan, target)
    old = _existing(target)
    runs = plan.runs if not old else keep_ids(plan, old, target, partial(_text, plan))
    plan = replace(plan, runs=runs)
    rows = [_row(plan, run) for run in runs]
    texts = {row.config: _text(plan, run) for row, run in zip(rows, runs, strict=True)}
    _check_text(plan, texts)
    if old:
        new = _update(target, plan, rows, texts, old)
    else:
        new = len(rows)
        _create(target, plan, rows, texts)
    return _check(
        target, plan, rows, new, validator, smoke=smoke, slurm=slurm, on_progress=on_progress
    )


def _existing(target: Path) -> dict[str, Mapped]:
    """Return the runs that a folder holds, by their hash.

    Raises:
        DataError: the folder is in use for something else.
    """
    if not target.exists():
        return {}
    if not target.is_dir():
        raise DataError(f"{target}: this is a file; a folder is needed")
    if (target / MAPPING).is_file():
        return {row.hash: row for row in read_mapping(target)[0]}
    if any(target.iterdir()):
        raise DataError(f"{target}: this folder holds other files and no {MAPPING}; choose another")
    return {}


def _row(plan: StudyPlan, run: PlannedRun) -> Mapped:
    file = f"{CONFIGS}/{run.id}{plan.framework.suffix}"
    recipe, slurm = plan.base.recipe, plan.experiment.config.slurm
    gpus = slurm.num_gpus if slurm is not None else 1
    command = plan.framework.command(recipe or "", file, gpus)
    known = tuple(command) if recipe is not None or "" not in command else ()
    return Mapped(
        id=run.id,
        params=dict(run.params),
        config=file,
        output_dir=run.output_dir,
        recipe=recipe,
        hash=run.hash,
        command=known,
    )


def _text(plan: StudyPlan, run: PlannedRun) -> str:
    """Return a config file: which experiment, run and values made it, then the config."""
    about = plan.experiment.config.experiment
    header = plan.framework.comment(
        f"Experiment {about.name}, {run.id}: {describe_params(run.params)}\n"
        f"Written by `olmix sweep generate` {__version__} from {plan.base.name}; "
        "change experiment.yaml and generate again."
    )
    return header + plan.framework.render(plan.base, run.config, run.given)


def _check_text(plan: StudyPlan, texts: Mapping[str, str]) -> None:
    """Read the first file again: it must say what was planned."""
    document = plan.base.document
    if document is None or not plan.framework.writes_whole_configs:
        return
    name, text = next(iter(texts.items()))
    if YamlDocument(text, name).data != plan.runs[0].config:
        raise MergeError(
            [
                Problem(
                    "",
                    "the values cannot be inserted into this file; write it as plain YAML blocks",
                )
            ],
            document.name,
        )


def _about(plan: StudyPlan) -> dict[str, object]:
    return {
        "experiment": plan.experiment.config.experiment.name,
        "framework": plan.framework.name,
        "base_config": plan.base.name,
    }


def _create(target: Path, plan: StudyPlan, rows: list[Mapped], texts: Mapping[str, str]) -> None:
    """Write a new folder beside its place and rename it into it."""
    with folder_beside(target) as beside:
        (beside / CONFIGS).mkdir()
        (beside / EXPERIMENT).write_text(plan.experiment.text, encoding="utf-8")
        for name, text in texts.items():
            (beside / name).write_text(text, encoding="utf-8")
        (beside / MAPPING).write_text(render_mapping(rows, _about(plan)), encoding="utf-8")
        (beside / REPORT).write_text(_report(plan, rows, None, None), encoding="utf-8")
        beside.replace(target)


def _update(
    target: Path,
    plan: StudyPlan,
    rows: list[Mapped],
    texts: Mapping[str, str],
    old: Mapping[str, Mapped],
) -> int:
    """Write what changed into a folder; return the number of configs written."""
    # Also configs that a killed process wrote, which no mapping has.
    files = {target / row.config for row in old.values()} | {*(target / CONFIGS).glob("run_*")}
    gone = sorted(files - {target / name for name in texts})
    written = 0
    for name, text in texts.items():
        file = target / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            write_text(file, text)
            written += 1
    write_text(target / EXPERIMENT, plan.experiment.text)
    write_text(target / MAPPING, render_mapping(rows, _about(plan)))
    set_aside(target, [file for file in gone if file.is_file()])
    return written


def _report(
    plan: StudyPlan,
    rows: list[Mapped],
    verdicts: list[Verdict] | None,
    trained: Mapping[str, str] | None,
) -> str:
    return render_report(plan, [row.id for row in rows], verdicts, trained)


def _check(
    target: Path,
    plan: StudyPlan,
    rows: list[Mapped],
    num_new: int,
    validator: Validator,
    *,
    smoke: bool,
    slurm: bool,
    on_progress: OnProgress | None,
) -> SweepResult:
    """Run the checks that need the files, write the report and the array script."""
    files = [target / row.config for row in rows]
    verdicts = None
    if validator != "none":
        verdicts = plan.framework.validate(files, validator, on_progress)
    trained = None
    if smoke and not any(verdict.errors for verdict in verdicts or ()):
        configs = {run.id: run.config for run in plan.runs}
        trained = plan.framework.smoke(plan.base, configs, on_progress)
    report = _report(plan, rows, verdicts, trained)
    write_text(target / REPORT, report)
    invalid = [
        (row.config, error)
        for row, verdict in zip(rows, verdicts or [], strict=False)
        for error in verdict.errors
    ]
    invalid += [
        (f"{CONFIGS}/{run}{plan.framework.suffix}", why)
        for run, why in (trained or {}).items()
        if why
    ]
    script = None
    if slurm and not invalid:
        script = write_scripts(plan, rows, target)
    elif not invalid:
        # Array scripts of before would start runs that are no more.
        set_aside(target, old_scripts(target))
    result = SweepResult(target, tuple(rows), report, plan, num_new, script, not invalid)
    if invalid:
        error = TorchtuneValidationError(
            [Problem(config, why) for config, why in invalid], str(target)
        )
        error.result = result
        raise error
    return result
