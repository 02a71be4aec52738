"""What is printed: progress as a line now and then, tables that fit the terminal."""

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


def test_work_that_has_not_advanced_is_told_of_once(clock, capsys):
    with terminal.progress("training") as show:
        for second in range(20):
            clock[0] = float(second)
            show(Progress(0, 12, "0/12 runs"))
    assert capsys.readouterr().err == "  training: 0 % 0/12 runs\n"


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


NOTES = [("run-0", "failed", "the command ended with exit status 1; its last output: " + "x" * 70)]


def printed(monkeypatch, capsys, columns, **how):
    monkeypatch.setenv("COLUMNS", columns)
    terminal.table("", ("run", "state", "note"), NOTES, **how)
    return capsys.readouterr().out.splitlines()


def test_a_table_in_a_pipe_has_a_line_for_each_row(monkeypatch, capsys):
    lines = printed(monkeypatch, capsys, "")
    assert len(lines) == 3
    assert NOTES[0][2] in lines[2]


def test_a_table_is_broken_into_lines_that_fit_and_loses_nothing(monkeypatch, capsys):
    lines = printed(monkeypatch, capsys, "60")
    assert max(map(len, lines)) <= 60
    shown = "".join("".join(line.split()) for line in lines[2:])
    assert sorted(shown) == sorted("".join("".join(NOTES[0]).split()))


def test_names_are_broken_where_they_have_parts_and_numbers_stay_whole(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    rows = [("reward/approximate_format", "0.656 (0.475 to 0.838)")]
    terminal.table("", ("measure", "base model"), rows)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  reward/         0.656 (0.475 to 0.838)",
        "  approximate_",
        "  format",
    ]


def test_notes_that_are_cut_end_at_the_edge_of_the_terminal(monkeypatch, capsys):
    lines = printed(monkeypatch, capsys, "60", cut_last=True)
    assert [len(line) for line in lines[1:]] == [60, 60]
    assert lines[2].startswith("  run-0  failed  the command ended")
    assert lines[2].endswith("…")


def test_the_time_left_grows_while_nothing_happens(clock):
    left = terminal._TimeLeft()
    left.note(Progress(0, 10))
    clock[0] = 10.0
    left.note(Progress(5, 10))
    assert str(left) == "0:00:10 left"
    clock[0] = 40.0
    assert str(left) == "0:00:40 left"


def test_no_time_is_said_before_a_hundredth_is_done(clock):
    left = terminal._TimeLeft()
    left.note(Progress(0, 1000))
    clock[0] = 9.0
    left.note(Progress(1, 1000))
    assert str(left) == ""
    left.note(Progress(10, 1000))
    assert str(left) == "0:14:51 left"
