"""A connection to a Ray cluster's job server that says in a sentence what is wrong."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from olmix.config import RayInfra
from olmix.errors import LaunchError, needs

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

__all__ = ["connected", "start_here"]

logger = logging.getLogger(__name__)

_TIMEOUT_S = 60.0
_START_S = 120
_HERE = "local"


@contextmanager
def connected(infra: RayInfra) -> Iterator[JobSubmissionClient]:
    """Connect to the cluster; errors of Ray inside become `LaunchError`.

    Raises:
        MissingPackageError: Ray is not installed, or without its job server.
        LaunchError: the cluster cannot be reached or refuses.
    """
    with needs("ray", "Launching on Ray"):
        import requests
        from ray.exceptions import RayError
        from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):  # type: ignore[misc, unused-ignore]
        """Ray's own client waits forever for a server that does not answer."""

        def _do_request(self, *args: object, **kwargs: object) -> object:
            return super()._do_request(*args, **{"timeout": _TIMEOUT_S, **kwargs})

        def submit_job(self, **job: object) -> str:
            """Submit as Ray does, and again while the head node's job agent is still starting."""
            until = time.monotonic() + _START_S
            while True:
                try:
                    return str(super().submit_job(**job))
                except RuntimeError as error:
                    # Ray's own words for the one refusal that nothing was submitted by.
                    if "try again later" not in str(error) or time.monotonic() > until:
                        raise
                    logger.info("Ray's job agent is not ready yet; submitting again")
                    time.sleep(1)

    try:
        yield Client("auto" if infra.address == _HERE else infra.address)
    except (
        ConnectionError,
        RayError,
        requests.RequestException,
        RuntimeError,
        ValueError,
    ) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:500].rstrip(".")
        raise LaunchError(
            f"Ray: {infra.address}: {said}. Check infra.address (RAY_ADDRESS overrides it), and "
            "that the cluster runs: `ray status`."
        ) from error


def start_here(infra: RayInfra) -> None:
    """Start a cluster of this machine alone, where `address: local` asks for one and none runs.

    Raises:
        LaunchError: `ray start` fails.
    """
    if infra.address != _HERE:
        return
    try:
        with connected(infra):
            return
    except LaunchError:
        pass
    # Beside this Python, where Ray is installed and the command may not be on the path.
    words = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--disable-usage-stats"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_START_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LaunchError(f"Ray: `{' '.join(words)}` failed: {error}") from error
    if done.returncode:
        raise LaunchError(f"Ray: `{' '.join(words)}` failed: {done.stderr.strip()[-500:]}")
