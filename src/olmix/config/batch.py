"""The size of a step: a number of tokens, or of sequences; a bare number may mean either.

Here `global_batch_size` counts tokens, in Ai2's Olmix sequences. A bare number is read as tokens
where that gives a plausible step, and refused with both readings where it does not.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache

__all__ = ["read_batch", "render_batch"]

FEWEST_SEQUENCES = 4
"""A bare number of tokens that makes fewer sequences than this was meant otherwise."""
FEW_SEQUENCES = 8
"""A bare number of tokens that makes fewer sequences than this is worth a warning."""

_NAMED = re.compile(r"\s*([0-9][0-9_,]*)\s*(sequence|token)s?\s*")

logger = logging.getLogger(__name__)


def read_batch(value: object, length: int, *, kept: bool = False) -> object:
    """Return the tokens of a step from ``16 sequences``, ``32768 tokens`` or a bare number.

    Args:
        value: what the file says; what is no text and no whole number is returned as it is.
        length: tokens of one sequence.
        kept: whether a launch wrote the number, so that it counts tokens.

    Raises:
        ValueError: a bare number of fewer than `FEWEST_SEQUENCES` sequences, or another unit.
    """
    if isinstance(value, str) and not value.strip().replace("_", "").isdigit():
        named = _NAMED.fullmatch(value)
        if named is None:
            raise ValueError(
                "a step is a number of sequences or tokens, such as `16 sequences` or "
                "`32768 tokens`"
            )
        number = int(re.sub("[_,]", "", named[1]))
        return number * length if named[2] == "sequence" else number
    if isinstance(value, str):
        value = int(value.strip().replace("_", ""))
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or kept:
        return value
    if value < FEWEST_SEQUENCES * length:
        raise ValueError(_both_readings(value, length))
    if value < FEW_SEQUENCES * length:
        _warn_once(value, length)
    return value


def _both_readings(number: int, length: int) -> str:
    sequences = "1 sequence" if number == length else f"{number / length:.3g} sequences"
    whole = number % length == 0
    odd = "" if whole else f", not a whole number of sequences of {length}"
    tokens = f" or `{number} tokens`" if whole else ""
    return (
        f"read as tokens, this is {sequences} of {length} per step{odd}; read as sequences (as in "
        f"Ai2's Olmix), {number * length:,} tokens. Write `{number} sequences`{tokens}"
    )


@lru_cache(maxsize=256)
def _warn_once(number: int, length: int) -> None:
    """Warn of a small step once, however many variants hold it."""
    logger.warning(
        "training.global_batch_size: %d is read as tokens: %.3g sequences of %d per step. Write "
        "`%d sequences` if that was meant, or `%d tokens` to silence this warning",
        number,
        number / length,
        length,
        number,
        number,
    )


def render_batch(tokens: int, length: int) -> int | str:
    """Return the tokens of a step as a file holds them: a bare number where no doubt is left."""
    return tokens if tokens >= FEW_SEQUENCES * length else f"{tokens} tokens"
