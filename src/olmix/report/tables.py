"""The tables of the page row by row, as text that is ready: domains, gains, seeds and laws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from olmix.plotting import law_label, mixture_label
from olmix.records.fit.folder import FitFolder
from olmix.records.fit.scores import AUTO, LEVEL, FittedMetric
from olmix.records.fit.verification import MeanAndError, MeasuredGain
from olmix.report.mixture_names import named
from olmix.report.sentences import ordered_gains
from olmix.text.numbers import (
    UNKNOWN,
    fixed,
    interval,
    p_value,
    percent,
    points,
    probability,
    readable_count,
    shortened,
    signed,
    with_error,
)

__all__ = [
    "DomainRow",
    "GainRow",
    "LawRow",
    "LedgerRow",
    "PickRow",
    "SeedRow",
    "domain_rows",
    "gain_rows",
    "law_rows",
    "ledger_rows",
    "other_metrics",
    "pick_rows",
    "seed_rows",
]


@dataclass(frozen=True)
class DomainRow:
    """One domain in every mixture."""

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
    regret: str
    fitted_rmse: str
    noise: str
    signal: str
    coverage: str


@dataclass(frozen=True)
class PickRow:
    """The pick of a law among the best mixtures, which it has not seen."""

    law: str
    is_chosen: bool
    promise: str
    truth: str
    optimism: str
    regret: str


@dataclass(frozen=True)
class LedgerRow:
    """A proposal of the same study that was verified."""

    fit: str
    laws: str
    tokens: str
    promised: str
    measured: str
    optimism: str


def domain_rows(content: FitFolder) -> tuple[DomainRow, ...]:
    """Return the weights of every domain, the largest natural share first."""
    proposal = content.proposal
    if proposal is None:
        return ()
    weights = {name: mix.weights for name, mix in named(content, proposal.mixtures).items()}
    natural, proposed = weights.get(content.settings.start, {}), weights.get("proposed", {})
    repetition = proposal.repetition or {}
    rows = []
    for domain in sorted(content.leaves, key=lambda name: -np.nan_to_num(natural.get(name, 0.0))):
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


def gain_rows(content: FitFolder) -> tuple[GainRow, ...]:
    """Return the gain over every mixture, predicted and measured."""
    proposal = content.proposal
    if proposal is None:
        return ()
    found = content.verification
    measured = {} if found is None else named(content, found.gains)
    nothing = MeasuredGain(math.nan)
    rows = []
    for name, gain in ordered_gains(named(content, proposal.gains)):
        real = measured.get(name, nothing)
        rows.append(
            GainRow(
                mixture_label(name),
                signed(gain.mean),
                interval(gain.low, gain.high),
                probability(gain.probability),
                with_error(real.mean, real.std_error, sign=True),
                interval(real.low, real.high),
                p_value(real.p_value),
            )
        )
    return tuple(rows)


def seed_rows(content: FitFolder) -> tuple[SeedRow, ...]:
    """Return what every mixture measured with every seed."""
    found = content.verification
    if found is None:
        return ()
    means = named(content, found.means)
    return tuple(
        SeedRow(
            mixture_label(name),
            tuple(fixed(value, 4) for value in values),
            f"{fixed(means[name][0], 4)} ± {fixed(means[name][1], 4)}",
        )
        for name, values in named(content, found.values).items()
    )


def other_metrics(
    content: FitFolder, names: Sequence[str]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return mean and error of every metric for every mixture that was verified."""
    found = content.verification
    if found is None:
        return ()
    unknown = MeanAndError(math.nan, math.nan)
    rows = []
    for metric, by_mixture in found.metrics.items():
        cells = [named(content, by_mixture).get(name, unknown) for name in names]
        rows.append((metric, tuple(with_error(cell.mean, cell.std_error) for cell in cells)))
    return tuple(rows)


def law_rows(metric: FittedMetric) -> list[LawRow]:
    """Return the scores of every law for a metric."""
    return [
        LawRow(
            metric.name,
            law_label(law.name),
            law.name == metric.chosen,
            fixed(law.cv.spearman, 3),
            fixed(law.cv.pearson, 3),
            fixed(law.cv.r2, 3),
            fixed(law.cv.rmse, 4),
            fixed(law.cv.regret, 4),
            fixed(law.train.rmse, 4),
            fixed(metric.noise_sd, 4),
            f"{'yes' if metric.signal else 'no'} (p {p_value(metric.signal_p_value)})",
            percent(metric.coverage[LEVEL])
            if law.name == metric.chosen and LEVEL in metric.coverage
            else "",
        )
        for law in metric.candidates.values()
    ]


def pick_rows(content: FitFolder) -> tuple[PickRow, ...]:
    """Return what each law picks among the best mixtures left out, the choice last."""
    if content.best_tenth is None:
        return ()
    return tuple(
        PickRow(
            "the laws chosen" if name == AUTO else law_label(name),
            name == AUTO,
            fixed(pick.promise, 4),
            fixed(pick.truth, 4),
            signed(pick.optimism, 4),
            fixed(pick.regret, 4),
        )
        for name, pick in content.best_tenth.laws.items()
    )


def ledger_rows(content: FitFolder) -> tuple[LedgerRow, ...]:
    """Return the proposals of the study that were verified, the oldest first."""
    return tuple(
        LedgerRow(
            entry.fit,
            shortened(sorted({law_label(law) for law in entry.laws.values()})),
            readable_count(entry.num_tokens),
            f"{signed(entry.promised_gain.mean)} "
            f"({interval(entry.promised_gain.low, entry.promised_gain.high)})",
            with_error(entry.measured_gain.mean, entry.measured_gain.std_error, sign=True),
            signed(entry.optimism, 4),
        )
        for entry in content.ledger
    )
