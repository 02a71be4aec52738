"""Configs in the shapes of Ai2's Olmix: what is read, what is refused, what becomes of them."""

import csv

import numpy as np
import pytest

from configs_of_ai2 import (
    COUNTS,
    REUSE_COUNTS,
    SHAPES,
    base_of_swarms,
    experiment,
    fit,
    fit_with_defaults,
    flat,
    flat_of_weights,
    flat_with_limits,
    generation,
    launch,
    leaf,
    reuse,
    sizes,
    training,
)
from olmix.cli.main import cli
from olmix.config import FitConfig, GenerationConfig, LaunchConfig, read_yaml
from olmix.convert import convert
from olmix.errors import ConfigError, OlmixError
from olmix.fit.pipeline import fit_swarm
from olmix.text.yaml import write_yaml

MODELS = {"fit": FitConfig, "generation": GenerationConfig, "launch": LaunchConfig}


def run(*words):
    return cli.main([str(word) for word in words], standalone_mode=False)


def write(folder, plain, header=""):
    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(folder / "old.yaml", plain, header)
    return folder / "old.yaml"


def converted(tmp_path, plain):
    """Return the content of the new files by kind, and everything that is said of them."""
    written = convert([write(tmp_path / "in", plain)], tmp_path / "out")
    content = {one.kind: read_yaml(one.file).data for one in written}
    return content, " / ".join(change for one in written for change in one.changes)


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_is_accepted_or_refused_as_listed(tmp_path, name):
    shape = SHAPES[name]
    file = write(tmp_path, shape.build())
    if shape.refused is None:
        assert MODELS[shape.model].from_yaml(file)
        return
    with pytest.raises(ConfigError) as caught:
        MODELS[shape.model].from_yaml(file)
    assert shape.refused in str(caught.value)


@pytest.mark.parametrize("name", [n for n, shape in SHAPES.items() if shape.model != "fit"])
def test_what_is_converted_runs_through_generate_and_preview(tmp_path, name, capsys):
    new = tmp_path / "new"
    written = {
        one.kind: one.file for one in convert([write(tmp_path / "in", SHAPES[name].build())], new)
    }
    priors = new / "old-priors.yaml"
    if "generation" in written and isinstance(read_yaml(written["generation"]).data["priors"], str):
        write_yaml(priors, {"priors": {"token_counts": COUNTS}})  # as `priors compute` does
    if "generation" not in written:
        run("launch", "preview", "-v", written["launch"])
        assert ": 1 run, " in capsys.readouterr().err
        return
    base = written.get("launch")
    if base is None:
        data = read_yaml(written["generation"]).data["data"]
        plain = base_of_swarms() | {"data": data}
        del plain["mix"]
        (one,) = convert([write(tmp_path / "base", plain)], tmp_path / "new-base")
        base = one.file
    generated = tmp_path / "variants"
    run("generate", "-c", written["generation"], "-o", generated, "--no-plots")
    asked = read_yaml(written["generation"]).data["swarm"]["variants"]
    assert len(list(generated.glob("*.yaml"))) == asked
    run("launch", "preview", "-c", base, "-v", generated)
    assert f": {asked} run" in capsys.readouterr().err


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_converted_is_not_changed_again(tmp_path, name):
    written = convert([write(tmp_path / "in", SHAPES[name].build())], tmp_path / "new")
    for one in written:
        (again,) = convert([one.file], tmp_path / "again")
        assert read_yaml(again.file).data == read_yaml(one.file).data
        # What stays to be done, or to be known, is said again.
        assert all(
            "parameters that OLMo-core counts" in change or change.startswith("to launch, add")
            for change in again.changes
        )


def test_a_fit_runs_as_converted(tmp_path):
    rng = np.random.default_rng(0)
    mixtures = rng.dirichlet(np.ones(3), 24)
    slopes = {"m_alg::olmes": [-1.0, 0.2, 0.4], "arc:rc::olmes": [0.3, -0.4, 0.5]}
    tables = {
        "ratios": (["web", "code", "math"], mixtures),
        "metrics": (list(slopes), np.exp(mixtures @ np.array(list(slopes.values())).T)),
    }
    old = write(tmp_path, fit())
    for stem, (names, rows) in tables.items():
        with (tmp_path / f"{stem}.csv").open("w", newline="") as handle:
            csv.writer(handle).writerows(
                [["run", *names], *([f"r{i}", *row] for i, row in enumerate(rows.tolist()))]
            )
    (one,) = convert([old], tmp_path / "new" / "deeper")
    config = FitConfig.from_yaml(one.file)
    assert config.swarm.ratios.endswith("../ratios.csv")  # found from where the new file lies
    assert config.proposer.kl_unit == "raw"
    found = fit_swarm(config, tmp_path / "fit")
    assert found.proposal.proposer == "exact"
    assert found.proposal.kl_weight == 0.05


def test_comments_stand_above_what_changed_and_the_head_of_the_file_stays(tmp_path):
    old = write(tmp_path, launch(), "A mix of three sources\nUsage: olmix launch run")
    (one,) = convert([old], tmp_path / "new")
    lines = one.file.read_text().splitlines()
    assert lines[0].startswith("# Converted by `olmix convert` from old.yaml")
    assert lines[2:4] == ["# A mix of three sources", "# Usage: olmix launch run"]
    place = lines.index("  global_batch_size: 16 sequences")
    assert lines[place - 1] == (
        "  # was 16, which counted sequences; here a bare number counts tokens"
    )
    assert max(map(len, lines)) <= 100


def test_steps_and_sequences_are_as_long_as_they_were(tmp_path):
    content, said = converted(tmp_path, launch())
    config = LaunchConfig.from_dict(content["launch"])
    assert config.training.global_batch_size == 16 * 8192
    assert "138,958,080 tokens" in said
    assert "max_tokens: 140000000" in said


def test_left_out_keys_keep_their_meaning(tmp_path):
    content, _ = converted(tmp_path, fit_with_defaults())
    found = content["fit"]
    assert found["regression"]["type"] == "log_linear"
    assert found["proposer"] == {"type": "exact", "kl_reg": 0.0}
    plain = generation()
    del plain["swarm"]
    content, _ = converted(tmp_path / "2", plain)
    assert content["generation"]["swarm"] == {"variants": 1, "repetition_factor": 5.0}


def test_a_weight_of_the_divergence_that_was_not_read_is_0(tmp_path):
    plain = fit(proposer={"type": "simulation", "kl_reg": 0.1}, regression={"type": "lightgbm"})
    content, said = converted(tmp_path, plain)
    assert content["fit"]["proposer"]["kl_reg"] == 0.0
    assert "was 0.1; Ai2's Olmix reads it with `exact` alone" in said


def test_sizes_are_divided_by_their_sum(tmp_path):
    content, said = converted(tmp_path, SHAPES["fit of a part"].build())
    assert sum(content["fit"]["priors"]["relative_sizes"].values()) == pytest.approx(1)
    assert "they added up to 0.93" in said


def test_domains_of_the_priors_are_named_as_in_the_data(tmp_path):
    content, said = converted(tmp_path, SHAPES["reuse, other names"].build())
    assert set(content["generation"]["priors"]["token_counts"]) == set(REUSE_COUNTS)
    assert "was finemath; the data section has existing:finemath" in said


def test_a_name_that_may_mean_two_domains_is_left_and_refused(tmp_path):
    plain = generation(priors={"token_counts": {"x": 1, "wiki": 5}})
    tree = [{"name": n, "topics": [leaf("x", folder=n), leaf("y", folder=n)]} for n in ("a", "b")]
    plain["data"] = {"sources": [*tree, leaf("wiki")]}
    with pytest.raises(ConfigError, match=r"a:x is missing; the data section has it"):
        converted(tmp_path, plain)
    assert not (tmp_path / "out").exists()


def test_sources_that_a_manual_prior_leaves_out_are_named(tmp_path):
    content, said = converted(tmp_path, reuse(REUSE_COUNTS, manual_prior={"existing": 0.7}))
    natural = sizes(REUSE_COUNTS)
    whole = 0.7 + natural["pdfs"] + natural["wiki"]
    prior = content["generation"]["swarm"]["manual_prior"]
    assert prior["existing"] == pytest.approx(0.7 / whole)
    assert prior["wiki"] == pytest.approx(natural["wiki"] / whole)
    assert "divided by their sum" in said


def test_what_had_no_effect_there_is_left_out(tmp_path):
    swarm = {
        **generation()["swarm"],
        "mix_temperature": 1.5,
        "sample_multiplier": 10,
        "minimum_topic_weight": 0,
        "existing_mix_file": "mixes.pkl",
    }
    content, said = converted(tmp_path, generation(swarm=swarm))
    found = content["generation"]["swarm"]
    assert found["mix_temperature"] == 1.0
    assert not {"sample_multiplier", "minimum_topic_weight"} & set(found)
    assert found["existing_mix_file"] == "../in/mixes.pkl"
    assert "--allow-pickle" in said


def test_an_experiment_becomes_two_configs(tmp_path):
    content, _ = converted(tmp_path, experiment())
    assert set(content) == {"generation", "launch"}
    assert content["generation"]["max_tokens"] == 138_958_080
    assert "priors" not in content["launch"]


def test_an_experiment_without_sections_gets_them(tmp_path):
    content, said = converted(tmp_path, flat_with_limits())
    assert content["launch"]["infra"]["budget"] == "ai2/budget"
    assert content["generation"]["swarm"]["seed"] == 42
    assert content["launch"]["training"]["seed"] == 42
    assert content["generation"]["max_tokens"] == 500_000_000
    assert "target_tokens: 1000000000000 is left out" in said
    assert "swarm.group_bounds" in said
    content, said = converted(tmp_path / "2", flat())
    assert "olmix priors compute -c THIS_FILE -o old-priors.yaml" in said
    assert "EDIT THIS: the config named no tasks" in said


def test_an_experiment_whose_weights_are_all_given_is_one_run(tmp_path):
    content, said = converted(tmp_path, flat_of_weights())
    assert set(content) == {"launch"}
    mix = LaunchConfig.from_dict(content["launch"]).mix
    assert mix["web:code:v20"].weight == pytest.approx(0.98 * 83 / 98 * 0.7)
    assert mix["wiki"].repetition_factor == 2.0
    assert "the weights added up to 98 and were divided by it" in said


def test_weights_of_a_mixture_are_divided_by_their_sum(tmp_path):
    mix = {"web": {"weight": 60, "science": 1, "code": [1, 1.0], "jobs": {"weight": 2}}, "wiki": 40}
    content, said = converted(tmp_path, launch(mix=mix))
    found = LaunchConfig.from_dict(content["launch"]).mix
    assert found["web:jobs"].weight == pytest.approx(0.3)
    assert found["wiki"].weight == pytest.approx(0.4)
    assert "the weights below added up to 100" in said


def test_a_length_is_given_once(tmp_path):
    plain = launch(training=training(max_tokens=10**9, tokenizer="gpt_neox"))
    content, _ = converted(tmp_path, plain)
    assert "chinchilla_multiple" not in content["launch"]["training"]
    assert content["launch"]["training"]["tokenizer"] == "gpt_neox_olmo_dolma_v1_5"


def test_what_is_wrong_in_the_old_config_is_named_and_nothing_is_written(tmp_path):
    good = write(tmp_path / "good", launch())
    bad = write(tmp_path / "bad", launch(trainig={}))
    with pytest.raises(ConfigError, match=r"trainig: unknown key; did you mean `training`"):
        convert([bad], tmp_path / "new")
    with pytest.raises(OlmixError, match="already exists"):
        convert([good, good], tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(OlmixError, match="already exists"):
        convert([good], good.parent)
    other = write(tmp_path / "other", {"model": "gemma"})
    with pytest.raises(ConfigError, match="this is not a config of Ai2's Olmix.*found model"):
        convert([other], tmp_path / "new")


def test_the_command_says_what_changed(tmp_path, capsys):
    run("convert", write(tmp_path, launch()), "-o", tmp_path / "new")
    said = capsys.readouterr().err
    assert "old.yaml: was 16, which counted sequences" in said
    assert "launch config, 4 changes" in said
