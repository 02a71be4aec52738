"""`FitConfig`: from a swarm's two tables to a proposed mixture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from olmix.config.base import (
    LocalPath,
    NonNegative,
    Portion,
    Positive,
    Ratio,
    Rules,
    Section,
    TokenCount,
    Weight,
)
from olmix.config.evaluation import FitEval
from olmix.config.priors import Priors, unknown_priors
from olmix.config.scales import (
    SCALE_COLUMN,
    ScaleSize,
    SwarmScale,
    by_column,
    by_size,
)
from olmix.domains import domains_below, is_below
from olmix.errors import OlmixError, did_you_mean
from olmix.text.csv import cells_of, read_table

__all__ = [
    "ConstraintsConfig",
    "FilteringConfig",
    "FitConfig",
    "ProposerConfig",
    "RegressionConfig",
    "SwarmTables",
]

_Names = Annotated[tuple[str, ...], Field(strict=False)]

RegressionType = Literal[
    "auto", "log_linear", "log_weight", "lightgbm", "gp", "autoscale", "bimix", "epochs", "search"
]
ProposerType = Literal["auto", "exact", "gradient", "simulation", "search"]


ALL_METRICS = "all"
"""The name in `proposer.floors` that stands for every metric that is not named there."""


def _check_percentage(text: object) -> object:
    if not isinstance(text, str) or re.fullmatch(r"\d+(\.\d+)?\s*%", text) is None:
        raise ValueError("a number from 0 up is needed, or a share such as `5 %`")
    return text


def _prior(name: str) -> str:
    return "prior" if name == "natural" else name


def _kind_of_floor(given: object) -> str:
    """Return which of its forms a floor has, so that an error speaks of that form alone."""
    if isinstance(given, Mapping):
        return "metrics"
    return "number" if isinstance(given, int | float) else "share"


_Number = Annotated[NonNegative, Tag("number")]
_Percentage = Annotated[str, BeforeValidator(_check_percentage), Tag("share")]
"""A share of a metric's value, as `5 %`."""
_Floor = Annotated[_Number | _Percentage, Discriminator(_kind_of_floor)]
_Floors = Annotated[
    Annotated[dict[str, _Floor], Tag("metrics")] | _Number | _Percentage,
    Discriminator(_kind_of_floor),
]


NOT_SMOOTH = ("lightgbm", "search")
"""Regressors whose predictions have no slope to follow."""


class SwarmTables(Section):
    """Where the tables of a swarm lie: two, or two for each model size."""

    ratios: LocalPath
    """CSV file: one row per run, one column per domain, rows summing to 1. With `scales` it belongs
    to the smallest one, and may be left out."""
    metrics: LocalPath
    """CSV file: one row per run, one column per metric. With `scales` as `ratios`."""
    standard_errors: LocalPath | None = None
    """CSV file: the standard error of each metric in a column of its name. If left out,
    `metrics_se.csv` next to `metrics.csv` is used if it exists. Columns such as `acc_stderr` work
    too."""
    scales: Annotated[tuple[SwarmScale, ...], Field(strict=False)] = ()
    """Model sizes of the runs. The smallest gives the shape of each law, the others its map to
    their size. Left out, they are those that a column `scale` of the tables names as `60M`."""
    target: str | ScaleSize | None = None
    """The model size that predictions and the proposal are for: a name in `scales`, or its
    `parameters` and `tokens`; the largest scale if left out."""

    @property
    def ordered_scales(self) -> tuple[SwarmScale, ...]:
        """The scales from small to large."""
        return by_size(self.scales)

    @property
    def one_table(self) -> bool:
        """Whether the runs of all scales lie in one table, told apart by its column `scale`."""
        return bool(self.scales) and all(scale.ratios is None for scale in self.scales)

    @model_validator(mode="before")
    @classmethod
    def _smallest_is_the_swarm(cls, data: object) -> object:
        """Take the tables of the smallest scale for those of the swarm, where none are given."""
        if not isinstance(data, Mapping) or not isinstance(data.get("scales"), list | tuple):
            return data
        try:
            smallest = by_size([SwarmScale.model_validate(one) for one in data["scales"]])[0]
        except (ValidationError, IndexError):
            # What is wrong with an entry is said of the entry, not that its tables are missing.
            return {"ratios": "?", "metrics": "?", **data}
        found = {key: getattr(smallest, key) for key in ("ratios", "metrics")}
        return {**{key: path for key, path in found.items() if path is not None}, **data}

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        self._scales_of_tables(rules)
        names = [scale.name for scale in self.scales]
        for name in sorted({name for name in names if names.count(name) > 1}):
            rules.broken(f"the scale {name} is given twice", "scales")
        if len(names) == 1:
            rules.broken("one scale leaves nothing to compare; give two, or leave it out", "scales")
        for index, scale in enumerate(self.scales):
            if (scale.ratios is None) != (scale.metrics is None):
                rules.broken("give both tables, or neither", "scales", index)
            elif (scale.ratios is None) != self.one_table:
                rules.broken(
                    "some scales have tables and others none; give them to all, or to none and a "
                    "column `scale` to swarm.ratios and swarm.metrics",
                    "scales",
                    index,
                )
        if self.scales and not self.one_table:
            smallest = self.ordered_scales[0]
            for key in ("ratios", "metrics"):
                if getattr(self, key) != getattr(smallest, key):
                    rules.broken(
                        f"it is the table of the smallest scale, {smallest.name}; leave it out", key
                    )
        if isinstance(self.target, str) and self.target not in names:
            known = f"; the scales are {', '.join(names)}" if names else " without swarm.scales"
            meant = did_you_mean(self.target, names)
            rules.broken(f"there is no scale {self.target}{known}{meant}", "target")
        rules.enforce()
        return self

    def _scales_of_tables(self, rules: Rules) -> None:
        """Take the scales that a column of the tables names, where none are given."""
        if "scales" in self.model_fields_set:
            return
        both = [cells_of(path, SCALE_COLUMN) for path in (self.ratios, self.metrics)]
        try:
            found = by_column(*both)
        except ValueError as error:
            rules.broken(str(error), "scales")
            return
        # A frozen model that is still being made; a copy would be thrown away by Pydantic.
        object.__setattr__(self, "scales", found)


class RegressionConfig(Section):
    """How metrics are predicted from mixtures."""

    type: RegressionType = "auto"
    """Law that predicts a metric; `auto` compares the smooth ones and their weighted average by
    cross-validation, per metric."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the splits and of the bootstrap."""
    num_folds: Annotated[int, Field(ge=2)] = 5
    """Folds of the cross-validation."""
    n_test: Annotated[int, Field(ge=0)] = 0
    """Runs to hold out of every fit and only predict."""
    train_split: Portion | Annotated[tuple[Portion, ...], Field(strict=False)] = (1.0,)
    """Share of the runs to fit on, or above 1 their number; the others are predicted. A list gives
    a learning curve; the proposal comes from the largest share."""
    aggregate_task_families: bool = False
    """Whether to report each task family instead of each metric. Laws are fitted to the metrics and
    averaged; a family is the plain average of its metrics."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        given = self.train_split
        for share in given if isinstance(given, tuple) else (given,):
            if share > 1 and share != round(share):
                rules.broken(
                    f"found {share:g}; above 1 it is a whole number of runs, up to 1 a share",
                    "train_split",
                )
        rules.enforce()
        return self


class ProposerConfig(Section):
    """How the fitted laws choose a mixture."""

    type: ProposerType = "auto"
    """How the mixture is found: `exact` (log-linear laws), `gradient` (smooth laws), `simulation`
    (random mixtures, any law), `search` (the best run), or `auto`, the first that the law
    allows."""
    temperature: Positive | None = None
    """Where the simulation proposer starts: it draws from a Dirichlet distribution around ``prior
    ** temperature``. 1, the default, is the prior; towards 0 it is more uniform."""
    kl_reg: NonNegative | Literal["auto"] = 0.05
    """Weight of KL(mixture || prior) in the unit of `kl_unit`; 0 ignores the prior; `auto` takes
    the one with the least regret on held-out runs."""
    kl_unit: Literal["spread", "raw"] = "spread"
    """Unit of `kl_reg`: the standard deviation of the average over the swarm, so that 0.05 means
    the same for every swarm (`spread`), or the unit of the metrics (`raw`), as in Ai2's Olmix."""
    use_natural_kl: bool = False
    """Whether the KL uses the token counts even if `relative_sizes` are given."""
    fit_only: bool = False
    """Whether to stop after fitting, without a proposal."""
    make_worst_mix: bool = False
    """Whether to propose the worst mixture instead, for a counterfactual."""
    risk: NonNegative = 0.0
    """How many standard errors of the prediction to add to what is minimised: above 0, mixtures far
    from every run must promise more."""
    floors: _Floors | None = None
    """How much worse than at the prior a metric may be predicted: `{metric: x}` in its own units,
    or `5 %` of its value; a single value for all metrics, or `all` for those not named."""
    floors_at: Annotated[Literal["prior", "natural", "best_seen"], AfterValidator(_prior)] = "prior"
    """The mixture that `floors` compare with: the prior (`natural` is the same), or the best run of
    the swarm."""
    pareto: Annotated[int, Field(ge=0, le=1000)] = 0
    """Points of the Pareto front over task families to look for; 0 for none."""

    def floor_of(self, metric: str, value: float) -> float | None:
        """Return the worst value that is allowed of a metric; `None` where it has no floor.

        Args:
            metric: its name.
            value: at the mixture that floors are measured from; less is better.
        """
        floors = self.floors
        worse = floors.get(metric, floors.get(ALL_METRICS)) if isinstance(floors, dict) else floors
        if worse is None:
            return None
        if isinstance(worse, str):
            worse = float(worse.rstrip("% ")) / 100 * abs(value)
        return value + worse


class ConstraintsConfig(Section):
    """Limits on the proposed mixture."""

    enabled: bool = False
    """Whether weights are limited by the available tokens; if left out, they are where
    `target_tokens` is given."""
    target_tokens: TokenCount | None = None
    """Tokens of the large run."""
    repetition_factor: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5.0
    """Passes over a domain's tokens that the large run may take."""

    @model_validator(mode="before")
    @classmethod
    def _tokens_are_a_limit(cls, data: object) -> object:
        """Limit the weights where the tokens of the large run are given and nothing is said."""
        if not isinstance(data, Mapping) or data.get("target_tokens") is None:
            return data
        return data if data.get("enabled") is not None else {**data, "enabled": True}


class FilteringConfig(Section):
    """Which runs, domains and metrics to use."""

    keep_sources: _Names = ()
    """Use only runs in which these sources, topics or domains have weight and all others none."""
    support_domains: _Names = ()
    """Use only runs whose weights on these domains add up to 1."""
    drop_metrics: _Names = ()
    """Metrics to leave out."""
    fixed_weight: dict[str, Weight] = {}
    """Sources, topics or domains pinned to a weight and left out of the search; domains below a
    pinned source or topic keep their natural shares of it."""
    obj_weights: dict[str, Ratio] = {}
    """Weights of the metrics in the average that is optimised; 1 for those not named."""


class FitConfig(Section):
    """The config of `olmix fit`, which needs only two CSV files."""

    swarm: SwarmTables
    """The tables of the swarm."""
    priors: Annotated[Priors, Field(default=None, validate_default=True)]
    """Token counts per domain, or the file that `olmix priors compute` wrote. If left out, the
    uniform mixture stands in for the natural one."""
    eval: FitEval | None = None
    """Metrics to use, by family; all columns if left out."""
    lower_is_better: dict[str, bool] = {}
    """Direction of single metrics. Required for names that sound as if higher were better, such as
    accuracies; for all others lower is better."""
    standardise: bool = False
    """Whether to measure each metric in units of its spread over the swarm, so that metrics on
    different scales count equally."""
    regression: RegressionConfig = RegressionConfig()
    """How metrics are predicted."""
    proposer: ProposerConfig = ProposerConfig()
    """How the mixture is chosen."""
    constraints: ConstraintsConfig = ConstraintsConfig()
    """Limits on the mixture."""
    filtering: FilteringConfig = FilteringConfig()
    """Runs and metrics to leave out, domains to pin, weights of metrics."""

    @field_validator("priors", mode="before")
    @classmethod
    def _columns_are_the_domains(cls, given: object, info: ValidationInfo) -> object:
        """Take the domains from the table of mixtures where no token counts are given."""
        swarm = info.data.get("swarm")
        if given is not None:
            return given
        if swarm is None:  # what is wrong with the tables is said of them
            return unknown_priors(["?"])
        try:
            table = read_table(swarm.ratios, SCALE_COLUMN if swarm.one_table else None)
        except OlmixError as error:
            raise ValueError(
                f"left out, so the domains are read from swarm.ratios: {error}"
            ) from None
        return unknown_priors(table.columns)

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        if self.priors.unknown and self.constraints.target_tokens is not None:
            rules.broken(
                "priors.token_counts are needed to say how many passes this takes",
                "constraints",
                "target_tokens",
            )
        if self.constraints.enabled and self.constraints.target_tokens is None:
            rules.broken("it is required where enabled is true", "constraints", "target_tokens")
        given = self.constraints.model_fields_set
        if "repetition_factor" in given and not given & {"enabled", "target_tokens"}:
            rules.broken(
                "it limits nothing without target_tokens, the tokens of the large run",
                "constraints",
                "repetition_factor",
            )
        self._check_proposer(rules)
        self._check_names(rules)
        self._check_metrics(rules)
        rules.enforce()
        self._pin_domains()
        return self

    @model_validator(mode="before")
    @classmethod
    def _exact_means_log_linear(cls, data: object) -> object:
        """Take the log-linear law where the proposer needs one and no law is named."""
        if not isinstance(data, Mapping):
            return data
        proposer, regression = data.get("proposer"), data.get("regression")
        if not isinstance(proposer, Mapping) or proposer.get("type") != "exact":
            return data
        if regression is None:
            regression = {}
        if not isinstance(regression, Mapping) or regression.get("type") is not None:
            return data
        return {**data, "regression": {**regression, "type": "log_linear"}}

    def _pin_domains(self) -> None:
        """Write pins of sources and topics as those of their domains."""
        pins = self.filtering.fixed_weight
        if set(pins) <= set(self.priors.domains):
            return
        found: dict[str, float] = {}
        for node, weight in pins.items():
            below = domains_below(node, self.priors.domains)
            shares = self.priors.natural(below)
            found |= dict(zip(below, (weight * shares).tolist(), strict=True))
        filtering = self.filtering.model_copy(update={"fixed_weight": found})
        # A frozen model that is still being made; a copy would be thrown away by Pydantic.
        object.__setattr__(self, "filtering", filtering)

    def _check_names(self, rules: Rules) -> None:
        """Note what `filtering` names that the priors do not have, and pins that do not fit."""
        domains, filtering = self.priors.domains, self.filtering
        for name in filtering.support_domains:
            if name not in domains:
                rules.broken(
                    f"the priors have no domain named {name}", "filtering", "support_domains"
                )
        for key, what, others in (
            ("fixed_weight", "domain", "source or topic"),
            ("keep_sources", "source", "topic or domain"),
        ):
            for name in getattr(filtering, key):
                if not domains_below(name, domains):
                    rules.broken(
                        f"the priors have no {what} named {name}, and no {others}", "filtering", key
                    )
        pins = filtering.fixed_weight
        for inner in pins:
            outer = next((node for node in pins if node != inner and is_below(inner, node)), None)
            if outer is not None:
                rules.broken(
                    f"{inner} is pinned, and so is {outer} above it; pin one of them",
                    "filtering",
                    "fixed_weight",
                )
        total = sum(pins.values())
        covered = {name for node in pins for name in domains_below(node, domains)}
        if total > 1 + 1e-9 or (len(covered) == len(domains) and abs(total - 1) > 1e-6):
            rules.broken(f"the fixed weights add up to {total:.6g}", "filtering", "fixed_weight")

    def _check_metrics(self, rules: Rules) -> None:
        """Note the metric names that the eval section does not have."""
        if self.eval is None:
            return
        known = self.eval.metrics
        twice = sorted({name for name in known if known.count(name) > 1})
        for name in twice:
            rules.broken(f"the metric {name} is given twice", "eval", "tasks")
        if not self.regression.aggregate_task_families:
            for name in self.filtering.obj_weights:
                if name not in known:
                    what = f"eval.tasks has no such metric{did_you_mean(name, known)}"
                    rules.broken(what, "filtering", "obj_weights", name)
            floors = self.proposer.floors
            for name in floors if isinstance(floors, dict) else ():
                if name not in (*known, ALL_METRICS):
                    hint = did_you_mean(name, (*known, ALL_METRICS))
                    what = f"eval.tasks has no such metric{hint}"
                    rules.broken(what, "proposer", "floors", name)
        if set(known) <= set(self.filtering.drop_metrics):
            rules.broken("no metric would be left", "filtering", "drop_metrics")

    def _check_proposer(self, rules: Rules) -> None:
        """Note proposers that the law does not allow, and settings that have no effect."""
        law, proposer = self.regression.type, self.proposer
        if proposer.type == "exact" and law != "log_linear":
            rules.broken(
                f"`exact` needs a convex law, which `{law}` is not; use `gradient`, or "
                "regression.type log_linear",
                "proposer",
                "type",
            )
        if proposer.type == "gradient" and law in NOT_SMOOTH:
            rules.broken(
                f"`gradient` follows slopes and `{law}` has none; use `simulation` or `search`",
                "proposer",
                "type",
            )
        if proposer.kl_unit == "raw" and proposer.kl_reg == "auto":
            rules.broken("kl_reg `auto` is found in units of the spread", "proposer", "kl_unit")
        if proposer.risk > 0 and proposer.type == "exact":
            rules.broken(
                "the error of a prediction is not convex; use proposer.type gradient",
                "proposer",
                "risk",
            )
        searches = proposer.type == "search" or (proposer.type == "auto" and law == "search")
        for key, given in (("risk", proposer.risk > 0), ("floors", proposer.floors is not None)):
            if given and searches:
                rules.broken(
                    "it has no effect with `search`, which takes the best run",
                    "proposer",
                    key,
                )
            if given and proposer.make_worst_mix:
                rules.broken("it cannot be combined with make_worst_mix", "proposer", key)
        if proposer.pareto and (searches or proposer.make_worst_mix):
            rules.broken(
                "a Pareto front needs fitted laws: it fits neither `search` nor make_worst_mix",
                "proposer",
                "pareto",
            )
        simulates = proposer.type == "simulation" or (proposer.type == "auto" and law == "lightgbm")
        if proposer.temperature is not None and not simulates:
            rules.broken(
                f"it is a setting of proposer.type simulation; found `{proposer.type}`",
                "proposer",
                "temperature",
            )
