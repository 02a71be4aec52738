"""Every command line of the page on GRPO and of the guide, as typed, in a folder of its own.

All is real but Tunix's sampling and updates, which take ten seconds to compile for each run: in
their place one step of made-up answers is scored and recorded, and in a sweep each run is only
started and recorded. What they do is tested in `test_grpo_training.py`, `test_grpo_runs.py` and
`test_grpo_own_task.py`.
"""

import json
import re
import shlex
from itertools import islice

import numpy as np
import pytest

from grpo_fixtures import ROOT, call
from olmix.grpo.compose import expand_sweep, split_words
from olmix.records.run import RunFolder

pytestmark = [
    pytest.mark.slow,
    # JAX, Flax, Qwix and Orbax deprecate each other's interfaces.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]

GUIDE = """
--cfg job
--info defaults-tree
optimizer.learning_rate=5e-6 training.num_batches=50
model=gemma3_1b optimizer.learning_rate=1e-5 training.epochs=2
--multirun model=gemma3_270m,gemma3_1b
--multirun optimizer.learning_rate=1e-6,3e-6,1e-5
optimizer.learning_rate=1e-5
+optimizer.schedule_type=linear
++optimizer.warmup_steps=100
~training.gradient_clip
'grpo.eos_tokens=[1,106,107]'
'+model.custom_params={hidden_size:512,num_layers:8}'
model=gemma3_270m optimizer.learning_rate=1e-5
--dry-run
--help
"""
"""Words behind `run_training.py` in the guide that the page does not have."""

SHOWS = {"--cfg", "--info", "--changed", "--dry-run", "--help"}


def documented():
    """Return the words of each command on the page behind `olmix grpo`: in blocks and comments."""
    text = (ROOT / "docs" / "grpo.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(?:# conf/.* used by: )?olmix grpo (.*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def trainings():
    """Return the words of each training that is shown, each once."""
    guide = [shlex.split(line) for line in GUIDE.strip().splitlines()]
    found = [*(words[1:] for words in documented() if words[0] == "train"), *guide]
    lines = dict.fromkeys(shlex.join(words) for words in found)
    # In processes of their own nothing can be put in place: test_grpo_runs.py trains by joblib.
    return [line for line in lines if "joblib" not in line]


def page_files():
    """Return the files that the page shows, by the path in their first line."""
    text = (ROOT / "docs" / "grpo.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:yaml|python)\n# (\S+\.(?:yaml|py))[^\n]*\n(.*?)```", text, re.S)
    return dict(blocks)


@pytest.fixture
def place(tmp_path):
    """A folder with the files of the page, and a small model under the names of large ones."""
    small = "defaults: [gemma3_tiny, _self_]\nwarm_start: null\n"
    files = page_files()
    assert {"my_rewards.py", "conf/optimizer/sgd.yaml"} <= set(files)
    files |= {f"conf/model/{name}.yaml": small for name in ("gemma3_270m", "gemma3_1b")}
    words = [{"language": "French", "text": f"day {n}", "answer": "jour"} for n in range(20)]
    files["words.jsonl"] = "".join(json.dumps(word) + "\n" for word in words)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def one_step(trainer, batches):
    """Take the place of Tunix's `train`: one step of made-up answers, scored by the rewards."""
    config = trainer.learner.algo_config
    for batch in islice(batches, 1):
        columns = {n: np.repeat(v, config.num_generations) for n, v in batch.items()}
        prompts = columns.pop("prompts")
        texts = [f"<answer>{n}</answer>" for n in range(len(prompts))]
        listener = trainer._listener
        listener.on_rollout([[5, 6]] * len(texts), [True] * len(texts))
        scored = [r(prompts, texts, **columns) for r in trainer.learner.reward_manager.reward_fns]
        totals = np.sum(scored, axis=0)
        listener.on_answers(prompts, texts, totals, totals - totals.mean())
        listener.on_step(1, {"kl": 0.0, "entropy": 1.0, "loss": 0.0, "grad_norm": 1.0,
                             "pg_clipfrac": 0.0})  # fmt: skip
    trainer.close()


def untrained(config, run):
    """Take the place of the training itself in a sweep, whose many runs differ in their words."""
    run.log({"step": 1, "reward": 0.5})
    return {"reward": 0.5}, {"objective": 0.5, "tokens_per_second": 1.0, "seed": config.seed}


@pytest.fixture
def quick(monkeypatch, line):
    """Put doubles in place of what compiles for long, and of what is fetched."""
    from tunix.sft import utils

    from olmix.grpo import asking, base_model, data_sources, run, tunix_adapter

    def answers(asker, model, steps):
        count = len(asker._prompts())
        return ["<answer>1</answer>"] * count, [[5, 6]] * count

    def gsm8k(source):
        return [{"question": f"What is {n} + 1?", "answer": f"#### {n + 1}"} for n in range(30)]

    monkeypatch.setattr(tunix_adapter.GrpoTrainer, "train", one_step)
    if "--multirun" in line:
        monkeypatch.setattr(run, "_train", untrained)
    monkeypatch.setattr(utils, "show_hbm_usage", lambda title: None)  # it collects garbage
    monkeypatch.setattr(asking.Asker, "_answers", answers)
    monkeypatch.setattr(base_model, "warm_start", lambda *_: None)
    monkeypatch.setattr(data_sources, "_read_huggingface", gsm8k)


@pytest.mark.parametrize("line", trainings())
def test_each_training_that_is_documented_runs_as_typed(line, place, quick, capsys, monkeypatch):
    monkeypatch.chdir(place)
    words = [word.replace("KEY=VALUE", "seed=3") for word in shlex.split(line)]
    status, out, err = call(capsys, *words)
    assert status == 0, err
    started = list(place.glob("outputs/**/status.json"))
    if SHOWS & set(words):
        assert not started
        assert out
        return
    flags, overrides = split_words(words)
    assert len(started) == (len(expand_sweep(overrides)) if flags else 1)
    for file in started:
        run = RunFolder(file.parent)
        assert run.read_status().state == "finished"
        assert run.read_summary().number("objective") is not None
        [row] = run.read_metrics()
        assert row["step"] == 1
    assert len(list(place.glob("outputs/**/results.csv"))) == len(flags)
