"""How a text that is longer than the model's context is read, as lm-evaluation-harness reads it.

Each token is predicted once. The first window begins with the token that begins documents; the next
ones each predict as many tokens as the context holds, from the token before them on; the last one,
which has fewer to predict, takes the tokens before them as context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Window", "rolling_windows"]


@dataclass(frozen=True)
class Window:
    """A piece of text to predict.

    Attributes:
        inputs: what the model reads.
        targets: what it is to predict: the last of them after each of the last inputs.
    """

    inputs: tuple[int, ...]
    targets: tuple[int, ...]


def rolling_windows(tokens: Sequence[int], first: int, context_length: int) -> list[Window]:
    """Return the windows in which a document is read; none if it is empty.

    Args:
        tokens: the document.
        first: the token that stands before each document.
        context_length: inputs of a window at most.
    """
    read = (first, *tokens)
    found = []
    for start in range(0, len(tokens), context_length):
        end = min(start + context_length, len(tokens))
        found.append(Window(read[max(0, end - context_length) : end], tuple(tokens[start:end])))
    return found
