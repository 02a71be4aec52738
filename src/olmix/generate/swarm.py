"""From a generation config to the mixtures of a swarm."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from olmix.config import GenerationConfig, LaunchConfig
from olmix.domains import Node
from olmix.errors import ConfigError, InfeasibleError, Problem
from olmix.generate.constraints import Constraints, build_constraints
from olmix.generate.dirichlet import draw_dirichlet, move_into, prior_mixture
from olmix.generate.known_mixtures import load_mixtures
from olmix.generate.larger_runs import mixtures_to_repeat
from olmix.generate.next_round import EXPLORE, EarlierFit, next_round, runs_of
from olmix.laws.least_mixtures import least_mixtures
from olmix.mixture import Mixture, repetition_factors
from olmix.simplex import Array, distinct_mixtures
from olmix.text.files import digest
from olmix.text.progress import OnProgress

__all__ = ["Variant", "group_of", "known_mixtures", "sample_swarm"]

logger = logging.getLogger(__name__)

REPLICATE_SEED = 1_000
"""Replicates of the references are trained with the seeds 1000, 1001, ..."""

_SAME = 1e-6
"""Mixtures that differ by less in every weight are the same."""
_REDRAWS = 20
_FEW, _TOO_FEW = 0.75, 0.5
"""Shares of different samples: below the first runs are wasted, up to the second samples fell
together. A sparse design draws a single domain more than once; that is no harm."""

Kind = Literal["natural", "uniform", "sampled"]


@dataclass(frozen=True)
class Variant:
    """One mixture of a swarm.

    Attributes:
        kind: a sampled mixture, a reference (`natural` or `uniform`), or a further run of one.
        mix: the mixture.
        seed: training seed, where it is not that of the base config.
    """

    kind: Kind
    mix: Mixture
    seed: int | None = None


def sample_swarm(
    config: GenerationConfig,
    *,
    allow_pickle: bool = False,
    fit: EarlierFit | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Variant, ...]:
    """Draw the variants of a swarm: the references, their replicates, then the samples.

    The sample ``i`` depends on the seed and the samples before it alone, so asking for more
    variants leaves the earlier ones as they were. A round after a fit has samples alone.

    Args:
        config: the generation config.
        allow_pickle: whether `swarm.existing_mix_file` may be a pickle.
        fit: the fit that `swarm.after` or `swarm.larger` names.
        on_progress: told of what `design: optimal` has placed; other designs are quick.

    Raises:
        InfeasibleError: no mixture satisfies the config, or so few different ones that no fit can
            use them; says what stands in the way.
        ConfigError: one of these is given and no fit.
    """
    asks = next((key for key in ("after", "larger") if getattr(config.swarm, key)), None)
    if asks is not None and fit is None:
        problem = Problem(f"swarm.{asks}", "only `olmix generate` can load a fit")
        raise ConfigError([problem], config.name)
    if config.swarm.larger is not None and fit is not None:
        return _larger(config, fit)
    tree, swarm, domains = config.data.tree(), config.swarm, config.data.domains
    natural = dict(zip(domains, config.priors.natural(domains), strict=True))
    rules = build_constraints(config, prior_mixture(tree, natural, swarm))
    known = known_mixtures(config, allow_pickle=allow_pickle)
    if fit is not None:
        known = np.vstack([known, runs_of(fit, domains)])
    references = {} if fit is not None else _references(config, tree, natural, known)
    fixed = np.vstack([known, *references.values()])
    sampled = _sample(config, rules, fixed, known, fit, on_progress)
    weights = np.vstack([*references.values(), sampled])
    factors = repetition_factors(weights, config.pass_tokens, config.priors.counts(domains))
    mixes = [
        Mixture.from_weights(domains, row, factor)
        for row, factor in zip(weights, factors, strict=True)
    ]
    kinds: list[Kind] = list(references)
    variants = [Variant(kind, mix) for kind, mix in zip(kinds, mixes, strict=False)]
    for replicate in range(swarm.replicates):
        seed = REPLICATE_SEED + replicate
        variants += [Variant(v.kind, v.mix, seed) for v in variants[: len(references)]]
    variants += [Variant("sampled", mix) for mix in mixes[len(references) :]]
    _report(config, rules, sampled, (known, *references.values()))
    return tuple(variants)


def _larger(config: GenerationConfig, fit: EarlierFit) -> tuple[Variant, ...]:
    """Return the mixtures of a fit that are to be trained at a larger size."""
    swarm, domains = config.swarm, config.data.domains
    weights = mixtures_to_repeat(fit, domains, swarm.variants, swarm.seed)
    factors = repetition_factors(weights, config.pass_tokens, config.priors.counts(domains))
    pairs = zip(weights, factors, strict=True)
    mixes = [Mixture.from_weights(domains, row, factor) for row, factor in pairs]
    return tuple(Variant("sampled", mix) for mix in mixes)


def known_mixtures(config: GenerationConfig, *, allow_pickle: bool = False) -> Array:
    """Return the mixtures that `existing_mix_file` and `augment` hold, (n, D)."""
    domains = config.data.domains
    found = [np.empty((0, len(domains)))]
    for path in (config.swarm.existing_mix_file, config.swarm.augment):
        if path is not None:
            found.append(load_mixtures(path, domains, allow_pickle=allow_pickle))
    return np.vstack(found)


def _references(
    config: GenerationConfig, tree: Sequence[Node], natural: dict[str, float], known: Array
) -> dict[Kind, Array]:
    """Return the natural and the uniform mixture with pins and limits applied, (1, D) each.

    A swarm that extends another does not repeat the references which that one has.
    """
    plain = config.swarm.model_copy(
        update={
            "manual_prior": {},
            "manual_topic_prior": {},
            "mix_temperature": 1.0,
            "source_mix_temperature": None,
            "topic_mix_temperature": None,
        }
    )
    rules = build_constraints(config)
    found: dict[Kind, Array] = {}
    for kind in config.swarm.references:
        sizes = natural if kind == "natural" else dict.fromkeys(natural, 1.0 / len(natural))
        weights = np.array([list(prior_mixture(tree, sizes, plain).values())])
        if not rules.contains(weights, 1e-12).all():
            weights = move_into(weights, tree, config.swarm, rules)
            logger.info("the %s mixture was moved inside the limits of the swarm", kind)
        if not _is_known(weights, known)[0]:
            found[kind] = weights
    return found


def _sample(
    config: GenerationConfig,
    rules: Constraints,
    fixed: Array,
    known: Array,
    fit: EarlierFit | None,
    on_progress: OnProgress | None,
) -> Array:
    """Draw the samples of the design that the config asks for, (variants, D)."""
    tree, swarm, domains = config.data.tree(), config.swarm, config.data.domains
    natural = dict(zip(domains, config.priors.natural(domains), strict=True))

    def into_rules(weights: Array) -> Array:
        return move_into(weights, tree, swarm, rules)

    def dirichlet(rngs: Sequence[np.random.Generator]) -> Array:
        return into_rules(draw_dirichlet(tree, natural, swarm, rngs))

    if fit is not None:
        from olmix.generate.optimal import candidates_of

        seed = [swarm.seed, len(fit.runs)]
        rngs = np.random.default_rng(seed).spawn(swarm.variants // EXPLORE)
        explored = _draw_new(dirichlet, rngs, known)
        wide = candidates_of(rules, dirichlet, swarm.seed)
        return next_round(rules, fit, wide, into_rules, explored, swarm.variants, swarm.seed)
    rngs = np.random.default_rng(swarm.seed).spawn(swarm.variants)
    if swarm.design == "optimal":
        from olmix.generate.optimal import optimal_design

        return optimal_design(
            rules,
            dirichlet,
            swarm.variants,
            fixed,
            swarm.seed,
            swarm.criterion,
            swarm.model,
            on_progress,
        )
    if swarm.design == "polytope":
        from olmix.generate.polytope import sample_polytope

        return _draw_new(lambda some: sample_polytope(rules, some), rngs, known)
    return _draw_new(dirichlet, rngs, known)


def _draw_new(
    draw: Callable[[Sequence[np.random.Generator]], Array],
    rngs: Sequence[np.random.Generator],
    known: Array,
) -> Array:
    """Draw one mixture per generator; one that there is already is drawn again."""
    drawn = draw(rngs)
    for _ in range(_REDRAWS):
        again = np.flatnonzero(_is_known(drawn, known))
        if not again.size:
            return drawn
        drawn[again] = draw([rngs[int(index)].spawn(1)[0] for index in again])
    left = int(_is_known(drawn, known).sum())
    if left:
        logger.warning("%d mixtures were run before, and the rules allow no others near them", left)
    return drawn


def _is_known(weights: Array, known: Array) -> Array:
    """Return which of the mixtures (n, D) are among the known ones, (n,)."""
    found = np.zeros(len(weights), dtype=bool)
    for first in range(0, len(known), 256):
        some = known[first : first + 256]
        found |= (np.abs(weights[:, None] - some[None]).max(axis=2) < _SAME).any(axis=1)
    return found


def _report(
    config: GenerationConfig, rules: Constraints, sampled: Array, others: Sequence[Array]
) -> None:
    """Log what a reader should know of a swarm, and refuse one that no fit can use.

    Args:
        config: what was asked for.
        rules: the feasible set.
        sampled: (n, D) the mixtures of the design.
        others: references and mixtures that were run before, (F, D) each.

    Raises:
        InfeasibleError: most samples are equal, and too few different mixtures are left.
    """
    capped = int((rules.caps < 1).sum())
    logger.info("%d of %d domains are capped by their tokens", capped, len(rules.caps))
    if config.swarm.sample_multiplier is not None:
        logger.warning("swarm.sample_multiplier has no effect: no draw is ever thrown away")
    num_free = rules.num_free
    total = len(distinct_mixtures(np.vstack([*others, sampled])))
    share = len(distinct_mixtures(sampled)) / len(sampled)
    needed, safe = least_mixtures(num_free), 3 * (num_free + 1)
    if share < _FEW:
        said, remedy = _explain_equal(config, rules, sampled)
        asked = sum(map(len, others)) + len(sampled)  # so few may be what was asked for
        if share <= _TOO_FEW and total < needed <= asked and num_free > 1:
            raise InfeasibleError(
                f"{said} Different mixtures in all: {total}; a fit of {num_free} "
                f"domains needs at least {needed}; aim for {safe}. {remedy}"
            )
        logger.warning("%s %s", said, remedy)
    elif total < safe:
        logger.warning(
            "%d distinct mixtures is few for %d domains; aim for %d or more",
            total,
            num_free,
            safe,
        )


def _explain_equal(config: GenerationConfig, rules: Constraints, sampled: Array) -> tuple[str, str]:
    """Return why sampled mixtures (n, D) are equal, and what to change, in words."""
    swarm, domains = config.swarm, config.data.domains
    shares = config.priors.natural(domains)
    small = [
        f"{name} ({100 * share:.2g} %)"
        for name, share, least in zip(domains, shares, rules.minimum, strict=True)
        if share < least
    ]
    said = (
        f"{len(sampled)} mixtures were sampled; distinct ones among them: "
        f"{len(distinct_mixtures(sampled))}."
    )
    if small:
        said += (
            f" Weights below swarm.minimum_weight = {swarm.minimum_weight:g} become 0, and the "
            f"natural shares of {', '.join(small)} lie below it."
        )
    keys = ["swarm.minimum_weight"] if swarm.minimum_weight > 0 else []
    keys.append(f"swarm.mix_temperature = {swarm.mix_temperature:g}")
    return said, f"Lower {', or '.join(keys)}: towards 0, mixtures lie around the uniform one."


def group_of(
    config: GenerationConfig, base: LaunchConfig | None, *, allow_pickle: bool = False
) -> str:
    """Return the group id: a hash of what the mixtures and their training depend on.

    The number of variants, names of files and the infrastructure do not count, so a swarm keeps its
    group when it grows or moves. Mixtures in files count by their weights.
    """
    plain: dict[str, Any] = config.to_plain()
    swarm = plain["swarm"]
    swarm.pop("variants")
    # What a design does not look at is no part of it, so swarms of older releases keep their group.
    if config.swarm.design != "optimal":
        swarm.pop("criterion")
        swarm.pop("model")
    for key in ("group_bounds", "ratio_bounds"):
        if not swarm[key]:
            swarm.pop(key)
    known = known_mixtures(config, allow_pickle=allow_pickle)
    for key in ("existing_mix_file", "augment"):
        if key in swarm:
            swarm[key] = digest(known.round(9).tolist())
    for key in ("after", "larger"):
        if key in swarm:
            # `fit/latest` is a link to the folder that is named by the hash of the fit.
            swarm[key] = Path(swarm[key]).resolve().name
    if config.swarm.design == "optimal" and config.swarm.model == "gp":
        swarm["model"] = "gp_sqrt"  # releases before had a kernel of their own
    plain["data"] = _shape(config.data.tree())
    # What the token files held when they were counted moves no mixture.
    plain.get("priors", {}).pop("fingerprints", None)
    if base is not None:
        launch = base.to_plain()
        plain["base"] = {"training": launch["training"], "metrics": list(base.eval.metrics)}
    return digest(plain)


def _shape(tree: Sequence[Node]) -> list[object]:
    return [[node.name, node.weight, _shape(node.children)] for node in tree]
