"""Fitting in Python, without files: `load_swarm`, `fit_laws`, `propose`, for scripts and notebooks.

    from olmix import fit_laws, load_swarm, propose

    swarm = load_swarm("ratios.csv", "metrics.csv", token_counts={"code": 2e9, "web": 9e9})
    laws = fit_laws(swarm)
    best = propose(laws, proposer={"kl_reg": 0.1})

Tables are files, data frames or dicts. Each result shows itself as a table in a notebook, and
`to_dict()` gives columns that `pandas.DataFrame` and `polars.DataFrame` take. Sections of the fit
config can be given to every step as keywords, and are checked as in a file.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload

from olmix.config import FitConfig
from olmix.config.priors import unknown_priors
from olmix.config.scales import SCALE_COLUMN, by_column
from olmix.errors import ConfigError, Problem
from olmix.fit.evidence.best_tenth import leave_out_best, leave_out_outermost, widened
from olmix.fit.evidence.judged_proposal import JudgedProposal, propose_judged
from olmix.fit.given_mixtures import read_mixtures
from olmix.fit.noise import read_metrics
from olmix.fit.propose.feasible import feasible_mixtures
from olmix.fit.read_tables import metric_identities, of_scale
from olmix.fit.results import proposal_record
from olmix.fit.scales.target import at_target, read_larger_scales, scaled_proposal
from olmix.fit.swarm import UNIFORM_PRIOR, Swarm, read_swarm
from olmix.fit.swarm_fit import SwarmFit, laws_for, one_thread
from olmix.fit.swarm_fit import fit_laws as fit_every_law
from olmix.fit.uncertainty import predicted_average
from olmix.plotting import mixture_label
from olmix.records.fit.proposal import Proposal
from olmix.records.fit.scales import Scales
from olmix.simplex import hellinger
from olmix.text.csv import Table, read_table
from olmix.text.frames import columns_of, table_of
from olmix.text.numbers import counted, fixed
from olmix.text.progress import OnProgress, Steps

__all__ = ["FittedSwarm", "LoadedSwarm", "ProposedMixture", "fit_laws", "load_swarm", "propose"]

_MOST_ROWS = 40
TableLike = str | Path | Mapping[str, Any] | Sequence[Mapping[str, Any]] | Any
"""A file, or a table in Python (`olmix.text.frames`)."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedSwarm:
    """A swarm that was read and checked.

    Attributes:
        config: what was asked for.
        swarm: mixtures and metrics, as arrays.
        tables: ratios and metrics as they were given, with the runs of all scales in them.
    """

    config: FitConfig
    swarm: Swarm
    tables: tuple[Table, Table]

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the runs as columns: `run`, the weight of each domain, and every metric."""
        swarm = self.swarm
        weights = dict(zip(swarm.leaves, swarm.expand(swarm.mixtures).T.tolist(), strict=True))
        metrics = dict(zip(swarm.metrics, swarm.measured.T.tolist(), strict=True))
        return {"run": list(swarm.runs), **weights, **metrics}

    def __repr__(self) -> str:
        return f"LoadedSwarm({self.swarm.notes[0]!r}, metrics={list(self.swarm.metrics)})"

    def _repr_html_(self) -> str:
        swarm = self.swarm
        rows = [
            [run, *(f"{100 * w:.1f}" for w in mixture), *(f"{v:.4g}" for v in values)]
            for run, mixture, values in zip(swarm.names, swarm.mixtures, swarm.values, strict=True)
        ]
        columns = ["run", *(f"{name} (%)" for name in swarm.domains), *swarm.metrics]
        return _html(" ".join(swarm.notes), columns, rows)


@dataclass(frozen=True)
class FittedSwarm:
    """A swarm with a law for each metric.

    Attributes:
        fit: every candidate law, with its predictions of runs left out.
        scales: how it was carried to the size of the target, where there are several.
    """

    fit: SwarmFit
    scales: Scales | None = None

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains, in the order of mixtures."""
        return self.fit.swarm.leaves

    @property
    def scores(self) -> dict[str, dict[str, Any]]:
        """Direction and chosen law of each metric, and how well it predicts runs left out."""
        return {
            fitted.name: {
                "lower_is_better": lower,
                "law": fitted.chosen,
                "spearman": fitted.best.cv.spearman,
                "rmse": fitted.best.cv.rmse,
                "regret": fitted.best.cv.regret,
                "noise": fitted.noise_sd,
                "signal": fitted.signal,
            }
            for lower, fitted in zip(self.fit.swarm.lower_is_better, self.fit.fits, strict=True)
        }

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the scores as columns: `metric`, and those of `scores`."""
        scores = list(self.scores.values())
        columns = {key: [score[key] for score in scores] for key in scores[0]}
        return {"metric": list(self.scores), **columns}

    @overload
    def predict(self, mixtures: Mapping[str, float]) -> dict[str, dict[str, float]]: ...

    @overload
    def predict(self, mixtures: object) -> Any: ...

    def predict(self, mixtures: Any) -> Any:
        """Return mean, low and high of every metric; 90% of single runs lie between.

        Args:
            mixtures: one mixture, ``{domain: weight}`` or an array (D,), gives numbers. Several, a
                list of them or an array (n, D), give arrays (n,). A data frame or a dict of
                columns, a column per domain and one `run` or none, gives its like with the columns
                `run`, `metric`, `mean`, `low` and `high`.

        Raises:
            DataError: a mixture names an unknown domain, or does not sum to 1.
        """
        asked, swarm = read_mixtures(mixtures, self.domains), self.fit.swarm
        rows = swarm.collapse(asked.rows)
        distances = hellinger(rows, swarm.fitted_mixtures).min(axis=1)
        objective = swarm.objective_sign * predicted_average(swarm, self.fit.fits, rows)
        ahead = self.fit.objective.calibration.ahead(objective, distances)
        found = {}
        for sign, fitted in zip(swarm.signs, self.fit.fits, strict=True):
            mean = sign * fitted.best.law.predict(rows)
            low, high = fitted.calibration.interval(mean, distances, ahead)
            found[fitted.name] = {"mean": mean, "low": low, "high": high}
        return asked.answer(found)

    def __repr__(self) -> str:
        chosen = {name: score["law"] for name, score in self.scores.items()}
        return f"FittedSwarm({chosen})"

    def _repr_html_(self) -> str:
        rows = [
            [
                name,
                "lower" if score["lower_is_better"] else "higher",
                score["law"],
                f"{score['spearman']:.3f}",
                f"{score['rmse']:.4g}",
                f"{score['regret']:.4g}",
                "" if score["noise"] is None else f"{score['noise']:.4g}",
                "yes" if score["signal"] else "no",
            ]
            for name, score in self.scores.items()
        ]
        columns = ["metric", "better", "law", "Spearman", "RMSE", "regret@1", "noise", "signal"]
        return _html("Scores on runs that the laws have not seen.", columns, rows)


@dataclass(frozen=True)
class ProposedMixture:
    """A proposed mixture with its evidence.

    Attributes:
        judged: the proposal, and what it was compared with.
        proposal: what `olmix fit` writes to `proposal.json`.
    """

    judged: JudgedProposal
    proposal: Proposal

    @property
    def summary(self) -> Mapping[str, Any]:
        """The content of `proposal.json` (docs/files.md)."""
        return self.proposal.to_plain()

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each domain."""
        return dict(self.proposal.mixtures["proposed"].weights)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the mixtures as columns: `domain`, and the weights of each mixture."""
        mixtures = self.proposal.mixtures
        columns = {
            name: [mixture.weights[domain] for domain in self.weights]
            for name, mixture in mixtures.items()
        }
        return {"domain": list(self.weights), **columns}

    @property
    def gain(self) -> dict[str, float]:
        """Predicted gain over the natural mixture: mean, low, high, probability."""
        return asdict(self.proposal.gains["natural"])

    @property
    def statement(self) -> str:
        """The result in one sentence."""
        return self.proposal.statement

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the fit, as sentences."""
        return self.proposal.warnings

    def __repr__(self) -> str:
        weights = {name: round(weight, 4) for name, weight in self.weights.items()}
        return f"ProposedMixture({weights}, {self.statement!r})"

    def _repr_html_(self) -> str:
        mixtures = self.proposal.mixtures
        names = ["natural", "proposed", *(n for n in mixtures if n not in ("natural", "proposed"))]
        rows = [
            [domain, *(fixed(100 * mixtures[name].weights[domain], 1) for name in names)]
            for domain in self.weights
        ]
        predicted = [mixtures[name].predicted for name in names]
        rows.append(
            [
                f"predicted {self.proposal.objective.name}",
                *(
                    f"{fixed(one.mean, 4)} ({fixed(one.low, 4)} to {fixed(one.high, 4)})"
                    for one in predicted
                ),
            ]
        )
        columns = ["domain (%)", *(mixture_label(name) for name in names)]
        return _html(" ".join([self.statement, *self.warnings]), columns, rows)


def load_swarm(
    ratios: TableLike | None = None,
    metrics: TableLike | None = None,
    *,
    standard_errors: TableLike | None = None,
    config: str | Path | Mapping[str, Any] | FitConfig | None = None,
    token_counts: Mapping[str, float | str] | None = None,
    **sections: Any,
) -> LoadedSwarm:
    """Read and check a swarm.

    Args:
        ratios: mixtures, a row per run: a CSV file, its address, a data frame of pandas or polars,
            a dict of columns, or rows as dicts.
        metrics: metrics, a row per run, in any of these forms.
        standard_errors: their standard errors, in columns of the same names; columns of `metrics`
            such as `acc_stderr` do as well.
        config: a fit config, in place of the tables or with them.
        token_counts: tokens of each domain; left out, all domains count alike, and the swarm's
            warnings say so.
        sections: sections of the fit config, such as ``lower_is_better={"accuracy": False}``.

    Raises:
        ConfigError: the settings are not those of a fit config.
        DataError: with everything that is wrong with the tables, a metric among it whose name says
            that higher is better and whose direction is not given.
    """
    if isinstance(config, (str, Path)):
        config = FitConfig.from_yaml(config)
    plain = config.to_plain() if isinstance(config, FitConfig) else dict(config or {})
    if token_counts is not None:
        # A text such as 140M is read as in files.
        counts = {
            name: count if isinstance(count, str) else int(count)
            for name, count in token_counts.items()
        }
        plain["priors"] = {"token_counts": counts}
    given = {"ratios": ratios, "metrics": metrics, "standard_errors": standard_errors}
    places = {
        key: _place(key, table)
        for key, table in given.items()
        if table is not None and (key != "standard_errors" or isinstance(table, (str, Path)))
    }
    if places or "swarm" in sections:
        plain["swarm"] = {**plain.get("swarm", {}), **sections.pop("swarm", {}), **places}
    return _load("load_swarm", {**plain, **sections}, given)


def _place(key: str, table: TableLike) -> str:
    """Return the path of a table, or what messages call one that has none."""
    return str(table) if isinstance(table, (str, Path)) else f"load_swarm({key})"


def _load(
    caller: str, plain: Mapping[str, Any], given: Mapping[str, TableLike | None]
) -> LoadedSwarm:
    """Read a swarm for the function that the user called.

    Args:
        caller: name of that function, for messages.
        plain: the fit config.
        given: the tables that are not to be read from the files of the config.
    """
    frames = {k: t for k, t in given.items() if t is not None and not isinstance(t, (str, Path))}
    plain = _with_scales(plain, frames)
    group = SCALE_COLUMN if plain["swarm"].get("scales") else None
    known = {
        key: table if isinstance(table, Table) else table_of(table, _place(key, table), group=group)
        for key, table in frames.items()
    }
    if plain.get("priors") is None and "ratios" in known:
        plain = {**plain, "priors": unknown_priors(known["ratios"].columns)}
    config = FitConfig.from_dict(plain, caller)
    metric_identities(config.swarm)  # different metrics under one name are refused
    ratios = known.get("ratios") or read_table(
        config.swarm.ratios, SCALE_COLUMN if config.swarm.one_table else None
    )
    metrics = read_metrics(config.swarm, known.get("metrics"), known.get("standard_errors"))
    tables = (ratios, metrics)
    swarm = read_swarm(config, of_scale(config.swarm, tables) if config.swarm.one_table else tables)
    if config.priors.unknown:
        logger.warning("%s", UNIFORM_PRIOR)
    return LoadedSwarm(config, swarm, tables)


def _with_scales(plain: Mapping[str, Any], frames: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fit config with the scales that a column of frames names, where it names none.

    Raises:
        ConfigError: nothing says which of them is the smallest.
    """
    swarm = dict(plain.get("swarm") or {})
    if "scales" not in swarm:
        both = [_cells(frames.get(key), SCALE_COLUMN) for key in ("ratios", "metrics")]
        try:
            found = by_column(*both)
        except ValueError as error:
            raise ConfigError([Problem("swarm.scales", str(error))], "load_swarm") from None
        swarm |= {"scales": [one.to_plain() for one in found]} if found else {}
    return {**plain, "swarm": swarm}


def _cells(table: TableLike, column: str) -> list[str]:
    """Return the cells of a column of a frame, none where it lacks it."""
    if table is None or isinstance(table, Table):
        return []
    try:
        return [str(cell) for cell in columns_of(table).get(column, [])]
    except TypeError:  # said where the table itself is read
        return []


def fit_laws(
    swarm: LoadedSwarm,
    regression: str | Mapping[str, object] | None = None,
    on_progress: OnProgress | None = None,
) -> FittedSwarm:
    """Fit and cross-validate the laws of every metric, at the scale of the target.

    Args:
        swarm: what `load_swarm` returned.
        regression: name of a regressor, or the section `regression` of the fit config.
        on_progress: told of each metric that a law was fitted to.

    Raises:
        ConfigError: there is no such regressor, or no such setting of it.
    """
    _must_be(LoadedSwarm, swarm, "fit_laws() takes what load_swarm() returned")
    if regression is None:
        config, data = swarm.config, swarm.swarm
    else:
        section = {"type": regression} if isinstance(regression, str) else dict(regression)
        # Which runs are held out is part of the section, so the tables are gone through again.
        plain = {**swarm.config.to_plain(), "regression": section}
        again = _load(
            "fit_laws", plain, dict(zip(("ratios", "metrics"), swarm.tables, strict=True))
        )
        config, data = again.config, again.swarm
    with one_thread():
        steps = Steps(on_progress, len(laws_for(config, data)) * len(data.metrics))
        small = fit_every_law(config, data, steps)
        small = widened(small, leave_out_best(small), leave_out_outermost(small))
        tables = swarm.tables if config.swarm.one_table else None
        target = at_target(small, read_larger_scales(config, data, tables))
        return FittedSwarm(target.fit, target.record)


def propose(fitted: FittedSwarm, **sections: object) -> ProposedMixture:
    """Propose a mixture and judge it.

    Args:
        fitted: what `fit_laws` returned.
        sections: `proposer`, `constraints`, or `fixed_weight` of `filtering` in place of those of
            the swarm.

    Raises:
        ConfigError: the settings are not those of a fit config.
        InfeasibleError: no mixture satisfies them.
        TypeError: `fitted` is something else, or there is no such section.
    """
    _must_be(FittedSwarm, fitted, "propose() takes what fit_laws() returned")
    fit = fitted.fit
    allowed = ("constraints", "fixed_weight", "proposer")
    unknown = sorted(set(sections) - set(allowed))
    if unknown:
        raise TypeError(
            f"propose() takes {', '.join(allowed)}; found {', '.join(unknown)}. Metrics and their "
            "weights are given to load_swarm()"
        )
    plain = fit.asked.to_plain()
    if "fixed_weight" in sections:
        pins = {"fixed_weight": sections.pop("fixed_weight")}
        plain["filtering"] = {**plain.get("filtering", {}), **pins}
    config = FitConfig.from_dict({**plain, **sections}, "propose")
    feasible_mixtures(config)
    with one_thread():
        fit_there = fit.with_config(config)
        judged = propose_judged(fit_there)
    proposal = proposal_record(fit_there, judged)
    return ProposedMixture(judged, scaled_proposal(fit_there, fitted.scales, proposal))


def _must_be(kind: type, value: object, what: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{what}; found a {type(value).__name__}")


def _html(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table for a notebook; all text is escaped."""

    def cells(kind: str, values: Sequence[str]) -> str:
        style = 'style="text-align: right"'
        return "".join(f"<{kind} {style}>{html.escape(str(v))}</{kind}>" for v in values)

    shown = [f"<tr>{cells('td', row)}</tr>" for row in rows[:_MOST_ROWS]]
    more = len(rows) - len(shown)
    note = f"<p>and {counted(more, 'more row')}</p>" if more > 0 else ""
    return (
        f"<p>{html.escape(caption)}</p><table><thead><tr>{cells('th', columns)}</tr></thead>"
        f"<tbody>{''.join(shown)}</tbody></table>{note}"
    )
