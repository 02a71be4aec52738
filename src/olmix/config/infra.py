"""Where runs are carried out: this machine, SLURM or Beaker. One line changes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from olmix.config.base import Section

__all__ = ["BeakerInfra", "Infra", "InfraConfig", "LocalInfra", "SlurmInfra"]

_Count = Annotated[int, Field(ge=1)]
_Names = Annotated[tuple[str, ...], Field(strict=False)]


class _AnyInfra(Section):
    """What all backends have."""

    rate_per_hour: Annotated[float, Field(ge=0)] | None = None
    """What one device costs an hour, in any currency: a core for the embedded trainer on this
    machine, a GPU elsewhere. The estimate of a launch then has a price."""


class LocalInfra(_AnyInfra):
    """This machine: one worker process per core, nothing to install and no account."""

    backend: Literal["local"] = "local"
    """Which engine runs."""
    workers: _Count | None = None
    """Runs at a time; one per core if left out, or one per GPU where `gpus` are given."""
    gpus: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False)] = ()
    """Numbers of the GPUs to use, one for each run at a time (`CUDA_VISIBLE_DEVICES`)."""
    runs_per_batch: _Count = 1
    """Runs that one worker trains side by side; above 1 pays on an accelerator, not on a CPU."""


class SlurmInfra(_AnyInfra):
    """A SLURM cluster: one array of jobs, submitted from here or from a login node."""

    backend: Literal["slurm"]
    """Which engine runs."""
    partition: str | None = None
    """Partition of the jobs."""
    account: str | None = None
    """Account that is charged."""
    qos: str | None = None
    """Quality of service."""
    constraint: str | None = None
    """Node features that are needed."""
    gres: str | None = None
    """Generic resources of a run, such as `gpu:1`."""
    nodes: _Count = 1
    """Nodes of a run."""
    gpus: Annotated[int, Field(ge=0)] = 0
    """GPUs of a run on each node; with more than one, runs of OLMo-core start under torchrun."""
    cpus: _Count = 1
    """Cores of a run."""
    mem: str | None = None
    """Memory of a run, such as `16G`."""
    time: str | None = None
    """Time limit of a run, such as `02:00:00`."""
    array_limit: _Count | None = None
    """Runs at once."""
    max_array_size: Annotated[int, Field(ge=2)] = 1001
    """`MaxArraySize` of the cluster: larger groups are split. Where the cluster allows less, it is
    asked."""
    dependency: str | None = None
    """Jobs that must end first, such as `afterok:1234`; a job whose dependency can never be
    satisfied is cancelled."""
    modules: _Names = ()
    """Modules to load."""
    venv: str | None = None
    """Virtual environment to enter."""
    python: str = "python"
    """Python of the runs, with Olmix installed."""
    container: str | None = None
    """Container image to run in."""
    container_runtime: Literal["apptainer", "pyxis"] = "apptainer"
    """What starts the container."""
    setup: str | None = None
    """Shell lines before the run."""
    signal_s: Annotated[int, Field(ge=0)] = 120
    """Seconds before the time limit at which a run is told to save its state; 0 for never."""
    requeue: bool = True
    """Whether a run that was pre-empted, or stopped by its time limit, goes back into the queue."""
    ssh: str | None = None
    """Login node to submit from, as `ssh` knows it; it must see the same files. None submits from
    here."""


class BeakerInfra(_AnyInfra):
    """Beaker (not yet launched by this release; configs are read and carried over)."""

    backend: Literal["beaker"] = "beaker"
    """Which engine runs."""
    budget: str
    """Budget that is charged."""
    workspace: str
    """Workspace of the experiments."""
    cluster: str
    """Cluster, such as `ai2/jupiter`."""
    priority: Literal["low", "normal", "high", "urgent"] = "normal"
    """Priority of the jobs."""
    preemptible: bool = True
    """Whether other jobs may take the place of these."""
    nodes: _Count = 1
    """Nodes of a run."""
    gpus: Annotated[int, Field(ge=0)] = 1
    """GPUs of a run."""
    weka: bool = False
    """Whether Weka is mounted."""
    shared_filesystem: bool = False
    """Whether the nodes share a file system."""
    wandb_debug: bool = False
    """Whether W&B logs verbosely."""


def _backend(value: Any) -> str:
    """Return the backend of an infra section; a budget or workspace alone means Beaker."""
    if not isinstance(value, dict):
        return str(getattr(value, "backend", "local"))
    beaker = {"budget", "workspace", "cluster"} & set(value)
    return str(value.get("backend", "beaker" if beaker else "local"))


Infra = Annotated[
    Annotated[LocalInfra, Tag("local")]
    | Annotated[SlurmInfra, Tag("slurm")]
    | Annotated[BeakerInfra, Tag("beaker")],
    Discriminator(_backend),
]
"""An infra section, told apart by `backend`."""


class InfraConfig(Section):
    """A file that says only where something runs."""

    infra: Infra = LocalInfra()
    """Where it runs."""
