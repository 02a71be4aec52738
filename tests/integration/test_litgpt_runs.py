"""A sweep of LitGPT by `framework: command`, with its own base config, from generate to fit.

LitGPT takes 16 s to import, so it is imported once: the array script runs as it is, and finds a
command `litgpt` that hands its words to this process, where LitGPT's own main function takes them.
"""

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("litgpt", reason="pip install --no-deps litgpt")

from olmix.cli.main import main
from olmix.prepare.tokenizer import train_tokenizer
from olmix.text.yaml import write_yaml

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SHIM = """#!/bin/sh
printf '%s\\n' "$@" > words.fifo
read -r status < status.fifo
exit "$status"
"""
VOCAB = 320


def olmix(*words):
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 0, words


def litgpt(*words):
    """Run `litgpt` in this process; returns its status and what it wrote."""
    from litgpt.__main__ import main as litgpt_main

    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(sys, "argv", ["litgpt", *words])
        try:
            litgpt_main()
        except SystemExit as ended:
            return ended.code or 0, said.getvalue()
    return 0, said.getvalue()


def run(number):
    """Run one task of the array script."""
    env = {**os.environ, "SLURM_ARRAY_TASK_ID": str(number)}
    with subprocess.Popen(["bash", "study/run_experiment.sh"], env=env) as script:
        words = Path("study/words.fifo").read_text().splitlines()
        status = 1
        try:
            with contextlib.chdir("study"):
                status, _ = litgpt(*words)
        finally:
            Path("study/status.fifo").write_text(f"{status}\n")
    assert script.returncode == 0


def write_checkpoint(folder):
    """Write a tiny model with its tokenizer, and rows to train it on."""
    import torch
    from litgpt import GPT, Config
    from litgpt.utils import save_config

    (folder / "model").mkdir()
    texts = [f"{left} {right}\n" for left in ("one", "two", "three") for right in "abcdefgh"]
    (folder / "model/tokenizer.json").write_text(train_tokenizer(texts, 300).to_json())
    named = {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>"}
    (folder / "model/tokenizer_config.json").write_text(json.dumps(named))
    sizes = {"block_size": 64, "n_layer": 1, "n_head": 2, "n_embd": 32}
    config = Config(name="tiny", vocab_size=300, padded_vocab_size=VOCAB, **sizes)
    torch.manual_seed(0)
    torch.save({"model": GPT(config).state_dict()}, folder / "model/lit_model.pth")
    save_config(config, folder / "model")
    rows = [{"instruction": text, "input": "", "output": text} for text in texts]
    (folder / "rows.json").write_text(json.dumps(rows))


def write_base(folder):
    """Write what `--print_config` says, with the optimizer as a mapping."""
    data = ["--data", "JSON", "--data.json_path", str(folder / "rows.json")]
    words = ["finetune_full", str(folder / "model"), *data, "--print_config"]
    status, said = litgpt(*words, "--data.val_split_fraction", "0.25", "--data.num_workers", "0")
    assert status == 0
    base = yaml.safe_load(said)
    base["optimizer"] = {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.001}}
    (folder / "base.yaml").write_text(yaml.safe_dump(base))


def test_litgpt_runs_from_generate_to_fit(tmp_path, monkeypatch, capsys):
    write_checkpoint(tmp_path)
    write_base(tmp_path)
    monkeypatch.chdir(tmp_path)
    shim = tmp_path / "bin" / "litgpt"
    shim.parent.mkdir()
    shim.write_text(SHIM)
    shim.chmod(0o755)
    content = {
        "experiment": {"name": "litgpt_rates", "framework": "command"},
        "framework_config": {
            "command": [str(shim), "finetune_full", "--config", "{config}"],
            "base_config_file": str(tmp_path / "base.yaml"),
            "output_key": "out_dir",
        },
        "variables": {"optimizer.init_args.lr": [0.001, 0.02], "train.global_batch_size": [2, 4]},
        "controls": {
            "train.max_steps": 8,
            "train.lr_warmup_steps": 2,
            "train.micro_batch_size": 2,
            "train.max_seq_length": 48,
            "eval.max_iters": 2,
            "eval.max_new_tokens": 1,
            "logger_name": "csv",
        },
    }
    write_yaml(tmp_path / "experiment.yaml", content)
    olmix("sweep", "generate", "experiment.yaml", "-o", "study", "--slurm")
    for name in ("words", "status"):
        os.mkfifo(f"study/{name}.fifo")
    for number in range(4):
        run(number)
    capsys.readouterr()
    olmix("sweep", "status", "study", "--json")
    states = json.loads(capsys.readouterr().out)
    # LitGPT's log counts micro-batches: two of them make a step of four rows.
    assert [(s["state"], s["steps"]) for s in states] == [("finished", 8), ("finished", 16)] * 2
    olmix("sweep", "results", "study")
    with Path("study/results/results.csv").open() as lines:
        losses = [float(row["loss"]) for row in csv.DictReader(lines)]
    # Eight steps at 0.001 change little; at 0.02 they do.
    assert max(losses[2:]) < min(losses[:2])
    olmix("fit", "-c", "study/results/surface.yaml", "-o", "fit", "--no-plots")
    assert len(list(Path("fit").rglob("surface.json"))) == 1
