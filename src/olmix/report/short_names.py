"""Names as labels: without what all of them begin or end with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

__all__ = ["short_names"]

_LONG = 20
"""Characters up to which names are shown whole."""


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return a label for each name: names that are long lose the words that all of them share.

    >>> short_names(["metric/the_pile_arxiv_val_loss", "metric/the_pile_github_val_loss"])
    {'metric/the_pile_arxiv_val_loss': 'arxiv', 'metric/the_pile_github_val_loss': 'github'}
    >>> short_names(["docs_bpb", "code_bpb"])
    {'docs_bpb': 'docs_bpb', 'code_bpb': 'code_bpb'}
    """
    known = list(dict.fromkeys(names))
    if len(known) < 2 or max(map(len, known)) <= _LONG:
        return {name: name for name in known}
    start = len(_shared_start(known))
    rest = [name[start:] for name in known]
    end = len(_shared_start([name[::-1] for name in rest]))
    labels = [name[: len(name) - end] for name in rest]
    if not all(labels):
        return {name: name for name in known}
    return dict(zip(known, labels, strict=True))


def _shared_start(names: Sequence[str]) -> str:
    """Return what names share up to its last separator: no word is cut."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return re.sub(r"[^_:/. -]*$", "", "".join(letters[0] for letters in same))
