"""How much a swarm covers, and what a fit could learn from it.

Shares that are the same in all runs are pinned (`weight`, `fixed_source_weights`, domains that are
reused as one), and no fit has to learn of them: they are no domains that a swarm should tell apart.

Legend: ``K`` distinct mixtures, ``n`` runs, ``D`` domains, ``m`` free ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from olmix.config import CommandTraining, GenerationConfig, LaunchConfig, read_yaml
from olmix.domains import SEPARATOR
from olmix.errors import OlmixError
from olmix.generate.constraints import rank
from olmix.generate.criteria import feature_map
from olmix.generate.known_mixtures import read_variants
from olmix.generate.next_round import APART
from olmix.generate.optimal import distances_to
from olmix.mixture import Mixture
from olmix.simplex import Array, distinct_mixtures

__all__ = ["Diagnostics", "diagnose", "inspect_folder"]

_SAME = 1e-6
_LEAST_MIXTURES = 3
"""Mixtures from which equal shares are no chance."""
_NUM_EVEN = 2_048


@dataclass(frozen=True)
class Diagnostics:
    """Facts about a swarm.

    Attributes:
        num_runs: n.
        num_mixtures: K, runs of the same mixture counted once.
        num_domains: D.
        num_live: domains with weight in any run.
        num_free: m, live domains less one for each share that is the same in all runs.
        rank: of the distinct mixtures; below m, some domains always move together and no fit can
            tell them apart.
        enough: whether K >= 3 (m + 1).
        least_distance: smallest Euclidean distance between two distinct mixtures.
        median_distance: median distance of a mixture to its nearest other one.
        near_duplicates: pairs of distinct mixtures nearer than `next_round.APART`.
        discrepancy: energy distance between the swarm and uniform points of the simplex of the
            domains that vary; 0 for a perfectly even spread.
        d_efficiency_linear: ``m det(W'W / K)^(1/m)``, 1 for equally many runs of each domain alone.
        d_efficiency_log_linear: the same for the tangent of the log-linear law, averaged over its
            slopes, as a share of what runs of each domain alone reach.
        expected_repetition: (D,) mean over runs of the passes over each domain.
        most_repetition: largest number of passes of any run over any domain.
        tokens_per_run: tokens of a run, where they are known.
        total_tokens: tokens of all runs.
        total_flops: 6 x parameters x tokens of all runs, where the model is known.
    """

    num_runs: int
    num_mixtures: int
    num_domains: int
    num_live: int
    num_free: int
    rank: int
    enough: bool
    least_distance: float
    median_distance: float
    near_duplicates: int
    discrepancy: float
    d_efficiency_linear: float
    d_efficiency_log_linear: float
    expected_repetition: dict[str, float]
    most_repetition: float
    tokens_per_run: int | None = None
    total_tokens: int | None = None
    total_flops: float | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return everything as values that JSON can hold."""
        return asdict(self)


def diagnose(
    mixes: Sequence[Mixture],
    domains: Sequence[str],
    max_tokens: int | None = None,
    num_parameters: int | None = None,
) -> Diagnostics:
    """Work out what a swarm covers.

    Args:
        mixes: the mixture of each run.
        domains: (D,) names.
        max_tokens: tokens of a run.
        num_parameters: non-embedding parameters of the model.
    """
    weights = np.array([mix.weights(domains) for mix in mixes])
    factors = np.array(
        [[mix[d].repetition_factor if d in mix else 1.0 for d in domains] for mix in mixes]
    )
    distinct = distinct_mixtures(weights)
    live = np.flatnonzero((distinct > 0).any(axis=0))
    inner = distinct[:, live]
    nearest, pairs = _neighbours(inner)
    pins = _pins([domains[int(index)] for index in live], inner)
    num_free = len(live) - rank(pins)
    varied = _varied(inner, pins)
    total = None if max_tokens is None else max_tokens * len(mixes)
    return Diagnostics(
        num_runs=len(mixes),
        num_mixtures=len(distinct),
        num_domains=len(domains),
        num_live=len(live),
        num_free=num_free,
        rank=rank(inner),
        enough=len(distinct) >= 3 * (num_free + 1),
        least_distance=float(nearest.min(initial=np.inf)) if len(distinct) > 1 else 0.0,
        median_distance=float(np.median(nearest)) if len(distinct) > 1 else 0.0,
        near_duplicates=pairs,
        discrepancy=_discrepancy(varied),
        d_efficiency_linear=_d_efficiency("linear", varied),
        d_efficiency_log_linear=_d_efficiency("log_linear", varied),
        expected_repetition=dict(zip(domains, factors.mean(axis=0).tolist(), strict=True)),
        most_repetition=float(factors.max()),
        tokens_per_run=max_tokens,
        total_tokens=total,
        total_flops=None
        if total is None or num_parameters is None
        else 6.0 * num_parameters * total,
    )


def _pins(names: Sequence[str], rows: Array) -> Array:
    """Return what is pinned in mixtures (K, D), as rows whose product with each is 0, (p, D).

    A source, topic or domain is pinned where its share of what is above it never changes.
    """
    if len(rows) < _LEAST_MIXTURES:
        return np.empty((0, len(names)))
    paths = [name.split(SEPARATOR) for name in names]
    nodes = {SEPARATOR.join(path[: depth + 1]) for path in paths for depth in range(len(path))}

    def members(node: str) -> Array:
        below = [name == node or name.startswith(node + SEPARATOR) for name in names]
        return np.array(below, dtype=np.float64) if node else np.ones(len(names))

    found = []
    for node in sorted(nodes):
        own, above = members(node), members(node.rpartition(SEPARATOR)[0])
        total = rows @ above
        some = total > _SAME
        shares = (rows[some] @ own) / total[some]
        if some.sum() >= _LEAST_MIXTURES and np.ptp(shares) < _SAME:
            found.append(own - shares.mean() * above)
    return np.array(found).reshape(-1, len(names))


def _varied(rows: Array, pins: Array) -> Array:
    """Return mixtures (K, D) of the domains that no pin (p, D) settles, rows summing to 1."""
    kept, full = np.ones(rows.shape[1], dtype=bool), rank(rows)
    for pin in pins:
        # Of a pin's domain alone the sign is positive; those of a pinned source vary within it.
        if (pin > 0).sum() == 1:
            without = kept & (pin <= 0)
            kept = without if rank(rows[:, without]) == full else kept
    total = rows[:, kept].sum(axis=1, keepdims=True)
    return np.asarray(rows[:, kept] / total) if (total > 0).all() else rows


def _neighbours(rows: Array) -> tuple[Array, int]:
    """Return the distance of each mixture to its nearest other one, (K,), and the near pairs."""
    nearest, pairs = np.full(len(rows), np.inf), 0
    for first in range(0, len(rows), 512):
        distances = distances_to(rows[first : first + 512], rows)
        here = np.arange(len(distances))
        distances[here, first + here] = np.inf
        nearest[first : first + 512] = distances.min(axis=1)
        pairs += int((distances < APART).sum())
    return nearest, pairs // 2


def _discrepancy(rows: Array) -> float:
    """Return the energy distance to the uniform distribution on the simplex (Szekely 2013)."""
    size = rows.shape[1]
    if size < 2:
        return 0.0
    even = np.random.default_rng(0).dirichlet(np.ones(size), _NUM_EVEN)
    some = rows[:_NUM_EVEN]
    across = distances_to(some, even).mean()
    within = distances_to(some, some).mean()
    own = distances_to(even, even).sum() / (_NUM_EVEN * (_NUM_EVEN - 1))
    return float(np.sqrt(max(2 * across - within - own, 0.0)))


def _d_efficiency(model: str, rows: Array) -> float:
    """Return the D-efficiency of mixtures (K, m) beside runs of single domains."""
    size = rows.shape[1]
    corners = np.eye(size)
    if model == "log_linear":
        # With an intercept beside the slopes, single domains alone do not suffice.
        corners = np.vstack([corners, np.full((1, size), 1 / size)])
    features = feature_map(model, rows)

    def volume(runs: Array) -> Array:
        found = features(runs)
        matrix = np.einsum("sni,snj->sij", found, found) / len(runs)
        return np.asarray(np.linalg.slogdet(matrix)[1] / found.shape[2])

    with np.errstate(invalid="ignore"):  # of one mixture, as of corners at zero slopes: inf - inf
        gains = volume(rows) - volume(corners)
    # At zero slopes the tangent's intercept is the sum of the others: no design can tell them.
    gains = gains[1:] if model == "log_linear" else gains
    return float(np.exp(gains).mean())


def inspect_folder(folder: str | Path, config: GenerationConfig | None = None) -> Diagnostics:
    """Diagnose the variants of a folder.

    Args:
        folder: bare variants, or launch configs with a `mix`.
        config: the generation config, for the tokens of a run where variants are bare.

    Raises:
        DataError: the folder holds no variant.
        ConfigError: a variant is malformed.
    """
    variants = read_variants(Path(folder))
    domains = list(dict.fromkeys(name for variant in variants for name in variant.mix))
    max_tokens = None if config is None else config.run_tokens
    parameters = None
    base = _launch_config(Path(folder))
    if base is not None:
        training = base.training
        max_tokens = training.num_tokens
        if not isinstance(training, CommandTraining):
            parameters = training.num_parameters
    return diagnose([variant.mix for variant in variants], domains, max_tokens, parameters)


def _launch_config(folder: Path) -> LaunchConfig | None:
    """Return the first variant as a launch config, or ``None`` where variants are bare."""
    for file in sorted(folder.glob("*.yaml")):
        content = read_yaml(file).data
        if isinstance(content, dict) and "mix" in content and "training" in content:
            try:
                return LaunchConfig.from_yaml(file)
            except OlmixError:
                return None
    return None
