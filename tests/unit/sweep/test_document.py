"""Values spliced into the text of a config: everything else stays byte for byte."""

import pytest

from olmix.errors import ConfigError
from olmix.sweep.document import YamlDocument

TEXT = """\
# é😀 above: a colon
naïve: 😀  # 😀 beside
"quoted: key" : [1, é, {b: 😀}]  # after a list
empty:
empty_too:   # nothing here
block: |  # how
  é: 1

  😀

folded: >-
  a
  b
# between
flow: {a: 1,
  b: 2}  # the end
anchored: &name 5  # no alias
tagged: !!str 7
'it''s': 'é'
nested:
  😀: 1  # one
  deep:
  - x: 😀  # first
  - - 1
    - é  # second
last: 1"""
CHANGES = {
    ("naïve",): ("naïve: new  # 😀 beside", "new"),
    ("quoted: key",): ('"quoted: key" : [1, 2]  # after a list', [1, 2]),
    ("empty",): ("empty: 3", 3),
    ("empty_too",): ("empty_too: 3   # nothing here", 3),
    ("block",): ("block: text", "text"),
    ("folded",): ("folded: 1.5", 1.5),
    ("flow",): ("flow: 4  # the end", 4),
    ("anchored",): ("anchored: 6  # no alias", 6),
    ("tagged",): ("tagged: 8", 8),
    ("it's",): ("'it''s': null", None),
    ("nested", "😀"): ("  😀: 2  # one", 2),
    ("nested", "deep", 0, "x"): ("  - x: y  # first", "y"),
    ("nested", "deep", 1, 1): ("    - z  # second", "z"),
    ("last",): ("last: 2", 2),
}


def changed(data, path, value):
    """Return a copy of a config with another value at one place."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = changed(data[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("path", CHANGES)
def test_one_value_changes_and_every_other_line_stays(path, start, end):
    text = TEXT.replace("\n", end)
    document = YamlDocument(start + text, "base")
    assert document.keeps_comments
    line, value = CHANGES[path]
    wanted = changed(document.data, path, value)
    written = document.render(wanted)
    assert YamlDocument(written, "new").data == wanted
    lines = written.splitlines()
    assert line in lines
    kept = set(text.splitlines())
    assert set(lines) - kept == {line} - kept
    assert written.startswith("# é😀 above")


def test_all_values_change_at_once_and_keys_come_and_go():
    document = YamlDocument(TEXT, "base")
    wanted = document.data
    for path, (_, value) in CHANGES.items():
        wanted = changed(wanted, path, value)
    wanted = {key: value for key, value in wanted.items() if key not in ("block", "empty")}
    wanted["nested"] = {**wanted["nested"], "new": {"é": "😀: 1"}}
    wanted["more"] = ["😀", None]
    written = document.render(wanted)
    assert YamlDocument(written, "new").data == wanted
    assert "# 😀 beside" in written


def test_nothing_changes_where_no_value_does():
    document = YamlDocument(TEXT, "base")
    assert document.render(document.data) == f"{TEXT}\n"


@pytest.mark.parametrize(
    "text", ["a: &a {b: 1}\nc: *a  # d\n", "a: {<<: {b: 1}}  # d\n", "{a: {b: 1}, c: 2}  # d\n"]
)
def test_what_cannot_be_spliced_is_written_anew(text):
    document = YamlDocument(text, "base")
    assert not document.keeps_comments
    wanted = {**document.data, "new": [1]}
    assert YamlDocument(document.render(wanted), "new").data == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 'base:3: found duplicate key "a"; keep one'),
        ("a: [1\n", "base:1: not valid YAML: did not find expected"),
        ("- a\n", "base: a mapping is needed"),
        ("a: !mine 1\n", "base:1: the tag !mine is not read"),
        ("a: " + "[" * 20_000, "base:1: its values are nested too deeply"),
    ],
)
def test_what_is_no_config_is_refused_with_its_line(text, said):
    with pytest.raises(ConfigError) as found:
        YamlDocument(text, "base")
    assert said in str(found.value)
