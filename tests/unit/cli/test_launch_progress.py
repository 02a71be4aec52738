"""How far a launch is: the runs of this launch, none twice and none above 100 %."""

from pathlib import Path

import pytest

from olmix.cli.launch import _follow
from olmix.launch import Event
from olmix.train.outcome import RunProgress


@pytest.fixture
def shown():
    return []


def test_runs_that_were_finished_before_are_no_work(shown):
    listen = _follow(shown.append, 3)
    listen(Event("skipped", "a"))
    listen(Event("progress", "b", {"share": 0.5, "tokens_per_second": 10.0}))
    assert (shown[-1].done, shown[-1].total) == (0.5, 2)
    assert shown[-1].note == "1/3 runs, 10 tokens/s"
    for run in ("b", "c"):
        listen(Event("finished", run))
    assert (shown[-1].share, shown[-1].note) == (1.0, "3/3 runs")


@pytest.mark.parametrize(
    ("num_steps", "tokens_share", "share"),
    [(0, None, None), (0, 0.25, 0.25), (0, 31.0, 1.0), (40, 0.25, 0.5), (10, None, 1.0)],
)
def test_a_run_is_never_further_than_its_end(num_steps, tokens_share, share):
    progress = RunProgress(Path("run"), 20, num_steps, 0.0, None, tokens_share)
    assert progress.share == share


def test_a_trainer_that_tells_nothing_shows_how_many_runs_ended(shown):
    listen = _follow(shown.append, 2)
    listen(Event("progress", "a", {"share": None}))
    assert shown[-1].share == 0
    listen(Event("finished", "a"))
    assert shown[-1].share == 0.5
