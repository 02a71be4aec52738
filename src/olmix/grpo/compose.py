"""Composition: from overrides to a checked configuration, and what can be asked about it.

A folder `conf/` in the working folder is searched before the tree of the package. Hydra's own
commands (``--cfg``, ``--info defaults-tree``) run in `app`; here is what Hydra does not do.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from olmix.errors import ConfigError, Problem, nearest, needs
from olmix.grpo.suggestions import suggest

__all__ = [
    "CONF",
    "changed",
    "compose",
    "config_groups",
    "expand_sweep",
    "null_deletions",
    "read_overrides",
    "register_user_tree",
    "require_hydra",
    "split_words",
    "uses_own_sweeper",
]

CONF = Path(__file__).parent / "conf"
"""The tree that ships with the package."""

_UNKNOWN_KEY = re.compile(r"Could not override '([^']+)'\.")
_UNKNOWN_OPTION = re.compile(r"Could not find '([\w/]+)/([^'/]+)'")
_WITH_VALUE = {"--cfg", "-c", "--package", "-p", "--config-name", "-cn", "--info", "-i"}
_WITH_VALUE |= {"--config-path", "-cp", "--config-dir", "-cd", "--experimental-rerun"}


def require_hydra() -> None:
    """Raise unless Hydra is installed.

    Raises:
        MissingPackageError: with the command that installs it.
    """
    with needs("grpo", "GRPO training"):
        importlib.import_module("hydra")


def register_user_tree() -> None:
    """Make Hydra search a folder `conf/` in the working folder first, if there is one."""
    from hydra.core.config_search_path import ConfigSearchPath
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class UserTree(SearchPathPlugin):  # type: ignore[misc]  # Hydra carries no types
        """Puts the user's tree before all others."""

        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            folder = Path.cwd() / "conf"
            if folder.is_dir() and folder.resolve() != CONF.resolve():
                search_path.prepend(provider="working folder", path=f"file://{folder}")

    known = Plugins.instance().discover(SearchPathPlugin)
    if not any(entry.__name__ == UserTree.__name__ for entry in known):
        Plugins.instance().register(UserTree)


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split a command line into flags of Hydra (with their values) and overrides.

    Hydra wants its overrides in one piece; people write flags between them.
    """
    flags: list[str] = []
    overrides: list[str] = []
    pending = iter(words)
    for word in pending:
        if not word.startswith("-"):
            overrides.append(word)
            continue
        flags.append(word)
        if word in _WITH_VALUE:
            flags.extend(value for value in [next(pending, None)] if value is not None)
    return flags, overrides


def read_overrides(path: str | Path) -> list[str]:
    """Read a file of overrides, as `olmix sweep generate` writes it for the framework hydra.

    Raises:
        ConfigError: it is missing, no YAML, or holds no list of texts.
    """
    from olmix.text.yaml import read_yaml

    data = read_yaml(path).data
    words = data.get("overrides") if isinstance(data, dict) else data
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ConfigError([Problem("overrides", "a list of overrides is needed")], str(path))
    return words


@contextmanager
def _loader() -> Iterator[object]:
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    register_user_tree()
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(CONF), version_base=None):
        yield GlobalHydra.instance().config_loader()


def compose(overrides: Sequence[str]) -> dict[str, object]:
    """Compose the tree with overrides and return plain values, interpolations resolved.

    Raises:
        ConfigError: an override is no override, or names what the tree does not have.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with _loader():
            tree = hydra.compose("config", overrides=list(overrides))
        plain = OmegaConf.to_container(tree, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        group = _UNKNOWN_OPTION.search(str(error))
        # A preset is asked for by a word of its own, `+experiment=NAME`, and is no key.
        where = group[1] if group is not None and group[1] != "experiment" else ""
        raise ConfigError([Problem(where, _explain(error))], "overrides") from error
    return dict(plain)


def _explain(error: Exception) -> str:
    """Return what Hydra says, without its hints on its own debugging, and with its cause."""
    unknown = _UNKNOWN_KEY.match(str(error))
    if unknown is not None:
        hint = suggest(unknown[1])
        return f"there is no key `{unknown[1]}`" + (f"; {hint}" if hint else "")
    option = _UNKNOWN_OPTION.search(str(error))
    if option is not None and option[1] in (groups := config_groups()):
        guess = nearest(option[2], groups[option[1]])
        hint = f"; did you mean `{guess}`?" if guess else ""
        return (
            f"there is no {option[1]} `{option[2]}`{hint} There are: {', '.join(groups[option[1]])}"
        )
    parts = [str(error).strip()]
    cause = error.__cause__
    if cause is not None and str(cause).strip() not in parts[0]:
        parts.append(str(cause).strip())
    lines = [line for part in parts for line in part.splitlines() if line.strip()]
    return "\n  ".join(line for line in lines if "HYDRA_FULL_ERROR" not in line)


def expand_sweep(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each run of a ``--multirun`` with Hydra's own sweeper.

    Raises:
        ConfigError: an override is no override.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        with _loader() as loader:
            # `model=glob(*)` asks the loader which options there are.
            parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
            swept = [entry for entry in parsed if entry.is_sweep_override()]
            plain = [entry.input_line for entry in parsed if not entry.is_sweep_override()]
            [batch] = BasicSweeper.split_arguments(swept, max_batch_size=None)
    except HydraException as error:
        raise ConfigError([Problem("", _explain(error))], "overrides") from error
    except (ValueError, ZeroDivisionError) as error:  # a range whose step is 0
        words = " ".join(entry.input_line for entry in swept)
        raise ConfigError([Problem("", f"{words}: {error}")], "overrides") from error
    if not batch:
        words = " ".join(entry.input_line for entry in swept)
        raise ConfigError([Problem("", f"{words}: there is no value to sweep over")], "overrides")
    return [[*plain, *run] for run in batch]


def null_deletions(overrides: Sequence[str]) -> list[str]:
    """Write ``~a.b`` as ``++a.b=null``, which means the same here and which Hydra can sweep.

    Its sweeper hands ``~a.b`` on as ``~a.b=``, which its own composition refuses (1.3.8).
    """
    return [
        f"++{word[1:]}=null" if word.startswith("~") and "." in word and "=" not in word else word
        for word in overrides
    ]


def uses_own_sweeper(overrides: Sequence[str]) -> bool:
    """Whether the runs come from another sweeper than Hydra's own."""
    from hydra import compose as hydra_compose

    keys = ("hydra/sweeper", "experiment")
    relevant = [word for word in overrides if word.lstrip("+").partition("=")[0] in keys]
    try:
        with _loader():
            tree = hydra_compose("config", overrides=relevant, return_hydra_config=True)
        return "BasicSweeper" not in str(tree.hydra.sweeper.get("_target_"))
    except Exception:  # noqa: BLE001 - what is wrong is said when the runs are composed
        return False


def config_groups() -> dict[str, list[str]]:
    """Return the groups of the tree, the user's own included, and their options."""
    from hydra.core.object_type import ObjectType

    found: dict[str, list[str]] = {}

    def visit(loader: Any, group: str) -> None:
        options = loader.get_group_options(group, ObjectType.CONFIG)
        if options and group:
            found[group] = list(options)
        for name in loader.list_groups(group):
            if name != "hydra" or group:
                visit(loader, f"{group}/{name}" if group else name)

    with _loader() as loader:
        visit(loader, "")
    return found


def changed(overrides: Sequence[str]) -> list[tuple[str, Any, Any]]:
    """Return what overrides change: (dotted key, value without them, value with them)."""
    before, after = _flatten(compose([])), _flatten(compose(overrides))
    keys = list(dict.fromkeys([*before, *after]))
    return [
        (key, before.get(key), after.get(key))
        for key in keys
        if before.get(key) != after.get(key) or (key in before) != (key in after)
    ]


def _flatten(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat.update(_flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat
