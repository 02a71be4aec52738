"""What a pipe gets of progress: a line now and then, and none for work that takes no time."""

from olmix.cli import terminal


def test_what_was_before_the_first_step_is_no_progress(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    with terminal.progress("checking") as view:
        now[0] = 30.0  # imports
        for step in (1, 2):
            view.update(step, 4)
            now[0] += 0.1
        assert capsys.readouterr().err == ""
        now[0] += 6.0
        view.update(3, 4)
    assert capsys.readouterr().err == "  checking: 75 %\n"
