"""Swarms with a known truth, as the two tables and the config that `olmix fit` reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from olmix.config import FitConfig
from olmix.text.csv import write_table
from olmix.text.yaml import write_yaml

Truth = Callable[[np.ndarray], np.ndarray]

SLOPES = np.array([-1.2, 0.4, 0.9, 1.3])
"""Slopes of the planted log-linear law; its best mixture is all `a`."""
POWERS = np.array([-0.5, -0.3, -0.15, 0.0])
"""Slopes of the planted log-weight law; its best mixture is inside the face of a, b and c."""


def log_linear(mixtures: np.ndarray) -> np.ndarray:
    """Plant ``y = 2 + exp(-0.5 + slopes . x)`` over four domains."""
    return 2 + np.exp(-0.5 + np.atleast_2d(mixtures) @ SLOPES)


def log_weight(mixtures: np.ndarray) -> np.ndarray:
    """Plant ``y = 1.5 + exp(-1 + slopes . log(x + 0.03))`` over four domains."""
    return 1.5 + np.exp(-1 + np.log(np.atleast_2d(mixtures) + 0.03) @ POWERS)


def flat(mixtures: np.ndarray) -> np.ndarray:
    """Plant nothing."""
    return np.full(len(np.atleast_2d(mixtures)), 3.0)


def draw_mixtures(num: int, num_domains: int, seed: int = 0) -> np.ndarray:
    """Draw mixtures that reach from near the middle to near the vertices; the first is uniform."""
    rng = np.random.default_rng(seed)
    strengths = rng.uniform(2, 12, num)
    drawn = np.stack([rng.dirichlet(np.full(num_domains, s / num_domains)) for s in strengths])
    drawn[0] = 1 / num_domains
    return drawn


@dataclass
class Planted:
    """A swarm on disk: change its tables in Python, then `write` it again.

    Attributes:
        folder: where the tables and the config lie.
        runs: ids.
        ratios: weights by domain.
        metrics: values by metric; None is an empty cell.
        settings: the config apart from the tables.
    """

    folder: Path
    runs: list[str]
    ratios: dict[str, list[Any]]
    metrics: dict[str, list[Any]]
    settings: dict[str, Any]

    @property
    def config_file(self) -> Path:
        """The YAML file."""
        return self.folder / "fit.yaml"

    @property
    def mixtures(self) -> np.ndarray:
        """The mixtures, (R, D)."""
        return np.array(list(self.ratios.values()), dtype=float).T

    def write(self) -> Planted:
        """Write both tables and the config."""
        write_table(self.folder / "ratios.csv", self.runs, self.ratios)
        write_table(self.folder / "metrics.csv", self.runs, self.metrics)
        tables = {"ratios": "ratios.csv", "metrics": "metrics.csv"}
        write_yaml(self.config_file, {"swarm": tables, **self.settings})
        return self

    def config(self, **changes: Any) -> FitConfig:
        """Return the config with sections replaced."""
        tables = {name: str(self.folder / f"{name}.csv") for name in ("ratios", "metrics")}
        return FitConfig.from_dict({"swarm": tables, **self.settings, **changes})


def plant(
    folder: Path,
    truths: Mapping[str, Truth],
    *,
    num: int = 30,
    noise: float = 0.02,
    seed: int = 0,
    domains: str = "abcd",
    replicates: int = 2,
) -> Planted:
    """Write a swarm of `num` mixtures, the first of them `replicates` times.

    Args:
        folder: where to.
        truths: metric name to the law behind it.
        num: number of different mixtures.
        noise: standard deviation of a run as a share of the metric's spread.
        seed: seed of mixtures and noise.
        domains: one letter each.
        replicates: runs of the first, uniform mixture.
    """
    rng = np.random.default_rng([seed, 1])
    drawn = draw_mixtures(num, len(domains), seed)
    mixtures = np.vstack([drawn[:1]] * (replicates - 1) + [drawn])
    metrics = {}
    for name, truth in truths.items():
        clean = truth(mixtures)
        scale = max(float(clean.std()), 0.0) or 1.0
        metrics[name] = (clean + noise * scale * rng.standard_normal(len(clean))).tolist()
    planted = Planted(
        folder=folder,
        runs=[f"r{i:03d}" for i in range(len(mixtures))],
        ratios=dict(zip(domains, mixtures.T.tolist(), strict=True)),
        metrics=metrics,
        settings={"priors": {"token_counts": dict.fromkeys(domains, 1000000)}},
    )
    return planted.write()


def pinned_swarm(folder: Path, num: int = 24, seed: int = 0) -> Planted:
    """Return a swarm in which `d` is 20 % of every run, but for the rounding of trained shares."""
    rng = np.random.default_rng(seed)
    found = plant(folder, {"y": log_linear}, num=num, replicates=1, seed=seed)
    fixed = 0.2 + rng.uniform(-0.002, 0.002, num)
    mixtures = np.column_stack([rng.dirichlet(np.ones(3), num) * (1 - fixed)[:, None], fixed])
    found.ratios = dict(zip("abcd", mixtures.T.tolist(), strict=True))
    found.metrics = {"y": (log_linear(mixtures) + 0.01 * rng.standard_normal(num)).tolist()}
    return found.write()


SHARES = {"old:code": 0.6, "old:web": 0.3, "old:books": 0.1}
DOMAINS = ("new", "old:code", "old:web", "old:books")


def reused(folder: Path, num: int = 9, noise: float = 0.0, seed: int = 0) -> Planted:
    """Return a swarm of one new domain and a source whose topics keep their shares."""
    rng = np.random.default_rng(seed)
    two = draw_mixtures(num, 2, seed)
    columns = {"new": two[:, 0]}
    for name, share in SHARES.items():
        columns[name] = two[:, 1] * share * (1 + noise * rng.uniform(-1, 1, num))
    total = np.sum(list(columns.values()), axis=0)
    return Planted(
        folder=folder,
        runs=[f"r{i}" for i in range(num)],
        ratios={name: (column / total).tolist() for name, column in columns.items()},
        metrics={"y": (2 + np.exp(-2 * two[:, 0]) + 0.6 * two[:, 0] ** 2).tolist()},
        settings={"priors": {"token_counts": dict.fromkeys(DOMAINS, 1_000_000)}},
    ).write()
