"""The environment of a process before and after it loads JAX: threads, core, compiled programs.

Libraries read their number of threads when they are loaded, so `use_one_thread` comes before NumPy
and JAX; this module imports neither by itself.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

from olmix.text.files import cache_root
from olmix.text.threads import ONE_THREAD

__all__ = ["compilation_cache", "compile_lock", "pin", "use_compilation_cache", "use_one_thread"]

logger = logging.getLogger(__name__)


def use_one_thread(environment: MutableMapping[str, str] = os.environ) -> None:
    """Ask the numerical libraries for one thread each, unless the environment says otherwise.

    It has an effect only before NumPy and JAX are loaded, and on CPU work only.
    """
    for name, value in ONE_THREAD.items():
        environment.setdefault(name, value)
    # XLA's own C++ log: errors only.
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def pin(core: int) -> None:
    """Keep this process on one core, where the system knows how and grants it."""
    if not hasattr(os, "sched_setaffinity"):
        return
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:
        logger.warning("core %d is not available (%s); using any core", core, error)


def compilation_cache() -> Path:
    """Return where compiled programs lie, below ``$OLMIX_CACHE_DIR`` or ``~/.cache/olmix``.

    Each kind of processor and number of threads has a folder of its own: a home may be shared by
    machines, and a program compiled for one may not run, or not give the same bits, on another.
    """
    threads = os.environ.get("NPROC", "")
    key = hashlib.blake2b(f"{_processor()} {threads}".encode(), digest_size=4).hexdigest()
    return cache_root() / "jax" / key


def _processor() -> str:
    """Return what tells kinds of processors apart: their features, where the system lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    features = [line for line in lines if line.startswith(("flags", "Features"))]
    return " ".join([platform.machine(), platform.processor(), *features[:1]])


def use_compilation_cache() -> str:
    """Load JAX, let it keep what it compiles, and return its kind of device, such as ``cpu``.

    Where nothing can be written, as in some containers, it compiles for each process.
    """
    import jax

    folder = compilation_cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".lock").touch()
    except OSError as error:
        logger.info("compiled programs are not kept: %s", error)
        return str(jax.devices()[0].platform)
    settings = {
        "jax_compilation_cache_dir": str(folder),
        # Everything counts: a second of compiling is as long as training one small run.
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in settings.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]
    return str(jax.devices()[0].platform)


@contextmanager
def compile_lock() -> Iterator[None]:
    """Let one process at a time compile, so that the others find its programs in the cache.

    JAX writes cache entries in place. A process killed at it leaves half an entry, which JAX would
    neither use nor replace; the marker file shows that this happened, and what was written since is
    removed.
    """
    import jax

    from olmix.records.run import lock

    kept = getattr(jax.config, "jax_compilation_cache_dir", None)
    if not kept:
        yield
        return
    folder = Path(kept)
    marker = folder / ".compiling"
    with lock(folder / ".lock", wait=True):
        if marker.exists():
            since = marker.stat().st_mtime_ns
            for entry in folder.glob("*-cache"):
                if entry.stat().st_mtime_ns >= since:
                    entry.unlink(missing_ok=True)
        marker.touch()
        yield
        marker.unlink(missing_ok=True)
