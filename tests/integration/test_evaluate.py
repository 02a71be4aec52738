"""`olmix evaluate` on tiny models made here, beside lm-evaluation-harness on the same texts."""

import json
import math
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("lm_eval")

from olmix.cli.main import main
from olmix.collect import Options, collect
from olmix.errors import DataError
from olmix.evaluate.rolling_windows import rolling_windows
from olmix.prepare.tokenizer import train_tokenizer
from olmix.records.checkpoint_bits import CHECKPOINT_BITS, read_checkpoint_bits
from olmix.text.csv import read_table
from olmix.text.yaml import write_yaml

CONTEXT = 16
TEXTS = {
    "code": ["def f(x):\n    return x + 1\n" * 5, "import os\n", "x"],
    "prose": ["Été à Zürich: 12 °C, 雨。\n\n" * 4, "  The end. "],
}


@pytest.fixture(scope="module", autouse=True)
def offline():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
            patch.setenv(name, "1")
        yield patch


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Texts, one subfolder per domain."""
    root = tmp_path_factory.mktemp("texts")
    for name, texts in TEXTS.items():
        (root / name).mkdir()
        lines = [json.dumps({"text": text}) for text in texts]
        (root / name / "texts.jsonl").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny Llama of random weights, whose context is shorter than the texts."""
    import torch
    from tokenizers import Tokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model") / "checkpoint-40"
    inner = Tokenizer.from_str(train_tokenizer(TEXTS["code"], 300).to_json())
    PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|endoftext|>").save_pretrained(
        folder
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=CONTEXT, initializer_range=0.5,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def run(*words):
    """Run the command; returns its exit status."""
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *map(str, words)])
    return ended.value.code


def harness(checkpoint, data, tmp_path):
    """Bits per byte of each domain by lm-evaluation-harness."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    for name in TEXTS:
        files = {"test": str(data / name / "texts.jsonl")}
        task = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": files},
            "test_split": "test",
            "output_type": "loglikelihood_rolling",
            "doc_to_text": "",
            "doc_to_target": "{{text}}",
            "metric_list": [{"metric": "bits_per_byte"}],
            "metadata": {"version": 1.0},
        }
        write_yaml(tmp_path / f"{name}.yaml", task)
    found = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(checkpoint), "dtype": "float32"},
        tasks=list(TEXTS),
        device="cpu",
        batch_size=2,
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
        log_samples=False,
        bootstrap_iters=0,
    )
    return {name: found["results"][name]["bits_per_byte,none"] for name in TEXTS}


def test_it_agrees_with_the_harness(checkpoint, data, tmp_path, offline):
    """Documents shorter and longer than the context, and characters of several bytes."""
    offline.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    output = tmp_path / "found.json"
    assert run("--checkpoint", checkpoint, "--data", data, "-o", output) == 0
    found = read_checkpoint_bits(output)
    assert found.context_length == CONTEXT
    assert max(part.tokens for part in found.domains.values()) > 5 * CONTEXT
    wanted = harness(checkpoint, data, tmp_path)
    assert {n: part.bits_per_byte for n, part in found.domains.items()} == pytest.approx(
        wanted, rel=1e-6
    )


@given(st.integers(0, 70), st.integers(1, 20))
def test_texts_are_read_in_the_windows_of_the_harness(length, context):
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    tokens = list(range(1, length + 1))
    pairs = get_rolling_token_windows(tokens, 0, context, 1)
    theirs = [
        ((*before, *after)[:-1], tuple(after)) for before, after in map(make_disjoint_window, pairs)
    ]
    ours = [(each.inputs, each.targets) for each in rolling_windows(tokens, 0, context)]
    assert ours == theirs
    assert [token for _, targets in ours for token in targets] == tokens


def test_a_model_that_knows_nothing_needs_the_logarithm_of_its_vocabulary(
    checkpoint, data, tmp_path, capsys
):
    from transformers import LlamaForCausalLM

    place = shutil.copytree(checkpoint, tmp_path / "model")
    model = LlamaForCausalLM.from_pretrained(place)
    model.lm_head.weight.data.zero_()
    model.save_pretrained(place)
    assert run("--checkpoint", place, "--data", data, "--context-length", 5, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["context_length"] == 5
    for name, part in found["domains"].items():
        assert part["bytes"] == sum(len(text.encode()) for text in TEXTS[name])
        assert part["bits_per_byte"] == pytest.approx(
            part["tokens"] * math.log2(300) / part["bytes"], rel=1e-6
        )


def test_of_prepared_data_it_reads_the_validation_documents(checkpoint, tmp_path, capsys):
    for name, word in (("a", "été"), ("b", "winter")):
        (tmp_path / "texts" / name).mkdir(parents=True)
        for number in range(40):
            (tmp_path / "texts" / name / f"{number}.txt").write_text(f"{word} {number}\n" * 60)
    with pytest.raises(SystemExit):
        main(["prepare", "--texts", str(tmp_path / "texts"), "-o", str(tmp_path / "data")])
    manifest = json.loads((tmp_path / "data/manifest.json").read_text())
    capsys.readouterr()
    output = tmp_path / "found.json"
    assert run("--checkpoint", checkpoint, "--data", tmp_path / "data", "-o", output) == 0
    assert "bits per byte" in capsys.readouterr().out
    for name, part in read_checkpoint_bits(output).domains.items():
        assert part.bytes == manifest["domains"][name]["validation_bytes"]


def test_collect_reads_it_as_the_metrics_of_the_embedded_trainer(checkpoint, data, tmp_path):
    for index in range(2):
        folder = tmp_path / "runs" / f"r{index}"
        write_yaml(folder / "config.yaml", {"mix": {"code": 0.5, "prose": 0.5}})
        for step in (20, 40):
            place = shutil.copytree(checkpoint, folder / f"out/checkpoint-{step}")
            assert run("--checkpoint", place, "--data", data) == 0
    found = collect([tmp_path / "runs"], tmp_path / "tables", Options(per_checkpoint=True))
    assert found.metric_names == ("code_bpb", "prose_bpb")
    table = read_table(found.metrics)
    bits = read_checkpoint_bits(tmp_path / "runs/r0/out/checkpoint-40" / CHECKPOINT_BITS)
    assert dict(zip(table.columns, table.values[1].tolist(), strict=True)) == pytest.approx(
        bits.metrics
    )
    lines = (tmp_path / "tables/checkpoints.csv").read_text().splitlines()
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (
            "config.json",
            "holds no config.json; give a folder written by Hugging Face's `model.save_pretrained`",
        ),
        ("tokenizer.json", "its tokenizer cannot be read; save it there too"),
        ("model.safetensors", "transformers can read no causal language model from it"),
    ],
)
def test_a_folder_that_is_no_checkpoint_is_refused(
    checkpoint, data, tmp_path, capsys, missing, said
):
    place = shutil.copytree(checkpoint, tmp_path / "model")
    (place / missing).unlink()
    assert run("--checkpoint", place, "--data", data) == 2
    assert said in capsys.readouterr().err
    assert not (place / CHECKPOINT_BITS).exists()


def test_a_model_that_has_diverged_is_refused(checkpoint, data, tmp_path, capsys):
    from transformers import LlamaForCausalLM

    place = shutil.copytree(checkpoint, tmp_path / "model")
    model = LlamaForCausalLM.from_pretrained(place)
    model.lm_head.weight.data.fill_(math.nan)
    model.save_pretrained(place)
    assert run("--checkpoint", place, "--data", data) == 2
    assert "its loss on domain code is nan: it has diverged" in capsys.readouterr().err


def test_data_without_texts_is_refused(checkpoint, tmp_path, capsys):
    assert run("--checkpoint", checkpoint, "--data", tmp_path) == 2
    assert "at least one subfolder with texts is needed" in capsys.readouterr().err
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "empty.txt").write_text("")
    assert run("--checkpoint", checkpoint, "--data", tmp_path) == 2
    assert "no text to evaluate on in domain code" in capsys.readouterr().err


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / CHECKPOINT_BITS).write_text('{"checkpoint": "a"}')
    with pytest.raises(DataError, match=r"bits_per_byte.json: .*(?s:.*)run it again"):
        read_checkpoint_bits(tmp_path / CHECKPOINT_BITS)
