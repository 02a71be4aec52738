"""What a pipe gets of progress: a line now and then, and none for work that takes no time."""

import pytest

from olmix.cli import terminal
from olmix.text.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def test_a_pipe_gets_a_line_every_ten_per_cent_at_most_with_the_time_left(clock, capsys):
    with terminal.progress("training") as show:
        for second in range(101):
            clock[0] = float(second)
            show(Progress(second, 100, "runs"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        "  training: 5 % (0:01:35 left) runs",
        "  training: 10 % (0:01:30 left) runs",
    ]
    assert len(lines) == 11
    assert lines[-1] == "  training: 100 % runs"


def test_work_whose_total_is_not_known_shows_no_percentage(clock, capsys):
    with terminal.progress("training") as show:
        for second in range(60):
            clock[0] = float(second)
            show(Progress(second, 0, "3 runs"))
    assert capsys.readouterr().err.splitlines() == ["  training: 3 runs"] * 2


def test_what_was_before_the_first_step_is_no_progress(clock, capsys):
    with terminal.progress("checking") as show:
        clock[0] = 30.0  # imports
        for step in (1, 2):
            show(Progress(step, 4))
            clock[0] += 0.1
        assert capsys.readouterr().err == ""
        clock[0] += 6.0
        show(Progress(3, 4))
    assert capsys.readouterr().err == "  checking: 75 % (0:00:03 left)\n"
