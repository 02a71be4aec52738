"""Putting the values of an experiment into a base config.

Mappings merge key by key at any depth; scalars and lists replace what was there, but a mapping of
numbers, ``{0: ...}``, goes into the entries of a list. ``null`` is a value, ``!delete`` takes a key
out. The base is never changed, and the result shares nothing with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from olmix.errors import Problem
from olmix.sweep.errors import TypeMismatchError
from olmix.sweep.scalars import kind_of, render_flow
from olmix.text.yaml_loaders import read_scalar

__all__ = [
    "COMPONENT",
    "DELETE",
    "Merged",
    "Mismatch",
    "Parameters",
    "at",
    "expand",
    "flatten",
    "has",
    "is_quoted",
    "merge",
    "merge_all",
]

COMPONENT = "_component_"
DELETE = "!delete"
"""In place of a value: the key of the base is left out."""
_NUMBERS = {"int", "float"}
_MISSING = object()


@dataclass(frozen=True)
class Parameters:
    """The parameters of a component.

    Attributes:
        kinds: types that each parameter takes (as `kind_of` names them); empty where unknown.
        open: whether it takes any other name too.
        choices: the values allowed, of those parameters that have few.
        required: parameters without a default.
        rest: name under which it takes other names, such as ``load_dataset_kwargs``.
        defaults: what parameters are where nothing is said, as far as that is written out.
    """

    kinds: Mapping[str, frozenset[str]]
    open: bool = False
    choices: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    rest: str = ""
    defaults: Mapping[str, object] = field(default_factory=dict)


ParametersOf = Callable[[str], Parameters | None]
"""Gives the parameters of a component by its dotted name, or `None` where they are unknown.

The name of the config itself is empty.
"""


@dataclass(frozen=True)
class Mismatch:
    """A value of another type than the one it would replace.

    Attributes:
        path: keys of the config.
        old: value of the base.
        new: value of the experiment.
    """

    path: tuple[str, ...]
    old: object
    new: Any

    def explain(self) -> str:
        """Return the key, the type that the base has and the one that was found."""
        if self.new == DELETE:
            return f"the base has no {'.'.join(self.path)} that could be deleted"
        if isinstance(self.old, list) and _is_numbered(self.new):
            count = len(self.old)
            return (
                f"{'.'.join(self.path)} has {count} entries, numbered from 0 to {count - 1}; found "
                f"{', '.join(map(str, self.new))}. To change their number, write the whole list"
            )
        text = (
            f"{'.'.join(self.path)} is {kind_of(self.old)} in the base "
            f"({_short(self.old)}); found {kind_of(self.new)} ({_short(self.new)})"
        )
        if isinstance(self.old, Mapping) and COMPONENT in self.old and isinstance(self.new, str):
            return f"{text}; to change the component, write {{{COMPONENT}: {self.new}}}"
        if is_quoted(self.new, {kind_of(self.old)}):
            return f"{text}; drop the quotes"
        if isinstance(self.old, bool):
            return f"{text}; write true or false"
        if kind_of(self.old) in _NUMBERS and isinstance(self.new, str) and "*" in self.new:
            return f"{text}; a derived value is written such as ${{mul:2,${{lora_rank}}}}"
        return text


@dataclass(frozen=True)
class Merged:
    """A merged config.

    Attributes:
        config: the result, a deep copy.
        dropped: (path of a component, its new name, arguments it does not take) for each component
            that was replaced.
        mismatches: values that were not put in because their type is wrong.
    """

    config: dict[str, Any]
    dropped: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = ()
    mismatches: tuple[Mismatch, ...] = ()


def merge(
    base: Mapping[str, Any], override: Mapping[str, Any], parameters_of: ParametersOf | None = None
) -> dict[str, Any]:
    """Return `base` with the values of `override`.

    Raises:
        TypeMismatchError: with every value whose type does not agree with the base.
    """
    result = merge_all(base, override, parameters_of)
    if result.mismatches:
        raise TypeMismatchError(
            [Problem(".".join(entry.path), entry.explain()) for entry in result.mismatches]
        )
    return result.config


def merge_all(
    base: Mapping[str, object],
    override: Mapping[str, object],
    parameters_of: ParametersOf | None = None,
    lists: Collection[tuple[str, ...]] = (),
) -> Merged:
    """Return `base` with the values of `override`, and everything that does not fit.

    Types must agree, except that int and float are both numbers, that null stands for any type and
    replaces any, that an interpolation may become anything, and that a parameter which its
    component takes in several types may change between them. A bool is not an int. Where a
    component is replaced, arguments that the new one does not take are dropped. At the paths of
    `lists` a list of mappings may replace a mapping: each of them is merged into it.
    """
    work = _Merge(parameters_of, deletes=True, lists=lists)
    config = work.mappings(copy.deepcopy(dict(base)), override, ())
    return Merged(config, tuple(work.dropped), tuple(work.mismatches))


class _Merge:
    def __init__(
        self,
        parameters_of: ParametersOf | None = None,
        *,
        deletes: bool = False,
        lists: Collection[tuple[str, ...]] = (),
    ) -> None:
        self._lists = lists
        self._parameters_of = parameters_of or (lambda _: None)
        self._deletes = deletes
        self.dropped: list[tuple[tuple[str, ...], str, tuple[str, ...]]] = []
        self.mismatches: list[Mismatch] = []

    def mappings(
        self, base: dict[str, Any], override: Mapping[str, Any], path: tuple[str, ...]
    ) -> dict[str, Any]:
        """Merge into `base`, which is already a copy."""
        component = override.get(COMPONENT, base.get(COMPONENT, None if path else ""))
        parameters = self._parameters_of(component) if isinstance(component, str) else None
        if COMPONENT in base and base[COMPONENT] != component and parameters is not None:
            gone = tuple(
                key
                for key in base
                if key != COMPONENT and key not in parameters.kinds and key not in override
            )
            if gone and not parameters.open:
                self.dropped.append((path, str(component), gone))
                base = {key: value for key, value in base.items() if key not in gone}
        for key, new in override.items():
            old = base.get(key)
            kinds = parameters.kinds.get(key, frozenset()) if parameters is not None else ()
            if new == DELETE and self._deletes:
                if base.pop(key, DELETE) == DELETE:
                    self.mismatches.append(Mismatch((*path, key), None, new))
            elif isinstance(new, Mapping) and (isinstance(old, dict) or (old is None and new)):
                base[key] = self.mappings(old or {}, new, (*path, key))
            elif isinstance(old, list) and _is_numbered(new) and _fits(old, new):
                entries = {str(index): entry for index, entry in enumerate(old)}
                numbered = {str(index): entry for index, entry in new.items()}
                base[key] = list(self.mappings(entries, numbered, (*path, key)).values())
            elif (*path, key) in self._lists and isinstance(old, dict) and _is_list_of_nodes(new):
                base[key] = [
                    self.mappings(copy.deepcopy(old), entry, (*path, key, str(index)))
                    for index, entry in enumerate(new)
                ]
            elif key not in base or _agrees(old, new, kinds):
                base[key] = copy.deepcopy(new)
            else:
                self.mismatches.append(Mismatch((*path, key), old, new))
        return base


def is_quoted(value: object, kinds: Collection[str]) -> bool:
    """Whether a text would be a number, or true or false, of the kinds asked for without quotes."""
    if not isinstance(value, str):
        return False
    is_bool = value.lower() in ("true", "false")
    return kind_of(read_scalar(value)) in ({"bool"} if is_bool else _NUMBERS) & set(kinds)


def _agrees(old: object, new: object, kinds: Sequence[str] | frozenset[str]) -> bool:
    before, after = kind_of(old), kind_of(new)
    return (
        before == after
        or "null" in (before, after)
        or {before, after} <= _NUMBERS
        or (isinstance(new, str) and "${" in new)
        or (before in kinds and after in kinds)
    )


def _is_list_of_nodes(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(e, Mapping) for e in value)


def _is_numbered(value: object) -> bool:
    """Whether a value is a mapping of the numbers of entries."""
    return isinstance(value, Mapping) and bool(value) and all(str(k).isdecimal() for k in value)


def _fits(entries: Sequence[Any], numbered: Mapping[Any, Any]) -> bool:
    return all(int(index) < len(entries) for index in numbered)


def at(config: Any, path: Sequence[str]) -> Any:
    """Return what stands at a path of keys and numbers of entries; `None` if nothing does."""
    found = _walk(config, path)
    return None if found is _MISSING else found


def has(config: Any, path: Sequence[str]) -> bool:
    """Whether anything stands at a path, be it null."""
    return _walk(config, path) is not _MISSING


def _walk(node: object, path: Sequence[str]) -> object:
    for step in path:
        if isinstance(node, Mapping):
            node = node.get(step, _MISSING)
        elif isinstance(node, list) and step.isdecimal() and int(step) < len(node):
            node = node[int(step)]
        else:
            return _MISSING
    return node


def flatten(
    tree: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (path, value) of every value that is not a mapping with keys."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value


def expand(values: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Build the tree of values given by their paths; mappings given at one path merge."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        for step in reversed(path):
            value = {step: value}
        tree = _Merge().mappings(tree, value, ())
    return tree


def _short(value: object) -> str:
    text = render_flow(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
