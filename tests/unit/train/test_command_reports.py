import sys

import pytest

from olmix.records.run import COMMAND_FILE, RunFolder
from olmix.text.files import read_json, write_json
from olmix.train.command import run_command

TRAINER = """
import olmix.runlog
run = olmix.runlog.start(num_steps=4)
run.log(2, loss=1.5, tokens=100)
run.{end}
"""


def _run(tmp_path, end):
    folder = RunFolder(tmp_path / "r0")
    folder.path.mkdir()
    words = [sys.executable, "-c", TRAINER.format(end=end)]
    content = {"words": words, "folder": str(tmp_path), "identity": "id"}
    write_json(folder.path / COMMAND_FILE, content)
    return folder, run_command(folder)


def test_a_run_that_says_it_failed_has_failed_whatever_its_exit_status(tmp_path):
    folder, outcome = _run(tmp_path, "fail('the loss became nan', diverged=True)")
    assert (outcome.state, outcome.error) == ("failed", "the loss became nan")
    assert folder.read_status().diverged


def test_a_run_that_says_it_was_interrupted_goes_on_later(tmp_path):
    folder, outcome = _run(tmp_path, "interrupt()")
    assert outcome.state == "interrupted"
    assert folder.read_status().state == "pending"


@pytest.mark.parametrize("end", ["finish(x_bpb=0.5)", "log(3, x_bpb=0.5)"])
def test_a_run_that_ends_well_has_a_summary_and_its_identity(tmp_path, end):
    folder, outcome = _run(tmp_path, end)
    assert outcome.state == "finished"
    assert folder.is_finished("id")
    assert read_json(folder.summary)["metrics"]["x_bpb"] == 0.5
