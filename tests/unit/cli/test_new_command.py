"""`olmix new`: configs that are read as they are, every key explained."""

import itertools

import pytest

from fit_fixtures import log_linear, plant
from olmix.cli.main import main
from olmix.config import FitConfig, GenerationConfig, LaunchConfig, read_yaml
from olmix.prepare.corpora import CORPORA, HELD_OUT


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


def test_every_key_of_every_config_is_explained(tmp_path):
    assert run("new", tmp_path / "study") == 0
    for name in ("generation", "launch", "fit"):
        lines = (tmp_path / f"study/{name}.yaml").read_text().splitlines()
        explained = set()
        for above, line in itertools.pairwise(lines):
            key = line.strip().removeprefix("- ").partition(":")[0]
            if ":" not in line or line.strip().startswith("#") or key in explained:
                continue
            assert above.strip().startswith("#") or _is_a_name(key), (name, line)
            explained.add(key)


def _is_a_name(key):
    """Whether a key is the user's own: a domain, a metric or a family."""
    names = {*(corpus.name for corpus in CORPORA), HELD_OUT, "validation"}
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


def test_what_is_there_is_not_replaced(tmp_path, capsys):
    study = tmp_path / "study"
    assert run("new", study) == 0
    (study / "fit.yaml").write_text("mine")
    assert run("new", study) == 2
    assert "generation.yaml, launch.yaml, fit.yaml is there already" in capsys.readouterr().err
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
    assert run("fit", "-c", "fit.yaml", "-o", "fit") == 0


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
