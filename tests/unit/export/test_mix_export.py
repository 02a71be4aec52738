"""Mixtures for other trainers: the files, and what the trainers themselves make of them.

`make test` installs the trainers of `tests/trainers.txt` beside the environment, without what they
need for training. The golden files hold without them.
"""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from olmix.cli import mix as command
from olmix.cli.main import cli
from olmix.config import DataConfig
from olmix.errors import ConfigError, DataError
from olmix.export import TRAINERS, export_mix, read_mixtures
from olmix.text.yaml import parse_yaml, write_yaml

GOLDEN = Path(__file__).with_name("golden")
WEIGHTS = {"web": 0.5, "code:python": 0.375, "books": 0.125}
FACTORS = {"web": 1.0, "code:python": 1.0, "books": 2.5}
ENDINGS = {
    "megatron": ".bin", "olmo-core": ".npy", "litgpt": "", "torchtitan": ".jsonl", "hf": ".jsonl",
    "llamafactory": ".jsonl", "axolotl": ".jsonl", "levanter": ".jsonl",
}  # fmt: skip

TRAINERS_FOLDER = Path(sys.prefix) / "trainers"
LACKS = "`make test` installs this trainer"
ELSEWHERE = "elsewhere: this trainer is released with an environment of its own only"
"""Why a format is read by its own package by hand only."""


@pytest.fixture(autouse=True)
def _trainers(monkeypatch):
    """Let trainers be imported, after everything else."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(TRAINERS_FOLDER)])
    # LLaMA-Factory asks for an older transformers than is here.
    monkeypatch.setenv("DISABLE_VERSION_CHECK", "1")


@pytest.fixture
def mixture(tmp_path):
    """Return a function that writes a `mix.yaml` and a config whose files have one ending."""

    def write(ending, num_rows=0):
        places = {"web": "web", "code:python": "python", "books": "books"}
        files = {name: f"/data/{place}{ending}" for name, place in places.items()}
        if num_rows:
            files = {name: str(tmp_path / f"{place}{ending}") for name, place in places.items()}
            for name, file in files.items():
                rows = [json.dumps({"text": f"{name} {i}"}) for i in range(num_rows)]
                Path(file).write_text("\n".join(rows) + "\n")
        sources = [
            {"name": "web", "paths": [files["web"]]},
            {"name": "code", "topics": [{"name": "python", "paths": [files["code:python"]]}]},
            {"name": "books", "paths": [files["books"]]},
            {"name": "empty", "paths": ["/data/empty"]},
        ]
        shares = {n: {"weight": w, "repetition_factor": FACTORS[n]} for n, w in WEIGHTS.items()}
        write_yaml(tmp_path / "mix.yaml", {"mix": {**shares, "empty": 0.0}})
        counts = {"web": 1000, "code:python": 1000, "books": 50, "empty": 7}
        config = {
            "data": {"sources": sources},
            "priors": {"token_counts": counts},
            "max_tokens": 1000,
        }
        write_yaml(tmp_path / "data.yaml", config)
        return read_mixtures(tmp_path / "mix.yaml", tmp_path / "data.yaml")[0]

    return write


def test_every_trainer_is_a_choice_of_the_command():
    assert tuple(TRAINERS) == command._TRAINERS
    assert set(TRAINERS) == set(ENDINGS)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_files_are_as_they_were(trainer, mixture):
    files = export_mix(mixture(ENDINGS[trainer]), trainer)
    for number, text in enumerate(files.values()):
        golden = GOLDEN / f"{trainer}{TRAINERS[trainer].ending}.{number}"
        assert text == golden.read_text(encoding="utf-8")


def _main(files):
    return next(iter(files.values()))


def test_megatron_reads_the_blend(mixture):
    text = _main(export_mix(mixture(".bin"), "megatron"))
    words = text.split()
    assert dict(zip(words[1::2], map(float, words[::2]), strict=True)) == {
        "/data/web": 0.5, "/data/python": 0.375, "/data/books": 0.125,
    }  # fmt: skip
    utils = pytest.importorskip("megatron.core.datasets.utils", reason=LACKS)
    assert utils.get_blend_from_list(words) == (
        ["/data/web", "/data/python", "/data/books"],
        [0.5, 0.375, 0.125],
    )


def test_a_domain_of_several_files_spreads_its_weight_over_them_by_size(mixture, tmp_path):
    mix = mixture(".bin")
    for name, size in (("a", 300), ("b", 100)):
        (tmp_path / f"{name}.bin").write_bytes(bytes(size))
        (tmp_path / f"{name}.idx").write_bytes(b"x")
    sources = [{"name": "web", "paths": [str(tmp_path / "*.bin")]}]
    write_yaml(tmp_path / "mix.yaml", {"mix": {"web": 1.0}})
    write_yaml(tmp_path / "data.yaml", {"data": {"sources": sources}})
    (mix,) = read_mixtures(tmp_path / "mix.yaml", tmp_path / "data.yaml")
    words = _main(export_mix(mix, "megatron")).split()
    assert words == ["0.75", str(tmp_path / "a"), "0.25", str(tmp_path / "b")]


def test_bare_tokens_are_no_dataset_of_megatron(tmp_path):
    (tmp_path / "part-0000.bin").write_bytes(bytes(8))
    write_yaml(tmp_path / "mix.yaml", {"mix": {"code:python": 1.0}})
    topics = [{"name": "python", "paths": [str(tmp_path / "*.bin")]}]
    sources = [{"name": "code", "topics": topics}]
    write_yaml(tmp_path / "data.yaml", {"data": {"sources": sources}})
    (mix,) = read_mixtures(tmp_path / "mix.yaml", tmp_path / "data.yaml")
    with pytest.raises(DataError, match=r"no .*/part-0000.idx, .* preprocess_data.py") as caught:
        export_mix(mix, "megatron")
    # The section that the message shows is one that names the domain.
    shown = str(caught.value).partition("-c:\n")[2]
    assert DataConfig.from_dict(parse_yaml(shown, "shown")["data"]).domains == ("code:python",)


def test_a_limit_on_passes_allows_the_passes_that_it_was_made_for(mixture, tmp_path):
    mixture(".npy")
    plain = parse_yaml((tmp_path / "mix.yaml").read_text(), "mix")
    plain["mix"]["books"]["repetition_factor"] = 3.9999999999999987
    write_yaml(tmp_path / "mix.yaml", plain)
    (mix,) = read_mixtures(tmp_path / "mix.yaml", tmp_path / "data.yaml")
    written = parse_yaml(_main(export_mix(mix, "olmo-core")), "out")
    assert written["source_list"]["sources"][2]["max_repetition_ratio"] == 4.0


def test_a_proposal_is_for_the_large_run(mixture, tmp_path):
    """The tokens of the small runs are those of variants, not of what the swarm was for."""
    (small,) = [mixture(".npy")]
    assert (small.num_tokens, small.tokens_from) == (1000, "max_tokens of data.yaml")
    plain = parse_yaml((tmp_path / "data.yaml").read_text(), "data")
    write_yaml(tmp_path / "data.yaml", {**plain, "target_tokens": 70_000})
    files = (tmp_path / "mix.yaml", tmp_path / "data.yaml")
    (large,) = read_mixtures(*files)
    assert "requested_tokens: 70000" in _main(export_mix(large, "olmo-core"))
    (tmp_path / "config.json").write_text('{"constraints": {"target_tokens": 90000}}')
    (larger,) = read_mixtures(*files)
    assert "# Length: 90,000 tokens (constraints.target_tokens of the fit)" in _main(
        export_mix(larger, "olmo-core")
    )
    (tmp_path / "mix.yaml").rename(tmp_path / "variant.yaml")
    assert read_mixtures(tmp_path / "variant.yaml", files[1])[0].num_tokens == 1000


def test_datasets_that_llama_factory_knows_stay_known(mixture, tmp_path):
    mixture(".jsonl")
    (tmp_path / "lf").mkdir()
    info = tmp_path / "lf/dataset_info.json"
    info.write_text('{"alpaca": {"file_name": "alpaca.json"}}')
    files = [str(tmp_path / "mix.yaml"), "-c", str(tmp_path / "data.yaml")]
    words = ["mix", "export", *files, "--to", "llamafactory", "-o", str(tmp_path / "lf/out.yaml")]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert list(json.loads(info.read_text())) == ["alpaca", "web", "code-python", "books"]
    # web takes 0.5 passes, code 0.375, books 2.5.
    assert "training goes on until code:python is used up" in done.stderr
    assert CliRunner().invoke(cli, words).exit_code == 0
    info.write_text('{"web": {"file_name": "mine.json"}}')
    (tmp_path / "lf/out.yaml").unlink()
    refused = CliRunner().invoke(cli, words)
    assert isinstance(refused.exception, DataError)
    assert "it names other datasets web" in str(refused.exception)
    assert not (tmp_path / "lf/out.yaml").exists()


def test_domains_that_only_the_data_name_are_named_as_left_out(mixture, tmp_path):
    """A fit leaves domains without weight out of mix.yaml."""
    mixture(".npy")
    plain = parse_yaml((tmp_path / "mix.yaml").read_text(), "mix")
    del plain["mix"]["empty"]
    write_yaml(tmp_path / "mix.yaml", plain)
    (mix,) = read_mixtures(tmp_path / "mix.yaml", tmp_path / "data.yaml")
    assert mix.left_out == ("empty",)


def test_olmo_core_reads_the_mixture_and_builds_it(mixture, tmp_path):
    source = pytest.importorskip("olmo_core.data.source_mixture")
    mix = mixture(".npy")
    (tmp_path / "out.yaml").write_text(_main(export_mix(mix, "olmo-core")))
    overrides = ["global_batch_size=64"]
    config = source.SourceMixtureDatasetConfig.from_yaml(tmp_path / "out.yaml", overrides)
    config.validate()
    found = {s.source_name: s.target_ratio for s in config.source_list.sources}
    assert found == WEIGHTS
    assert config.requested_tokens == 1000
    assert [s.max_repetition_ratio for s in config.source_list.sources] == [1.0, 1.0, 2.5]
    for each in config.source_list.sources:
        np.arange(1000, dtype=np.uint16).tofile(tmp_path / Path(each.paths[0]).name)
        each.paths = [str(tmp_path / Path(each.paths[0]).name)]
    config.quiet, config.render_tables = True, False
    config.build(npdtype=np.uint16, sequence_length=8)


def test_datasets_draws_the_mixture(mixture, tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    mix = mixture(".jsonl", num_rows=2000)
    file = tmp_path / "mixture.py"
    file.write_text(_main(export_mix(mix, "hf")))
    drawn = runpy.run_path(str(file))["mixture"]()
    texts = [row["text"].rpartition(" ")[0] for _, row in zip(range(2000), drawn, strict=False)]
    for name, weight in WEIGHTS.items():
        # Five standard errors of a share of 2,000.
        assert abs(texts.count(name) / 2000 - weight) < 5 * (0.25 / 2000) ** 0.5


def test_axolotl_lists_each_domain_as_often_as_the_run_passes_over_it(mixture):
    mix = mixture(".jsonl")
    entries = parse_yaml(_main(export_mix(mix, "axolotl")), "axolotl")["datasets"]
    splits = [(Path(entry["path"]).stem, entry["split"]) for entry in entries]
    assert splits == [
        ("web", "train[:50%]"), ("python", "train[:38%]"), ("books", "train"), ("books", "train"),
        ("books", "train[:50%]"),
    ]  # fmt: skip
    datasets = pytest.importorskip("datasets")
    for entry in entries:
        datasets.ReadInstruction.from_spec(entry["split"])
    schemas = pytest.importorskip("axolotl.utils.schemas.datasets", reason=LACKS)
    for entry in entries:
        schemas.SFTDataset(**entry)


def test_axolotl_needs_to_know_the_passes(mixture, tmp_path):
    mixture(".jsonl")
    plain = parse_yaml((tmp_path / "data.yaml").read_text(), "data")
    write_yaml(tmp_path / "data.yaml", {"data": plain["data"]})
    (mix,) = read_mixtures(tmp_path / "mix.yaml", tmp_path / "data.yaml")
    with pytest.raises(DataError, match=r"axolotl: domain web: .* priors.token_counts"):
        export_mix(mix, "axolotl")


def test_llama_factory_finds_its_datasets(mixture):
    files = export_mix(mixture(".jsonl"), "llamafactory")
    known = json.loads(files["dataset_info.json"])
    plain = parse_yaml(_main(files), "llamafactory")
    assert plain["dataset"].split(",") == list(known) == ["web", "code-python", "books"]
    assert plain["mix_strategy"] == "interleave_over"
    assert [float(x) for x in plain["interleave_probs"].split(",")] == list(WEIGHTS.values())
    arguments = pytest.importorskip("llamafactory.hparams.data_args", reason=LACKS)
    keys = ("dataset", "dataset_dir", "mix_strategy", "interleave_probs")
    read = arguments.DataArguments(**{key: plain[key] for key in keys})
    assert read.interleave_probs == list(WEIGHTS.values())


def test_levanter_reads_the_weights(mixture):
    plain = parse_yaml(_main(export_mix(mixture(".jsonl"), "levanter")), "levanter")["data"]
    assert list(plain["train_weights"].values()) == list(WEIGHTS.values())
    assert list(plain["components"]) == list(plain["train_weights"])
    draccus = pytest.importorskip("draccus", reason=ELSEWHERE)
    levanter = pytest.importorskip("levanter.data.text.datasets", reason=ELSEWHERE)
    read = draccus.decode(levanter.LmDataConfig, plain)
    assert read.train_weights == plain["train_weights"]


@pytest.mark.parametrize(
    ("trainer", "module"), [("litgpt", "litgpt"), ("torchtitan", "torchtitan")]
)
def test_modules_are_python_and_import_where_their_trainer_is(trainer, module, mixture, tmp_path):
    text = _main(export_mix(mixture(ENDINGS[trainer]), trainer))
    compile(text, trainer, "exec")
    pytest.importorskip(module, reason=LACKS)
    (tmp_path / "made.py").write_text(text)
    found = runpy.run_path(str(tmp_path / "made.py"))
    if trainer == "torchtitan":
        sources = found["dataloader"]().sources
        assert [source.weight for source in sources] == list(WEIGHTS.values())
    else:
        found["OlmixMixture"]().connect(max_seq_length=8)


def test_files_that_a_trainer_cannot_read_are_refused_with_what_it_reads(mixture):
    with pytest.raises(DataError, match=r"hf: domain web: it cannot read /data/web.bin; it reads"):
        export_mix(mixture(".bin"), "hf")
    with pytest.raises(DataError, match="litgpt: domain web: .* it reads folders"):
        export_mix(mixture(".jsonl"), "litgpt")


def test_a_mixture_without_data_says_what_to_give(tmp_path):
    write_yaml(tmp_path / "mix.yaml", {"mix": {"a": 1.0}})
    with pytest.raises(ConfigError, match="pass a config with a data section: -c"):
        read_mixtures(tmp_path / "mix.yaml")


def test_a_swarm_is_a_file_per_variant_and_a_fit_is_its_proposal(mixture, tmp_path):
    mixture(".npy")
    swarm = tmp_path / "swarm"
    swarm.mkdir()
    for i in range(2):
        content = {"name": f"run-{i}", "mix": {"web": 1.0 - i / 2, "books": i / 2}, "seed": i}
        write_yaml(swarm / f"run-{i}.yaml", content)
    words = ["mix", "export", "--to", "olmo-core", "-c", str(tmp_path / "data.yaml")]
    done = CliRunner().invoke(cli, [*words, str(swarm), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "run-0.yaml",
        "run-1.yaml",
    ]
    assert "Repetition: max_repetition_ratio" in done.stderr
    fit = tmp_path / "fit"
    fit.mkdir()
    (fit / "mix.yaml").write_bytes((tmp_path / "mix.yaml").read_bytes())
    done = CliRunner().invoke(cli, [*words, str(fit), "-o", str(tmp_path / "proposal.yaml")])
    assert done.exit_code == 0, done.output
    assert "Without weight, so left out: empty." in (tmp_path / "proposal.yaml").read_text()
