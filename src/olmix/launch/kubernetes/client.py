"""A connection to a Kubernetes API server that says in a sentence what is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from olmix.config import KubernetesInfra
from olmix.errors import LaunchError, needs

if TYPE_CHECKING:
    from kubernetes.client import ApiException, BatchV1Api, CoreV1Api

__all__ = ["TIMEOUT_S", "Cluster", "connected", "said_by"]

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Cluster:
    """The parts of the API that launching needs.

    Attributes:
        batch: Jobs.
        core: pods.
        namespace: of the runs.
        server: its address.
    """

    batch: BatchV1Api
    core: CoreV1Api
    namespace: str
    server: str


@contextmanager
def connected(infra: KubernetesInfra) -> Iterator[Cluster]:
    """Connect as `kubectl` does; errors of the client inside become `LaunchError`.

    Inside a pod its service account is used; elsewhere the file that KUBECONFIG names, or
    ~/.kube/config.

    Raises:
        MissingPackageError: the client is not installed.
        LaunchError: there is no usable account, or the server cannot be reached or refuses.
    """
    with needs("kubernetes", "Launching on Kubernetes"):
        import urllib3
        from kubernetes import client, config
        from kubernetes.client import ApiException
        from kubernetes.config import ConfigException
    try:
        try:
            config.load_incluster_config()
            configuration = client.Configuration.get_default_copy()
            namespace = _own_namespace()
        except ConfigException:
            # The client itself looks at KUBECONFIG only when it is imported.
            file = os.environ.get("KUBECONFIG") or None
            configuration = client.Configuration()
            config.load_kube_config(file, infra.context, configuration)
            contexts, active = config.list_kube_config_contexts(file)
            chosen = next((each for each in contexts if each["name"] == infra.context), active)
            namespace = chosen.get("context", {}).get("namespace", "default")
    except (ConfigException, OSError, ValueError, TypeError, KeyError) as error:
        # What the client raises may quote the file, and so a token.
        raise LaunchError(
            f"Kubernetes: no usable account ({type(error).__name__}). `kubectl get jobs` must work "
            "here: set KUBECONFIG, or infra.context."
        ) from None
    configuration.retries = urllib3.Retry(2, backoff_factor=0.2)
    api = client.ApiClient(configuration)
    try:
        yield Cluster(
            client.BatchV1Api(api),
            client.CoreV1Api(api),
            infra.namespace or namespace,
            str(configuration.host),
        )
    except ApiException as error:
        raise LaunchError(f"Kubernetes: {configuration.host}: {said_by(error)}") from error
    except urllib3.exceptions.HTTPError as error:
        kind = type(getattr(error, "reason", error)).__name__
        raise LaunchError(
            f"Kubernetes: {configuration.host} does not answer ({kind}). Check the network, and "
            "that `kubectl get jobs` works here."
        ) from error
    finally:
        api.close()


def _own_namespace() -> str:
    file = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    return file.read_text(encoding="utf-8").strip() if file.is_file() else "default"


def said_by(error: ApiException) -> str:
    """Return what the server said, such as `namespaces "x" not found`."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{error.status} {error.reason}"
