"""Reading YAML: the rules of 1.2, errors that name their line, and limits."""

import subprocess
import sys

import pytest

from olmix.errors import ConfigError
from olmix.text.yaml import load, parse_yaml, read_yaml, render_yaml
from olmix.text.yaml_rules import MAX_DEPTH, OmegaConfYaml


def problems(text):
    """Return what is wrong with a text, with lines."""
    with pytest.raises(ConfigError) as found:
        parse_yaml(text, "x.yaml")
    return [problem.render("x.yaml") for problem in found.value.problems]


@pytest.mark.parametrize(
    ("text", "value", "by_omegaconf"),
    [
        ("1e3", 1000.0, 1000.0),
        ("3e-4", 3e-4, 3e-4),
        ("1_000", 1000, 1000),
        (".5", 0.5, 0.5),
        (".5e3", 500.0, ".5e3"),
        ("-.inf", float("-inf"), float("-inf")),
        ("-1" + "0" * 400, float("-inf"), -(10**400)),
        ("0o17", 15, "0o17"),
        ("0x1F", 31, 31),
        ("017", 17, 15),
        ("09", 9, "09"),
        ("00123456", 123456, 0o123456),
        ("0d032fc5", "0d032fc5", "0d032fc5"),
        ("140M", "140M", "140M"),
        ("2025-11-12", "2025-11-12", "2025-11-12"),
        ("2025-11-12 10:00:00Z", "2025-11-12 10:00:00Z", "2025-11-12 10:00:00Z"),
        ("12:30:45", "12:30:45", 45045),
        ("on", "on", True),
        ("No", "No", False),
        ("TRUE", True, True),
        ("~", None, None),
        ("", None, None),
        ("=", "=", "="),
        ("'on'", "on", "on"),
        ("!!str 1", "1", "1"),
        ("!!float 1", 1.0, 1.0),
        ("&x true", True, True),
    ],
)
def test_a_scalar_means_one_thing_to_olmix_and_one_to_omegaconf(text, value, by_omegaconf):
    assert repr(parse_yaml(f"a: {text}", "")) == repr({"a": value})
    assert repr(load(f"a: {text}", "", OmegaConfYaml).data) == repr({"a": by_omegaconf})


def test_merge_keys_fill_in_what_a_mapping_does_not_say():
    text = "x: &x {a: 1}\nz: &z {a: 2, c: 4}\ny:\n  <<: [*x, *z]\n  c: 3\n'<<': 5\n"
    assert parse_yaml(text, "") == {
        "x": {"a": 1}, "z": {"a": 2, "c": 4}, "y": {"c": 3, "a": 1}, "<<": 5,
    }  # fmt: skip


def test_an_alias_gives_a_copy():
    found = parse_yaml("a: &a {b: 1}\nc: *a\n", "")
    found["a"]["b"] = 2
    assert found["c"] == {"b": 1}


def test_all_that_is_wrong_with_the_values_comes_at_once():
    text = "a: 1\nb: {c: 1, c: 2}\na: 2\nd: !mine 3\ne: {{ f }}\ng: !!int x\nh: " + "9" * 5000
    assert problems(text) == [
        'x.yaml:2: found duplicate key "c"; keep one',
        'x.yaml:3: found duplicate key "a"; keep one',
        "x.yaml:4: the tag !mine is not read; write the value without it",
        "x.yaml:5: found a mapping or list instead of a key; put text with braces into quotes",
        "x.yaml:6: `x` is not what its tag !!int says",
        "x.yaml:7: a number of 5,000 characters; at most 1,000 are read",
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: [b\nc: d\n", 2, "while parsing a flow sequence from line 1 on"),
        ("a: 1\n\tb: 2\n", 2, "there is a tab: indent with spaces"),
        ("a:\n\t- b\n", 2, "there is a tab: indent with spaces"),
        ("a: b: c\n", 1, 'put text with ": " into quotes'),
        ("a: @b\n", 1, "put text that begins with this character into quotes"),
        ("a: *.json\n", 1, r"put text that begins with \* or & into quotes"),
        ("a: *b\n", 1, r"put text that begins with \* into quotes"),
        ("a: &b 1\nc: &b 2\n", 2, "found duplicate anchor .* rename one of the two"),
        ("a: 1\n---\nb: 2\n", 2, "a file is one document"),
        ("a: 1\nb: \x07\n", 2, r"the character U\+0007 is not allowed"),
        ("a: &b [*b]\n", 1, "an alias .* is inside its own anchor"),
        ("<<: 5\n", 1, "`<<` takes a mapping, or a list of mappings"),
        ("<<: {a: 1}\n<<: {b: 1}\n", 2, 'duplicate key "<<"'),
        ("a: !!float ''\n", 1, "is not what its tag !!float says"),
        ("a: b\u2028c\n", 2, "U.2028 .* end a line: put them into double quotes"),
        ("a: !!set {b}\n", 1, "the tag !!set is not read"),
    ],
)
def test_an_error_names_the_line_and_what_to_do(text, line, said):
    with pytest.raises(ConfigError, match=f"x.yaml:{line}: .*{said}"):
        parse_yaml(text, "x.yaml")


def test_yaml_1_1_is_refused_where_it_is_asked_for():
    with pytest.raises(ConfigError, match=r"Olmix reads YAML 1\.2"):
        parse_yaml("# old\n%YAML 1.1\n---\na: yes\n", "x.yaml")
    assert parse_yaml("%YAML 1.2\n---\na: yes\n", "x.yaml") == {"a": "yes"}


@pytest.mark.parametrize("shape", ["[{}]", "{{a: {}}}", "- {}", "? {}"])
def test_values_nested_too_deeply_are_refused_at_once(shape):
    left, _, right = shape.replace("{{", "{").replace("}}", "}").partition("{}")
    fits = left * (MAX_DEPTH - 1) + "x" + right * (MAX_DEPTH - 1)
    if not shape.startswith("?"):
        assert parse_yaml(fits, "x.yaml")
    (problem,) = problems(left * 20_000 + right * 20_000)
    assert problem == "x.yaml:1: its values are nested too deeply; at most 100 levels are read"


def bomb(levels, width=10):
    """Return a text whose aliases stand for about width**levels values."""
    lines = ["a0: &a0 [" + ",".join("x" * width) + "]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * width)}]")
    return "\n".join(lines)


def test_aliases_that_stand_for_too_much_are_refused_before_they_are_written_out():
    assert len(parse_yaml(bomb(4), "")) == 4
    (problem,) = problems(bomb(10))
    assert problem == (
        "x.yaml:1: its aliases (*) add 12,345,678,990 values or more; at most 200,000 are read"
    )
    assert "1,000,000,000,000,000 values or more" in problems(bomb(90))[0]
    merged = (
        "a: &a {k: [" + "x, " * 1000 + "]}\n" + "".join(f"b{i}: {{<<: *a}}\n" for i in range(300))
    )
    assert "at most 200,000 are read" in problems(merged)[0]


def test_aliases_nest_as_deep_as_what_they_stand_for():
    chain = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 200))
    assert "nested too deeply" in problems(chain)[0]


def test_a_file_may_be_as_long_as_it_is():
    text = "- &a 2 * 3\n- *a\n- [" + "1, " * 300_000 + "]"
    assert len(parse_yaml(text, "")[2]) == 300_000


def test_an_asterisk_in_a_text_is_no_alias():
    assert parse_yaml("a: 2 * 3\nb: '*'\n", "") == {"a": "2 * 3", "b": "*"}


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: 2\r\n")
    found = read_yaml(file)
    assert found.data == {"a": 1, "b": {"c": 2}}
    assert found.line(("b", "c")) == 3


def test_lines_are_found_behind_anything_and_in_what_is_merged(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(
        "é: 😀  # 😀\ntext: |\n  b: 1\n\n  c\nbase: &base\n  lr: 1\n  own: 2\n"
        "1:\n- x: 0\n-\n  y: 0\nrun:\n  <<: *base\n  own: 3\n"
    )
    found = read_yaml(file)
    places = {
        ("é",): 1, ("text",): 2, ("base", "lr"): 7, (1, 0, "x"): 10, (1, 1, "y"): 12,
        ("run", "own"): 15, ("run", "lr"): 7, ("run", "no"): 13, ("no",): None, (1, 7): 9,
    }  # fmt: skip
    assert {place: found.line(place) for place in places} == places
    assert found.section("run").line(("own",)) == 15


@pytest.mark.parametrize(
    "word", ["y", "N", "on", "1e3", "12345678", "00123456", "1e5", "12e51234", "0x12", "1_0"]
)
def test_text_that_some_reader_takes_for_something_else_is_quoted(word):
    assert render_yaml({"a": word}) == f"a: '{word}'\n"
    assert parse_yaml(render_yaml({"a": word}), "") == {"a": word}


def test_no_second_library_reads_what_looks_like_a_number(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(
        "ids: [0d032fc5, 12e5, '12e5', 2025-11-12, 1_0]\na: &a !!str 1\nb: |\n  *a\nc: *a\n"
    )
    program = (
        "import sys\n"
        "sys.modules['ruamel'] = sys.modules['ruamel.yaml'] = None\n"
        "import olmix.cli.main, olmix.config, olmix.sweep\n"
        "print(olmix.config.read_yaml(sys.argv[1]).data)\n"
    )
    words = [sys.executable, "-c", program, str(file)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert said.strip() == str(
        {"ids": ["0d032fc5", 1200000.0, "12e5", "2025-11-12", 10], "a": "1", "b": "*a\n", "c": "1"}
    )


def test_without_the_c_part_of_pyyaml_all_is_read_alike():
    texts = [
        "a: 3e-4\nb: on\nc: [1_000, 0o17, ~]\n", "a: &a {b: 1}\nc: {<<: *a, d: é😀}\n",
        "\ufeffa: 1\n", "a: |\n  b\n  c\n", "", "a: 1\na: 2\n", "a: !x 1\n", "[" * 5000, bomb(12),
        "a:\n\tb: 1\n", "a: \x07", "a: &b 1\nc: &b 2\n", "a: 1\n---\nb: 2\n", "a: &b [*b]\n",
    ]  # fmt: skip
    program = (
        "import sys, yaml\n"
        "if len(sys.argv) > 1: del yaml.CSafeLoader, yaml.CSafeDumper\n"
        "from olmix.errors import ConfigError\n"
        "from olmix.text.yaml import parse_yaml, render_yaml\n"
        f"for text in {texts!r}:\n"
        "    try: print(ascii(parse_yaml(text, 'x')), bool(render_yaml([text])))\n"
        "    except ConfigError as error:\n"
        "        print([(p.line, p.what.split(': ')[0].split(';')[-1]) for p in error.problems])\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
        ).stdout
        for words in ([], ["pure"])
    ]
    assert said[0] == said[1]
    assert said[0].count("\n") == len(texts)
