"""`olmix new`: configs that are read as they are, every key explained."""

import itertools
import re

import pytest
import yaml

from fit_fixtures import log_linear, plant
from olmix.cli import quickstart
from olmix.cli.main import main
from olmix.config import FitConfig, GenerationConfig, LaunchConfig, read_yaml
from olmix.prepare.corpora import CORPORA, HELD_OUT
from olmix.records.fit.proposal import read_proposal
from olmix.records.fit.settings import read_fit_settings


def run(*words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return caught.value.code


@pytest.fixture
def texts(tmp_path):
    """Return a folder of texts with two domains."""
    for domain in ("news", "code"):
        (tmp_path / "texts" / domain).mkdir(parents=True)
        for part in range(40):
            text = f"{domain} {part}: " + " ".join(f"{domain}{i * part % 97}" for i in range(900))
            (tmp_path / "texts" / domain / f"{part}.txt").write_text(text)
    return tmp_path / "texts"


def every_config(folder):
    for name in ("generation", "launch", "fit"):
        yield name, (folder / f"{name}.yaml").read_text()


@pytest.fixture
def loop(monkeypatch, tmp_path):
    """Let quickstart stop where the configs are written; returns its folder."""
    monkeypatch.setattr(quickstart, "_run_loop", lambda plan, commands: None)
    return tmp_path / "loop"


def test_every_key_of_every_config_is_explained(tmp_path, texts, loop):
    assert run("new", tmp_path / "study") == 0
    assert run("quickstart", "--data", texts, "-o", loop) == 0
    for name, text in (*every_config(tmp_path / "study"), *every_config(loop)):
        explained = set()
        for above, line in itertools.pairwise(text.splitlines()):
            key = line.strip().removeprefix("- ").partition(":")[0]
            if ":" not in line or line.strip().startswith("#") or key in explained:
                continue
            assert above.strip().startswith("#") or _is_a_name(key), (name, line)
            explained.add(key)


def test_quickstart_runs_what_new_writes(tmp_path, texts, loop):
    assert run("new", tmp_path / "study", "--data", texts) == 0
    assert run("quickstart", "--data", texts, "-o", loop) == 0
    for name in ("generation", "launch", "fit"):
        written, used = (
            read_yaml(folder / f"{name}.yaml").data for folder in (tmp_path / "study", loop)
        )
        for content in (written, used):
            content.pop("name", None)
            content.pop("data", None)  # its files are a pattern until they are there
            content.get("swarm", {}).pop("repetition_factor", None)  # so are their tokens
        assert used == written


def test_the_demo_is_the_swarm_that_the_readme_shows(tmp_path):
    assert run("new", tmp_path) == 0
    swarm = read_yaml(tmp_path / "generation.yaml").data["swarm"]
    assert swarm == {
        "seed": 0,
        "variants": 32,
        "references": ["natural", "uniform"],
        "replicates": 1,
        "mix_temperature": 0.25,
        "min_strength": 1.75,
        "max_strength": 28,
        "minimum_weight": 0.01,
        "repetition_factor": 4.0,
    }
    weights = read_yaml(tmp_path / "fit.yaml").data["filtering"]["obj_weights"]
    assert [name for name, weight in weights.items() if weight] == ["networkx_bpb"]


def _is_a_name(key):
    """Whether a key is the user's own: a domain, a metric or a family."""
    names = {*(corpus.name for corpus in CORPORA), HELD_OUT, "validation", "news"}
    return key.removesuffix("_bpb") in names


def test_the_configs_are_read_and_the_commands_that_are_named_run(
    tmp_path, texts, capsys, monkeypatch
):
    study = tmp_path / "study"
    assert run("new", study, "--data", texts) == 0
    said = capsys.readouterr().err
    monkeypatch.chdir(study)
    prepare, priors, generate = [
        line.strip() for line in said.splitlines() if line.startswith("  olmix ")
    ][:3]
    for command in (prepare, priors, generate):
        assert run(*command.split()[1:]) == 0
    assert GenerationConfig.from_yaml("generation.yaml").data.domains == ("code", "news")
    assert LaunchConfig.from_yaml("launch.yaml").eval.metrics == ("code_bpb", "news_bpb")
    assert FitConfig.from_yaml("fit.yaml").priors.domains == ("code", "news")
    assert list((study / "variants").glob("*.yaml"))


def test_a_held_out_domain_is_the_target_and_is_not_trained_on(
    texts, tmp_path, capsys, monkeypatch
):
    (texts / "mine").mkdir()
    for part in range(40):
        (texts / f"mine/{part}.txt").write_text(f"mine {part} " * 300)
    study = tmp_path / "study"
    assert run("new", study, "--data", texts, "--held-out", "mine") == 0
    assert "--held-out mine" in capsys.readouterr().err
    assert LaunchConfig.from_yaml(study / "launch.yaml").data.domains == ("code", "news")
    weights = read_yaml(study / "fit.yaml").data["filtering"]["obj_weights"]
    assert {name for name, weight in weights.items() if weight} == {"mine_bpb"}
    # Configs that name it as a source are told why it has no files.
    monkeypatch.chdir(study)
    assert run("prepare", "--data", texts, "--held-out", "mine", "-o", "data") == 0
    text = (study / "generation.yaml").read_text().replace("train/code", "train/mine")
    (study / "generation.yaml").write_text(text.replace("name: code", "name: mine"))
    assert run("priors", "compute", "-c", "generation.yaml") == 2
    assert "remove it from data.sources" in capsys.readouterr().err
    assert run("new", tmp_path / "no", "--data", texts, "--held-out", "min") == 2
    assert "did you mean mine?" in capsys.readouterr().err


def test_what_is_there_is_not_replaced(tmp_path, capsys):
    study = tmp_path / "study"
    assert run("new", study) == 0
    (study / "fit.yaml").write_text("mine")
    assert run("new", study) == 2
    assert "it already holds generation.yaml, launch.yaml, fit.yaml" in capsys.readouterr().err
    assert (study / "fit.yaml").read_text() == "mine"


def test_two_tables_become_a_fit_with_the_directions_that_names_tell(tmp_path, monkeypatch):
    swarm = plant(
        tmp_path, {"arc_acc": log_linear, "loss": log_linear, "mystery": log_linear}, num=20
    )
    config = swarm.config()
    tables = (config.swarm.ratios, config.swarm.metrics)
    study = tmp_path / "study"
    assert run("new", study, "--csv", *tables) == 0
    monkeypatch.chdir(study)
    written = read_yaml("fit.yaml").data
    assert written["lower_is_better"] == {"arc_acc": False, "loss": True}
    assert run("fit", "-c", "fit.yaml", "-o", "fit", "--no-plots") == 0


def test_token_counts_that_nobody_gave_are_no_natural_mixture(tmp_path, monkeypatch, capsys):
    tables = plant(tmp_path, {"loss": log_linear}, num=20).config().swarm
    study = tmp_path / "study"
    assert run("new", study, "--csv", tables.ratios, tables.metrics) == 0
    assert "no token counts are known" in capsys.readouterr().err
    assert "priors" not in read_yaml(study / "fit.yaml").data
    monkeypatch.chdir(study)
    assert run("fit", "-c", "fit.yaml", "-o", "fit", "--no-plots") == 0
    assert "warning: No token counts were given" in capsys.readouterr().err
    proposal = read_proposal(study / "fit/latest")
    assert proposal.mixtures["natural"].weights == proposal.mixtures["uniform"].weights
    assert "over the uniform one (no token counts were given)" in proposal.statement
    assert read_fit_settings(study / "fit/latest").priors.unknown
    # What the reader is asked to add can be added as it stands there.
    text = (study / "fit.yaml").read_text()
    (study / "fit.yaml").write_text(
        re.sub(r"(?m)^# (priors:|  .*)$", r"\1", text).replace("TOKENS", "1B")
    )
    assert not FitConfig.from_yaml("fit.yaml").priors.unknown


def test_tables_that_no_fit_would_take_are_refused_before_anything_is_written(tmp_path, capsys):
    planted = plant(tmp_path, {"arc_easy": log_linear}, num=20)
    planted.metrics["arc_easy"] = [value / 100 for value in planted.metrics["arc_easy"]]
    tables = planted.write().config().swarm
    assert run("new", tmp_path / "one", "--csv", tables.ratios, tables.metrics) == 0
    assert "arc_easy: no direction in the name" in capsys.readouterr().err
    planted.ratios = {name: [100 * w for w in ws] for name, ws in planted.ratios.items()}
    planted.write()
    assert run("new", tmp_path / "two", "--csv", tables.ratios, tables.metrics) == 2
    assert "21 runs, the first of them" in capsys.readouterr().err
    assert not (tmp_path / "two").exists()


def test_limits_by_tokens_need_token_counts(tmp_path, capsys):
    config = plant(tmp_path, {"loss": log_linear}, num=20).config().to_plain()
    del config["priors"]
    config["constraints"] = {"enabled": True, "target_tokens": 10**9}
    (tmp_path / "fit.yaml").write_text(yaml.safe_dump(config))
    assert run("fit", "-c", tmp_path / "fit.yaml", "-o", tmp_path / "fit") == 2
    assert "priors.token_counts are needed" in capsys.readouterr().err


def test_token_files_become_domains_and_too_few_are_an_error(tmp_path, capsys):
    for domain in ("a", "b"):
        (tmp_path / "tokens" / domain).mkdir(parents=True)
        (tmp_path / "tokens" / domain / "x.npy").write_bytes(b"")
    assert run("new", tmp_path / "study", "--tokens", tmp_path / "tokens") == 0
    written = read_yaml(tmp_path / "study/generation.yaml").data
    assert written["data"]["sources"][0] == {"name": "a", "paths": ["../tokens/a/**/*.npy"]}
    assert "held-out token files of each domain" in capsys.readouterr().err
    (tmp_path / "tokens/b/x.npy").unlink()
    assert run("new", tmp_path / "other", "--tokens", tmp_path / "tokens") == 2
    assert "1 subfolders hold token files" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    assert run("new", tmp_path / "o", "--tokens", tmp_path, "--data", tmp_path) == 2
