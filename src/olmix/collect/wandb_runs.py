"""Records of runs that were logged to Weights & Biases."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from olmix.collect.mixes import read_mix, read_shares
from olmix.collect.record import USABLE, Record, State, numbers_of
from olmix.errors import DataError, needs
from olmix.records.log_readers import Curves, add_record, flatten, number, step_of

__all__ = ["keep_latest", "read_project", "record_of"]

_STATES: dict[str, State] = {
    "finished": "finished",
    "running": "running",
    "pending": "pending",
    "crashed": "crashed",
    "failed": "failed",
    "killed": "cancelled",
    "preempted": "crashed",
    "preempting": "running",
}
_PAGE = 200
_HISTORY_PAGE = 10_000
_TIMEOUT_S = 60


def read_project(project: str, group: str | None) -> list[Record]:
    """Return the runs of a W&B project.

    All summaries and configs come with the list of runs, 200 a query (`lazy=False`): asking for
    them run by run took 13 times as long for 127 runs. Histories are asked for where they are used.

    Args:
        project: ``ENTITY/PROJECT``.
        group: keep the runs of this W&B group.

    Raises:
        MissingPackageError: wandb is not installed.
        DataError: the service does not answer as asked, or holds no such run.
    """
    with needs("wandb", "Reading a W&B project"):
        import wandb
        from wandb.errors import Error
    try:
        api = wandb.Api(timeout=_TIMEOUT_S)
        filters = {"group": group} if group is not None else {}
        runs = list(api.runs(project, filters=filters, per_page=_PAGE, lazy=False))
    except (Error, OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{project}: W&B does not list its runs: {error}\n"
            "  Check ENTITY/PROJECT, and log in with `wandb login` or WANDB_API_KEY."
        ) from error
    if not runs:
        what = f"group {group}" if group is not None else "run"
        raise DataError(f"{project}: there is no {what} in this project")
    return keep_latest([_record(run) for run in runs])


def _record(run: Any) -> Record:
    state = _STATES.get(run.state, "crashed")
    why = "" if state == "finished" else f"{run.state} on W&B ({run.url})"
    history = cache(lambda: _history(run))
    return record_of(run.name or run.id, state, why, run.config, run.summary_metrics, history)


def _history(run: Any) -> Curves:
    """Return all that a run logged; not the sample of 500 steps that charts show."""
    from wandb.errors import Error

    curves: Curves = {}
    step = -1
    try:
        for row in run.scan_history(page_size=_HISTORY_PAGE):
            step = step_of(row, step + 1)
            add_record(curves, row, step)
    except (Error, OSError, ValueError) as error:
        raise DataError(f"{run.name}: W&B does not give its history: {error}") from error
    return curves


def record_of(
    name: str,
    state: State,
    why: str,
    config: Mapping[str, object],
    summary: Mapping[str, object],
    curves: Callable[[], Curves],
    *,
    group: str = "",
) -> Record:
    """Return the record of a W&B run; its config holds `mix` where Olmix or the user put it there.

    `token_shares` and `epochs` are taken from the summary or the config. W&B's own keys, which
    start with an underscore, are no metrics.
    """
    plain = {key: _plain(value) for key, value in config.items() if key != "_wandb"}
    logged = {key: value for key, value in summary.items() if not key.startswith("_")}
    counted = {**plain, **logged}
    training = plain.get("training")
    facts = {
        "seed": (training if isinstance(training, Mapping) else plain).get("seed"),
        "seconds": number(summary.get("_runtime")),
        "wandb_group": group or None,
    }
    mix = read_mix(plain.get("mix"))
    shares = read_shares(counted.get("token_shares"), mix.weights, number(counted.get("tokens")))
    return Record(
        name=name,
        state=state,
        why=why,
        asked=mix.weights,
        shares=shares.weights,
        passes=numbers_of(counted.get("epochs")),
        final=flatten({k: v for k, v in logged.items() if k not in ("token_shares", "epochs")}),
        curves=curves,
        facts={key: value for key, value in facts.items() if value is not None},
        config=lambda: plain,
        readings=tuple(told.note for told in (mix, shares) if told.note),
        mix_problem=mix.problem,
        shares_problem=shares.problem,
    )


def _plain(value: object) -> object:
    """Undo the wrapping of W&B's config values: ``{"value": ...}``, or JSON in a string."""
    if isinstance(value, Mapping) and set(value) <= {"value", "desc"} and "value" in value:
        value = value["value"]
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def keep_latest(records: Sequence[Record]) -> list[Record]:
    """Mark all but one of the runs that share a name, as restarted runs do.

    The latest finished one is kept, or the latest. The others get a number behind their name.
    """
    by_name: dict[str, list[Record]] = {}
    for record in records:
        by_name.setdefault(record.name, []).append(record)
    kept: list[Record] = []
    for name, same in by_name.items():
        usable = [record for record in same if record.state in USABLE]
        best = (usable or same)[-1]
        kept.append(best)
        others = [record for record in same if record is not best]
        for index, record in enumerate(others, start=1):
            why = f"{record.state}; a later run with this name is used"
            kept.append(replace(record, name=f"{name}#{index}", state="replaced", why=why))
    return kept
