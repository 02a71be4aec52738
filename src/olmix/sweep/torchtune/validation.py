"""torchtune's own check, `tune validate`, over many configs in one process."""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from olmix.errors import MissingPackageError, needs
from olmix.sweep.framework import Verdict
from olmix.sweep.torchtune.library import MODULE, import_torchtune
from olmix.text.progress import OnProgress, Steps

__all__ = ["validate_configs"]


def validate_configs(
    configs: Sequence[Path], method: str, on_progress: OnProgress | None = None
) -> list[Verdict]:
    """Check every config; one that fails does not stop the others.

    Args:
        configs: files.
        method: ``inprocess``, or ``subprocess`` for the real command line (5 s for each).
        on_progress: called after each.

    Raises:
        MissingPackageError: torchtune, torch or torchao is not installed.
    """
    check = _subprocess if method == "subprocess" else _inprocess
    steps = Steps(on_progress, len(configs))
    verdicts: list[Verdict] = []
    for verdict in check(configs):
        verdicts.append(verdict)
        steps("validate")
    return verdicts


def _inprocess(configs: Sequence[Path]) -> Iterator[Verdict]:
    with needs("torchtune", "`tune validate`"):
        omegaconf, torchtune_config = import_torchtune()
    for path in configs:
        try:
            loaded: Any = omegaconf.load(path)
        except Exception as error:  # noqa: BLE001 - whatever it says is the verdict
            yield Verdict((f"{type(error).__name__}: {error}",))
            continue
        yield _check(loaded, torchtune_config.validate)


def _check(loaded: Any, validate: Callable[[Any], None]) -> Verdict:
    """Check a config, and again without the parts that need a package that is not here.

    A component that cannot be imported ends torchtune's check; the others are checked all the same.
    """
    errors: list[str] = []
    missing: list[str] = []
    while True:
        try:
            validate(loaded)
            break
        except Exception as error:  # noqa: BLE001 - whatever it says is the verdict
            package = _missing_package(error)
            node = _failing_node(loaded, str(error))
            if package is None:
                errors += _messages(error)
            elif package not in missing:
                missing.append(package)
            if node is None:
                break
            del loaded[node]
    return Verdict(tuple(dict.fromkeys(errors)), tuple(missing))


def _messages(error: Exception) -> list[str]:
    inner = getattr(error, "errors", None)
    if inner:
        return [str(entry) for entry in inner]
    return [" ".join(str(error).split()) or type(error).__name__]


def _missing_package(error: BaseException) -> str | None:
    """Return the package whose absence is the cause, where it is not a part of torchtune."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ModuleNotFoundError) and cause.name is not None:
            name = cause.name.partition(".")[0]
            return None if name == "torchtune" or _is_installed(name) else name
        cause = cause.__cause__
    return None


def _is_installed(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None


def _failing_node(loaded: Any, message: str) -> str | None:
    """Return the node whose component an error names."""
    # As it is written: a reference that leads nowhere must not stop the search.
    for key, node in loaded.items_ex(resolve=False):
        component = node.get("_component_") if hasattr(node, "get") else None
        if isinstance(component, str) and f"'{component}'" in message:
            return str(key)
    return None


def _subprocess(configs: Sequence[Path]) -> Iterator[Verdict]:
    if not _is_installed("torchtune"):
        raise MissingPackageError(["torchtune"], "torchtune", "`tune validate`")

    def run(path: Path) -> Verdict:
        done = subprocess.run(
            [sys.executable, "-m", MODULE, "validate", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return Verdict()
        output = done.stderr.strip() or done.stdout.strip()
        for line in reversed(output.splitlines()):
            if "No module named '" in line and "No module named 'torchtune" not in line:
                name = line.split("No module named '")[1].split("'")[0].partition(".")[0]
                return Verdict((), (name,))
        useful = [line.strip() for line in output.splitlines() if line.strip()]
        return Verdict((useful[-1] if useful else f"exit status {done.returncode}",))

    workers = max(1, min(len(configs), len(os.sched_getaffinity(0))))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        yield from pool.map(run, configs)
