"""The pictures beside the variants of a swarm: all weights, and the weights of each source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from olmix.domains import SEPARATOR
from olmix.plotting import new_figure, save_figure, style, weight_histograms, weights_heat
from olmix.simplex import Array

if TYPE_CHECKING:
    pass

__all__ = ["draw_swarm"]


def draw_swarm(
    folder: str | Path, runs: Sequence[str], domains: Sequence[str], weights: Sequence[Array]
) -> None:
    """Write `weights.png`, a heat map, and `histograms.png`, a row per source.

    Args:
        folder: where to write.
        runs: (n,) names of the variants.
        domains: (D,) names.
        weights: n arrays (D,) of weights.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    array = np.array(weights)
    sources = list(dict.fromkeys(name.partition(SEPARATOR)[0] for name in domains))
    by_source = np.column_stack(
        [
            array[:, [name.partition(SEPARATOR)[0] == source for name in domains]].sum(axis=1)
            for source in sources
        ]
    )
    with style():
        height = min(2.0 + 0.12 * len(runs), 9.0)
        figure, ax = new_figure(min(2.0 + 0.3 * len(domains), 14.0), height)
        weights_heat(ax, array, runs, domains)
        save_figure(figure, Path(folder) / "weights.png", dpi=120)
        figure, ax = new_figure(5.0, 0.8 + 0.45 * len(sources))
        weight_histograms(ax, by_source, sources)
        save_figure(figure, Path(folder) / "histograms.png", dpi=120)
