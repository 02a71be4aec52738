import jsonschema
import pytest
from bad_experiments import CASES, GOOD, SHORT

from olmix.config.schema import schemas
from olmix.text.yaml import read_yaml

SCHEMA = schemas()["experiment"]


def accepts(data):
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(data)


def read(text, folder):
    file = folder / "experiment.yaml"
    file.write_text(text)
    return read_yaml(file).data


@pytest.mark.parametrize("text", [GOOD, SHORT, SHORT + "experiment: {question: why}\n"])
def test_both_forms_are_accepted(text, tmp_path):
    assert accepts(read(text, tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        "no name",
        "no framework",
        "both bases",
        "no framework_config",
        "misspelt section",
        "misspelt metadata",
        "unknown output key",
        "no values",
        "a single value",
        "a mapping that is no range",
        "an unknown sampler",
        "no replicates",
    ],
)
def test_an_editor_shows_what_is_wrong_with_the_form(name, tmp_path):
    [text] = [case[1] for case in CASES if case[0] == name]
    assert not accepts(read(text, tmp_path))
