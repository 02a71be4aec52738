"""Fitting in Python, without files: `load_swarm`, `fit_laws`, `propose`, for scripts and notebooks.

    from olmix import fit_laws, load_swarm, propose

    swarm = load_swarm("ratios.csv", "metrics.csv", token_counts={"code": 2e9, "web": 9e9})
    laws = fit_laws(swarm)
    best = propose(laws, proposer={"kl_reg": 0.1})

Each result shows itself as a table in a notebook. Sections of the fit config can be given to every
step as keywords, and are checked as in a file.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from olmix.config import FitConfig
from olmix.errors import DataError
from olmix.fit.evidence.proposals import JudgedProposal, propose_judged
from olmix.fit.propose.feasible import feasible_mixtures
from olmix.fit.results import proposal_record
from olmix.fit.swarm import Swarm, read_swarm
from olmix.fit.swarm_fit import SwarmFit, candidate_laws, one_thread
from olmix.fit.swarm_fit import fit_laws as fit_every_law
from olmix.plotting import mixture_label
from olmix.records.fit.proposal import Proposal
from olmix.simplex import Array, hellinger
from olmix.text.numbers import fixed
from olmix.text.progress import OnProgress, Steps

__all__ = ["FittedSwarm", "LoadedSwarm", "ProposedMixture", "fit_laws", "load_swarm", "propose"]

_MOST_ROWS = 40


@dataclass(frozen=True)
class LoadedSwarm:
    """A swarm that was read and checked.

    Attributes:
        config: what was asked for.
        swarm: mixtures and metrics, as arrays.
    """

    config: FitConfig
    swarm: Swarm

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
    """

    fit: SwarmFit

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

    def predict(
        self, mixtures: Mapping[str, float] | Sequence[Mapping[str, float]] | ArrayLike
    ) -> dict[str, dict[str, Array]]:
        """Return mean, low and high of every metric, (n,) each; 90% of single runs lie between.

        Args:
            mixtures: ``{domain: weight}``, several of them, or an array (n, D).

        Raises:
            DataError: a mixture names an unknown domain, or does not sum to 1.
        """
        swarm = self.fit.swarm
        rows = swarm.collapse(self._rows(mixtures))
        distances = hellinger(rows, swarm.fitted_mixtures).min(axis=1)
        found = {}
        for sign, fitted in zip(swarm.signs, self.fit.fits, strict=True):
            mean = sign * fitted.best.law.predict(rows)
            low, high = fitted.calibration.interval(mean, distances)
            found[fitted.name] = {"mean": mean, "low": low, "high": high}
        return found

    def _rows(self, mixtures: Any) -> Array:
        given = [mixtures] if isinstance(mixtures, Mapping) else mixtures
        if not isinstance(given, np.ndarray) and all(isinstance(one, Mapping) for one in given):
            unknown = sorted({name for one in given for name in one} - set(self.domains))
            if unknown:
                raise DataError(
                    f"found the domains {', '.join(unknown)}; the swarm has "
                    f"{', '.join(self.domains)}"
                )
            given = [[one.get(name, 0.0) for name in self.domains] for one in given]
        rows = np.atleast_2d(np.asarray(given, dtype=np.float64))
        wrong = rows.shape[1] != len(self.domains) or (rows < 0).any()
        if wrong or (np.abs(rows.sum(axis=1) - 1) > 1e-6).any():
            raise DataError(
                f"a mixture needs a weight of 0 or more for each of {len(self.domains)} domains, "
                f"summing to 1; found {np.array2string(rows, threshold=12)}"
            )
        return rows

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
        """What a reader must know."""
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
    ratios: str | Path | None = None,
    metrics: str | Path | None = None,
    *,
    config: str | Path | Mapping[str, Any] | FitConfig | None = None,
    token_counts: Mapping[str, float] | None = None,
    **sections: Any,
) -> LoadedSwarm:
    """Read and check a swarm.

    Args:
        ratios: CSV file or address of the mixtures, a row per run.
        metrics: CSV file or address of the metrics, a row per run.
        config: a fit config, in place of the tables or with them.
        token_counts: tokens of each domain.
        sections: sections of the fit config, such as ``lower_is_better={"accuracy": False}``.

    Raises:
        ConfigError: the settings are not those of a fit config.
        DataError: with everything that is wrong with the tables, a metric among it whose name says
            that higher is better and whose direction is not given.
    """
    if isinstance(config, (str, Path)):
        config = FitConfig.from_yaml(config)
    plain = config.to_plain() if isinstance(config, FitConfig) else dict(config or {})
    given = {"ratios": ratios, "metrics": metrics}
    tables = {key: str(path) for key, path in given.items() if path is not None}
    if tables:
        plain["swarm"] = {**plain.get("swarm", {}), **tables}
    if token_counts is not None:
        counts = {name: int(count) for name, count in token_counts.items()}
        plain["priors"] = {"token_counts": counts}
    found = FitConfig.from_dict({**plain, **sections}, "load_swarm")
    return LoadedSwarm(found, read_swarm(found))


def fit_laws(
    swarm: LoadedSwarm,
    regression: str | Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
) -> FittedSwarm:
    """Fit and cross-validate the laws of every metric.

    Args:
        swarm: what `load_swarm` returned.
        regression: name of a regressor, or the section `regression` of the fit config.
        on_progress: told of each metric that a law was fitted to.
    """
    if regression is None:
        config, data = swarm.config, swarm.swarm
    else:
        section = {"type": regression} if isinstance(regression, str) else dict(regression)
        # Which runs are held out is part of the section, so the tables are read again.
        again = load_swarm(config=swarm.config, regression=section)
        config, data = again.config, again.swarm
    with one_thread():
        steps = Steps(on_progress, len(candidate_laws(config)) * len(data.metrics))
        return FittedSwarm(fit_every_law(config, data, steps))


def propose(fitted: FittedSwarm, **sections: Any) -> ProposedMixture:
    """Propose a mixture and judge it.

    Args:
        fitted: what `fit_laws` returned.
        sections: `proposer`, `constraints`, or `fixed_weight` of `filtering` in place of those of
            the swarm.

    Raises:
        ConfigError: the settings are not those of a fit config.
        InfeasibleError: no mixture satisfies them.
    """
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
    return ProposedMixture(judged, proposal_record(fit_there, judged))


def _html(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table for a notebook; all text is escaped."""

    def cells(kind: str, values: Sequence[str]) -> str:
        style = 'style="text-align: right"'
        return "".join(f"<{kind} {style}>{html.escape(str(v))}</{kind}>" for v in values)

    shown = [f"<tr>{cells('td', row)}</tr>" for row in rows[:_MOST_ROWS]]
    more = len(rows) - len(shown)
    note = f"<p>and {more} rows more</p>" if more > 0 else ""
    return (
        f"<p>{html.escape(caption)}</p><table><thead><tr>{cells('th', columns)}</tr></thead>"
        f"<tbody>{''.join(shown)}</tbody></table>{note}"
    )
