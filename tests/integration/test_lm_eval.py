"""Real results of lm-evaluation-harness: tiny models trained and measured here, to a fit.

No network: the tokenizer, the models, the tasks and their questions are made on the spot.
"""

import csv
import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lm_eval")
pytest.importorskip("accelerate")

from olmix.collect import Options, collect
from olmix.config import FitConfig
from olmix.fit.pipeline import fit_swarm
from olmix.text.csv import read_table
from olmix.text.yaml import write_yaml

WORDS = {"up": "abcdefgh", "down": "hgfedcba"}
"""Two domains: texts that count upwards and downwards."""
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
CHECKPOINTS = (4, 40)


def _tokenizer(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(["<eos>", "<unk>", *WORDS["up"]])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<eos>", unk_token="<unk>", pad_token="<eos>"
    )
    made.save_pretrained(folder)
    return made


def _text(domain, rng):
    """Return eight letters in the order of a domain, from any of them on."""
    letters = WORDS[domain]
    start = int(rng.integers(8))
    return " ".join(letters[(start + step) % 8] for step in range(8))


def _train(folder, share, tokenizer):
    """Train a tiny Llama on a mixture of the domains, saving checkpoints below `folder`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    config = LlamaConfig(
        vocab_size=10, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=32, bos_token_id=0, eos_token_id=0,
        pad_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for step in range(1, CHECKPOINTS[-1] + 1):
        texts = [_text("up" if rng.random() < share else "down", rng) for _ in range(16)]
        batch = torch.tensor(tokenizer(texts)["input_ids"])
        model(batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step in CHECKPOINTS:
            place = folder / f"checkpoint-{step}"
            model.save_pretrained(place)
            tokenizer.save_pretrained(place)


def _tasks(folder):
    """Write two tasks, each asking how texts of one domain go on, and a group of them."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    for domain, letters in WORDS.items():
        lines = []
        for _ in range(24):
            words = _text(domain, rng).split()
            wrong = letters[(letters.index(words[-1]) + 2) % 8]
            gold = int(rng.integers(2))
            choices = [wrong, words[-1]] if gold else [words[-1], wrong]
            lines.append(
                json.dumps({"text": " ".join(words[:-1]), "choices": choices, "gold": gold})
            )
        (folder / f"{domain}.jsonl").write_text("\n".join(lines) + "\n")
        metrics = [
            {"metric": name, "aggregation": "mean", "higher_is_better": True}
            for name in ("acc", "acc_norm")
        ]
        task = {
            "task": f"goes_{domain}",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(folder / f"{domain}.jsonl")}},
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": "{{text}}",
            "doc_to_choice": "{{choices}}",
            "doc_to_target": "{{gold}}",
            "metric_list": metrics,
            "metadata": {"version": 1.0},
        }
        write_yaml(folder / f"{domain}.yaml", task)
    group = {
        "group": "goes_on",
        "task": [f"goes_{domain}" for domain in WORDS],
        "aggregate_metric_list": [{"metric": "acc", "aggregation": "mean", "weight_by_size": True}],
        "metadata": {"version": 1.0},
    }
    write_yaml(folder / "group.yaml", group)


def _measure(checkpoint, tasks, output):
    """Evaluate a checkpoint as the harness's own command does, and save its results."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    tracker = EvaluationTracker(output_path=str(output))
    found = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(checkpoint), "dtype": "float32"},
        tasks=["goes_on"],
        device="cpu",
        batch_size=24,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        evaluation_tracker=tracker,
        log_samples=False,
        bootstrap_iters=100,
    )
    tracker.save_results_aggregated(results=found)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of runs: six mixtures, two checkpoints each, measured by the harness."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("lm_eval")
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
            patch.setenv(name, "1")
        patch.setenv("HF_DATASETS_CACHE", str(root / "cache"))
        tokenizer = _tokenizer(root / "tokenizer")
        _tasks(root / "tasks")
        for index, share in enumerate(SHARES):
            run = root / "runs" / f"run{index}"
            _train(root / "models" / run.name, share, tokenizer)
            for step in CHECKPOINTS:
                checkpoint = root / "models" / run.name / f"checkpoint-{step}"
                _measure(checkpoint, root / "tasks", run / "evals")
            write_yaml(run / "config.yaml", {"mix": {"up": share, "down": 1 - share}})
    return root


def test_results_become_tables_with_standard_errors_and_a_fit(runs, tmp_path):
    write_yaml(runs / "priors.yaml", {"token_counts": {"up": 1000, "down": 1000}})
    options = Options(
        priors=runs / "priors.yaml",
        metrics=["goes_up/acc,none", "goes_down/acc,none"],
        per_checkpoint=True,
    )
    found = collect([runs / "runs"], tmp_path / "tables", options)
    assert found.metric_names == ("goes_up/acc,none", "goes_down/acc,none")
    metrics, errors = read_table(found.metrics), read_table(found.errors)
    assert len(metrics.runs) == len(SHARES)
    for run, values, wrong in zip(metrics.runs, metrics.values, errors.values, strict=True):
        accuracy = values[0]
        assert wrong[0] == pytest.approx(np.sqrt(accuracy * (1 - accuracy) / 23), abs=1e-6), run
    ups = metrics.select(["goes_up/acc,none"])[:, 0]
    assert ups[-1] > ups[0] + 0.2  # what it was trained on it does better
    with (tmp_path / "tables" / "checkpoints.csv").open() as handle:
        steps = [int(row["step"]) for row in csv.DictReader(handle)]
    assert sorted(set(steps)) == list(CHECKPOINTS)
    config = FitConfig.from_yaml(found.fit_config)
    assert config.lower_is_better == {"goes_up/acc,none": False, "goes_down/acc,none": False}
    plain = config.to_plain() | {"regression": {"type": "log_linear", "num_folds": 3}}
    result = fit_swarm(FitConfig.from_dict(plain), tmp_path / "fit")
    assert set(result.fit.metrics) == set(found.metric_names)
    assert result.proposal is not None


def test_a_group_with_numbers_stands_for_its_tasks(runs, tmp_path):
    found = collect([runs / "runs"], tmp_path / "tables", Options())
    assert found.metric_names == ("goes_on/acc,none",)
    assert read_table(found.errors).values.shape == (len(SHARES), 1)
