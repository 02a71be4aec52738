"""What a container sees of this machine's files: what is mounted into it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from olmix.launch.group_plan import Group
from olmix.launch.inputs import local_inputs
from olmix.text.numbers import counted

__all__ = ["Mount", "seen_folder", "unseen_inputs", "unseen_runs"]


class Mount(Protocol):
    """A mount of a pod or a job, as its section of the config says."""

    @property
    def path(self) -> str:
        """Where the run sees it."""

    @property
    def writable(self) -> bool:
        """Whether a run may write there."""


def seen_folder(folder: Path, runs_dir: str | None) -> str:
    """Return the folder of a group where its runs see it: below `runs_dir`, or as it is here."""
    return str(folder.absolute() if runs_dir is None else PurePosixPath(runs_dir) / folder.name)


def unseen_runs(seen: str, mounts: Sequence[Mount], who: str, keys: str) -> str | None:
    """Return why runs cannot write into their folders, with what to do, or `None` if they can.

    Args:
        seen: the group's folder where runs see it.
        mounts: what is mounted.
        who: what a run is there, in one word: ``pod``.
        keys: the keys of the config that mount something.
    """
    places = [mount.path for mount in mounts if mount.writable]
    if _is_below(seen, places):
        return None
    return (
        f"the run folders are at {seen}, which is on no shared disk that a {who} can write to "
        f"(mounted: {', '.join(places) or 'nothing'}): put them on one from {keys}, or set "
        f"infra.runs_dir to where {who}s see them"
    )


def unseen_inputs(group: Group, mounts: Sequence[Mount], who: str) -> str | None:
    """Return which files of the data no mount holds, or `None` if all are on one.

    A warning only: an image may hold them at the same place. Addresses such as ``s3://`` and the
    files of sweeps, which only their trainers know, are left out.
    """
    places = [mount.path for mount in mounts]
    paths = (path for _, some in local_inputs(group) for path in some)
    files = dict.fromkeys(str(Path(path).absolute()) for path in paths)
    unseen = [file for file in files if not _is_below(file, places)]
    if not unseen:
        return None
    return (
        f"{counted(len(unseen), 'path')} of the data, such as {unseen[0]}, are on no mounted disk: "
        f"runs fail unless each {who} finds the same files there"
    )


def _is_below(file: str, places: Iterable[str]) -> bool:
    return any(PurePosixPath(file).is_relative_to(place) for place in places)
