"""Reading a swarm: two tables joined by run, checked, and put in one order.

Rows of the tables may come in any order, and so may their columns: runs are sorted by their id,
domains stand in the order of the priors, metrics in that of `eval`. Nothing that follows depends on
how the files were written.

Legend: ``R`` runs, ``D`` domains, ``M`` metrics, ``U`` unique mixtures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olmix.config import FitConfig
from olmix.errors import DataError
from olmix.fit.metrics import Metrics, idle_floors, scale_note, select_metrics, spreads
from olmix.fit.mixture_rows import rescaled_note, without_noise
from olmix.fit.noise import Noise, find_noise
from olmix.fit.read_tables import (
    filtered_out,
    not_joined,
    read_tables,
    stop_at,
    wrong_domains,
    wrong_rows,
)
from olmix.fit.swarm_notes import swarm_notes
from olmix.fit.tied_domains import Frozen, find_frozen, find_pinned, pin
from olmix.laws.least_mixtures import least_mixtures
from olmix.laws.outliers import without_accidents
from olmix.simplex import SAME_DECIMALS, Array
from olmix.text.csv import Table
from olmix.text.numbers import counted, shortened

__all__ = ["UNIFORM_PRIOR", "Swarm", "read_swarm"]

_EXACT = 7
"""Digits from which equal numbers are no chance."""
UNIFORM_PRIOR = (
    "No token counts were given: the uniform mixture stands in for the natural one, and gains and "
    "floors are over it. Give token_counts to compare with your data."
)
STANDARDISE = "`standardise: true` divides each metric by its spread."


@dataclass(frozen=True)
class Swarm:
    """The runs of a swarm that take part in a fit.

    Attributes:
        domains: (D,) names, in the order of the priors.
        live: (D,) whether any run gives the domain any weight.
        runs: (R,) ids, sorted.
        names: (R,) readable labels.
        mixtures: (R, D) weights, rows summing to 1.
        metrics: (M,) names.
        measured: (R, M) measured values as they stand in the table; NaN where there is none.
        values: (R, M) the same with accidents at the end of what is usual (`laws.outliers`).
        lower_is_better: (M,) direction of each metric.
        objective_weights: (M,) weight of each metric in the objective, summing to 1; with
            `standardise`, those of the config over the spread of the metric.
        group: (R,) which unique mixture a run trained on.
        held_out: (R,) runs that no fit may see (`regression.n_test`).
        dropped: run to the reason why it takes no part.
        notes: decisions, as sentences.
        warnings: those that a reader of the proposal must know.
        frozen: how domains are made of the table's columns, where some of these move together.
        pinned: weight of the domains that have the same one in every run.
        noise: how sure the values are, where their standard errors are known.
        families: where the metrics are averages (`aggregate_task_families`), those of each.
        parts: the same runs with these metrics one by one, which the laws are fitted to.
    """

    domains: tuple[str, ...]
    live: NDArray[np.bool_]
    runs: tuple[str, ...]
    names: tuple[str, ...]
    mixtures: Array
    metrics: tuple[str, ...]
    measured: Array
    values: Array
    lower_is_better: tuple[bool, ...]
    objective_weights: Array
    group: NDArray[np.intp]
    held_out: NDArray[np.bool_]
    dropped: dict[str, str]
    notes: tuple[str, ...]
    frozen: Frozen | None = None
    warnings: tuple[str, ...] = ()
    pinned: Mapping[str, float] = field(default_factory=dict)
    noise: Noise | None = None
    families: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parts: Swarm | None = None

    @property
    def leaves(self) -> tuple[str, ...]:
        """Names of the table's columns: the domains, with those that move together apart."""
        return self.domains if self.frozen is None else self.frozen.leaves

    def expand(self, mixture: Array) -> Array:
        """Return the weight of every leaf from those of the domains, (..., D) to (..., L)."""
        return mixture if self.frozen is None else self.frozen.expand(mixture)

    def collapse(self, mixtures: Array) -> Array:
        """Return the weights of the domains from those of the leaves, (..., L) to (..., D)."""
        return mixtures if self.frozen is None else self.frozen.collapse(mixtures)

    def collapse_config(self, config: FitConfig) -> FitConfig:
        """Return a config in the domains of the swarm, from one in the columns of its table.

        What is pinned in every run is pinned in the config.
        """
        config = config if self.frozen is None else self.frozen.collapse_config(config)
        if not self.pinned:
            return config
        pins = {**self.pinned, **config.filtering.fixed_weight}
        filtering = config.filtering.model_copy(update={"fixed_weight": pins})
        return config.model_copy(update={"filtering": filtering})

    def named(self, mixture: Array) -> dict[str, float]:
        """Return the weight of every leaf by name, from those of the domains, (D,)."""
        return dict(zip(self.leaves, self.expand(mixture).tolist(), strict=True))

    @property
    def signs(self) -> Array:
        """1 for metrics of which less is better, -1 for the others, (M,)."""
        return np.where(np.array(self.lower_is_better, dtype=bool), 1.0, -1.0)

    @property
    def objective_sign(self) -> float:
        """-1 where more is better of every metric that the objective counts, else 1."""
        lower = np.array(self.lower_is_better, dtype=bool)[self.objective_weights > 0]
        return 1.0 if lower.any() else -1.0

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which domains some run has and that vary, (D,)."""
        return self.live & ~np.isin(self.domains, list(self.pinned))

    @property
    def num_free(self) -> int:
        """Number of domains that some run has and that vary."""
        return int(self.free.sum())

    @property
    def num_groups(self) -> int:
        """Number of unique mixtures."""
        return int(self.group.max()) + 1

    @property
    def unique_mixtures(self) -> Array:
        """The unique mixtures, (U, D)."""
        _, first = np.unique(self.group, return_index=True)
        return np.asarray(self.mixtures[first])

    @property
    def fitted_mixtures(self) -> Array:
        """The unique mixtures of runs that are not held out, (n, D)."""
        return np.asarray(self.unique_mixtures[np.unique(self.group[~self.held_out])])

    @property
    def run_weights(self) -> Array:
        """The weight of each value: 1 but where standard errors say otherwise, (R, M)."""
        return np.ones_like(self.values) if self.noise is None else self.noise.weights

    @property
    def usual_noise(self) -> Array:
        """Variance of a value with the usual standard error, 0 where none is known, (M,)."""
        return np.zeros(len(self.metrics)) if self.noise is None else self.noise.usual

    def averaged(self, held_out: bool = False) -> tuple[Array, Array]:
        """Average the runs of each mixture, each with its weight.

        Args:
            held_out: whether to take the held-out runs in place of the others.

        Returns:
            means (M, U) with less being better, 0 where nothing was measured; number of runs behind
            each (M, U), as many as they count.
        """
        oriented = (self.values * self.signs).T
        row_weights = self.run_weights.T
        taken = np.isfinite(oriented) & (self.held_out == held_out)
        counts = np.zeros((len(self.metrics), self.num_groups))
        totals = np.zeros_like(counts)
        for metric in range(len(self.metrics)):
            rows = taken[metric]
            counted = row_weights[metric, rows]
            np.add.at(counts[metric], self.group[rows], counted)
            np.add.at(totals[metric], self.group[rows], counted * oriented[metric, rows])
        return totals / np.where(counts > 0, counts, 1.0), counts


def read_swarm(config: FitConfig, tables: tuple[Table, Table] | None = None) -> Swarm:
    """Read and check the two tables of a swarm.

    A run that one of the tables lacks is left out and listed in `Swarm.dropped`; everything else
    that is wrong is an error.

    Args:
        config: the fit config.
        tables: ratios and metrics, where they are not to be read from the files of the config.

    Raises:
        DataError: with all problems of the tables and of what the config asks of them.
    """
    ratios, metrics = read_tables(config.swarm) if tables is None else tables
    domains = config.priors.domains
    chosen = select_metrics(config, metrics)
    stop_at([*not_joined(ratios, metrics), *wrong_domains(domains, ratios), *chosen.problems])
    stop_at(wrong_rows(ratios, domains))
    # Sums to the last digit do not depend on the order of the domains.
    rows = without_noise(ratios.select(domains))
    weights = {run: row / np.sort(row).sum() for run, row in zip(ratios.runs, rows, strict=True)}
    runs = sorted(set(ratios.runs) & set(metrics.runs))
    filtered = filtered_out(config.filtering, domains, {run: weights[run] for run in runs})
    if len(filtered) == len(runs):
        raise DataError(
            f"{ratios.path}: `filtering` leaves none of {counted(len(runs), 'run')}; of {runs[0]}, "
            f"{filtered[runs[0]]}"
        )
    runs = [run for run in runs if run not in filtered]
    frozen = find_frozen(domains, np.array([weights[run] for run in runs]))
    values = _measured(metrics, chosen, runs)
    empty = [run for run, row in values.items() if np.isnan(row).all()]
    dropped = {
        **_lacking(ratios, metrics),
        **filtered,
        **dict.fromkeys(empty, "none of the metrics was measured"),
    }
    dropped |= _copies([run for run in runs if run not in dropped], weights, values)
    runs = [run for run in runs if run not in dropped]
    if not runs:
        raise DataError(f"{metrics.path}: no run has any of the metrics")
    mixtures = np.array([weights[run] for run in runs])
    return _assemble(
        config,
        _SwarmTables(ratios, metrics, chosen, dropped),
        runs,
        mixtures if frozen is None else frozen.collapse(mixtures),
        np.array([values[run] for run in runs]),
        frozen,
    )


def _lacking(ratios: Table, metrics: Table) -> dict[str, str]:
    """Return the runs that one of the tables lacks, with the reason."""
    left, right = set(ratios.runs), set(metrics.runs)
    one, other = Path(ratios.path).name, Path(metrics.path).name
    lacking = dict.fromkeys(sorted(left - right), f"in {one}, not in {other}")
    return lacking | dict.fromkeys(sorted(right - left), f"in {other}, not in {one}")


def _measured(table: Table, chosen: Metrics, runs: Sequence[str]) -> dict[str, Array]:
    """Return the metrics of each run, (M,)."""
    position = {run: index for index, run in enumerate(table.runs)}
    return {run: chosen.values[position[run]] for run in runs}


def _errors(table: Table, chosen: Metrics, runs: Sequence[str]) -> Array:
    """Return the standard errors of the metrics of each run, (R, M)."""
    position = {run: index for index, run in enumerate(table.runs)}
    return np.asarray(chosen.errors[[position[run] for run in runs]])


@dataclass(frozen=True)
class _SwarmTables:
    """Both tables, what is fitted of them, and the runs that take no part."""

    ratios: Table
    metrics: Table
    chosen: Metrics
    dropped: dict[str, str]


def _assemble(
    config: FitConfig,
    tables: _SwarmTables,
    runs: list[str],
    mixtures: Array,
    values: Array,
    frozen: Frozen | None,
) -> Swarm:
    """Put runs, mixtures and metrics together, and check that there are enough."""
    domains = config.priors.domains if frozen is None else frozen.domains
    chosen, ratios, metrics = tables.chosen, tables.ratios, tables.metrics
    asked = (config if frozen is None else frozen.collapse_config(config)).filtering.fixed_weight
    pinned = find_pinned(domains, mixtures, asked)
    mixtures = pin(mixtures, domains, pinned)
    live: NDArray[np.bool_] = np.asarray((mixtures > 0).any(axis=0))
    measured, values = values, _cleaned(mixtures, values, chosen.lower_is_better)
    group = _group(mixtures, _stable_order(domains))
    held_out = _hold_out(group, config.regression.n_test, config.regression.seed)
    num_free = int(live.sum()) - len(pinned)
    if int(group.max()) == 0:
        raise DataError(_one_mixture(ratios.path, domains, mixtures[0], len(runs)))
    least = least_mixtures(num_free, config.regression.type)
    stop_at(_wrong_numbers(metrics, chosen, values, group, held_out, num_free, least))
    names = dict(zip(ratios.runs, ratios.names, strict=True))
    other = dict(zip(metrics.runs, metrics.names, strict=True))
    found = spreads(values[~held_out])
    objective_weights = (
        chosen.objective_weights / found if config.standardise else chosen.objective_weights
    )
    scales = None if config.standardise else scale_note(chosen.names, objective_weights, found)
    swarm = Swarm(
        domains=domains,
        live=live,
        runs=tuple(runs),
        names=tuple(names[run] if names[run] != run else other[run] for run in runs),
        mixtures=mixtures,
        metrics=chosen.names,
        measured=measured,
        values=values,
        lower_is_better=chosen.lower_is_better,
        objective_weights=objective_weights / np.sort(objective_weights).sum(),
        group=group,
        held_out=held_out,
        dropped=tables.dropped,
        notes=(),
        warnings=(
            *chosen.warnings,
            *(() if scales is None else (f"{scales} {STANDARDISE}",)),
            *idle_floors(config.proposer, chosen.names, values),
            *((UNIFORM_PRIOR,) if config.priors.unknown else ()),
        ),
        frozen=frozen,
        pinned=pinned,
        noise=find_noise(values, _errors(metrics, chosen, runs), group),
        families=chosen.families,
    )
    used = ratios.rows(runs)[:, [ratios.columns.index(name) for name in config.priors.domains]]
    rescaled = rescaled_note(runs, used)
    notes = (*swarm_notes(swarm), *(() if rescaled is None else (rescaled,)), *chosen.notes)
    return replace(swarm, notes=(*notes, *swarm.warnings), parts=_parts(swarm, tables, least))


def _parts(swarm: Swarm, tables: _SwarmTables, least: int) -> Swarm | None:
    """Return the swarm with the metrics that its families average, `None` without families.

    Raises:
        DataError: one of them has too few runs, or never changes.
    """
    parts = tables.chosen.parts
    if parts is None:
        return None
    rows = _measured(tables.metrics, parts, swarm.runs)
    measured = np.array([rows[run] for run in swarm.runs])
    values = _cleaned(swarm.mixtures, measured, parts.lower_is_better)
    group, held_out = swarm.group, swarm.held_out
    stop_at(_wrong_numbers(tables.metrics, parts, values, group, held_out, swarm.num_free, least))
    return replace(
        swarm,
        metrics=parts.names,
        measured=measured,
        values=values,
        lower_is_better=parts.lower_is_better,
        objective_weights=np.full(len(parts.names), 1 / len(parts.names)),
        noise=find_noise(values, _errors(tables.metrics, parts, swarm.runs), group),
        families={},
    )


def _cleaned(mixtures: Array, measured: Array, lower_is_better: Sequence[bool]) -> Array:
    """Return what was measured, (R, M), with accidents at the end of what is usual."""
    columns = zip(measured.T, lower_is_better, strict=True)
    return np.stack(
        [without_accidents(mixtures, y, bad_is_high=lower) for y, lower in columns], axis=1
    )


def _copies(
    runs: Sequence[str], mixtures: Mapping[str, Array], values: Mapping[str, Array]
) -> dict[str, str]:
    """Return the runs that are copies of an earlier one, with the reason to leave them out.

    The same mixture with the same metrics to many digits was trained with the same seed: it is one
    run, and no replicate. Metrics of few digits may agree by chance.
    """
    first: dict[bytes, str] = {}
    copies = {}
    for run in runs:
        row = values[run]
        if not any(len(f"{value:.15g}".strip("-0.").replace(".", "")) >= _EXACT for value in row):
            continue
        key = np.round(mixtures[run], SAME_DECIMALS).tobytes() + row.tobytes()
        if first.setdefault(key, run) != run:
            copies[run] = f"the same run as {first[key]}: the same mixture, the same metrics"
    return copies


def _one_mixture(path: str, domains: Sequence[str], mixture: Array, runs: int) -> str:
    """Return the error about runs that all have one mixture."""
    shares = [f"{100 * w:.3g} % {name}" for name, w in zip(domains, mixture, strict=True) if w > 0]
    trained = f"all {runs} runs have" if runs > 1 else "the only run has"
    way = (
        "there is only one domain, so no other mixture can be proposed"
        if len(domains) == 1
        else "what other mixtures do is not known. Train runs of other mixtures (olmix generate)"
    )
    return f"{path}: {trained} the same mixture, {shortened(shares)}: {way}"


def _stable_order(domains: tuple[str, ...]) -> NDArray[np.intp]:
    return np.argsort(np.array(domains))


def _group(mixtures: Array, order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number the unique mixtures in the order of their first run, (R,)."""
    seen: dict[bytes, int] = {}
    # Adding 0 turns -0 into 0, so that equal mixtures have equal bytes.
    rounded = np.round(mixtures[:, order], SAME_DECIMALS) + 0.0
    return np.array([seen.setdefault(row.tobytes(), len(seen)) for row in rounded], dtype=np.intp)


def _hold_out(group: NDArray[np.intp], wanted: int, seed: int) -> NDArray[np.bool_]:
    """Choose whole mixtures at random until at least `wanted` runs are held out, (R,)."""
    held = np.zeros(len(group), dtype=bool)
    for mixture in np.random.default_rng(seed).permutation(int(group.max()) + 1):
        if held.sum() >= wanted:
            break
        held |= group == mixture
    return held


def _wrong_numbers(
    table: Table,
    chosen: Metrics,
    values: Array,
    group: NDArray[np.intp],
    held_out: NDArray[np.bool_],
    num_free: int,
    needed: int,
) -> list[str]:
    """Return metrics that never change, and those with too few mixtures, as the average may be."""
    problems = []
    enough = True
    held = (
        f" besides {counted(int(held_out.sum()), 'run')} held out by regression.n_test"
        if held_out.any()
        else ""
    )
    for name, column in zip(chosen.names, values.T, strict=True):
        measured = np.isfinite(column) & ~held_out
        mixtures = len(np.unique(group[measured]))
        if not np.isfinite(column).any():
            enough = False
            problems.append(
                f"{table.path}: {name} is measured in no run. Add it to filtering.drop_metrics"
            )
        elif mixtures < needed:
            enough = False
            problems.append(
                f"{table.path}: {name}: {counted(num_free, 'domain')} need at least {needed} "
                f"different mixtures; found {mixtures}{held}; aim for {3 * (num_free + 1)}"
            )
        elif np.ptp(column[measured]) == 0:
            problems.append(
                f"{table.path}: {name} is {column[measured][0]:g} in every run, so nothing can be "
                "learned from it. Add it to filtering.drop_metrics"
            )
    weighed = chosen.objective_weights > 0
    measured_in = [set(group[np.isfinite(c) & ~held_out].tolist()) for c in values.T[weighed]]
    together = len(set.intersection(*measured_in))
    if enough and together < needed:
        gaps = np.isnan(values).sum(axis=0) * weighed
        problems.append(
            f"{table.path}: {together} different mixtures have all {weighed.sum()} metrics of the "
            f"average, but the fit needs at least {needed}; {chosen.names[int(gaps.argmax())]} "
            "lacks most. Complete the table, or set the weight of metrics with gaps to 0 in "
            "filtering.obj_weights"
        )
    return problems
