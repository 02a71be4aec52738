"""Where runs are carried out: this machine, SLURM or Beaker. One line changes it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, model_validator

from olmix.config.base import Positive, Rules, Section, is_kept
from olmix.config.secrets import refuse_secrets
from olmix.config.slurm import SlurmJob, SlurmLine
from olmix.text.secrets import judge

__all__ = ["BeakerInfra", "BeakerMount", "Infra", "InfraConfig", "LocalInfra", "SlurmInfra"]

_Count = Annotated[int, Field(ge=1)]
_Names = Annotated[tuple[str, ...], Field(strict=False)]


def _is_no_option(text: str) -> str:
    if text.startswith("-"):
        raise ValueError("the name of a login node is needed; this is an option of ssh")
    return text


class _AnyInfra(Section):
    """The settings of all backends."""

    rate_per_hour: Annotated[float, Field(ge=0)] | None = None
    """The price of one device for an hour, in any currency: a core for the embedded trainer on this
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


class SlurmInfra(SlurmJob, _AnyInfra):
    """A SLURM cluster: one array of jobs, submitted from here or from a login node."""

    backend: Literal["slurm"]
    """Which engine runs."""
    cpus: _Count = 1
    """Cores of a run on each node."""
    signal_s: Annotated[int, Field(ge=0)] = 120
    """Seconds before the time limit at which a run is told to save its state; 0 for never."""
    requeue: bool = True
    """Whether a run that was pre-empted, or stopped by its time limit, goes back into the queue."""
    ssh: Annotated[SlurmLine, AfterValidator(_is_no_option)] | None = None
    """Login node to submit from, as `ssh` knows it; it must see the same files. None submits from
    here."""


_Text = Annotated[str, Field(min_length=1)]
_Place = Annotated[str, Field(pattern=r"^/")]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class BeakerMount(Section):
    """A mount of a Beaker run: one of a bucket, a host folder, a data set or a secret."""

    path: _Place
    """Where the run sees it."""
    weka: _Text | None = None
    """Weka bucket, to read and write."""
    host_path: _Place | None = None
    """Folder of the node, such as a mounted network disk, to read and write."""
    dataset: _Text | None = None
    """Beaker data set, to read."""
    secret: _Text | None = None
    """Name of a secret of the workspace, which becomes a file."""
    sub_path: _Text | None = None
    """Folder or file inside the source; all of it if left out."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        names = ("weka", "host_path", "dataset", "secret")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            rules.broken(f"found {found}; give exactly one of {', '.join(names)}")
        rules.enforce()
        return self

    @property
    def writable(self) -> bool:
        """Whether a run may write there."""
        return self.weka is not None or self.host_path is not None


class BeakerInfra(_AnyInfra):
    """Beaker: one experiment per run, in a Beaker group that has the group's name."""

    backend: Literal["beaker"] = "beaker"
    """Which engine runs."""
    budget: str
    """Budget that is charged."""
    workspace: str
    """Workspace of the experiments: `owner/name`, or its id."""
    cluster: str
    """Cluster, such as `ai2/jupiter`."""
    priority: Literal["low", "normal", "high", "urgent"] = "normal"
    """Priority of the jobs."""
    preemptible: bool = True
    """Whether other jobs may take the place of these; such a run starts again by itself."""
    min_runtime_s: Positive | None = None
    """Seconds that a preemptible job may run before others take its place; 0 if left out."""
    retries: Annotated[int, Field(ge=0)] = 0
    """How often Beaker starts a run again that failed by itself."""
    timeout_s: Positive | None = None
    """Seconds after which Beaker stops a run; never if left out."""
    nodes: _Count = 1
    """Nodes of a run."""
    gpus: Annotated[int, Field(ge=0)] = 1
    """GPUs of a run on each node; with more than one, runs of OLMo-core start under torchrun."""
    cpu_count: Positive | None = None
    """Cores of a run on each node; as many as its share of the GPUs brings if left out."""
    memory: _Text | None = None
    """Memory of a run on each node, such as `64GiB`."""
    shared_memory: _Text | None = "10GiB"
    """Size of /dev/shm, which data loaders with several processes need."""
    image: _Text | None = None
    """Beaker image, `user/name` or its id, in which `python` has Olmix."""
    docker_image: _Text | None = None
    """Image of a container registry, in place of `image`."""
    setup: str | None = None
    """Shell lines before the run; the run is not started if one of them fails."""
    python: _Text = "python"
    """Python that has Olmix: a name, or a path in the container or on a mount."""
    env: dict[str, str | int] = {}
    """Environment variables; they are written to files, so no secrets."""
    env_secrets: dict[str, _Text] = {}
    """Environment variables from secrets of the workspace: variable to name of the secret."""
    weka: bool = False
    """Whether the buckets of `weka_buckets` are mounted, each at `/weka/BUCKET`."""
    weka_buckets: _Names = ("oe-training-default",)
    """Names of Weka buckets."""
    mounts: Annotated[tuple[BeakerMount, ...], Field(strict=False)] = ()
    """Further mounts."""
    runs_dir: _Place | None = None
    """Folder of the groups as a run sees it, where it is mounted elsewhere than here."""
    shared_filesystem: bool = False
    """Whether run folders and work folders of all nodes are on a file system that they share
    (`OLMO_SHARED_FS`)."""
    wandb_debug: bool = False
    """Whether W&B logs verbosely (`WANDB_DEBUG`)."""

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        rules = Rules()
        if self.image is not None and self.docker_image is not None:
            rules.broken("give image or docker_image, not both", "docker_image")
        if self.min_runtime_s is not None and not self.preemptible:
            rules.broken("has no effect on jobs that are not preemptible", "min_runtime_s")
        self._check_environment(rules, info)
        places = [mount.path.rstrip("/") for mount in self.all_mounts]
        for place in sorted({place for place in places if places.count(place) > 1}):
            rules.broken(f"two mounts at {place}; each needs a path of its own", "mounts")
        refuse_secrets(rules, info, self.to_plain())
        rules.enforce()
        return self

    def _check_environment(self, rules: Rules, info: ValidationInfo) -> None:
        """Check names of variables. Values stay out of messages: they may be secrets."""
        for section, names in (("env", self.env), ("env_secrets", self.env_secrets)):
            for name in names:
                if _VARIABLE.fullmatch(name) is None:
                    rules.broken("is not a valid name of an environment variable", section, name)
                elif name in _OWN_VARIABLES:
                    rules.broken(f"is set by Olmix ({_OWN_VARIABLES[name]})", section, name)
        for name, value in self.env.items():
            why = None if is_kept(info) else judge(name, str(value))
            if name in self.env_secrets:
                rules.broken("is in env_secrets too; give it once", "env", name)
            elif why is not None:
                rules.broken(
                    f"looks like a secret ({why}), and env is written to files; store it with "
                    f"`beaker secret write` and name that secret: env_secrets: {{{name}: ...}}",
                    "env",
                    name,
                )

    @property
    def all_mounts(self) -> tuple[BeakerMount, ...]:
        """All mounts, Weka buckets included."""
        buckets = self.weka_buckets if self.weka else ()
        return (
            *(BeakerMount(path=f"/weka/{bucket}", weka=bucket) for bucket in buckets),
            *self.mounts,
        )


_OWN_VARIABLES = {
    "OLMIX_GROUP": "the group's id",
    "OLMO_SHARED_FS": "shared_filesystem",
    "WANDB_DEBUG": "wandb_debug",
}


def _backend(value: object) -> str:
    """Return the backend of an infra section; a budget or workspace alone means Beaker."""
    if not isinstance(value, dict):
        return str(getattr(value, "backend", "local"))
    backend = value.get("backend")
    if backend is not None:
        return str(backend)
    beaker = {"budget", "workspace", "cluster"} & set(value)
    return "beaker" if beaker else "local"


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
