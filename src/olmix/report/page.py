"""The text of the page: the content of a fit folder as words and rows of the template.

Everything here is text that is ready to show; the template decides only where it stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from olmix.plotting import mixture_label
from olmix.records.fit.folder import FitFolder
from olmix.records.fit.scores import LEVEL
from olmix.report.explorer import Explorer, build_explorer
from olmix.report.figure import Picture
from olmix.report.first_screen import FirstScreen, build_first_screen
from olmix.report.glossary import words_of_report
from olmix.report.mixture_names import named
from olmix.report.runs import RunsTable, runs_table, verification_table
from olmix.report.sentences import (
    effects_reading,
    gain_reading,
    law_reading,
    mixture_reading,
    round_reading,
    scope,
    subtitle,
    verification_reading,
    warnings,
)
from olmix.report.short_names import short_names
from olmix.report.tables import (
    DomainRow,
    GainRow,
    LawRow,
    LedgerRow,
    PickRow,
    SeedRow,
    domain_rows,
    gain_rows,
    law_rows,
    ledger_rows,
    other_metrics,
    pick_rows,
    seed_rows,
)
from olmix.text.numbers import per_cent
from olmix.text.yaml import render_yaml

__all__ = ["Background", "Page", "build_page"]

_NOT_SETTINGS = re.compile(r"(^|_)(hash|hashes|versions|packages|machine)$")


@dataclass(frozen=True)
class Background:
    """The facts that the fit folder does not hold: how it came about.

    Attributes:
        commands: the commands that made it, in order.
        machine: facts about the machine, such as cores and platform.
        facts: what the launch noted, such as the size of the proxy model.
        data: token counts of each domain: (domain, training tokens, held out).
    """

    commands: tuple[str, ...] = ()
    machine: Mapping[str, str] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    data: tuple[tuple[str, str, bool], ...] = ()


@dataclass(frozen=True)
class Page:
    """Everything that the template shows."""

    title: str
    subtitle: str
    start: str
    first: FirstScreen
    labels: Mapping[str, str]
    scope: str
    mixture_title: str
    mixture_reading: str
    domains: tuple[DomainRow, ...]
    has_repetition: bool
    levels: tuple[str, str]
    words: tuple[tuple[str, str], ...]
    other_mixtures: tuple[tuple[str, str], ...]
    gain_reading: str
    round_reading: str
    gains: tuple[GainRow, ...]
    verification_reading: str
    ladder_reading: str
    seeds: tuple[str, ...]
    seed_rows: tuple[SeedRow, ...]
    other_metrics: tuple[tuple[str, tuple[str, ...]], ...]
    mixture_names: tuple[str, ...]
    law_reading: str
    laws: tuple[LawRow, ...]
    picks: tuple[PickRow, ...]
    ledger: tuple[LedgerRow, ...]
    effects_reading: str
    runs: RunsTable
    verification_runs: RunsTable | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str, bool], ...]
    config: str
    mix: str
    pictures: Mapping[str, tuple[Picture, ...]]
    explorer: Explorer | None


def build_page(
    content: FitFolder, pictures: Sequence[Picture], background: Background, title: str
) -> Page:
    """Return all text of the page."""
    groups: dict[str, tuple[Picture, ...]] = {}
    for picture in pictures:
        groups[picture.group] = (*groups.get(picture.group, ()), picture)
    found = content.verification
    names = tuple(named(content, found.means)) if found is not None else ()
    labels = {**short_names(content.leaves), **short_names([m.name for m in content.metrics])}
    levels = (per_cent(LEVEL), per_cent(LEVEL if found is None else found.level))
    return Page(
        title=title,
        subtitle=subtitle(content),
        start=content.settings.start,
        first=build_first_screen(content, background.facts, background.commands),
        labels=labels,
        scope=scope(content),
        mixture_title="The worst mixture, as make_worst_mix asks"
        if content.proposal is not None and content.proposal.worst
        else "The proposed mixture",
        mixture_reading=mixture_reading(content),
        domains=domain_rows(content),
        has_repetition=content.proposal is not None and content.proposal.repetition is not None,
        levels=levels,
        words=words_of_report(*levels),
        other_mixtures=_other_mixtures(content),
        gain_reading=gain_reading(content),
        round_reading=round_reading(content),
        gains=gain_rows(content),
        verification_reading=verification_reading(content),
        ladder_reading=content.ladder.statement if content.ladder is not None else "",
        seeds=tuple(str(seed) for seed in found.seeds) if found is not None else (),
        seed_rows=seed_rows(content),
        other_metrics=other_metrics(content, names),
        mixture_names=tuple(mixture_label(name) for name in names),
        law_reading=law_reading(content),
        laws=tuple(row for metric in content.metrics for row in law_rows(metric)),
        picks=pick_rows(content),
        ledger=ledger_rows(content),
        effects_reading=effects_reading(content),
        runs=runs_table(content),
        verification_runs=verification_table(content),
        warnings=warnings(content),
        notes=content.notes,
        dropped=tuple(content.dropped.items()),
        commands=background.commands,
        facts=_facts(content, background),
        data=background.data,
        config=_settings(content),
        mix=_read(content, "mix.yaml"),
        pictures=groups,
        explorer=build_explorer(content),
    )


def _other_mixtures(content: FitFolder) -> tuple[tuple[str, str], ...]:
    """Return name and label of the mixtures beside the natural and the proposed one."""
    mixtures = {} if content.proposal is None else content.proposal.mixtures
    shown = named(content, mixtures)
    return tuple(
        (name, mixture_label(name))
        for name in shown
        if name not in (content.settings.start, "proposed")
    )


def _facts(content: FitFolder, background: Background) -> tuple[tuple[str, str], ...]:
    """Return what is known of how the fit was made: hashes, versions, machine."""
    facts = [("Fit folder", content.folder.name)]
    proposal = content.proposal
    if proposal is not None:
        kl = f", KL weight {proposal.kl_reg:g}" if math.isfinite(proposal.kl_reg) else ""
        facts.append(("Proposer", f"{proposal.proposer}{kl}"))
    facts.append(("Split", content.split))
    for key, value in content.settings.plain.items():
        if _NOT_SETTINGS.search(key):
            facts += _flat(key.replace("_", " ").capitalize(), value)
    facts += background.facts.items()
    facts += _flat("Machine", dict(background.machine or {}))
    return tuple(facts)


def _flat(label: str, value: object) -> list[tuple[str, str]]:
    """Return a value, or the entries of a mapping, as one line of text."""
    if isinstance(value, Mapping):
        shown = ", ".join(f"{key} {inner}" for key, inner in value.items() if inner is not None)
        return [(label, shown)] if shown else []
    return [(label, str(value))] if value is not None else []


def _settings(content: FitFolder) -> str:
    """Return the config of the fit as YAML, without what the facts hold."""
    settings = {k: v for k, v in content.settings.plain.items() if not _NOT_SETTINGS.search(k)}
    return render_yaml(settings) if settings else ""


def _read(content: FitFolder, name: str) -> str:
    try:
        return (content.folder / name).read_text(encoding="utf-8")
    except OSError:
        return ""
