"""From an old config to files that run: told by its keys, converted, checked, then written."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.config import FitConfig, GenerationConfig, LaunchConfig, Section, read_yaml
from olmix.convert.data_tree import domains_of, walk
from olmix.convert.draft import Draft, Plain, without_nulls
from olmix.convert.experiment import sections_of, split_experiment
from olmix.convert.fit import convert_fit
from olmix.convert.generation import convert_generation
from olmix.convert.launch import convert_launch
from olmix.errors import ConfigError, OlmixError, Problem
from olmix.text.files import write_text

__all__ = ["Written", "convert"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_FILES = (
    ("swarm", "ratios"),
    ("swarm", "metrics"),
    ("swarm", "existing_mix_file"),
    ("swarm", "augment"),
    ("training", "checkpoint_path"),
    ("data", "tokenizer"),
)
_HEADER = (
    "Converted by `olmix convert` from {old}, a config of Ai2's Olmix. Comments say what changed."
)


@dataclass(frozen=True)
class Written:
    """A file that was written.

    Attributes:
        file: its path.
        kind: `fit`, `generation` or `launch`.
        changes: what changed, in words, in no order.
    """

    file: Path
    kind: str
    changes: tuple[str, ...]


@dataclass(frozen=True)
class _Kind:
    name: str
    model: type[Section]
    suffix: str = ""


_FIT = _Kind("fit", FitConfig)
_GENERATION = _Kind("generation", GenerationConfig)
_LAUNCH = _Kind("launch", LaunchConfig)


def convert(files: Sequence[str | Path], output: str | Path) -> list[Written]:
    """Write the new form of configs of Ai2's Olmix; all of them are checked before one is written.

    Args:
        files: fit, generation, launch and experiment configs. The last make two files each.
        output: folder of the new files, named as the old ones. Relative paths are rewritten to be
            relative to it.

    Raises:
        ConfigError: a file is none of these, or is still wrong once converted.
        OlmixError: a file would be overwritten.
    """
    folder = Path(output)
    texts: dict[Path, tuple[str, Written]] = {}
    for old in map(Path, files):
        for kind, draft in _drafts(old):
            target = folder / f"{old.stem}{kind.suffix}.yaml"
            if target in texts or target.exists():
                raise OlmixError(f"{target}: already exists; give another folder")
            _move_paths(draft, old.parent, folder)
            _check(kind, draft, old)
            header = "\n".join([_HEADER.format(old=old.name), *_head_comments(old)])
            changes = tuple(note for _, note in draft.notes)
            texts[target] = draft.render(header), Written(target, kind.name, changes)
    for target, (text, _) in texts.items():
        write_text(target, text)
    return [written for _, written in texts.values()]


def _drafts(old: Path) -> list[tuple[_Kind, Draft]]:
    """Return the new configs that an old file becomes, converted."""
    plain = without_nulls(read_yaml(old).data)
    if not isinstance(plain, dict):
        raise ConfigError([Problem("", "a mapping is needed")], str(old))
    keys, swarm = set(plain), plain.get("swarm")
    if isinstance(swarm, dict) and {"ratios", "metrics"} & set(swarm):
        return [_converted(_FIT, plain, convert_fit)]
    if "sources" in keys:
        return _split(sections_of(plain), old)
    if "data" in keys and {"priors", "swarm"} & keys and {"infra", "training"} & keys:
        return _split(Draft(plain), old)
    if "data" in keys and {"infra", "training", "mix", "eval"} & keys:
        return [_converted(_LAUNCH, plain, convert_launch)]
    if "data" in keys:
        return [_converted(_GENERATION, plain, convert_generation)]
    what = (
        "this is not a config of Ai2's Olmix: neither `swarm` with tables (fit), nor `data` with "
        "`priors` (generation) or `training` (launch), nor `sources` (an experiment of early "
        f"releases); found {', '.join(map(str, plain)) or 'nothing'}"
    )
    raise ConfigError([Problem("", what)], str(old))


def _converted(kind: _Kind, plain: Plain, change: Callable[[Draft], None]) -> tuple[_Kind, Draft]:
    draft = Draft(plain)
    change(draft)
    return kind, draft


def _split(whole: Draft, old: Path) -> list[tuple[_Kind, Draft]]:
    generation, launch = split_experiment(whole, f"{old.stem}-priors.yaml")
    if generation is None:
        return [(_LAUNCH, launch)]
    return [
        (_Kind("generation", GenerationConfig, "-generation"), generation),
        (_Kind("launch", LaunchConfig, "-launch"), launch),
    ]


def _check(kind: _Kind, draft: Draft, old: Path) -> None:
    """Raise a `ConfigError` that names the old file where the new form is not valid."""
    plain = dict(draft.content)
    if isinstance(plain.get("priors"), str):
        plain["priors"] = {"token_counts": dict.fromkeys(domains_of(draft), 1)}
    kind.model.from_dict(plain, f"{old} (converted)")


def _move_paths(draft: Draft, old: Path, new: Path) -> None:
    """Rewrite relative local paths, so that they lead from the new folder to where they did."""

    def moved(value: Any) -> Any:
        if not isinstance(value, str) or _URL.match(value) or Path(value).is_absolute():
            return value
        # Theirs are relative to the folder in which the command runs, ours to the config.
        there = not (old / value).exists() and Path(value).exists()
        return os.path.normpath(Path(os.path.relpath(Path() if there else old, new), value))

    for section, key in _FILES:
        if draft.get(section, key) is not None:
            draft.content[section][key] = moved(draft.content[section][key])
    for _, _, node in walk(draft):
        if isinstance(node.get("paths"), list):
            node["paths"] = [moved(path) for path in node["paths"]]


def _head_comments(old: Path) -> list[str]:
    """Return the comment lines that the old file begins with."""
    found: list[str] = []
    for line in old.read_text(encoding="utf-8-sig").splitlines():
        if not line.startswith("#"):
            break
        found.append(line.removeprefix("#").removeprefix(" "))
    return ["", *found] if found else []
