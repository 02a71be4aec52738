"""A ladder of a trainer of one's own, whose loss is planted."""

import sys

import pytest

from olmix.cli.main import cli
from olmix.config import LaunchConfig
from olmix.records.fit.ladder import read_ladder
from olmix.text.files import write_json
from olmix.text.yaml import write_yaml

TRAINER = '''
"""Measures a planted loss: a floor, and what falls with the tokens as the mixture lets it."""
import json, os, pathlib, random, sys

mix, tokens, seed = json.loads(pathlib.Path(sys.argv[1]).read_text()), *map(int, sys.argv[2:])
need = 1 + 2 * (mix["a"]["weight"] - 0.7) ** 2
loss = 1 + need * (tokens / 6400) ** -0.1 + random.Random(f"{need} {seed}").gauss(0, 0.0005)
with (pathlib.Path(os.environ["OLMIX_RUN_DIR"]) / "metrics.jsonl").open("w") as log:
    log.write(json.dumps({"step": 1, "tokens": tokens, "eval": {"a_bpb": loss}}) + "\\n")
'''
NATURAL, PROPOSED = {"a": 0.3, "b": 0.3, "c": 0.4}, {"a": 0.7, "b": 0.2, "c": 0.1}


@pytest.fixture
def study(tiny, monkeypatch):
    """A fit that proposes, and a base config whose command takes a moment."""
    monkeypatch.chdir(tiny.folder)
    (tiny.folder / "train.py").write_text(TRAINER)
    command = f"{sys.executable} {tiny.folder / 'train.py'} {{mix_json}} {{max_tokens}} {{seed}}"
    training = {"trainer": "command", "command": command, "max_tokens": 6400}
    measured = {"type": "validation", "paths": {"a": ["a.val.bin"]}}
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()
    write_yaml(tiny.launch, {**base, "training": training, "eval": measured})
    names = ("natural", "uniform", "best_seen")
    mixtures = {name: {"weights": NATURAL} for name in names} | {"proposed": {"weights": PROPOSED}}
    objective = {"name": "a_bpb", "lower_is_better": True, "metrics": {"a_bpb": 1.0}}
    proposal = {"objective": objective, "mixtures": mixtures, "gains": {}, "reliable": True}
    write_json(tiny.folder / "fit/proposal.json", {**proposal, "statement": ""})
    metric = {"lower_is_better": True, "num_runs": 9, "objective_weight": 1.0}
    metric |= {"chosen": "log_linear", "candidates": {"log_linear": {}}}
    fit = {"domains": list("abc"), "metrics": {"a_bpb": metric}, "runs": {"used": ["r0"]}}
    write_json(tiny.folder / "fit/fit.json", fit)
    return tiny


def test_the_gain_of_each_size_is_the_planted_one(study, capsys):
    words = ["verify", "--fit", "fit", "-c", str(study.launch), "-o", "runs", "--yes"]
    words += ["--seeds", "3", "--scales", "1,4", "--target", "16"]
    assert not cli.main(words, standalone_mode=False)
    said = capsys.readouterr().out
    assert "The ladder of a_bpb" in said
    assert "Natural needs" in said
    ladder = read_ladder(study.folder / "fit")
    assert [rung.num_tokens for rung in ladder.rungs] == [6_400, 25_600]
    planted = [2 * 0.4**2 * scale**-0.1 for scale in (1, 4, 16)]
    for rung, gain in zip(ladder.rungs, planted, strict=False):
        assert rung.num_parameters is None
        assert rung.gain.mean == pytest.approx(gain, abs=0.003)
    assert ladder.target.gain.low <= planted[-1] <= ladder.target.gain.high
