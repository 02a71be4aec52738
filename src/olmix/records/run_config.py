"""The config of a run folder, read once however many parts of a worker ask for it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from olmix.config import LaunchConfig
from olmix.records.run import RunFolder

__all__ = ["read_run_config"]


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
