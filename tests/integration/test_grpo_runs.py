import json

import numpy as np
import pytest
import yaml

from grpo_fixtures import SMALL, call, finish, kill_after, start, train_here, weights
from olmix.cli.collect import collect
from olmix.cli.grpo import check_gpu, results
from olmix.cli.sweep import sweep
from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig
from olmix.grpo.optimizer import learning_rate
from olmix.grpo.run import run_training
from olmix.records.run import RunFolder

pytestmark = [
    pytest.mark.slow,
    # JAX, Flax, Qwix and Orbax deprecate each other's interfaces.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


TINY = (
    "model.source=random",
    "+model.custom_params={hidden_size:32,intermediate_size:48,num_layers:2,num_heads:4,"
    "num_kv_heads:2,head_dim:8,vocab_size:104}",
    "+model.warm_start={steps:2}",
    "model.prompt_template=plain",
    "model.dtype=float32",
)
LLAMA = ("model=llama3.1_8b", *TINY)
QWEN = ("model=qwen3_0.6b", *TINY)
"""The family with its heads and positions, and few of its parameters."""


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Four steps, not interrupted: the only run of a sweep over nothing."""
    from olmix.sweep import generate_configs

    preset, *controls = (word.split("=") for word in SMALL)
    experiment = {
        "experiment": {"name": "rl", "framework": "hydra"},
        "framework_config": {"base_config": preset[1]},
        "controls": {key: yaml.safe_load(value) for key, value in controls},
    }
    folder = generate_configs(experiment, tmp_path_factory.mktemp("swept") / "sweep").folder
    status, err = train_here(folder, "--overrides", "configs/run_000.yaml")
    assert status == 0, err
    return folder


def test_a_sweep_knows_what_its_runs_did(swept, capsys):
    status, out, err = call(capsys, "status", swept, command=sweep)
    assert status == 0, err
    assert "finished" in out
    status, out, err = call(capsys, "results", swept, "--metric", "reward", command=sweep)
    assert status == 0, err
    assert "run_000" in out


def test_a_killed_run_goes_on_to_the_same_weights(swept, tmp_path):
    whole_run = swept / "runs"
    process = start(tmp_path, *SMALL, "hydra.run.dir=run")
    assert kill_after(process, tmp_path / "run", 2), "it ended before it was killed"
    status, err = train_here(tmp_path, *SMALL, "hydra.run.dir=run", "training.resume=must")
    assert status == 0, err
    assert "resuming after step 2" in err
    whole, resumed = weights(whole_run), weights(tmp_path / "run")
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)
    steps = [row["step"] for row in RunFolder(tmp_path / "run").read_metrics()]
    assert steps == [1, 2, 3, 4]
    kept = [row["reward"] for row in RunFolder(whole_run).read_metrics()]
    assert kept == [row["reward"] for row in RunFolder(tmp_path / "run").read_metrics()]


def test_a_sweep_side_by_side_collects_into_one_table(capsys, tmp_path, monkeypatch):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    _, *rest = SMALL
    words = ("+experiment=[quick_test,joblib]", *rest, "hydra.sweep.dir=sweep")
    more = (
        "training.num_batches=2",
        "optimizer.learning_rate=1e-3,3e-3",
        "~training.gradient_clip",
    )
    status, _, err = finish(start(tmp_path, "--multirun", *words, *more))
    assert status == 0, err
    folder = tmp_path / "sweep"
    assert (folder / "results.png").stat().st_size > 0
    table = (folder / "results.csv").read_text().splitlines()
    assert table[0].startswith("run,state,optimizer.learning_rate,objective,reward")
    assert [row.split(",")[:3] for row in table[1:]] == [
        ["0", "finished", "0.001"],
        ["1", "finished", "0.003"],
    ]
    assert "Joblib" in (folder / "1" / ".hydra" / "launcher.yaml").read_text()
    monkeypatch.setenv("COLUMNS", "200")
    status, out, _ = call(capsys, folder, command=results)
    assert status == 0
    assert "optimizer.learning_rate" in out
    status, _, err = call(capsys, folder, "-o", tmp_path / "tables", command=collect)
    assert status == 0, err
    metrics = (tmp_path / "tables" / "metrics.csv").read_text().splitlines()
    assert metrics[0].startswith("run,reward,reward/exact_format")
    assert len(metrics) == 3


@pytest.mark.parametrize(
    "words",
    [
        ("grpo=dr_grpo", "optimizer=sgd", "scheduler=linear"),
        ("grpo=dapo", "grpo.num_iterations=2", "training.micro_batch_size=1", *LLAMA),
        ("grpo=gspo", "training.epochs=2", *QWEN),
    ],
    ids=lambda words: words[0],
)
def test_each_learner_trains(words, tmp_path):
    preset, *rest = SMALL
    sizes = ("training.num_batches=2", "optimizer.learning_rate=0.01")
    optimizer = ("~optimizer.weight_decay",) if "optimizer=sgd" in words else ()
    if any(word.startswith("model=") for word in words):
        rest.remove("model.warm_start.steps=2")
    config = RunConfig.from_dict(compose([preset, *words, *rest, *sizes, *optimizer]))
    summary = run_training(config, tmp_path)
    assert summary["steps"] == config.training.num_steps
    rows = list(RunFolder(tmp_path).read_metrics())
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(row["grad_norm"] >= 0 for row in rows)
    again = run_training(config, tmp_path)
    assert again["steps"] == summary["steps"], "a finished run is not trained again"


def test_the_learning_rate_rises_and_falls_as_the_schedule_says():
    def rates(*words):
        config = RunConfig.from_dict(compose(["+experiment=quick_test", *words]))
        return [float(learning_rate(config, update)) / 3e-3 for update in range(10)]

    cosine = rates("++optimizer.warmup_steps=3")
    np.testing.assert_allclose(cosine[:4], [0.25, 0.5, 0.75, 1.0], rtol=1e-6)
    assert cosine[3:] == sorted(cosine[3:], reverse=True)
    assert cosine[-1] > 0.04, "the last rollout is not wasted"
    line = rates("scheduler=linear", "scheduler.end_value=0.1")
    np.testing.assert_allclose(line, np.linspace(1.0, 0.1, 11)[:-1], rtol=1e-5)
    assert min(rates("training.num_batches=2")[:2]) > 0.49
    np.testing.assert_allclose(rates("scheduler=constant"), 1.0)


def test_submitit_trains_with_a_reward_from_where_one_works_in_a_process_of_its_own(tmp_path):
    pytest.importorskip("submitit")
    (tmp_path / "my_own_rewards.py").write_text(
        "class Short:\n"
        "    async def __call__(self, completions, completion_ids, **columns):\n"
        "        assert all(len(ids) for ids in completion_ids)\n"
        "        return [None if 'x' in text else -len(text) / 40 for text in completions]\n"
        "def late(completions):\n"
        "    done = len(completions) > 2\n"
        "    return [float('nan') if done else 0.0 for _ in completions]\n"
    )
    _, *rest = SMALL
    words = ("+experiment=[quick_test,submitit_local]", *rest, "hydra.sweep.dir=sweep")
    more = ("training.num_batches=1", "grpo.answer=math")
    reward = "+grpo.rewards.mine={function:'my_own_rewards:Short',weight:0.1}"
    status, _, err = finish(start(tmp_path, "--multirun", *words, *more, reward))
    assert status == 0, err
    done = RunFolder(tmp_path / "sweep" / "0")
    assert done.read_status().state == "finished"
    assert "submitit" in (done.path / ".hydra" / "launcher.yaml").read_text()
    [row] = done.read_metrics()
    assert row["reward/mine"] < 0.0
    reward = "+grpo.rewards.mine={function:'my_own_rewards:late'}"
    status, err = train_here(tmp_path, *SMALL, *more, reward, "hydra.run.dir=run")
    assert status == 2
    assert "grpo.rewards.mine: it returned nan for the answer" in err
    assert "Traceback" not in err
    assert RunFolder(tmp_path / "run").read_status().state == "failed"
    assert not (tmp_path / "run" / "metrics.jsonl").exists(), "no update was done"


def test_the_devices_are_told(capsys):
    status, out, _ = call(capsys, "--json", command=check_gpu)
    assert status == 0
    assert json.loads(out)["devices"]
