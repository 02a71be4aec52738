"""Collecting runs: `ratios.csv`, `metrics.csv`, `metrics_se.csv`, `runs.csv`, `fit.yaml`.

`ratios.csv` holds the token shares as trained where the trainer counted them, which may differ from
the weights asked for; `runs.csv` holds both. Runs that have not finished are named, not tabled.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from olmix.collect.comparable import Contents, compare_contents, compare_metrics
from olmix.collect.completeness import Completeness
from olmix.collect.fit_config import find_priors, write_fit_config
from olmix.collect.folders import read_records
from olmix.collect.record import Record
from olmix.collect.rows import (
    Options,
    Rows,
    check_mixtures,
    check_rows,
    sort_runs,
    usable_runs,
)
from olmix.collect.selection import Selection, select
from olmix.collect.variants import add_variants
from olmix.collect.wandb_runs import read_project
from olmix.collect.write import (
    FIT_CONFIG,
    METRICS,
    RATIOS,
    STANDARD_ERRORS,
    write_checkpoints,
    write_metrics,
    write_ratios,
    write_runs,
)
from olmix.config import LaunchConfig, PriorsConfig
from olmix.errors import DataError
from olmix.records.log_readers import Curves
from olmix.records.metric_identity import MetricIdentity, write_identities
from olmix.text.files import write_json
from olmix.text.numbers import counted, shortened
from olmix.text.progress import OnProgress, Steps

__all__ = ["Collected", "Options", "collect", "collect_wandb"]

logger = logging.getLogger(__name__)

_SHARE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Collected:
    """The collected tables.

    Attributes:
        ratios: path of the table of mixtures; `None` where no run has one.
        metrics: path of the table of metrics.
        fit_config: path of the fit config; `None` where `notes` say why not.
        runs: runs in the tables, in the order of their launch.
        domains: domains, in the order of the configs.
        metric_names: metrics, in the order of the configs.
        incomplete: what is wrong with each run that is not, or not fully, in the tables.
        shares_off: runs trained on shares that are off those asked for by more than a point, and by
            how much.
        errors: path of the table of standard errors; `None` where none was logged.
        notes: what the user should know besides.
        changed: domains whose token files are not the same for all runs.
    """

    ratios: Path | None
    metrics: Path
    fit_config: Path | None
    runs: tuple[str, ...]
    domains: tuple[str, ...]
    metric_names: tuple[str, ...]
    incomplete: Mapping[str, str]
    shares_off: Mapping[str, float]
    errors: Path | None
    notes: tuple[str, ...]
    changed: tuple[str, ...]


def collect(
    sources: Sequence[str | Path],
    output: str | Path,
    options: Options | None = None,
    on_progress: OnProgress | None = None,
) -> Collected:
    """Read run folders and write the tables.

    Args:
        sources: group folders, such as ``runs/1a2b3c4d``, or other folders of logs:
            `olmix.collect.folders.read_records` says which.
        output: folder of the tables.
        options: how runs become rows.
        on_progress: called after each run whose history was read.

    Raises:
        DataError: a folder holds no runs or was given twice, no run is finished, no run has all
            metrics, or two computed different metrics under one name.
        MissingPackageError: the reader of a format is not installed.
    """
    records: dict[str, Record] = {}
    renamed: list[str] = []
    folders = [Path(source).resolve() for source in sources]
    for source, folder in zip(sources, folders, strict=True):
        if folders.count(folder) > 1:
            raise DataError(f"{source}: was given twice; each group counts once")
        for record in read_records(source):
            named = record
            if record.name in records:  # two verifications of a study both train natural
                named = replace(record, name=f"{record.name}@{folder.name}")
                renamed.append(named.name)
            records[named.name] = named
    if renamed:
        logger.warning(
            "%s a name with a run of another group: %s here",
            "1 run shares" if len(renamed) == 1 else f"{len(renamed)} runs share",
            shortened(renamed),
        )
    found = _followed(list(records.values()), on_progress)
    return _collect(found, Path(output), options or Options())


def collect_wandb(
    project: str,
    group: str | None,
    output: str | Path,
    options: Options | None = None,
    on_progress: OnProgress | None = None,
) -> Collected:
    """Read the runs of a W&B project and write the tables; see `collect`."""
    found = _followed(read_project(project, group), on_progress)
    return _collect(found, Path(output), options or Options())


def _followed(records: Sequence[Record], on_progress: OnProgress | None) -> list[Record]:
    """Return records that tell when their history is read: what takes the time of a collection."""
    steps = Steps(on_progress, len(records))

    def follow(record: Record) -> Record:
        def read() -> Curves:
            steps(record.name, 0)
            found = record.curves()
            steps(record.name)
            return found

        return replace(record, curves=cache(read))

    return [follow(record) for record in records]


def _collect(records: Sequence[Record], out: Path, options: Options) -> Collected:
    config: Mapping[str, Any] = {}
    if options.config is not None:
        config = LaunchConfig.from_yaml(options.config).to_plain()
    if options.variants is not None:
        records, found = add_variants(records, options.variants)
        config = config or found
    usable = usable_runs(records, options)
    config = config or next((c for r in usable if (c := r.config())), {})
    evaluation = config.get("eval")  # of a config that is not Olmix's it may be anything
    evaluation = evaluation if isinstance(evaluation, Mapping) else None
    check_mixtures(usable)
    selection = select(usable, evaluation, options.metrics, options.directions())
    rows = sort_runs(records, usable, selection, options)
    check_rows(rows, selection)
    identities = compare_metrics(rows.tabled, selection.logged)
    domains = tuple(dict.fromkeys(d for record in rows.tabled for d in record.mixture))
    # Before anything is written: priors that lack a domain leave the tables as they were.
    priors, source = (
        find_priors(options.priors, config.get("data"), domains) if domains else (None, "")
    )
    counted_prints = {} if priors is None else priors.fingerprints or {}
    which = "as they are now" if options.priors is None else f"that {options.priors} counts"
    contents = compare_contents(rows.tabled, counted_prints, which)
    if priors is not None and contents.common:
        prints = {name: mark for name, mark in contents.common.items() if name in domains}
        priors = priors.model_copy(update={"fingerprints": prints or None})
    if options.strict and contents.changed:
        raise DataError("\n".join(contents.notes))
    found_runs = _Found(records, rows, selection, domains, contents, identities)
    return _write(found_runs, out, options, priors, source)


@dataclass(frozen=True)
class _Found:
    """The runs of a collection, and what is in its tables."""

    records: Sequence[Record]
    rows: Rows
    selection: Selection
    domains: tuple[str, ...]
    contents: Contents
    identities: Mapping[str, MetricIdentity]


def _write(
    found: _Found, out: Path, options: Options, priors: PriorsConfig | None, source: str
) -> Collected:
    """Write the tables, and the fit config where the token counts are known."""
    rows, selection, domains = found.rows, found.selection, found.domains
    report = Completeness(
        tuple(rows.values),
        rows.missing,
        rows.failed,
        rows.diverged,
        rows.nan,
        rows.no_mixture,
        rows.wrong_mixture,
        {r.name: r.gap for r in rows.tabled if r.gap > _SHARE_TOLERANCE},
        found.contents.by_group,
        found.contents.changed,
    )
    write_metrics(out / METRICS, rows.values, tuple(selection.logged))
    write_identities(out / METRICS, found.identities)
    errors = _write_errors(out / STANDARD_ERRORS, rows.tabled, selection, options)
    write_runs(out / "runs.csv", found.records, domains)
    if options.per_checkpoint:
        write_checkpoints(out / "checkpoints.csv", rows.tabled, selection)
    notes = [*selection.notes, *_notes(rows, report), *found.contents.notes]
    fit_config = None
    if domains:
        write_ratios(out / RATIOS, rows.tabled, domains)
    else:
        notes.append(f"no run records what it was trained on: no {RATIOS}. Pass --variants")
        (out / RATIOS).unlink(missing_ok=True)
    write_json(out / "completeness.json", report.to_plain())
    if domains and priors is not None:
        file = out / FIT_CONFIG
        fit_config = write_fit_config(file, selection, priors, source, len(rows.tabled))
    elif domains:
        notes.append(f"no {FIT_CONFIG} was written: {source}. Pass --priors FILE")
    if fit_config is None:  # one of an earlier collection would not fit these tables
        (out / FIT_CONFIG).unlink(missing_ok=True)
    return Collected(
        out / RATIOS if domains else None,
        out / METRICS,
        fit_config,
        tuple(rows.values),
        domains,
        tuple(selection.logged),
        report.problems(),
        report.shares_off,
        errors,
        tuple(notes),
        found.contents.changed,
    )


def _write_errors(
    path: Path, records: Sequence[Record], selection: Selection, options: Options
) -> Path | None:
    """Write the standard errors of the metrics, in the shape of their table, if there are any."""
    lower, how, tail = selection.lower_is_better, options.value, options.tail
    values = {
        record.name: {
            column: record.error(
                selection.errors[column], name, how, tail, lower_is_better=lower[column]
            )
            if column in selection.errors
            else math.nan
            for column, name in selection.logged.items()
        }
        for record in records
    }
    if not any(math.isfinite(value) for row in values.values() for value in row.values()):
        path.unlink(missing_ok=True)
        return None
    finite = {
        run: {c: v if math.isfinite(v) else math.nan for c, v in row.items()}
        for run, row in values.items()
    }
    write_metrics(path, finite, tuple(selection.logged))
    return path


def _notes(rows: Rows, report: Completeness) -> list[str]:
    """Report how mixtures were read, and which runs were trained on others than asked for."""
    read: dict[str, list[str]] = {}
    for record in rows.tabled:
        for reading in record.readings:
            read.setdefault(reading, []).append(record.name)
    notes = [f"{counted(len(runs), 'run')}, such as {runs[0]}: {how}" for how, runs in read.items()]
    far = report.shares_off
    if far:
        worst = max(far, key=lambda name: far[name])
        notes.append(
            f"trained on shares more than {_SHARE_TOLERANCE:.0%} from those asked for: "
            f"{counted(len(far), 'run')}, {worst} by {far[worst]:.1%}; ratios.csv holds the "
            "shares as trained"
        )
    return notes
