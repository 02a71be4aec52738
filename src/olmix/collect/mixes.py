"""The mixture of a run: the `mix` that was asked for, the `token_shares` as trained.

People and trainers write them as shares, in per cent, as text, or count tokens. What can be read in
only one way is read that way, with a note; the rest is reported. A wrong mixture never
becomes a row of `ratios.csv`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from olmix.errors import ConfigError
from olmix.mixture import Mixture
from olmix.records.log_readers import number

__all__ = ["Told", "read_mix", "read_shares"]

_TOLERANCE = 0.01
"""By how much shares may miss their sum, as a part of it."""
_FEWEST_COUNTED = 1000
"""Whole numbers with this sum or more are counts, where nothing says how many tokens there were."""


@dataclass(frozen=True)
class Told:
    """The mixture that some part of a run states.

    Attributes:
        weights: share of each domain; empty where it gives none that can be used.
        note: how it was read, where it is not in shares.
        problem: what is wrong with it; empty where nothing is, or nothing is given.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    problem: str = ""


def read_mix(raw: object) -> Told:
    """Read a mixture in any of its forms (`olmix.mixture`), or flat in per cent or as text."""
    if raw is None or raw == {}:
        return Told()
    numbers, note, _ = _numbers(raw)
    try:
        mixture = Mixture.parse(numbers or raw)
    except ConfigError as error:
        found = _shares(numbers)
        if found.weights:
            return Told(found.weights, f"mix: {note or found.note}")
        what = (": ".join(part for part in (p.where, p.what) if part) for p in error.problems)
        return Told(problem=f"mix: {'; '.join(what)}")
    weights = {name: share.weight for name, share in mixture.items()}
    return Told(weights, f"mix: {note}" if note else "")


def read_shares(raw: object, asked: Mapping[str, float], tokens: float | None) -> Told:
    """Read `token_shares`: shares, per cent, or counts that add up to the tokens of the run.

    Args:
        raw: what the run says.
        asked: the mixture that was asked for; empty where it is not known.
        tokens: tokens that the run was trained on, where that is known.
    """
    if raw is None or raw == {}:
        return Told()
    numbers, note, wrong = _numbers(raw)
    if wrong:
        return Told(problem=f"token_shares: {wrong}")
    found = _shares(numbers)
    if found.weights:
        note = note or found.note
        return Told(found.weights, f"token_shares: {note}" if note else "")
    total = math.fsum(numbers.values())
    missing = [name for name, weight in asked.items() if weight > 0 and name not in numbers]
    whole = min(numbers.values()) >= 0 and all(value.is_integer() for value in numbers.values())
    fits = total >= _FEWEST_COUNTED and not missing
    if tokens:
        fits = abs(total - tokens) <= _TOLERANCE * tokens
    if whole and fits:
        weights = {name: value / total for name, value in numbers.items()}
        return Told(weights, "token_shares: counts, divided by their sum")
    lack = f", without {', '.join(missing)}" if missing else ""
    known = f", {tokens:g}" if tokens else ""
    return Told(
        problem=f"token_shares: they add up to {total:.6g}{lack}; they must add up to 1, to 100 "
        f"(per cent), or to the tokens of the run{known}"
    )


def _shares(numbers: Mapping[str, float]) -> Told:
    """Return numbers that add up to 1 or to 100 as shares; nothing of others."""
    if not numbers or min(numbers.values()) < 0:
        return Told()
    total = math.fsum(numbers.values())
    if abs(total - 1) <= _TOLERANCE:
        return Told(numbers)
    if abs(total - 100) <= 100 * _TOLERANCE:
        weights = {name: value / total for name, value in numbers.items()}
        return Told(weights, "in per cent, divided by 100")
    return Told()


def _numbers(raw: object) -> tuple[dict[str, float], str, str]:
    """Return the finite numbers of a flat mapping, a note where they were text, and what is wrong.

    There are no numbers where anything is wrong.
    """
    if not isinstance(raw, Mapping):
        return {}, "", f"found {type(raw).__name__}; a mapping of domains to shares is needed"
    values = {str(name): _value(value) for name, value in raw.items()}
    wrong = {
        name: value
        for name, value in raw.items()
        if (found := values[str(name)]) is None or not math.isfinite(found)
    }
    if wrong:
        shown = ", ".join(f"{name} is {value!r}" for name, value in wrong.items())
        return {}, "", f"{shown}; numbers are needed"
    texts = [value for value in raw.values() if isinstance(value, str)]
    if 0 < len([text for text in texts if text.strip().endswith("%")]) < len(values):
        return {}, "", "some shares are in per cent and some are not"
    numbers = {name: value for name, value in values.items() if value is not None}
    return numbers, "text, read as numbers" if texts else "", ""


def _value(value: object) -> float | None:
    """Return a number, or a text that is one; ``20 %`` is 20."""
    if not isinstance(value, str):
        return number(value)
    try:
        return float(value.strip().removesuffix("%"))
    except ValueError:
        return None
