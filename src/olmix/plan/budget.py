"""The arithmetic of a plan: what a budget buys.

A run of a model with `N` parameters and `T` tokens takes ``6 N T`` operations, and has as many
tokens per parameter as the large run. The budget pays for the swarm, for a verification (four
mixtures, five seeds), and for a ladder (two mixtures, three seeds, at the size of the runs and four
times it, which takes 16 times the operations). The number of runs is the least that brings the
error of the proposal below what is asked for; the rest goes into their size, since nothing is
known of what a smaller model costs but on one swarm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from olmix.config import LaunchConfig, OlmoCoreTraining, ProxyTraining
from olmix.config.olmo_sizes import MODEL_PARAMETERS
from olmix.config.proxy_width import at_width
from olmix.errors import ConfigError, Problem
from olmix.plan.curve import Curve
from olmix.records.fit.ladder import LADDER_SIZES, ladder_work
from olmix.records.fit.proposal import VERIFYING

__all__ = ["SMALLEST", "Plan", "Target", "make_plan", "plans_of"]

_SIZES = (32, 64, 128, 256, 512)
_LADDER = ladder_work(LADDER_SIZES)
_FIRST_ROUND, _FIRST_PER_DOMAIN = 48, 3
"""Runs of a first round, at least, and for each domain: too small a one made rounds worse."""
SMALLEST = 1_000_000
"""Parameters of the smallest models of a public swarm."""


@dataclass(frozen=True)
class Target:
    """The run that is planned for.

    Attributes:
        parameters: of the model.
        tokens: that it trains on.
    """

    parameters: float
    tokens: float

    @property
    def ratio(self) -> float:
        """Tokens per parameter."""
        return self.tokens / self.parameters

    @property
    def matched(self) -> dict[str, int | float | str]:
        """Keys of the training section that match a run to it."""
        return {"target_tokens": round(self.tokens), "target_parameters": round(self.parameters)}


@dataclass(frozen=True)
class Plan:
    """The runs that a budget buys.

    Attributes:
        num_runs: runs of the swarm, references and their replicates among them.
        replicates: further runs of the natural and the uniform mixture.
        parameters: of each model.
        tokens: of each run.
        training: keys of the training section that give this size and length.
        flops: operations of swarm, verification and ladder.
        errors: expected regret of the proposal in spreads of the objective: in one round and,
            where the first half is enough for a fit, in two.
    """

    num_runs: int
    replicates: int
    parameters: float
    tokens: int
    training: dict[str, int | float | str]
    flops: float
    errors: tuple[float, ...]

    @property
    def error(self) -> float:
        """Expected regret of the proposal in `rounds` rounds, in spreads of the objective."""
        return min(self.errors)

    @property
    def rounds(self) -> int:
        """Rounds that the runs are best placed in, as far as that was measured."""
        return 1 + self.errors.index(self.error)

    @property
    def first_runs(self) -> int:
        """Runs of the first round."""
        return self.num_runs // self.rounds

    @property
    def variants(self) -> int:
        """Sampled mixtures of the first round."""
        return self.first_runs - 2 * (1 + self.replicates)


def make_plan(
    base: LaunchConfig, num_runs: int, flops: float, target: Target, curve: Curve
) -> Plan | None:
    """Return what a budget buys with so many runs; `None` where no model is small enough.

    Args:
        base: whose model is made larger or smaller.
        num_runs: runs of the swarm.
        flops: the budget.
        target: the large run.
        curve: how the error falls with the runs.
    """
    units = num_runs + VERIFYING + _LADDER
    most = min(math.sqrt(flops / units / (6 * target.ratio)), target.parameters)
    sized = _sized(base, most)
    if sized is None:
        return None
    parameters, training = sized
    tokens = round(parameters * target.ratio)
    domains = len(base.data.domains)
    errors = [curve.regret(num_runs, domains)]
    if num_runs // 2 >= max(_FIRST_ROUND, _FIRST_PER_DOMAIN * domains):
        errors.append(curve.regret(num_runs, domains, in_rounds=True))
    return Plan(
        num_runs,
        3 if num_runs >= 64 else 2,
        parameters,
        tokens,
        {**training, "max_tokens": tokens},
        6 * parameters * tokens * units,
        tuple(errors),
    )


def _sized(base: LaunchConfig, most: float) -> tuple[float, dict[str, int | float | str]] | None:
    """Return the largest model of up to so many parameters, and the keys that ask for it."""
    training = base.training
    if isinstance(training, ProxyTraining):
        step = 2 * training.num_heads
        found = None
        for width in range(-(-8 // step) * step, 8192 + 1, step):
            changes = at_width(training, width)
            size = training.model_copy(update=changes).num_parameters
            if size > most:
                break
            found = (float(size), changes)
        return found
    if isinstance(training, OlmoCoreTraining) and training.model_parameters is None:
        family = training.proxy_model_id.partition("_")[0]
        sizes = {n: size for n, size in MODEL_PARAMETERS.items() if n.startswith(f"{family}_")}
        known = {name: size for name, size in sizes.items() if size <= most}
        if not known:
            return None
        name = max(known, key=lambda one: known[one])
        return float(known[name]), {"proxy_model_id": name}
    return most, {}


def plans_of(
    base: LaunchConfig, flops: float, target: Target, curve: Curve, error: float
) -> tuple[tuple[Plan, ...], Plan]:
    """Return what a budget buys with more and fewer runs, and the plan that is recommended.

    Args:
        base: whose model is made larger or smaller.
        flops: the budget.
        target: the large run.
        curve: how the error falls with the runs.
        error: regret of the proposal that is wanted, in spreads of the objective.

    Raises:
        ConfigError: the budget pays for no runs.
    """
    made = (make_plan(base, number, flops, target, curve) for number in _SIZES)
    plans = tuple(plan for plan in made if plan is not None and _runs(base, plan, target))
    if not plans:
        what = (
            f"found {flops:.3g}; not enough for any run of {base.name}'s smallest model at "
            f"{target.ratio:g} tokens per parameter, with verification and ladder. Raise it"
        )
        raise ConfigError([Problem("--flops", what)])
    good = [plan for plan in plans if plan.error <= error]
    return plans, good[0] if good else plans[-1]


def _runs(base: LaunchConfig, plan: Plan, target: Target) -> bool:
    """Whether runs of that size and length can be trained: they are one step at least."""
    try:
        base.resized(base.name, {**plan.training, **target.matched})
    except ConfigError:
        return False
    return True
