import json
from pathlib import Path

import jsonschema
import pytest

from olmix import FitConfig, GenerationConfig, LaunchConfig, VariantConfig
from olmix.config import BeakerInfra, DataConfig, LocalInfra, OlmoCoreTraining, ProxyTraining
from olmix.config.schema import schemas
from olmix.errors import ConfigError
from olmix.text.yaml import read_yaml

DATA = {"sources": [{"name": "a", "paths": ["a.bin"]}, {"name": "b", "paths": ["b.bin"]}]}
EVAL = {"type": "validation", "paths": {"a": ["a.val.bin"]}}


def _launch(**changes):
    data = {**DATA, "tokenizer": "tokenizer.json"}
    return LaunchConfig.from_dict({"name": "base", "data": data, "eval": EVAL, **changes})


def test_domains_are_named_by_their_path_in_the_tree():
    tree = {
        "sources": [
            {
                "name": "web",
                "topics": [
                    {"name": "code", "quality": [{"name": "high", "paths": ["x"]}]},
                    {"name": "news", "paths": ["y"]},
                ],
            },
            {"name": "books", "quality": [{"name": "low", "paths": ["z"]}]},
            {"name": "wiki", "paths": ["w"]},
        ]
    }
    data = DataConfig.from_dict(tree)
    assert data.domains == ("web:code:high", "web:news", "books:low", "wiki")
    assert data.paths_of("web:news") == ("y",)


def test_paths_are_relative_to_the_file_and_urls_are_left_alone(tmp_path):
    file = tmp_path / "configs" / "base.yaml"
    file.parent.mkdir()
    text = (
        "{name: base, data: {tokenizer: ../t.json, sources: [{name: a, paths: ['s3://b/*', d/*]}]}"
    )
    file.write_text(text + ", eval: {type: validation, paths: {a: [/abs/v.bin]}}}")
    config = LaunchConfig.from_yaml(file)
    assert config.data.paths_of("a") == ("s3://b/*", str(tmp_path / "configs" / "d" / "*"))
    assert Path(config.data.tokenizer).resolve() == tmp_path / "t.json"
    assert config.eval.paths["a"] == ("/abs/v.bin",)


def test_defaults_run_on_this_machine_with_the_embedded_trainer():
    config = _launch()
    assert config.infra == LocalInfra()
    assert config.training == ProxyTraining()


def test_a_budget_means_beaker_and_a_model_id_means_olmo_core():
    config = LaunchConfig.from_dict(
        {
            "name": "old",
            "infra": {"budget": "b", "workspace": "w", "cluster": "c", "priority": "high"},
            "training": {"proxy_model_id": "olmo3_14m", "chinchilla_multiple": 5.0},
            "data": DATA,
            "eval": {"type": "inloop", "tasks": {"qa": {"arc": "eval/arc"}}},
        }
    )
    assert isinstance(config.infra, BeakerInfra)
    assert isinstance(config.training, OlmoCoreTraining)


@pytest.mark.parametrize(
    "mix",
    [
        {"a": {"weight": 0.25, "repetition_factor": 2.0}, "b": {"weight": 0.75}},
        {"a": [0.25, 2.0], "b": [0.75, 1.0]},
    ],
)
def test_every_form_of_a_mixture_is_read_and_the_flat_one_is_written(mix):
    written = _launch(mix=mix).to_plain()["mix"]
    assert written == {
        "a": {"weight": 0.25, "repetition_factor": 2.0},
        "b": {"weight": 0.75, "repetition_factor": 1.0},
    }


def test_a_config_written_and_read_again_is_the_same():
    config = _launch(mix={"a": 1.0}, group_id="abc")
    assert LaunchConfig.from_dict(config.to_plain()) == config


def test_a_variant_completes_a_base_with_its_mixture_and_seed():
    variant = VariantConfig.from_dict({"name": "v-0001", "mix": {"b": 1.0}, "seed": 7})
    run = _launch(description="why").with_variant(variant, "g")
    assert (run.name, run.group_id, run.training.seed, run.description) == ("v-0001", "g", 7, "why")
    assert run.mix["b"].weight == 1.0


def test_a_variant_with_other_domains_than_its_base_is_refused():
    variant = VariantConfig.from_dict({"name": "v", "mix": {"c": 1.0}})
    with pytest.raises(ConfigError, match="no such domain; it has a, b"):
        _launch().with_variant(variant, "g")


@pytest.mark.parametrize(
    ("written", "tokens"),
    [(1000, 1000), ("40B", 40 * 10**9), ("1.5m", 1_500_000), (1.4e8, 140_000_000), ("2_000", 2000)],
)
def test_token_counts_may_be_written_short(written, tokens):
    assert _launch(training={"max_tokens": written}).training.num_tokens == tokens


def test_a_chinchilla_multiple_gives_twenty_tokens_per_parameter():
    training = ProxyTraining(chinchilla_multiple=0.5)
    assert training.num_tokens == 10 * training.num_parameters


def test_parameters_are_counted_without_embeddings():
    training = ProxyTraining(d_model=16, num_layers=2, num_heads=2, d_hidden=40)
    assert training.num_parameters == 2 * (4 * 16 * 16 + 3 * 16 * 40 + 2 * 16) + 16


def test_fractions_are_read_in_train_split(tmp_path):
    file = tmp_path / "fit.yaml"
    text = "{swarm: {ratios: r.csv, metrics: m.csv}, priors: {token_counts: {a: 1}}"
    file.write_text(text + ", regression: {train_split: 52/52}}")
    assert FitConfig.from_yaml(file).regression.train_split == 1.0


def test_priors_may_be_the_file_that_priors_compute_wrote(tmp_path):
    (tmp_path / "priors.yaml").write_text("priors: {token_counts: {a: 30, b: 10}}")
    file = tmp_path / "gen.yaml"
    file.write_text(
        "{data: {sources: [{name: a, paths: [x]}, {name: b, paths: [y]}]}, priors: priors.yaml"
        ", max_tokens: 10}"
    )
    priors = GenerationConfig.from_yaml(file).priors
    assert priors.natural(("b", "a")).tolist() == [0.25, 0.75]


def test_numbers_in_yaml_are_those_of_yaml_1_2(tmp_path):
    file = tmp_path / "numbers.yaml"
    file.write_text("rate: 3e-4\nword: on\ncount: 1_000\n")
    assert read_yaml(file).data == {"rate": 3e-4, "word": "on", "count": 1000}


@pytest.mark.parametrize("name", sorted(schemas()))
def test_schemas_are_valid_and_describe_every_field(name):
    schema = schemas()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    json.dumps(schema)
    for section in [schema, *schema.get("$defs", {}).values()]:
        for field, content in section.get("properties", {}).items():
            assert "description" in content, (name, field)


def test_schemas_accept_what_the_models_accept():
    config = {
        "name": "base",
        "training": {"trainer": "proxy", "max_tokens": "160K"},
        "data": {**DATA, "tokenizer": "t.json"},
        "eval": EVAL,
        "mix": {"a": [0.5, 1.0], "b": {"weight": 0.5}},
    }
    LaunchConfig.from_dict(config)
    jsonschema.validate(config, schemas()["launch"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**config, "nmae": 1}, schemas()["launch"])
