"""The parameters of a component, read from its source; nothing is imported.

``torchtune.datasets.alpaca_cleaned_dataset`` is followed through the ``__init__.py`` files that
pass it on to its definition: a function, a class, a dataclass with those that it inherits from, or
a ``functools.partial``. A component whose
source is not found has unknown parameters, and is left to the framework's own check.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from olmix.sweep.merge import Parameters
from olmix.sweep.scalars import kind_of

__all__ = ["find_file", "is_missing", "join", "parameters_of", "source_tree"]

_KINDS = {
    "int": {"int"},
    "float": {"int", "float"},
    "bool": {"bool"},
    "str": {"text"},
    "Path": {"text"},
    "PathLike": {"text"},
    "None": {"null"},
}
_LISTS = {"list", "tuple", "set", "sequence", "iterable", "collection"}
_MAPPINGS = {"dict", "mapping", "mutablemapping", "ordereddict", "dictconfig"}
_MAX_STEPS = 12


@dataclass(frozen=True)
class _Definition:
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr
    module: str


@functools.cache
def parameters_of(component: str) -> Parameters | None:
    """Return the parameters of a component, or `None` where its source cannot be read."""
    try:
        found = _find(component)
        return None if found is None else _parameters(found)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


@functools.cache
def is_missing(component: str) -> bool:
    """Whether a module that is installed surely holds no such component."""
    head, _, name = component.rpartition(".")
    if not head or _find(component) is not None:
        return False
    tree = source_tree(head)
    # Star imports and assignments at run time could still provide it.
    return tree is not None and not any(
        (isinstance(node, ast.FunctionDef) and node.name == "__getattr__")
        or (isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names))
        or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name)
        for node in ast.walk(tree)
    )


def _find(component: str, steps: int = _MAX_STEPS) -> _Definition | None:
    module, _, name = component.rpartition(".")
    if not module or steps == 0:
        return None
    tree = source_tree(module)
    if tree is None:
        return None
    stars: list[str] = []
    for node in _statements(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name == name and not any(_name(d) == "overload" for d in node.decorator_list):
                return _Definition(node, module)
        elif isinstance(node, ast.ImportFrom):
            source = _imported_from(node, module)
            for alias in node.names:
                if alias.name == "*":
                    stars.append(source)
                elif (alias.asname or alias.name) == name:
                    return _find(f"{source}.{alias.name}", steps - 1)
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            return _Definition(node.value, module)
    for source in stars:
        found = _find(f"{source}.{name}", steps - 1)
        if found is not None:
            return found
    return None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements([*node.body, *node.orelse])


def _imported_from(node: ast.ImportFrom, module: str) -> str:
    if not node.level:
        return node.module or ""
    path = find_file(module)
    package = module if path is not None and path.name == "__init__.py" else _parent(module)
    for _ in range(node.level - 1):
        package = _parent(package)
    return f"{package}.{node.module}" if node.module else package


def _parent(module: str) -> str:
    return module.rpartition(".")[0]


@functools.cache
def find_file(module: str) -> Path | None:
    """Return the source file of a module without importing any package; `None` if there is none."""
    top, *rest = module.split(".")
    if top in sys.builtin_module_names:
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin)
    for step in rest:
        if path.name != "__init__.py":
            return None
        options = (path.parent / step / "__init__.py", path.parent / f"{step}.py")
        chosen = next((option for option in options if option.is_file()), None)
        if chosen is None:
            return None
        path = chosen
    return path


@functools.cache
def source_tree(module: str) -> ast.Module | None:
    """Return the parsed source of a module; `None` where there is none."""
    path = find_file(module)
    return None if path is None else ast.parse(path.read_text(encoding="utf-8"))


def _parameters(found: _Definition) -> Parameters | None:
    node = found.node
    if isinstance(node, ast.ClassDef):
        return _class_parameters(node, found.module)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return _function_parameters(node, found.module, skip_first=False)
    if isinstance(node, ast.Name | ast.Attribute):
        return parameters_of(f"{found.module}.{_name(node)}")
    if isinstance(node, ast.Call) and _name(node.func) == "partial" and node.args:
        inner = parameters_of(f"{found.module}.{_name(node.args[0])}")
        if inner is None:
            return None
        given = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
        return replace(inner, required=inner.required - given)
    return None


def _class_parameters(
    node: ast.ClassDef, module: str, steps: int = _MAX_STEPS
) -> Parameters | None:
    for entry in node.body:
        if isinstance(entry, ast.FunctionDef) and entry.name in ("__init__", "__new__"):
            return _function_parameters(entry, module, skip_first=True)
    if any(_name(item).endswith("dataclass") for item in node.decorator_list):
        return _dataclass_parameters(node, module, steps)
    for base in node.bases:
        found = _find(f"{module}.{_name(base)}") if steps else None
        if found is not None and isinstance(found.node, ast.ClassDef):
            return _class_parameters(found.node, found.module, steps - 1)
    return None if node.bases else Parameters({})


def _dataclass_parameters(node: ast.ClassDef, module: str, steps: int) -> Parameters | None:
    """Return the fields of a dataclass, behind those that it inherits; `None` where one is unknown.

    What a field allows besides its type stands in its metadata, as Hugging Face's parsers read it.
    """
    found = Parameters({})
    for base in reversed(node.bases):
        parent = _find(f"{module}.{_name(base)}") if steps else None
        if parent is None or not isinstance(parent.node, ast.ClassDef):
            return None
        inherited = _class_parameters(parent.node, parent.module, steps - 1)
        if inherited is None:
            return None
        found = join(found, inherited)
    kinds: dict[str, frozenset[str]] = {}
    choices: dict[str, tuple[object, ...]] = {}
    required: set[str] = set()
    defaults: dict[str, object] = {}
    for entry in node.body:
        if not isinstance(entry, ast.AnnAssign) or not isinstance(entry.target, ast.Name):
            continue
        name, is_text = entry.target.id, _enum_values(entry.annotation, module)
        kinds[name] = frozenset({"text"} if is_text else _kinds(entry.annotation) or ())
        choices[name] = is_text or _literals(entry.annotation, module) or _listed(entry.value)
        if any(kind_of(value) not in kinds[name] for value in choices[name]):
            choices[name] = ()
        given = _keywords(entry.value) if isinstance(entry.value, ast.Call) else {}
        if entry.value is None or (given and not {"default", "default_factory"} & given.keys()):
            required.add(name)
        with contextlib.suppress(ValueError):
            defaults[name] = ast.literal_eval(given.get("default", entry.value or ast.Name("")))
    few = {name: values for name, values in choices.items() if values}
    own = Parameters(kinds, choices=few, required=frozenset(required), defaults=defaults)
    return join(found, own)


def join(one: Parameters, other: Parameters) -> Parameters:
    """Return the parameters of both; those of the second replace those of the first."""
    kept = {name: values for name, values in one.choices.items() if name not in other.kinds}
    return Parameters(
        {**one.kinds, **other.kinds},
        one.open or other.open,
        {**kept, **other.choices},
        (one.required - other.kinds.keys()) | other.required,
        other.rest or one.rest,
        {**one.defaults, **other.defaults},
    )


def _keywords(node: ast.Call) -> dict[str, ast.expr]:
    return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}


def _listed(node: ast.expr | None) -> tuple[object, ...]:
    """Return the `choices` in the metadata of a field, where they are written out."""
    metadata = _keywords(node).get("metadata") if isinstance(node, ast.Call) else None
    for key, value in (
        zip(metadata.keys, metadata.values, strict=True) if isinstance(metadata, ast.Dict) else ()
    ):
        if isinstance(key, ast.Constant) and key.value == "choices" and isinstance(value, ast.List):
            return tuple(e.value for e in value.elts if isinstance(e, ast.Constant))
    return ()


def _enum_values(node: ast.expr, module: str) -> tuple[str, ...]:
    """Return the values of the enum that an annotation such as ``Strategy | str`` asks for."""
    members = [node]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        members = [node.left, node.right]
    for member in members:
        found = _find(f"{module}.{_name(member)}") if isinstance(member, ast.Name) else None
        if (
            found is not None
            and isinstance(found.node, ast.ClassDef)
            and any(_name(base).endswith("Enum") for base in found.node.bases)
        ):
            return tuple(
                entry.value.value
                for entry in found.node.body
                if isinstance(entry, ast.Assign)
                and isinstance(entry.value, ast.Constant)
                and isinstance(entry.value.value, str)
            )
    return ()


def _function_parameters(
    node: ast.FunctionDef | ast.AsyncFunctionDef, module: str, *, skip_first: bool
) -> Parameters:
    if any(_name(item).split(".")[-1] not in _HARMLESS for item in node.decorator_list):
        return Parameters({}, open=True)
    arguments = node.args
    plain = [*arguments.posonlyargs, *arguments.args][1 if skip_first else 0 :]
    with_default = {argument.arg for argument in plain[len(plain) - len(arguments.defaults) :]}
    if not arguments.defaults:
        with_default = set()
    with_default |= {
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    }
    named = [*plain, *arguments.kwonlyargs]
    kinds: dict[str, frozenset[str]] = {}
    choices: dict[str, tuple[object, ...]] = {}
    for argument in named:
        kinds[argument.arg] = frozenset(_kinds(argument.annotation) or ())
        allowed = _literals(argument.annotation, module)
        if allowed:
            choices[argument.arg] = allowed
    required = frozenset(argument.arg for argument in named) - with_default
    rest = arguments.kwarg.arg if arguments.kwarg is not None else ""
    return Parameters(kinds, bool(rest), choices, required, rest)


_HARMLESS = {"deprecated", "no_grad", "wraps", "staticmethod", "lru_cache"}


def _kinds(node: ast.expr | None) -> set[str] | None:
    """Return the types that an annotation allows; `None` where it says nothing that we know."""
    if node is None:
        return None
    if isinstance(node, ast.Constant):
        if node.value is None:
            return {"null"}
        if isinstance(node.value, str):
            return _kinds(ast.parse(node.value, mode="eval").body)
        return None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([node.left, node.right])
    if isinstance(node, ast.Subscript):
        outer = _name(node.value).split(".")[-1]
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if outer == "Optional":
            return _union([*inner, ast.Constant(None)])
        if outer == "Union":
            return _union(inner)
        if outer == "Literal":
            return {kind_of(e.value) for e in inner if isinstance(e, ast.Constant)}
        return _collection(outer)
    name = _name(node).split(".")[-1]
    return set(_KINDS[name]) if name in _KINDS else _collection(name)


def _collection(name: str) -> set[str] | None:
    if name.lower() in _LISTS:
        return {"list"}
    return {"mapping"} if name.lower() in _MAPPINGS else None


def _union(members: list[ast.expr]) -> set[str] | None:
    found: set[str] = set()
    for member in members:
        kinds = _kinds(member)
        if kinds is None:
            return None
        found |= kinds
    return found


def _literals(node: ast.expr | None, module: str) -> tuple[object, ...]:
    """Return the values of the `Literal` in an annotation, be it of the entries of a list.

    A name such as ``LORA_ATTN_MODULES`` is followed to the `Literal` that it stands for.
    """
    for part in ast.walk(node) if node is not None else ():
        if isinstance(part, ast.Subscript) and _name(part.value).split(".")[-1] == "Literal":
            inner = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
            return tuple(entry.value for entry in inner if isinstance(entry, ast.Constant))
        if isinstance(part, ast.Name) and part.id.isupper():
            found = _find(f"{module}.{part.id}")
            if found is not None and isinstance(found.node, ast.Subscript):
                return _literals(found.node, found.module)
    return ()


def _name(node: ast.AST) -> str:
    """Return a dotted name as it is written."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return _name(node.func)
    return node.id if isinstance(node, ast.Name) else ""
