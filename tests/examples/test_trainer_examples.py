"""The examples of docs/trainers.md: the command of each launch.yaml, from mixtures to a proposal.

What takes seconds to import is imported once: the runs are launched with `true` in place of their
command, and the command is run here, with the arguments and the folder that a launch gives it.
"""

import csv
import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import olmix.runlog

pytest.importorskip("torch")

from olmix.cli.main import main
from olmix.config import LaunchConfig
from olmix.mixing import Mixing
from olmix.prepare.tokenizer import train_tokenizer
from olmix.records.checkpoint_bits import read_checkpoint_bits

ROOT = Path(__file__).parents[2]
VOCAB = 300
DOMAINS = ("code", "docs", "math")
FEW_TOKENS = "20K"


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder like the repository's root after `olmix prepare`, with small data."""
    for name in ("examples", "configs/generations"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "data").mkdir()
    texts = [f"{left} {right}\n" for left in DOMAINS for right in "abcdefgh"]
    (tmp_path / "data/tokenizer.json").write_text(train_tokenizer(texts, VOCAB).to_json())
    vocabulary = len(json.loads((tmp_path / "data/tokenizer.json").read_text())["model"]["vocab"])
    rng = np.random.default_rng(0)
    shares = {name: rng.dirichlet(np.full(vocabulary - 1, 0.1)) for name in DOMAINS}
    shares["networkx"] = (shares["code"] + shares["docs"]) / 2
    for name, share in shares.items():
        sizes = {f"train/{name}/0.bin": 60_000, f"validation/{name}.bin": 4000}
        for file, size in sizes.items():
            path = tmp_path / "data" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            (1 + rng.choice(vocabulary - 1, size, p=share)).astype(np.uint16).tofile(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # as `python -m` does
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    return tmp_path


def run_olmix(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 0, words


def shortened(name, tokens=FEW_TOKENS, command=None):
    """Write the launch config of an example again, for short runs; returns its path."""
    text = Path(f"examples/{name}/launch.yaml").read_text()
    text = text.replace("max_tokens: 160K", f"max_tokens: {tokens}")
    if command is not None:
        text = re.sub(r"command: .*?\n(?=  max_tokens)", f"command: {command}\n", text, flags=re.S)
    file = Path(f"examples/{name}/short.yaml")
    file.write_text(text)
    return file


def launched(name, tokens=FEW_TOKENS, variants="variants"):
    """Make the run folders of an example; returns them, and what runs the command of one here."""
    words_of = LaunchConfig.from_yaml(shortened(name, tokens)).training.words
    config = shortened(name, tokens, command="env true")
    run_olmix("launch", "run", "-v", variants, "-c", config, "-g", name, "--yes")

    def train(folder):
        words = words_of(folder.resolve())
        words = words[words.index("python") + 1 :]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OLMIX_RUN_DIR", str(folder.resolve()))
            if words[0] == "-m":
                patch.setattr(sys, "argv", words[1:])
                runpy.run_module(words[1], run_name="__main__", alter_sys=True)
            else:
                patch.setattr(sys, "argv", words)
                runpy.run_path(words[0], run_name="__main__")

    return sorted(path for path in Path("runs", name).iterdir() if path.is_dir()), train


def to_a_proposal(name, *options):
    """Train six mixtures and their references, and fit them; returns folders and rows."""
    run_olmix("generate", "-c", "configs/generations/proxy_local.yaml", "-n", 6, "-o", "variants")
    folders, train = launched(name)
    for folder in folders:
        train(folder)
    run_olmix("collect", Path("runs", name), "-o", "results", "--strict", *options)
    run_olmix("fit", "-c", "results/fit.yaml", "-o", "fit", "--no-plots")
    assert Path("fit/latest/report.html").is_file()
    assert Path("fit/latest/mix.yaml").is_file()
    with Path("results/metrics.csv").open() as metrics, Path("results/ratios.csv").open() as ratios:
        rows = [
            {**left, **right}
            for left, right in zip(csv.DictReader(metrics), csv.DictReader(ratios), strict=True)
        ]
    assert len(rows) >= 6
    return folders, rows


def better_with_more(rows, metric, domain):
    """Whether the runs with more of a domain are better at it."""
    pairs = np.array([(float(row[domain]), float(row[metric])) for row in rows])
    return np.corrcoef(pairs.T)[0, 1] < -0.5


def test_plain_pytorch(work):
    folders, rows = to_a_proposal("pytorch")
    assert all(better_with_more(rows, f"{name}_bpb", name) for name in DOMAINS)
    asked = Mixing(folders[0] / "data_manifest.json", context_length=64, batch_size=8)
    summary = json.loads((folders[0] / "summary.json").read_text())
    assert summary["token_shares"] == asked.plan.token_shares


def test_a_launched_run_of_plain_pytorch_that_was_killed_ends_as_one_that_was_not(
    work, monkeypatch
):
    """The whole run is launched, as a process of its own."""
    generation = "configs/generations/proxy_local.yaml"
    run_olmix("generate", "-c", generation, "-n", 1, "-o", "variants", "--no-plots")
    variant = min(Path("variants").glob("*.yaml"))
    [folder], train = launched("pytorch", "72K", variant)

    def killed(run, step, *rest, **more):
        if step == 120:
            raise KeyboardInterrupt
        return log(run, step, *rest, **more)

    log = olmix.runlog.Run.log
    monkeypatch.setattr(olmix.runlog.Run, "log", killed)
    with pytest.raises(KeyboardInterrupt):
        train(folder)
    monkeypatch.undo()
    monkeypatch.chdir(work)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    assert (folder / "checkpoint.pt").is_file()
    train(folder)
    resumed = json.loads((folder / "summary.json").read_text())
    config = shortened("pytorch", "72K")
    run_olmix("launch", "run", "-v", variant, "-c", config, "-g", "whole", "--yes")
    [whole] = (path for path in Path("runs/whole").iterdir() if path.is_dir())
    assert json.loads((whole / "summary.json").read_text())["metrics"] == resumed["metrics"]


@pytest.mark.filterwarnings("ignore")  # hints of transformers and of what it imports
def test_the_trainer_of_hugging_face(work):
    pytest.importorskip("transformers")
    folders, rows = to_a_proposal("transformers", "--metric", "code_bpb")
    assert better_with_more(rows, "code_bpb", "code")
    (work / "texts/code").mkdir(parents=True)
    (work / "texts/code/a.txt").write_text("code a\n" * 40)
    run_olmix("evaluate", "--checkpoint", folders[0] / "model", "--data", "texts")
    found = read_checkpoint_bits(folders[0] / "model/bits_per_byte.json")
    assert found.domains["code"].bits_per_byte > 0


@pytest.mark.filterwarnings("ignore")  # hints of Lightning and of what it imports
def test_litgpt(work):
    """LitGPT knows nothing of Olmix: its own CSV log is collected."""
    pytest.importorskip("litgpt", reason="pip install --no-deps litgpt")
    folders, rows = to_a_proposal("litgpt", "--metric", "val_loss")
    assert not (folders[0] / "metrics.jsonl").is_file()
    assert len({row["val_loss"] for row in rows}) > 6
