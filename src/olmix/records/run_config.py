"""The launch config of a run folder, read once however many parts of a worker ask for it.

It stands apart from `olmix.records.run`, which `olmix.runlog` imports in milliseconds.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from olmix.config import LaunchConfig
from olmix.records.run import RunFolder
from olmix.records.trackers import TrackedRun, Trackers, open_trackers
from olmix.text.files import digest

__all__ = ["open_run_trackers", "read_run_config"]


def read_run_config(folder: RunFolder) -> LaunchConfig:
    """Return the launch config of a run.

    Raises:
        ConfigError: it cannot be read, or is not valid.
    """
    try:
        about = folder.config.stat()
    except OSError:
        return LaunchConfig.from_yaml(folder.config)  # which says what is wrong
    return _read(folder.config, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, modified_ns: int, size: int) -> LaunchConfig:
    """Read a file, again only when it has changed."""
    del modified_ns, size
    return LaunchConfig.from_yaml(path)


def open_run_trackers(folder: RunFolder, config: LaunchConfig | None = None) -> Trackers | None:
    """Start the trackers that a run's launch config asks for; `None` where it asks for none.

    Args:
        folder: the run folder.
        config: the run's config; that of the folder if left out.

    Raises:
        MissingPackageError: a tracker's package is not installed.
        ConfigError: the config is not valid.
    """
    config = config if config is not None else read_run_config(folder)
    plain = config.to_plain()
    meant = [plain.get(key) for key in ("training", "data", "eval", "mix", "group_id")]
    run = TrackedRun(
        name=folder.name,
        folder=folder.path,
        id=digest([folder.name, str(folder.path.resolve()), meant], 16),
        group=config.group_id,
        config=plain,
    )
    return open_trackers(run, config.trackers)
