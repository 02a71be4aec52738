"""The page for those who come from other projects: what it says is called so, is called so.

Each row of its tables has what others write, and what is written here. Keys are looked up in the
JSON Schemas of our configs, commands and options in the program itself.
"""

import re
from functools import cache
from pathlib import Path

import click
import pytest

from olmix.cli.main import cli
from olmix.config.schema import schemas
from olmix.grpo.config import RunConfig

PAGE = Path(__file__).parents[2] / "docs/coming_from.md"
TITLES = {
    "olmix": ("Defaults", "Generation", "Launch", "Fit", "RegMix", "cruijff_kit"),
    "grpo": ("agent-tunix",),
}
NO_KEYS = {
    "eval_tasks", "gpt_neox", "gpt_neox_olmo_dolma_v1_5", "olmo3_14m",  # theirs, and values
    "optimizer.lr", "dataset.data_files",  # torchtune's
    "models.json", "run_mapping.yaml", "validation_report.txt", "results", "experiment",
    "hydra", "train_",
}  # fmt: skip
"""Names in the tables that are neither keys of ours nor values that a schema lists."""
_SPAN = re.compile(r"`([^`\n]+)`")
_KEY = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+|\[\]\.[a-z_]+)*")
_VALUES = re.compile(r"[{}]|: .*")


def _rows(*titles):
    """The rows of the tables below the headings that begin so: title, theirs, ours, the rest."""
    title = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            title = line.lstrip("# ")
        elif line.startswith("| ") and not line.startswith(("| key |", "| theirs |", "| flag |")):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if title.startswith(titles):
                yield title, cells


def _properties(node, whole, path=(), above=()):
    """Yield the paths of all keys in a JSON Schema, their defaults beside them."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        if name not in above:
            yield from _properties(whole["$defs"][name], whole, path, (*above, name))
    for kind in ("anyOf", "oneOf", "allOf"):
        for part in node.get(kind, ()):
            yield from _properties(part, whole, path, above)
    for key, below in node.get("properties", {}).items():
        yield (*path, key), below.get("default")
        yield from _properties(below, whole, (*path, key), above)
    for part in (node.get("items"), node.get("additionalProperties")):
        if isinstance(part, dict):
            yield from _properties(part, whole, path, above)


@cache
def _keys(kind):
    """Every key as ``a.b.c``, to its default; of our configs, or of a GRPO run."""
    found = [RunConfig.model_json_schema()] if kind == "grpo" else schemas().values()
    return {".".join(path): default for one in found for path, default in _properties(one, one)}


def _composed():
    """The settings of a GRPO run that nobody has changed, by their keys."""
    pytest.importorskip("hydra")
    from olmix.grpo.compose import compose

    whole = compose([])
    groups = {name: group for name, group in whole.items() if isinstance(group, dict)}
    below = {
        f"{name}.{key}": value for name, group in groups.items() for key, value in group.items()
    }
    return whole | below


@cache
def _values():
    """Every word that a schema allows as a value."""
    text = str([RunConfig.model_json_schema(), schemas()])
    lists = re.findall(r"'enum': \[([^\]]*)\]", text) + re.findall(r"'const': '([^']*)'", text)
    return {word for one in lists for word in re.findall(r"\w+", one)}


def _is_known(name, kind):
    name = name.replace("[]", "")
    is_key = any(known == name or known.endswith(f".{name}") for known in _keys(kind))
    return is_key or name in _values() | NO_KEYS


def _names(cell):
    """The names in a cell; one without a dot stands in the section of the one before it."""
    section = ""
    for span in _SPAN.findall(cell):
        for part in re.split(r", ", span):
            name = _VALUES.sub("", part).strip()
            if not _KEY.fullmatch(name):
                continue
            if "." in name:
                section = name.rpartition(".")[0]
                yield (name,)
            else:
                yield (f"{section}.{name}", name) if section else (name,)


def _lacking(cell, kind):
    """The names in a cell that we do not have."""
    return [names[-1] for names in _names(cell) if not any(_is_known(name, kind) for name in names)]


def _command(words):
    """The command that words lead to, and the words that are left."""
    found = cli
    while words and isinstance(found, click.Group):
        below = found.get_command(click.Context(found), words[0])
        assert below is not None, f"there is no command {words[0]}"
        found, words = below, words[1:]
    return found, words


def _options(command):
    return {option for one in command.params for option in (*one.opts, *one.secondary_opts)}


def test_each_command_and_each_option_is_there():
    text = PAGE.read_text(encoding="utf-8")
    said = [span for span in _SPAN.findall(text) if span.startswith("olmix ")]
    assert len(said) > 20
    gone = {"olmix mix generate", "olmix launch validate", "olmix launch run -m MIXES"}
    for span in set(said) - gone:
        words = span.split()[1:]
        leading = []
        while words and re.fullmatch("[a-z-]+", words[0]) and not words[0].startswith("-"):
            leading.append(words.pop(0))
        command, left = _command(leading)
        assert not left, f"{span}: {left} is no command"
        for word in words:
            flag = re.match(r"\[?(--?[a-z][a-z-]*)", word)
            if flag is not None:
                assert flag[1] in _options(command), f"{span}: {flag[1]}"
    for span in gone:
        assert f"| `{span}` (earlier) |" in text


@pytest.mark.parametrize("kind", TITLES)
def test_each_key_that_is_ours_is_in_a_config(kind):
    wrong, num_keys = [], 0
    for title, (theirs, ours, *_) in _rows(*TITLES[kind]):
        same = ours.startswith(("the same", "checked", "read,"))
        num_keys += len([*_names(theirs)]) * same + len([*_names(ours)])
        wrong += [f"{title}: {name}" for name in (_lacking(theirs, kind) if same else ())]
        if not title.startswith("Defaults"):
            wrong += [f"{title}: {name}" for name in _lacking(ours, kind)]
    assert num_keys > 25
    assert not wrong


def test_the_defaults_that_differ_are_ours():
    checked = []
    for title, (key, *values) in _rows("Defaults", "agent-tunix"):
        if title == "agent-tunix":
            if len(values) < 2 or ", " not in values[1]:
                continue
            # `[1, 106], the tokenizer's own`: what is here stands behind the last comma
            ours, kind = values[1].rpartition(", ")[2], "grpo"
            names = [*_names(values[0])] or [*_names(key)]
        else:
            ours, kind, names = values[1].partition(",")[0], "olmix", [*_names(key)]
        said = _SPAN.search(ours)
        word = (said[1] if said else ours).partition(": ")[2] or (said[1] if said else ours)
        if not re.fullmatch(r"[\d.]+|auto", word) or not names:
            continue
        name = names[0][0]
        known = _keys(kind) if kind == "olmix" else _composed()
        fit = [k for k in known if k == name] or [k for k in known if k.endswith(f".{name}")]
        found = {str(known[k]) for k in fit}
        assert {word, f"{word}.0"} & found, f"{name}: the page says {word}, the schema {found}"
        checked.append(name)
    assert len(checked) >= 8, checked
