"""Records of run folders: groups of `olmix launch`, and any folders that hold logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from olmix.collect.mixes import Told, read_mix, read_shares
from olmix.collect.record import FACTS, Record, State, numbers_of
from olmix.collect.wandb_files import find_wandb_files, read_wandb_files
from olmix.config import LaunchConfig, read_yaml
from olmix.errors import DataError, OlmixError
from olmix.records.checkpoint_bits import CHECKPOINT_BITS
from olmix.records.evaluations import LM_EVAL, OLMES, find_evaluations, read_evaluations
from olmix.records.group import GroupRun, read_group_record
from olmix.records.log_files import CSV, EVENTS, JSONL, TORCHTUNE, TRAINER_STATE, reader_of
from olmix.records.metric_identity import plain_identities
from olmix.records.run import INTERRUPTED, STATUS_FILE, RunFolder, Status, Summary

__all__ = ["read_records"]


def read_records(path: str | Path) -> list[Record]:
    """Return the runs below a folder, whatever logged them.

    A folder with a `group.json` is a group of `olmix launch`. Files `*.wandb` are offline runs of
    W&B. Otherwise each subfolder with logs or results is a run, or the folder itself is one.

    Raises:
        DataError: there is no such folder, or it holds no logs.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    if (folder / "group.json").is_file():
        return _read_group(folder)
    offline = find_wandb_files(folder)
    if offline:
        return read_wandb_files(offline)
    children = [child for child in sorted(folder.iterdir()) if child.is_dir()]
    records = [record for child in children if (record := _read_folder(child)) is not None]
    own = (JSONL, EVENTS, LM_EVAL, TRAINER_STATE, CHECKPOINT_BITS)
    if not records or any(any(folder.glob(pattern)) for pattern in own):
        alone = _read_folder(folder.resolve())
        records = [alone] if alone is not None else []
    if not records:
        raise DataError(
            f"{folder}: holds no runs: neither a group.json, nor folders with {JSONL}, *.wandb, "
            f"TensorBoard's {EVENTS}, torchtune's {TORCHTUNE}, Lightning's {CSV}, Hugging "
            f"Face's {TRAINER_STATE}, nor results of `olmix evaluate` ({CHECKPOINT_BITS}), "
            f"lm-evaluation-harness ({LM_EVAL}), OLMES or olmo-eval ({', '.join(OLMES)})"
        )
    return records


def _read_group(group: Path) -> list[Record]:
    """Return every run that was launched, also those that never started."""
    record = read_group_record(group)
    measured_with = plain_identities(record.measured_with)
    found = (_read_launched(RunFolder(group / run.name), run) for run in record.runs)
    return [
        replace(
            one,
            group=str(group),
            contents=record.fingerprints,
            changed=record.changed,
            measured_with={**measured_with, **one.measured_with},
        )
        for one in found
    ]


def _read_launched(run: RunFolder, entry: GroupRun) -> Record:
    status = run.read_status()
    state, why = _explain(status)
    if status.state == "finished" and status.identity != entry.identity:
        state, why = "stale", "it finished with a different config or data; launch it again"
    facts, asked = {"seed": entry.seed}, read_mix(entry.mix)
    return _record(run, state, why, facts, asked, _lazy_config(run))


def _read_folder(path: Path) -> Record | None:
    """Return the run in a folder, `None` where there are no logs."""
    run = RunFolder(path)
    known = (path / STATUS_FILE).is_file()
    curves = reader_of(path)
    measured = curves is not None or bool(find_evaluations(path))
    if not measured and not known and not run.summary.is_file():
        return None
    state, why = _explain(run.read_status())
    if not known:
        state, why = ("finished" if run.summary.is_file() else "logged"), ""
    config = _lazy_config(run)
    return _record(run, state, why, {}, Told(), config)


def _record(
    run: RunFolder,
    state: State,
    why: str,
    facts: Mapping[str, object],
    asked: Told,
    config: Callable[[], Mapping[str, object]],
) -> Record:
    found = _read_summary(run) if state in ("finished", "stale") else Summary()
    summary = found.facts
    mix = next((told for told in (read_mix(summary.get("weights")), asked) if told.weights), asked)
    if not mix.weights and not mix.problem:
        # Reading a thousand configs takes half a minute: only where nothing else has the mixture.
        mix = read_mix(config().get("mix"))
    tokens = found.number("tokens")
    shares = read_shares(summary.get("token_shares"), mix.weights, tokens)
    curves, results = reader_of(run.path), find_evaluations(run.path)
    evaluated = read_evaluations(results, run.path)
    own = {key: summary[key] for key in FACTS if found.number(key) is not None}
    return Record(
        name=run.name,
        state=state,
        why=why,
        asked=mix.weights,
        shares=shares.weights,
        passes=numbers_of(summary.get("epochs")),
        final={**found.metrics, **evaluated.final},
        curves=cache(lambda: {**(curves() if curves is not None else {}), **evaluated.curves}),
        directions=evaluated.lower_is_better,
        facts={**facts, **own},
        config=config,
        readings=tuple(told.note for told in (mix, shares) if told.note),
        mix_problem=mix.problem,
        shares_problem=shares.problem,
        measured_with={
            **evaluated.measured_with,
            **plain_identities(summary.get("measured_with")),
        },
    )


def _explain(status: Status) -> tuple[State, str]:
    """Return the state of a run and what is wrong with it."""
    why = status.error or ("" if status.state == "finished" else status.state)
    if status.state == "failed" and status.diverged:
        return "diverged", why
    if status.state == "pending" and status.error in (None, INTERRUPTED):
        return "pending", "pending" if status.step == 0 else f"interrupted at step {status.step}"
    return status.state, why


def _read_summary(run: RunFolder) -> Summary:
    try:
        return run.read_summary()
    except DataError:
        return Summary()


def _lazy_config(run: RunFolder) -> Callable[[], Mapping[str, object]]:
    def read() -> Mapping[str, Any]:
        try:
            return LaunchConfig.from_yaml(run.config).to_plain()
        except OlmixError:
            return _read_foreign(run.config)

    return cache(read)


def _read_foreign(file: Path) -> Mapping[str, object]:
    """Return a config that is not Olmix's as it stands; it may hold a `mix` all the same."""
    try:
        content = read_yaml(file).data
    except OlmixError:
        return {}
    return content if isinstance(content, Mapping) else {}
