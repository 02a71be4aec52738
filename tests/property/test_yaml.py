"""YAML: every reader finds what was written, and the fast reader what ruamel.yaml finds."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from olmix.errors import ConfigError
from olmix.text.yaml import (
    _plain,
    _RareError,
    _read_common,
    _read_marked,
    read_yaml,
    render_yaml,
)

LOOKALIKES = (
    "1", "01", "-0", "1_000", "1__0", "1e5", "1E+5", "1.", ".5", "-.5", "+.5e3", "0x1F", "0o17",
    "0b11", "1:30", "12:30:45", "2020-01-01", "on", "Yes", "n", "true", "tRue", "~", "null", "Null",
    ".inf", "-.INF", ".nan", "<<", "=", "140M", "7/52", "", " ", "a: b", "a #b", "#", "-", "- a",
    "?", "@a", "`", "%", "!x", "&x", "*x", "|", ">", "{", "[", "'", '"', "a\nb", "a > b", "a && b",
    "a\tb", "é😀", "\x85", "\u2028",
)  # fmt: skip
PIECES = (
    "a", "b: ", "- ", "\n", "\n  ", "\n    ", ": ", "{", "}", "[", "]", ", ", "'", '"', "# c\n",
    "? ", ":", "a:1", "|\n", ">-\n", "> #c\n", "|#x", " & ", " > ", "&a ", "*a",
    "<<: ", "---\n", "...\n", "\\", '"a\\u00e9"', "key: v\n",
    "k:\n  - 1\n  - b\n", *LOOKALIKES,
)  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.sampled_from(LOOKALIKES)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_is_read_back_by_yaml_1_1_and_1_2(tmp_path_factory, value):
    text = render_yaml(value)

    assert yaml.safe_load(text) == value
    assert _plain(YAML(typ="rt").load(text)) == value
    file = tmp_path_factory.getbasetemp() / "value.yaml"
    file.write_text(text, encoding="utf-8")
    assert read_yaml(file).data == value


@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_the_fast_reader_finds_what_ruamel_finds_or_leaves_it_to_it(text):
    try:
        found = _read_common(text)
    except (_RareError, yaml.YAMLError, TypeError, ValueError):
        return

    assert repr(found) == repr(_plain(_read_marked(text)))


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: 010", "a: &x 1", "a: !!str 1", "a: |\n  b"])
def test_rare_notation_is_left_to_ruamel(text):
    with pytest.raises((_RareError, YAMLError)):
        _read_common(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: {{ foo }}", "put text with braces into quotes"),
        ("[" * 3000 + "]" * 3000, "nested too deeply"),
    ],
)
def test_odd_files_are_errors_in_words(tmp_path, text, said):
    file = tmp_path / "odd.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_yaml(file)


@pytest.mark.parametrize("word", ["y", "N", "on", "1e3"])
def test_words_that_yaml_1_1_takes_for_something_else_are_quoted(word):
    assert render_yaml({"a": word}) == f"a: '{word}'\n"
