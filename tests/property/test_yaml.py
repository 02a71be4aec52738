"""YAML: every reader finds what was written, and ours finds what ruamel.yaml finds."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from olmix.errors import ConfigError
from olmix.text.yaml import load, parse_yaml, read_yaml, render_yaml
from olmix.text.yaml_loaders import OmegaConfYaml, Yaml12

LOOKALIKES = (
    "1", "01", "-0", "1_000", "1__0", "1e5", "1E+5", "1.", ".5", "-.5", "+.5e+3", "0x1F", "0o17",
    "0b11", "1:30", "12:30:45", "2020-01-01", "on", "Yes", "n", "true", "tRue", "~", "null", "Null",
    ".inf", "-.INF", ".nan", "<<", "=", "140M", "7/52", "", " ", "a: b", "a #b", "#", "-", "- a",
    "?", "@a", "`", "%", "!x", "&x", "*x", "|", ">", "{", "[", "'", '"', "a\nb", "a > b", "a && b",
    "a\tb", "é😀", "\x85", "\u2028", "12345678", "00123456", "0d032fc5", "12e51234",
)  # fmt: skip
PIECES = (
    "a", "b: ", "- ", "\n", "\n  ", "\n    ", ": ", "{", "}", "[", "]", ", ", "'", '"', "# c\n",
    "? ", ":", "a:1", "|\n", "|+\n", ">-\n", "> #c\n", "|#x", " & ", " > ", "&a ", "*a", "&c ",
    "*c", "<<: ", "---\n", "...\n", "\\", '"a\\u00e9"', "key: v\n", "!!str ", "!!float ",
    "k:\n  - 1\n  - b\n", "m: &m {a: 1}\n", "<<: *m\n", "<<: [*m]\n", *LOOKALIKES,
)  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.sampled_from(LOOKALIKES)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
# Where the two mean something else: names of anchors (libyaml's are letters and digits), and ends
# of lines that only YAML 1.1 has. A file that is one block of text is a third.
ODD = re.compile("&\\w*[^\\w\\s]|[\x85\u2028]")
ROOT = Path(__file__).parents[2]


def by_ruamel(text):
    """Read a text as Olmix did before it had a reader of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anchors given twice
        return plain(YAML(typ="rt").load(text))


def plain(node):
    if isinstance(node, Mapping):
        return {plain(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    if isinstance(node, bool | ScalarBoolean) or node is None:
        return None if node is None else bool(node)
    return next((kind(node) for kind in (int, float, str) if isinstance(node, kind)), str(node))


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_is_read_back_by_yaml_1_1_and_1_2(value):
    text = render_yaml(value)

    assert parse_yaml(text, "") == value
    assert yaml.safe_load(text) == value
    assert by_ruamel(text) == value


@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_random_texts_mean_what_they_mean_to_ruamel(text):
    try:
        found = parse_yaml(text, "")
        expected = by_ruamel(text)
    except (ConfigError, YAMLError, TypeError, ValueError):
        return  # each refuses some that the other reads; none reads another value
    if isinstance(found, dict | list) and not ODD.search(text):
        assert repr(found) == repr(expected)


@pytest.mark.parametrize("folder", ["configs", "docs", "examples", "src", "tests"])
def test_every_file_of_the_project_means_what_it_means_to_ruamel(folder):
    for file in sorted((ROOT / folder).rglob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        assert repr(read_yaml(file).data) == repr(by_ruamel(text)), file


@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
@pytest.mark.parametrize("rules", [Yaml12, OmegaConfYaml])
def test_a_text_is_read_or_refused_in_words(rules, text):
    try:
        load(text, "", rules)
    except ConfigError as error:
        assert error.problems  # noqa: PT017


@given(st.lists(st.sampled_from((*LOOKALIKES, *"0123456789_.:+-eExob")), max_size=6).map("".join))
def test_scalars_mean_to_omegaconf_what_our_rules_for_it_say(scalar):
    get_yaml_loader = pytest.importorskip("omegaconf._utils").get_yaml_loader
    text = f"- {scalar}\n"
    try:
        expected = yaml.load(text, get_yaml_loader())
    except (yaml.YAMLError, ValueError):
        return
    try:
        found = load(text, "", OmegaConfYaml).data
    except ConfigError:
        return
    assert repr(found) == repr(expected)
