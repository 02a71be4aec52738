"""Numbers as readers see them: fixed digits, true minus signs, a dash for what is not known."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = [
    "UNKNOWN",
    "count",
    "counted",
    "duration",
    "fixed",
    "gain_of",
    "interval",
    "listed",
    "p_value",
    "per_cent",
    "percent",
    "places_for",
    "points",
    "probability",
    "readable_count",
    "shortened",
    "signed",
    "significant",
    "with_error",
]

UNKNOWN = "–"
_MOST_PLACES = 6
"""Decimal places at most; what is smaller still is written as 1.9e−13."""


def fixed(value: float, places: int | None = None) -> str:
    """Return a number with fixed decimal places: three, or as many as a small one needs."""
    return _shown(value + 0.0, places, "")


def signed(value: float, places: int | None = None) -> str:
    """Return a number with fixed decimal places, as `fixed`, and always a sign."""
    return _shown(value, places, "+")


def _shown(value: float, places: int | None, sign: str) -> str:
    if not math.isfinite(value):
        return UNKNOWN
    if places is None:
        places = max(places_for(abs(value)), 3)
    form = ".2g" if places >= _MOST_PLACES and 0 < abs(value) < 10**-_MOST_PLACES else f".{places}f"
    return f"{value:{sign}{form}}".replace("-", "−")


def places_for(scale: float) -> int:
    """Return the decimal places at which a number of this size, such as an error, still shows.

    Three where that is enough: most metrics are bits per byte.
    """
    if not math.isfinite(scale) or scale <= 0:
        return 3
    if scale >= 100:
        return 0
    return min(1 - math.floor(math.log10(scale)), _MOST_PLACES) if scale < 0.001 else 3


def with_error(value: float, error: float, *, sign: bool = False) -> str:
    """Return ``0.196 ± 0.009``; without a finite error the number alone."""
    places = places_for(error)
    shown = signed(value, places) if sign else fixed(value, places)
    return f"{shown} ± {fixed(error, places)}" if math.isfinite(error) else shown


def interval(low: float, high: float, *, sign: bool = True) -> str:
    """Return ``+0.171 to +0.211``."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return UNKNOWN
    places = places_for(max(abs(low), abs(high)))
    show = signed if sign else fixed
    return f"{show(low, places)} to {show(high, places)}"


def with_interval(value: float, low: float, high: float) -> str:
    """Return ``+0.141 (+0.010 to +0.272)``; without a finite interval the number alone."""
    known = math.isfinite(low) and math.isfinite(high)
    return f"{signed(value)} ({interval(low, high)})" if known else signed(value)


def percent(share: float, places: int = 1) -> str:
    """Return a share in per cent."""
    return f"{fixed(100 * share, places)} %" if math.isfinite(share) else UNKNOWN


def points(change: float) -> str:
    """Return a difference of two shares in percentage points."""
    return signed(100 * change, 1)


def per_cent(level: float) -> str:
    """Return a round share, such as the level of an interval: ``90 %``."""
    return f"{100 * level:.6g} %"


def significant(value: float, digits: int = 3) -> str:
    """Return a number with this many significant digits."""
    if not math.isfinite(value):
        return UNKNOWN
    return f"{value + 0.0:.{digits}g}".replace("-", "−")


def gain_of(size: str, unit: str = "", better: str = "") -> str:
    """Return ``gain of 0.21 bits per byte (lower is better)``.

    Args:
        size: the gain as text; positive is better.
        unit: its unit, if it has one.
        better: `lower` or `higher`: which way the metric is better; nothing where it is an average
            of both.
    """
    way = f"{better} is better" if better else "positive is better"
    return f"gain of {size}{f' {unit}' if unit else ''} ({way})"


def probability(value: float) -> str:
    """Return a probability in per cent; what is not certain is never said to be."""
    if not math.isfinite(value):
        return UNKNOWN
    if value > 0.999:
        return "more than 99.9 %"
    if value < 0.001:
        return "less than 0.1 %"
    return percent(value, 1 if value > 0.99 or value < 0.01 else 0)


def p_value(value: float) -> str:
    """Return a p value: two significant digits, and no false precision near 0."""
    if not math.isfinite(value):
        return UNKNOWN
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def count(number: float) -> str:
    """Return a whole number with commas between thousands."""
    return f"{number:,.0f}" if math.isfinite(number) else UNKNOWN


def counted(number: int, noun: str) -> str:
    """Return ``1 run`` or ``2 runs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def readable_count(tokens: float) -> str:
    """Return a number of tokens for readers: 3.69B, 140M, 1,200."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if tokens >= size:
            return f"{tokens / size:.3g}{letter}"
    return f"{tokens:,.0f}"


def duration(seconds: float) -> str:
    """Return ``90 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def listed(parts: Sequence[str]) -> str:
    """Return ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def shortened(names: Sequence[str], most: int = 8) -> str:
    """Return names in a row, no more than `most` of them.

    >>> shortened(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
