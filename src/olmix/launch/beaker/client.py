"""A connection to Beaker that says in a sentence what is wrong, instead of waiting forever."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from olmix.errors import LaunchError, needs

if TYPE_CHECKING:
    from beaker import Beaker

__all__ = ["connected", "explain"]

_TIMEOUT_S = 20.0


@contextmanager
def connected() -> Iterator[Beaker]:
    """Connect with the user's token; errors of Beaker inside become `LaunchError`.

    The token comes from BEAKER_TOKEN or from the file of the `beaker` command, ~/.beaker/config.yml
    (BEAKER_CONFIG names another).

    Raises:
        MissingPackageError: beaker-py is not installed.
        LaunchError: there is no token, or Beaker cannot be reached or refuses.
    """
    with needs("beaker", "Launching on Beaker"):
        import grpc
        import requests
        from beaker import Beaker
        from beaker.exceptions import BeakerConfigurationError, BeakerError
        from yaml import YAMLError
    try:
        client = Beaker.from_env(check_for_upgrades=False)
    except (
        BeakerConfigurationError,
        YAMLError,
        AttributeError,
        OSError,
        TypeError,
        ValueError,
    ) as error:
        # beaker-py does not check what its file holds. What it raises may quote the token.
        raise LaunchError(
            f"Beaker: no usable account ({type(error).__name__}). Set BEAKER_TOKEN to the token of "
            "https://beaker.org/user, or set up the `beaker` command (~/.beaker/config.yml)."
        ) from None
    with client:
        try:
            _reach(client)
            yield client
        except (
            BeakerError,
            grpc.RpcError,
            requests.RequestException,
            NotImplementedError,
        ) as error:
            raise LaunchError(f"Beaker: {explain(error)}") from error


def _reach(client: Beaker) -> None:
    """Make one call with a time limit: beaker-py itself waits for ever for a service that is away.

    Raises:
        LaunchError: no answer, or none for this token.
    """
    import grpc
    from beaker import beaker_pb2

    address = client.config.rpc_address
    try:
        client.service.GetUser(
            beaker_pb2.GetUserRequest(),
            timeout=_TIMEOUT_S,
            metadata=[("authorization", f"bearer {client.config.user_token}")],
        )
    except grpc.RpcError as error:
        status = error.code() if isinstance(error, grpc.Call) else None
        if status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise LaunchError(
                f"Beaker: {address} does not answer ({explain(error)}). Check the network, and "
                "rpc_address in Beaker's config file if that is not the address you want."
            ) from error
        if status in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            raise LaunchError(
                f"Beaker: {address} refuses the token ({explain(error)}). Set BEAKER_TOKEN to a "
                "valid one, from https://beaker.org/user."
            ) from error
        raise


def explain(error: Exception) -> str:
    """Return what went wrong, such as `workspace not found: ai2/nowhere`.

    Errors of beaker-py often hold a name and say the rest by their class; those of gRPC hold a dump
    of the call beside what the service said.
    """
    details = getattr(error, "details", None)
    if callable(details):
        return str(details() or type(error).__name__)
    kind = re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__.removeprefix("Beaker")).lower()
    return f"{kind}: {error}" if str(error) else kind
