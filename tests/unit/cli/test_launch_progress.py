"""How far a launch is: the runs of this launch, none twice and none above 100 %."""

from pathlib import Path

import pytest

from olmix.cli.launch import _follow, show_cost
from olmix.config import LaunchConfig
from olmix.launch import Event, Group, estimate
from olmix.train.outcome import RunProgress


def test_commands_run_one_at_a_time_and_it_is_said(tiny, capsys):
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()
    training = {"trainer": "command", "command": "train {config}", "max_tokens": 5000}
    said = {}
    for workers in (None, 2):
        infra = {"backend": "local", **({"workers": workers} if workers else {})}
        plain = {**base, "infra": infra, "mix": {"a": {"weight": 1.0}}, "training": training}
        runs = [LaunchConfig.from_dict({**plain, "name": name}) for name in ("a", "b")]
        group = Group.of("g", tuple(runs))
        show_cost(group, estimate(group))
        said[workers] = capsys.readouterr().err
    assert "one run at a time" in said[None]
    assert "infra.workers" in said[None]
    assert "one run at a time" not in said[2]


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
