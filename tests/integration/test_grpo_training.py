import json

import numpy as np
import pytest
import yaml

from grpo_fixtures import call, finish, start, train_here
from olmix.cli.grpo import evaluate, export
from olmix.grpo.rates import Change
from olmix.records.run import RunFolder

pytestmark = [
    pytest.mark.slow,
    # JAX, Flax, Qwix and Orbax deprecate each other's interfaces.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Train the preset `learning` once, as its command is typed."""
    folder = tmp_path_factory.mktemp("learned")
    words = ("+experiment=learning", "logging=[jsonl,tensorboard]")
    status, _, err = finish(start(folder, *words))
    assert status == 0, err
    [run] = (folder / "outputs" / "olmix-grpo").glob("*/*")
    return run


def test_the_exact_format_is_learned_from_the_warm_start(learned):
    measured = json.loads((learned / "summary.json").read_text())["evaluation"]
    assert measured["start"]["format_rate"] < 0.6
    assert measured["end"]["format_rate"] > 0.9
    change = Change(**measured["change"]["format_rate"])
    assert change.standard_errors > 5


def test_a_run_leaves_everything_that_it_did(learned):
    assert {entry.name for entry in (learned / ".hydra").iterdir()} == {
        "config.yaml",
        "hydra.yaml",
        "launcher.yaml",
        "overrides.yaml",
    }
    launcher = yaml.safe_load((learned / ".hydra" / "launcher.yaml").read_text())
    assert launcher["mode"] == "RUN"
    assert "BasicLauncher" in launcher["launcher"]["_target_"]
    run = RunFolder(learned)
    assert run.read_status().state == "finished"
    rows = list(run.read_metrics())
    assert [row["step"] for row in rows] == list(range(1, 81))
    assert {"reward", "reward/exact_format", "kl", "clipped_fraction"} <= set(rows[0])
    assert rows[0]["kl"] == 0.0
    assert rows[-1]["kl"] > 0.0
    samples = lines(learned / "samples.jsonl")
    assert len(samples) == 160
    assert {"prompt", "completion", "rewards", "advantage"} <= set(samples[0])
    assert samples[0]["prompt"] != samples[1]["prompt"]
    for name in ("rewards.png", "rewards.csv", "app.log", "config.yaml"):
        assert (learned / name).stat().st_size > 0
    assert list((learned / "tensorboard").glob("events*"))
    assert not (learned / "wandb").exists()


def test_answers_to_one_prompt_differ_from_step_to_step(learned):
    texts = [sample["completion"] for sample in lines(learned / "samples.jsonl")]
    assert len(set(texts[:20])) > 10


def test_a_checkpoint_is_measured_beside_its_base(learned, capsys, tmp_path):
    words = ("--checkpoint-dir", learned, "-o", tmp_path / "report.json")
    extra = ("evaluation.num_prompts=16", "evaluation.num_samples=4")
    status, out, err = call(capsys, *words, *extra, command=evaluate)
    assert status == 0, err
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["checkpoint"]["format_rate"] > report["base"]["format_rate"]
    assert set(report["checkpoint"]) >= {"accuracy", "partial_accuracy", "pass@1", "pass@4"}
    assert "base model" in out
    assert "step 80" in out
    again = tmp_path / "again.json"
    words = ("--checkpoint-dir", learned / "checkpoints", "-o", again, *extra)
    assert call(capsys, *words, command=evaluate)[0] == 0
    assert json.loads(again.read_text())["checkpoint"] == report["checkpoint"]


def test_an_exported_model_is_that_of_transformers_and_trains_on(learned, capsys, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    merged = tmp_path / "merged"
    words = ("--checkpoint-dir", learned, "-o", merged)
    status, _, err = call(capsys, *words, command=export)
    assert status == 0, err
    assert "already holds a model" in call(capsys, *words, command=export)[2]

    import jax.numpy as jnp

    from olmix.grpo.checkpoints import read_saved_run
    from olmix.grpo.devices import make_mesh
    from olmix.grpo.models import load_model, trained_model
    from olmix.grpo.tokenizer import load_tokenizer
    from olmix.grpo.tunix_adapter import restore_weights

    saved = read_saved_run(learned, None)
    mesh = make_mesh(saved.config.model.mesh_shape)
    base, _ = load_model(saved.base, saved.config.model, mesh)
    actor = trained_model(base, saved.config.model, mesh, 0)
    restore_weights(actor, saved.checkpoints, saved.update, lora=True)
    loaded, _ = load_model(merged, saved.config.model, mesh)
    tokenizer = load_tokenizer(merged)
    ids = [tokenizer.bos_id(), *tokenizer.encode("What is 3 + 4? Use <reasoning>")]
    tokens = jnp.array([ids])
    positions = jnp.arange(len(ids))[None]
    seen = jnp.tril(jnp.ones((1, len(ids), len(ids)), bool))
    with_updates, _ = actor(tokens, positions, None, seen)
    ours, _ = loaded(tokens, positions, None, seen)
    before, _ = base(tokens, positions, None, seen)
    np.testing.assert_allclose(ours, with_updates, atol=2e-4)
    assert np.abs(np.asarray(before) - np.asarray(ours)).max() > 0.1
    theirs = transformers.AutoModelForCausalLM.from_pretrained(merged)
    text = transformers.AutoTokenizer.from_pretrained(merged)
    assert text("What is 3 + 4? Use <reasoning>").input_ids == ids
    with torch.no_grad():
        logits = theirs(torch.tensor([ids])).logits.numpy()
    np.testing.assert_allclose(ours, logits, atol=2e-3)

    # The same code reads released weights: the default model, from a folder in their layout.
    words = (
        "model.source=local",
        f"model.path={merged}",
        "model.prompt_template=plain",
        "model.dtype=float32",
        "generation.max_prompt_length=48",
        "generation.max_new_tokens=24",
        "training.data_source=synthetic",
        "training.num_batches=2",
        "evaluation.num_prompts=4",
        "hydra.run.dir=run",
    )
    status, err = train_here(tmp_path, *words)
    assert status == 0, err
    rows = list(RunFolder(tmp_path / "run").read_metrics())
    assert rows[0]["reward/exact_format"] > 0.5
