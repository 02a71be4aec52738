"""How metrics were computed: one name alone does not make two values comparable.

A metric is known by the evaluation set (a fingerprint), the tokenizer, its definition, and the
seeds that the evaluation drew with. `olmix launch` notes it in `group.json` for validation sets and
in-loop tasks, evaluation harnesses in their results, a trainer of your own as `measured_with` in
its `summary.json`. `olmix collect` writes `metrics_identity.json` beside `metrics.csv`; for a table
of your own, write it by hand. What one side does not say is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

from pydantic import Field

from olmix.config import InLoopEval, LaunchConfig
from olmix.domains import bits_per_byte_of
from olmix.errors import DataError
from olmix.records.tokens import expand, fingerprint
from olmix.records.typed_json import (
    OPTIONAL,
    Items,
    Name,
    Table,
    Text,
    read_record,
    write_record,
)

__all__ = [
    "MetricIdentities",
    "MetricIdentity",
    "Places",
    "identities_of",
    "identity_file",
    "join_identities",
    "plain_identities",
    "read_identities",
    "write_identities",
]

_AGAIN = "Correct it, or remove the file to skip the comparison of metrics."
_SHOWN = 60


@dataclass(frozen=True)
class MetricIdentity:
    """How one metric was computed; what is not known is empty.

    Attributes:
        evaluation: fingerprint of the evaluation set.
        tokenizer: fingerprint or name of the tokenizer.
        definition: what is computed, in words: task, version, shots, formula.
        seeds: seeds that the evaluation drew with.
    """

    evaluation: Name = field(default="", metadata=OPTIONAL)
    tokenizer: Name = field(default="", metadata=OPTIONAL)
    definition: Text = field(default="", metadata=OPTIONAL)
    seeds: Items[int] = field(default=(), metadata=OPTIONAL)

    def differs(self, other: MetricIdentity) -> list[str]:
        """Return in words what both know and is not the same."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return [
            f"{name} {_shown(one)} and {_shown(two)}"
            for name, one, two in pairs
            if one and two and one != two
        ]

    def joined(self, other: MetricIdentity) -> MetricIdentity:
        """Return what either of the two knows."""
        return MetricIdentity(
            self.evaluation or other.evaluation,
            self.tokenizer or other.tokenizer,
            self.definition or other.definition,
            self.seeds or other.seeds,
        )


@dataclass(frozen=True)
class MetricIdentities:
    """The content of `metrics_identity.json`.

    Attributes:
        format: version of this file.
        metrics: what each metric was computed with.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    metrics: Table[MetricIdentity] = field(default_factory=dict)


Places = Iterable[tuple[str, Mapping[str, MetricIdentity]]]
"""Where metrics come from, in words, and what each of them was computed with there."""


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value!s:.{_SHOWN}}"


def join_identities(places: Places) -> dict[str, MetricIdentity]:
    """Return what is known of each metric over all places.

    Raises:
        DataError: a metric was computed with different things under one name; both are named.
    """
    found: dict[str, MetricIdentity] = {}
    first: dict[str, list[tuple[str, MetricIdentity]]] = {}
    problems: dict[str, str] = {}
    for place, identities in places:
        for name, own in identities.items():
            if own in (one for _, one in first.get(name, ())):
                continue
            for other, known in first.get(name, ()):
                if differing := own.differs(known):
                    problems.setdefault(
                        name,
                        f"{name}: {other} and {place} computed different metrics under this name: "
                        f"{'; '.join(known.differs(own) or differing)}",
                    )
            first.setdefault(name, []).append((place, own))
            found[name] = own if name not in found else found[name].joined(own)
    if problems:
        raise DataError(
            "\n".join(
                [
                    *problems.values(),
                    "  Their values cannot be compared. Evaluate all runs the same way, keep "
                    "them apart, or rename one of the metrics.",
                ]
            )
        )
    return found


def identities_of(config: LaunchConfig) -> dict[str, MetricIdentity]:
    """Return what the metrics of a launch are computed with, as far as its files lie here."""
    evaluation = config.eval
    if isinstance(evaluation, InLoopEval):
        families = evaluation.tasks.values()
        tasks = {name: task for family in families for task, name in family.items()}
        return {name: MetricIdentity(definition=f"task {task}") for name, task in tasks.items()}
    tokenizer = _tokenizer(config.data.tokenizer)
    definition = f"bits per byte of the first {evaluation.max_tokens} tokens"
    return {
        bits_per_byte_of(name): MetricIdentity(_evaluated(name, paths), tokenizer, definition)
        for name, paths in evaluation.paths.items()
    }


def _evaluated(name: str, paths: Sequence[str]) -> str:
    """Return the fingerprint of a validation set; nothing where its files are not here."""
    try:
        return fingerprint(expand(paths, f"eval.paths.{name}"))
    except (DataError, OSError):
        return ""


def _tokenizer(path: str | None) -> str:
    """Return the fingerprint of a tokenizer; nothing where it is not here."""
    try:
        return "" if path is None else fingerprint([Path(path)])
    except OSError:
        return ""


def plain_identities(raw: object) -> dict[str, MetricIdentity]:
    """Return identities from what `group.json` or a summary holds; others are skipped."""
    found = {}
    for name, plain in raw.items() if isinstance(raw, Mapping) else ():
        if not isinstance(plain, Mapping):
            continue
        words = {key: word for key, word in plain.items() if isinstance(word, str)}
        seeds = plain.get("seeds")
        found[str(name)] = MetricIdentity(
            words.get("evaluation", ""),
            words.get("tokenizer", ""),
            words.get("definition", ""),
            tuple(s for s in seeds if isinstance(s, int)) if isinstance(seeds, list) else (),
        )
    return found


def identity_file(metrics: str | Path) -> Path | None:
    """Return the place of the companion of a table of metrics; `None` for one at an address."""
    text = str(metrics)
    return None if "://" in text else Path(text).with_name(f"{Path(text).stem}_identity.json")


def read_identities(metrics: str | Path) -> Mapping[str, MetricIdentity]:
    """Return what the metrics of a table were computed with; nothing without a companion.

    Raises:
        DataError: the companion is not as docs/files.md says.
    """
    file = identity_file(metrics)
    if file is None or not file.is_file():
        return {}
    return read_record(MetricIdentities, file, _AGAIN).metrics


def write_identities(metrics: Path, identities: Mapping[str, MetricIdentity]) -> None:
    """Write the companion of a table of metrics; one of an earlier table is removed."""
    file = identity_file(metrics)
    if file is None:
        return
    known = {name: one for name, one in identities.items() if one != MetricIdentity()}
    if known:
        write_record(file, MetricIdentities(metrics=known))
    else:
        file.unlink(missing_ok=True)
