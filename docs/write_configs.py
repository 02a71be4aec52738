"""Write docs/configs.md, every key of every config, from the models. Run by `make docs`.

Type, default and meaning are the model's. The example is, in this order: what config_examples.yaml
says, what a config of this repository has, what the meaning names after "such as", and for a choice
or a number a value that the model takes. A key without any is an error, and a test reads each.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from olmix.config.base import _models_in
from olmix.config.schema import _MODELS
from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
Key = tuple[type[BaseModel], str]

HEADER = """\
# Config keys

Every key of every config, written from the models by `make docs`; do not edit. `olmix schema`
writes the same as JSON Schemas, so that editors complete and check a config while you type.

A key that is not **required** may be left out. Unknown keys are refused, and the error names the
nearest known one. A path is relative to the config that it stands in. Token counts may be written
`140M` or `40B`, shares `7/52`.

| config | read by |
|---|---|
"""
PAGES = {
    "generation": ("Generation configs", "`olmix generate`, `olmix priors compute`"),
    "launch": ("Launch configs", "`olmix launch`, `olmix generate --base`, `olmix verify`"),
    "variant": ("Variants", "`olmix launch run -v`"),
    "fit": ("Fit configs", "`olmix fit`"),
    "surface": ("Fit configs of a sweep", "`olmix fit`"),
    "experiment": ("Experiments of a sweep", "`olmix sweep`"),
    "grpo": ("GRPO runs", "`olmix grpo train KEY=VALUE`"),
}


def config_models() -> dict[str, type[BaseModel]]:
    """Return the model of each page part, by its name."""
    return {name: RunConfig if name == "grpo" else _MODELS[name] for name in PAGES}


def sections(model: type[BaseModel], where: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield (path of keys, model) of a config and of every section below it, each model once."""
    seen: set[type[BaseModel]] = set()

    def visit(one: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
        if one in seen:
            return
        seen.add(one)
        yield path, one
        for key, field in one.model_fields.items():
            for below in _models_in(field):
                yield from visit(below, f"{path}.{key}" if path else key)

    yield from visit(model, where)


# -- types -----------------------------------------------------------------------------------------


def kind(node: Mapping[str, Any]) -> str:
    """Return what a JSON Schema allows, in words."""
    if "$ref" in node:
        return "section"
    if "const" in node:
        return f"`{_plain(node['const'])}`"
    if "enum" in node:
        return " or ".join(f"`{_plain(one)}`" for one in node["enum"])
    for union in ("anyOf", "oneOf"):
        if union in node:
            found = [kind(one) for one in node[union] if one.get("type") != "null"]
            found.sort(key=lambda text: text == "ratio")
            return " or ".join(dict.fromkeys(found))
    return _simple(node)


def _simple(node: Mapping[str, Any]) -> str:
    name = node.get("type")
    if name == "array":
        if "prefixItems" in node:
            return "list of " + " and ".join(kind(one) for one in node["prefixItems"])
        return f"list of {_many(kind(node.get('items', {})))}"
    if name == "object":
        values = node.get("additionalProperties")
        return (
            f"mapping of names to {_many(kind(values))}" if isinstance(values, dict) else "mapping"
        )
    if name == "integer" and node.get("exclusiveMinimum") == 0:
        return "tokens"
    if name == "string" and "/" in node.get("pattern", ""):
        return "ratio"
    words = {"string": "text", "boolean": "true or false", "integer": "whole number"}
    return words.get(str(name), str(name or "any")) + _range(node)


def _many(text: str) -> str:
    plain = {
        "section": "sections",
        "text": "texts",
        "number": "numbers",
        "whole number": "whole numbers",
        "true or false": "true or false",
    }
    return plain.get(text, text)


def _range(node: Mapping[str, Any]) -> str:
    low, above = node.get("minimum"), node.get("exclusiveMinimum")
    high, below = node.get("maximum"), node.get("exclusiveMaximum")
    parts = []
    if low is not None:
        parts.append(f"from {low:g}")
    if above is not None:
        parts.append(f"above {above:g}")
    if high is not None:
        parts.append(f"up to {high:g}" if high < 2**31 - 1 else "")
    if below is not None and below < 2**31:
        parts.append(f"below {below:g}")
    return "".join(f" {part}" for part in parts if part)


# -- examples --------------------------------------------------------------------------------------


def _plain(value: Any) -> str:
    """Return a value as YAML would have it in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return text.removesuffix("\n").removesuffix("...").strip()


@cache
def given_examples() -> Mapping[str, Any]:
    """Return the examples that are written by hand, by `Model.key`."""
    text = (DOCS / "config_examples.yaml").read_text(encoding="utf-8")
    found: Mapping[str, Any] = yaml.safe_load(text)
    return found


@cache
def used_examples() -> Mapping[Key, Any]:
    """Return what the configs of this repository give, by model and key: the shortest of each."""
    found: dict[Key, Any] = {}
    files = sorted([*(ROOT / "configs").rglob("*.yaml"), *(ROOT / "examples").rglob("*.yaml")])
    for file in files:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        for model in config_models().values():
            if isinstance(data, dict) and set(data) <= set(model.model_fields):
                _note(model, data, found)
    return found


def _note(model: type[BaseModel], data: Mapping[str, Any], found: dict[Key, Any]) -> None:
    names = {written(name, field): name for name, field in model.model_fields.items()}
    for written_key, value in data.items():
        key = names.get(written_key, written_key)
        field = model.model_fields[key]
        below = [one for one in _models_in(field) if _takes(one, value)]
        old = found.get((model, key))
        if value and (old is None or len(_plain(value)) < len(_plain(old))):
            found[model, key] = value
        if below:
            for entry in value if isinstance(value, list) else [value]:
                _note(below[0], entry, found)


def _takes(model: type[BaseModel], value: Any) -> bool:
    entries = value if isinstance(value, list) else [value]
    keys = set(model.model_fields)
    if not all(isinstance(one, dict) and set(one) <= keys for one in entries):
        return False
    for tag in ("trainer", "backend", "type"):
        said = {one[tag] for one in entries if tag in one}
        field = model.model_fields.get(tag)
        if said and field is not None and not all(is_taken(model, tag, one) for one in said):
            return False
    return bool(entries)


def written(key: str, field: FieldInfo) -> str:
    """Return how a file writes a key."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return alias if isinstance(alias, str) else key


def is_taken(model: type[BaseModel], name: str, value: Any) -> bool:
    """Whether a key of a section may have a value, whatever else the section needs."""
    key = written(name, model.model_fields[name])
    try:
        model.model_validate({key: value})
    except ValidationError as error:
        return not any(item["loc"][:1] in ((key,), (name,)) for item in error.errors())
    return True


def example(model: type[BaseModel], key: str, node: Mapping[str, Any], default: Any) -> Any:
    """Return a value that a key may have; None where there is none to be found."""
    field = model.model_fields[key]
    given = given_examples()
    for name in (f"{model.__name__}.{key}", key):
        if name in given:
            return given[name]
    used = used_examples().get((model, key))
    if used is not None and not _models_in(field):
        return used
    for text in re.findall(r"such as `([^`]+)`", field.description or ""):
        value = yaml.safe_load(text)
        if is_taken(model, key, value):
            return value
    choices = [*_choices(node)]
    others = [one for one in choices if one != default]
    if others:
        return others[0]
    if isinstance(default, bool):
        return not default
    if isinstance(default, int | float | str) and default != "":
        return default
    return None


def _choices(node: Mapping[str, Any]) -> Iterator[Any]:
    yield from node.get("enum", [])
    if "const" in node:
        yield node["const"]
    for union in ("anyOf", "oneOf"):
        for one in node.get(union, []):
            yield from _choices(one)


# -- the page --------------------------------------------------------------------------------------


def rows(
    model: type[BaseModel], tree: Mapping[str, Any], headings: Mapping[type[BaseModel], str]
) -> Iterator[tuple[str, ...]]:
    """Yield (key, type, default, example, meaning) of a section.

    Args:
        model: of the section.
        tree: the defaults that Hydra composes, for GRPO; else empty.
        headings: of the sections below it.

    Raises:
        SystemExit: a key has no example.
    """
    schema = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        key = written(name, field)
        default = default_of(field, key, tree)
        below = _models_in(field)
        if below:
            links = [f"[{headings[one]}](#{_slug(headings[one])})" for one in below]
            shown, what = "", kind(schema[key]).replace("section", " or ".join(links), 1)
            what = what.replace(" or section", "").replace(")s", ")")
        else:
            value = example(model, name, schema[key], default)
            if value is None:
                sys.exit(f"config_examples.yaml: {model.__name__}.{name} has no example")
            shown, what = f"`{key}: {_plain(value)}`", kind(schema[key])
        required = field.is_required() and key not in tree
        meaning = " ".join((field.description or "").replace("``", "`").split())
        told = "**required**" if required else "" if below else _default(default)
        yield f"`{key}`", what, told, shown, meaning


def default_of(field: FieldInfo, key: str, tree: Mapping[str, Any]) -> Any:
    """Return what a key is where nobody gives it; None for a required one."""
    if key in tree:
        return tree[key]
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _default(value: Any) -> str:
    if value is None or value in ((), {}, "", []):
        return ""
    return f"`{_plain(list(value) if isinstance(value, tuple) else value)}`"


def _heading(path: str, model: type[BaseModel], *, several: bool) -> str:
    if several:
        for tag in ("trainer", "backend", "type"):
            field = model.model_fields.get(tag)
            choices = get_args(field.annotation) if field is not None else ()
            if len(choices) == 1:
                return f"`{path}` with `{tag}: {choices[0]}`"
    return f"`{path}`"


def headings_of(models: Mapping[str, type[BaseModel]]) -> dict[type[BaseModel], str]:
    """Return the heading of every section, each where it is met first."""
    found: dict[type[BaseModel], str] = {}
    for name, model in models.items():
        below = [(path, one) for path, one in sections(model) if path]
        paths = [path for path, _ in below]
        for path, one in below:
            if one in found:
                continue
            heading = _heading(path, one, several=paths.count(path) > 1)
            if heading in found.values():
                heading += f" of {PAGES[name][0].lower()}"
            found[one] = heading
    if len({_slug(heading) for heading in found.values()}) < len(found):
        raise SystemExit("two sections have one heading")
    return found


def render() -> str:
    """Return the page."""
    models = config_models()
    headings = headings_of(models)
    contents, parts, shown = "", [], set()
    for name, model in models.items():
        title, readers = PAGES[name]
        contents += f"| [{title}](#{_slug(title)}) | {readers} |\n"
        tree = compose([]) if name == "grpo" else {}
        for path, section in sections(model):
            if section in shown:
                continue
            shown.add(section)
            parts.append(f"### {headings[section]}\n" if path else f"## {title}\n")
            parts.append(table(section, _at(tree, path), headings))
    return f"{HEADER}{contents}\n" + "\n".join(parts)


def table(
    model: type[BaseModel], tree: Mapping[str, Any], headings: Mapping[type[BaseModel], str]
) -> str:
    """Return what a section is for, and a table of its keys."""
    about = " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())
    lines = [f"{about}\n", "| key | type | default | example | meaning |", "|---|---|---|---|---|"]
    for row in rows(model, tree, headings):
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines) + "\n"


def _slug(heading: str) -> str:
    """Return the anchor that a heading gets, on the site and in a repository."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


def _at(tree: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    for key in path.split(".") if path else ():
        inner = tree.get(key)
        tree = inner if isinstance(inner, Mapping) else {}
    return tree


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "configs.md"
    target.write_text(render(), encoding="utf-8")
