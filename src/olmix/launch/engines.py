"""Which engine a launch config asks for."""

from __future__ import annotations

from olmix.config import BeakerInfra, KubernetesInfra, RayInfra, SlurmInfra
from olmix.config.infra import Infra
from olmix.errors import LaunchError
from olmix.launch.beaker.engine import BeakerEngine
from olmix.launch.engine import Engine
from olmix.launch.kubernetes.engine import KubernetesEngine
from olmix.launch.ray.engine import RayEngine
from olmix.launch.slurm.engine import SlurmEngine

__all__ = ["engine_of"]


def engine_of(infra: Infra) -> Engine:
    """Return the scheduler that an `infra` section names.

    Raises:
        LaunchError: it names this machine, which has no scheduler.
    """
    if isinstance(infra, SlurmInfra):
        return SlurmEngine(infra)
    if isinstance(infra, BeakerInfra):
        return BeakerEngine(infra)
    if isinstance(infra, KubernetesInfra):
        return KubernetesEngine(infra)
    if isinstance(infra, RayInfra):
        return RayEngine(infra)
    raise LaunchError("infra.backend is local: runs are started by `olmix launch run` itself")
