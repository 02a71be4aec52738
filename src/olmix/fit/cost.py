"""How much time and memory a fit will take, announced before it starts.

Counted are the floating-point operations of the laws that are fitted, of draws for intervals and of
the best mixture of each metric, over what one core does in a second. The rates were measured on one
core of a server (`benchmarks/fit_large.py`); a busy or old machine takes longer.

Legend: ``n`` mixtures, ``D`` domains, ``M`` metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from olmix.fit.swarm import Swarm
from olmix.fit.uncertainty import num_draws
from olmix.laws.components import NUM_COMPONENTS
from olmix.laws.exponential import ExponentialLaw
from olmix.laws.gp import GaussianProcess
from olmix.laws.law import MOST_IN_FULL, SUBSET, Law
from olmix.text.numbers import counted

__all__ = ["FitCost", "estimated_cost"]

_MATRIX_RATE, _SMALL_RATE = 18e9, 5e9
"""Operations a second: in products and factors of large matrices, and in batches of small ones."""
_STEPS, _FOLD_STEPS = 90, 25
"""Evaluations of the likelihood in the fit to all runs, and in that of each fold."""
_LEFT_OUT = 2
"""Fits without the best and without the outermost tenth, as dear as those of folds."""
_SEARCH, _DESCENT, _REFIT = 12, 45, 4
"""Steps of the exponential laws: for each setting, for the chosen one, and for each draw."""
_LARGE_S, _LARGE_BYTES = 60.0, 4e9
_BASE_BYTES = 3e8


@dataclass(frozen=True)
class FitCost:
    """The time and the memory of a fit.

    Attributes:
        seconds: time on one core.
        memory_bytes: peak memory.
        size: what is fitted, in words.
    """

    seconds: float
    memory_bytes: float
    size: str

    @property
    def large(self) -> bool:
        """Whether it is large enough to be announced."""
        return self.seconds > _LARGE_S or self.memory_bytes > _LARGE_BYTES

    @property
    def statement(self) -> str:
        """The estimate in one sentence."""
        minutes = self.seconds / 60
        time = f"{minutes:.0f} min" if minutes >= 1 else "1 min"
        return (
            f"{self.size}: the fit will take about {time} on one core and "
            f"{max(self.memory_bytes / 1e9, 0.1):.1f} GB of memory."
        )


def estimated_cost(laws: Sequence[Law], num_folds: int, swarm: Swarm) -> FitCost:
    """Return an estimate of the time and the memory of fitting laws to a swarm."""
    measured = swarm if swarm.parts is None else swarm.parts
    n, size, metrics = len(swarm.fitted_mixtures), len(swarm.domains), len(measured.metrics)
    some = n if n <= MOST_IN_FULL else SUBSET
    seconds, square = 0.0, float(size + 2) ** 2
    draws = num_draws(metrics)
    step = some**3 + some**2 * (4 * size + 20)
    fits = num_folds + _LEFT_OUT
    process = 2 * (_STEPS + fits * _FOLD_STEPS) * step + (fits + 1) * n**3 / 5
    shared = NUM_COMPONENTS if metrics > NUM_COMPONENTS else 0
    for law in laws:
        if isinstance(law, GaussianProcess):
            # The two of them share the components of many metrics.
            seconds += (metrics + shared / 2) * process / _MATRIX_RATE
        elif isinstance(law, ExponentialLaw):
            tried = len(law.candidates()) * len(law.ridges)
            steps = (fits + 1) * (tried * _SEARCH * some + _DESCENT * n) + draws * _REFIT * n
            seconds += metrics * 2 * steps * square / _SMALL_RATE
    seconds += 2e-7 * metrics * n * size * len(laws) * 8
    together = min(metrics, 16) * (num_folds + 1)
    memory = _BASE_BYTES + 8 * (6 * n**2 + 3 * together * n * size + 4 * metrics * n * len(laws))
    words = (counted(n, "mixture"), counted(size, "domain"), counted(metrics, "metric"))
    return FitCost(seconds, memory, " x ".join(words))
