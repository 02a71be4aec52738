import json
from pathlib import Path

import jsonschema
import pytest

from olmix import FitConfig, GenerationConfig, LaunchConfig
from olmix.config import read_yaml
from olmix.config.schema import schemas
from olmix.generate import generate, sample_swarm
from olmix.sweep.experiment import load_experiment

ROOT = Path(__file__).parents[2]
READERS = {
    "generations": GenerationConfig.from_yaml,
    "experiments": LaunchConfig.from_yaml,
    "fits": FitConfig.from_yaml,
    "sweeps": load_experiment,
}
FILES = sorted((ROOT / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_every_example_is_valid_and_points_editors_at_its_schema(file):
    READERS[file.relative_to(ROOT / "configs").parts[0]](file)
    first = file.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    schema = json.loads((file.parent / first.partition("=")[2]).read_text())
    jsonschema.validate(read_yaml(file).data, schema)


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_schemas_in_the_repository_are_those_of_the_models(name):
    written = json.loads((ROOT / "schemas" / f"{name}.json").read_text())
    assert written == schemas()[name], "run `make docs`"


def test_the_generation_example_samples_its_swarm():
    config = GenerationConfig.from_yaml(ROOT / "configs/generations/example.yaml")
    assert len(sample_swarm(config)) == 6


def test_the_local_examples_make_complete_variants(tmp_path):
    generation = GenerationConfig.from_yaml(ROOT / "configs/generations/proxy_local.yaml")
    base = LaunchConfig.from_yaml(ROOT / "configs/experiments/proxy_local.yaml")
    assert len(generate(generation, tmp_path, base).files) == 20
