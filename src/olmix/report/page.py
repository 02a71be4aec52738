"""What the page says: the content of a fit folder turned into the words and rows of the template.

Everything here is text that is ready to show; the template decides only where it stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from olmix.io.files import render_yaml
from olmix.plotting import MIXTURE_LABELS, law_label
from olmix.report.content import MIXTURES, Content, Gain, Metric
from olmix.report.figures import Picture, seeds_for
from olmix.report.runs import RunsTable, runs_table, verification_table
from olmix.report.words import (
    UNKNOWN,
    fixed,
    interval,
    listed,
    p_value,
    percent,
    points,
    signed,
    with_error,
)

__all__ = ["Background", "Page", "build_page"]

_NOT_SETTINGS = re.compile(r"(^|_)(hash|hashes|versions|packages|machine)$")


@dataclass(frozen=True)
class Background:
    """What the fit folder does not know: how it came about.

    Attributes:
        commands: the commands that made it, in order.
        machine: facts about the machine, such as cores and platform.
        data: token counts of each domain: (domain, training tokens, held out).
    """

    commands: tuple[str, ...] = ()
    machine: Mapping[str, str] | None = None
    data: tuple[tuple[str, str, bool], ...] = ()


@dataclass(frozen=True)
class Number:
    """A large number of the page's head."""

    label: str
    value: str
    error: str
    unit: str
    note: str


@dataclass(frozen=True)
class Head:
    """The result, first.

    Attributes:
        tone: `good` where the gain is verified, `plain` where it is predicted or not to be told
            from 0, `warn` where there is no reliable signal or the proposal is worse.
        status: what kind of evidence there is, in a few words.
        statement: the result in one sentence.
        numbers: the most important first.
        next_step: what to do, in words; empty where nothing is left to do.
        command: the command that does it.
    """

    tone: str
    status: str
    statement: str
    numbers: tuple[Number, ...]
    next_step: str
    command: str


@dataclass(frozen=True)
class DomainRow:
    """One domain in the four mixtures."""

    domain: str
    weights: Mapping[str, str]
    change: str
    ratio: str
    repetition: str


@dataclass(frozen=True)
class GainRow:
    """The gain over one mixture, predicted and measured."""

    over: str
    predicted: str
    predicted_interval: str
    probability: str
    measured: str
    measured_interval: str
    p_value: str


@dataclass(frozen=True)
class SeedRow:
    """One mixture of the verification."""

    mixture: str
    values: tuple[str, ...]
    mean: str


@dataclass(frozen=True)
class LawRow:
    """One law for one metric."""

    metric: str
    law: str
    is_chosen: bool
    spearman: str
    pearson: str
    r2: str
    rmse: str
    fitted_rmse: str
    noise: str
    signal: str


@dataclass(frozen=True)
class Page:
    """Everything that the template shows."""

    title: str
    subtitle: str
    head: Head
    mixture_reading: str
    domains: tuple[DomainRow, ...]
    has_repetition: bool
    gain_reading: str
    gains: tuple[GainRow, ...]
    verification_reading: str
    seeds: tuple[str, ...]
    seed_rows: tuple[SeedRow, ...]
    other_metrics: tuple[tuple[str, tuple[str, ...]], ...]
    mixture_names: tuple[str, ...]
    law_reading: str
    laws: tuple[LawRow, ...]
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


def build_page(
    content: Content, pictures: Sequence[Picture], background: Background, title: str
) -> Page:
    """Say everything that the page says."""
    groups: dict[str, tuple[Picture, ...]] = {}
    for picture in pictures:
        groups[picture.group] = (*groups.get(picture.group, ()), picture)
    found = content.verification
    names = tuple(found.means) if found is not None else ()
    return Page(
        title=title,
        subtitle=_subtitle(content),
        head=_head(content),
        mixture_reading=_mixture_reading(content),
        domains=_domain_rows(content),
        has_repetition=content.proposal is not None and content.proposal.repetition is not None,
        gain_reading=_gain_reading(content),
        gains=_gain_rows(content),
        verification_reading=_verification_reading(content),
        seeds=tuple(str(seed) for seed in found.seeds) if found is not None else (),
        seed_rows=_seed_rows(content),
        other_metrics=_other_metrics(content, names),
        mixture_names=tuple(_label(name) for name in names),
        law_reading=_law_reading(content),
        laws=tuple(row for metric in content.metrics for row in _law_rows(metric)),
        effects_reading=_effects_reading(content),
        runs=runs_table(content),
        verification_runs=verification_table(content),
        warnings=_warnings(content),
        notes=content.notes,
        dropped=tuple(content.dropped.items()),
        commands=background.commands,
        facts=_facts(content, background),
        data=background.data,
        config=_settings(content),
        mix=_read(content, "mix.yaml"),
        pictures=groups,
    )


def _label(name: str) -> str:
    return MIXTURE_LABELS.get(name, name.replace("_", " "))


def _subtitle(content: Content) -> str:
    direction = "lower" if content.objective.lower_is_better else "higher"
    unit = f", {content.objective.unit}" if content.objective.unit else ""
    return (
        f"Objective: {content.objective.name} ({direction} is better{unit}). "
        f"{len(content.runs)} runs over {len(content.domains)} domains, "
        f"{len(content.metrics)} {'metric' if len(content.metrics) == 1 else 'metrics'}."
    )


def _head(content: Content) -> Head:
    """Say the result: what was measured if it was, else what is predicted, else that it is not."""
    proposal, found = content.proposal, content.verification
    verify = f"olmix verify --fit {content.folder.name} --config LAUNCH.yaml"
    if proposal is None:
        return Head("plain", "Fitted, nothing proposed", "The laws were fitted; no mixture was "
                    "proposed, as proposer.fit_only asks.", (), "", "")  # fmt: skip
    if found is not None:
        natural = found.gains.get("natural")
        status = f"Measured with {len(found.seeds)} fresh seeds"
        tone = "plain"
        if natural is not None and natural.low > 0:
            tone = "good"
        elif natural is not None and natural.high < 0:
            tone = "warn"
        numbers = tuple(
            _gain_number(name, gain, found.unit, is_measured=True)
            for name, gain in _ordered(found.gains)
        )
        return Head(tone, status, found.statement, numbers, "", "")
    numbers = tuple(
        _gain_number(name, gain, content.objective.unit, is_measured=False)
        for name, gain in _ordered(proposal.gains)
    )
    if not proposal.reliable:
        return Head(
            "warn",
            "No reliable signal",
            proposal.statement,
            numbers,
            "Do not train on this mixture yet: add runs or replicates, or choose another metric.",
            "",
        )
    return Head(
        "plain",
        "Predicted, not verified yet",
        proposal.statement,
        numbers,
        "Train the proposal against the other mixtures, with fresh seeds:",
        verify,
    )


def _ordered(gains: Mapping[str, Gain]) -> list[tuple[str, Gain]]:
    known = [name for name in MIXTURES if name in gains]
    return [(name, gains[name]) for name in (*known, *(n for n in gains if n not in known))]


def _gain_number(name: str, gain: Gain, unit: str, *, is_measured: bool) -> Number:
    """Return a gain as a large number with its error and what it means."""
    value, _, error = with_error(gain.mean, gain.std_error, sign=True).partition(" ± ")
    level = "95" if is_measured else "90"
    note = f"{level} % interval {interval(gain.low, gain.high)}"
    if not is_measured and math.isfinite(gain.probability):
        note += f"; {_probability(gain.probability)} probable to be a gain"
    kind = "measured gain" if is_measured else "predicted gain"
    return Number(f"{kind} over {_label(name)}", value, error, unit, note)


def _probability(value: float) -> str:
    """Return a probability in per cent; never all of it, or none."""
    if not math.isfinite(value):
        return UNKNOWN
    if value > 0.999:
        return "> 99.9 %"
    if value < 0.001:
        return "< 0.1 %"
    return percent(value, 1 if value > 0.99 else 0)


def _mixture_reading(content: Content) -> str:
    """Name the largest changes."""
    if content.proposal is None:
        return ""
    mixtures = content.proposal.mixtures
    if not {"natural", "proposed"} <= set(mixtures):
        return ""
    natural, proposed = mixtures["natural"].weights, mixtures["proposed"].weights
    changes = {name: proposed.get(name, 0.0) - weight for name, weight in natural.items()}
    ordered = sorted(changes.items(), key=lambda item: -abs(item[1]))
    more = [f"{name} ({points(value)})" for name, value in ordered if value >= 0.005][:3]
    less = [f"{name} ({points(value)})" for name, value in ordered if value <= -0.005][:3]
    if not more and not less:
        return "The proposed mixture is practically the natural one."
    parts = [f"more {listed(more)}"] if more else []
    parts += [f"less {listed(less)}"] if less else []
    return f"Against the natural mixture, in percentage points: {'; '.join(parts)}."


def _domain_rows(content: Content) -> tuple[DomainRow, ...]:
    proposal = content.proposal
    if proposal is None:
        return ()
    weights = {name: mix.weights for name, mix in proposal.mixtures.items()}
    natural, proposed = weights.get("natural", {}), weights.get("proposed", {})
    repetition = proposal.repetition or {}
    rows = []
    for domain in sorted(content.domains, key=lambda name: -np.nan_to_num(natural.get(name, 0.0))):
        before, after = natural.get(domain, 0.0), proposed.get(domain, 0.0)
        rows.append(
            DomainRow(
                domain,
                {name: percent(weights[name].get(domain, 0.0)) for name in weights},
                points(after - before),
                f"{fixed(after / before, 2)}×" if before > 0 else UNKNOWN,
                fixed(repetition.get(domain, math.nan), 2),
            )
        )
    return tuple(rows)


def _gain_reading(content: Content) -> str:
    """Say whether the prediction held."""
    if content.proposal is None:
        return ""
    predicted = content.proposal.gains.get("natural")
    if content.verification is None or predicted is None:
        return (
            "Predicted by the fitted laws; the interval covers 90 % of what the swarm's noise and "
            "the choice of runs make possible. Nothing was measured yet."
        )
    measured = content.verification.gains.get("natural")
    if measured is None:
        return ""
    sides = {True: "inside", False: "outside"}
    where = sides[predicted.low <= measured.mean <= predicted.high]
    return (
        f"The measured gain over natural ({with_error(measured.mean, measured.std_error)}) lies "
        f"{where} the predicted interval ({interval(predicted.low, predicted.high)})."
    )


def _gain_rows(content: Content) -> tuple[GainRow, ...]:
    proposal = content.proposal
    if proposal is None:
        return ()
    measured = {} if content.verification is None else content.verification.gains
    nothing = Gain(*(math.nan,) * 6)
    rows = []
    for name, gain in _ordered(proposal.gains):
        real = measured.get(name, nothing)
        rows.append(
            GainRow(
                _label(name),
                signed(gain.mean),
                interval(gain.low, gain.high),
                _probability(gain.probability),
                with_error(real.mean, real.std_error, sign=True),
                interval(real.low, real.high),
                p_value(real.p_value),
            )
        )
    return tuple(rows)


def _verification_reading(content: Content) -> str:
    """Count the seeds for which the proposal is better than each other mixture."""
    found = content.verification
    if found is None or "proposed" not in found.values:
        return ""
    sign = 1.0 if found.lower_is_better else -1.0
    parts = []
    for name, values in found.values.items():
        if name != "proposed":
            pairs = zip(values, found.values["proposed"], strict=False)
            wins = sum(sign * (other - own) > 0 for other, own in pairs)
            parts.append(f"{_label(name)} with {wins} of {len(values)} seeds")
    return f"The proposed mixture is better than {listed(parts)}." if parts else ""


def _seed_rows(content: Content) -> tuple[SeedRow, ...]:
    found = content.verification
    if found is None:
        return ()
    return tuple(
        SeedRow(
            _label(name),
            tuple(fixed(value, 4) for value in values),
            f"{fixed(found.means[name][0], 4)} ± {fixed(found.means[name][1], 4)}",
        )
        for name, values in found.values.items()
    )


def _other_metrics(
    content: Content, names: Sequence[str]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return mean and error of every metric for every mixture that was verified."""
    found = content.verification
    if found is None:
        return ()
    unknown = (math.nan, math.nan)
    return tuple(
        (metric, tuple(with_error(*by_mixture.get(name, unknown)) for name in names))
        for metric, by_mixture in found.metrics.items()
    )


def _law_reading(content: Content) -> str:
    metric = content.metrics[0]
    scores = metric.law.cv
    if len(content.objective.metrics) > 1 and content.objective_scores is not None:
        average = content.objective_scores
        return (
            f"{content.objective.name}: the laws together rank runs that they have not seen with a "
            f"Spearman correlation of {fixed(average.spearman, 2)}, "
            f"RMSE {fixed(average.rmse, 4)}. Split: {seeds_for(content)}."
        )
    unit = f" {metric.unit}" if metric.unit else ""
    text = (
        f"{metric.name}: the {law_label(metric.chosen)} law ranks runs that it has not seen with a "
        f"Spearman correlation of {fixed(scores.spearman, 2)} and errs by {fixed(scores.rmse, 4)}"
        f"{unit} (RMSE)"
    )
    if math.isfinite(metric.noise_sd) and metric.noise_sd > 0:
        text += (
            f", {fixed(scores.rmse / metric.noise_sd, 1)} times the noise between replicates "
            f"({fixed(metric.noise_sd, 4)})"
        )
    return f"{text}. Split: {seeds_for(content)}."


def _law_rows(metric: Metric) -> list[LawRow]:
    return [
        LawRow(
            metric.name,
            law_label(law.name),
            law.name == metric.chosen,
            fixed(law.cv.spearman, 3),
            fixed(law.cv.pearson, 3),
            fixed(law.cv.r2, 3),
            fixed(law.cv.rmse, 4),
            fixed(law.train.rmse, 4),
            fixed(metric.noise_sd, 4),
            f"{'yes' if metric.signal else 'no'} (p {p_value(metric.signal_p_value)})",
        )
        for law in metric.laws
    ]


def _effects_reading(content: Content) -> str:
    """Name the domain that helps the first metric most, and the one that harms it most."""
    if content.effects is None:
        return ""
    metric = content.metrics[0]
    sign = 1.0 if metric.lower_is_better else -1.0
    known = {
        domain: float(sign * value)
        for domain, value in zip(content.domains, content.effects[0], strict=True)
        if np.isfinite(value)
    }
    if len(known) < 2:
        return ""
    best, worst = min(known, key=lambda d: known[d]), max(known, key=lambda d: known[d])
    return f"For {metric.name}, more {best} helps most and more {worst} helps least or harms."


def _warnings(content: Content) -> tuple[str, ...]:
    warnings = list(content.proposal.warnings) if content.proposal is not None else []
    silent = [m.name for m in content.metrics if not m.signal]
    if silent:
        warnings.append(
            "Held-out predictions do not follow the measurements beyond chance for "
            f"{listed(silent[:8])}{' and more' if len(silent) > 8 else ''}."
        )
    return tuple(dict.fromkeys([*warnings, *content.problems]))


def _facts(content: Content, background: Background) -> tuple[tuple[str, str], ...]:
    """Return what is known of how the fit was made: hashes, versions, machine."""
    facts = [("Fit folder", content.folder.name)]
    proposal = content.proposal
    if proposal is not None:
        kl = f", KL weight {proposal.kl_reg:g}" if math.isfinite(proposal.kl_reg) else ""
        facts.append(("Proposer", f"{proposal.proposer}{kl}"))
    facts.append(("Split", seeds_for(content)))
    for key, value in content.config.items():
        if _NOT_SETTINGS.search(key):
            facts += _flat(key.replace("_", " ").capitalize(), value)
    facts += _flat("Machine", dict(background.machine or {}))
    return tuple(facts)


def _flat(label: str, value: Any) -> list[tuple[str, str]]:
    """Return a value, or the entries of a mapping, as one line of text."""
    if isinstance(value, Mapping):
        shown = ", ".join(f"{key} {inner}" for key, inner in value.items() if inner is not None)
        return [(label, shown)] if shown else []
    return [(label, str(value))] if value is not None else []


def _settings(content: Content) -> str:
    """Return the config of the fit as YAML, without what the facts hold."""
    settings = {k: v for k, v in content.config.items() if not _NOT_SETTINGS.search(k)}
    return render_yaml(settings) if settings else ""


def _read(content: Content, name: str) -> str:
    try:
        return (content.folder / name).read_text(encoding="utf-8")
    except OSError:
        return ""
