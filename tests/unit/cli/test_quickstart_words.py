"""What `olmix quickstart` says of the time that it took."""

from __future__ import annotations

import pytest

from olmix.cli.quickstart import _taken


@pytest.mark.parametrize(
    ("seconds", "planned", "said"),
    [
        (118, None, "the loop took 118 s"),
        (118, 100, "the loop took 118 s"),
        (402, 29, "the loop took 402 s; 29 s were planned, the machine was slower than"),
        (60, 100, "the loop took 60 s; 100 s were planned, the machine was faster than"),
    ],
)
def test_time_that_was_not_as_planned_is_explained(seconds, planned, said):
    words = _taken(seconds, planned)
    assert words.startswith(said)
    assert (" were planned" in words) == (" were planned" in said)
