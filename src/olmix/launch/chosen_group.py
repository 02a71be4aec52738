"""Which group a command is about: by its folder, its id, or a config that names it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from olmix.config import read_yaml
from olmix.config.infra import Infra, InfraConfig
from olmix.errors import LaunchError
from olmix.launch.status import find_group
from olmix.records.group import GROUP_FILE, read_group_record

__all__ = ["ChosenGroup", "choose_group"]


@dataclass(frozen=True)
class ChosenGroup:
    """A group that was launched.

    Attributes:
        folder: its folder.
        infra: how its scheduler is reached, where a config says so; else `None`.
    """

    folder: Path
    infra: Infra | None = None


def choose_group(
    runs_dir: Path,
    folder: Path | None = None,
    group_id: str | None = None,
    config: Path | None = None,
) -> ChosenGroup:
    """Return the group that a command line names.

    Args:
        runs_dir: the folder of all groups.
        folder: folder of the group or of its variants, or one of groups in place of `runs_dir`.
        group_id: name of the group; it goes before that of the config.
        config: launch config or variant; its `group_id` and `infra` are taken.

    Raises:
        ConfigError: the config cannot be read, or its `infra` is wrong.
        LaunchError: there is no such group, several to choose from, or the config is for another
            kind of scheduler.
    """
    named, infra = (None, None) if config is None else _read(config)
    if folder is not None and (folder / GROUP_FILE).is_file():
        name = folder.resolve().name
        if group_id is not None and group_id != name:
            raise LaunchError(f"{folder} is the group {name}, and -g names {group_id}; give one")
        found = folder
    elif folder is not None and not folder.is_dir():
        raise LaunchError(f"{folder}: there is no such folder")
    elif folder is not None and list(folder.glob("launch-*.json")):
        found = _beside_variants(folder, group_id or named)
    else:
        found = find_group(runs_dir if folder is None else folder, group_id or named)
    if infra is not None:
        backend = read_group_record(found).infra.get("backend", "local")
        if backend != infra.backend:
            raise LaunchError(
                f"{found}: the group was launched with infra.backend {backend}, but {config} says "
                f"{infra.backend}; leave out -c, or give the config that it was launched with"
            )
    return ChosenGroup(found, infra)


def _beside_variants(folder: Path, group_id: str | None) -> Path:
    """Return the folder of the group that was launched from a folder of variants."""
    notes = {file.stem.removeprefix("launch-"): file for file in folder.glob("launch-*.json")}
    if group_id is None and len(notes) > 1:
        raise LaunchError(f"{folder}: say which group with -g/--group: {', '.join(notes)}")
    name = group_id or next(iter(notes))
    if name not in notes:
        raise LaunchError(f"{folder}: no group {name} was launched; groups: {', '.join(notes)}")
    runs = read_group_record(notes[name]).folder
    if runs is None or not (Path(runs) / GROUP_FILE).is_file():
        raise LaunchError(f"{notes[name]}: the group's folder, {runs}, no longer exists")
    return Path(runs)


def _read(config: Path) -> tuple[str | None, Infra | None]:
    """Return what a config says of its group and its infrastructure; the rest is not looked at."""
    content = read_yaml(config).data
    if not isinstance(content, dict):
        raise LaunchError(f"{config}: a mapping is needed, such as a launch config")
    group, infra = content.get("group_id"), content.get("infra")
    checked = None if infra is None else InfraConfig.from_dict({"infra": infra}, str(config)).infra
    return None if group is None else str(group), checked
