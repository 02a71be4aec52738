"""Where runs are carried out: this machine, or a cluster. One line changes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, model_validator

from olmix.config.base import Positive, Rules, Section, is_kept
from olmix.config.secrets import refuse_secrets
from olmix.config.slurm import SlurmJob, SlurmLine
from olmix.text.secrets import judge

__all__ = [
    "BeakerInfra",
    "BeakerMount",
    "Devices",
    "Infra",
    "InfraConfig",
    "KubernetesInfra",
    "KubernetesToleration",
    "KubernetesVolume",
    "LocalInfra",
    "RayInfra",
    "SlurmInfra",
]

_Count = Annotated[int, Field(ge=1)]
_Names = Annotated[tuple[str, ...], Field(strict=False)]


def _is_no_option(text: str) -> str:
    if text.startswith("-"):
        raise ValueError("the name of a login node is needed; this is an option of ssh")
    return text


@dataclass(frozen=True)
class Devices:
    """Resources of one run on a cluster.

    Attributes:
        number: how many, over all nodes.
        kind: GPUs, or cores where it takes no GPU.
    """

    number: float
    kind: Literal["core", "GPU"]

    @classmethod
    def of(cls, gpus: float, cores: float) -> Devices:
        """Return the GPUs, or the cores of a run without any."""
        return cls(gpus, "GPU") if gpus else cls(cores, "core")


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
    """Runs at a time. If left out: one per core for the embedded trainer; one in all for a command
    or OLMo-core, since each takes all cores it finds; one per GPU if there are several GPUs or
    `gpus` are given."""
    gpus: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False)] = ()
    """Numbers of the GPUs to use, one for each run at a time (`CUDA_VISIBLE_DEVICES`). If left out,
    runs of trainers other than the embedded one get one GPU each on a machine with several."""
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

    @property
    def devices(self) -> Devices:
        """Resources of one run."""
        return Devices.of(self.nodes * self.num_gpus, self.nodes * self.cpus)


_Text = Annotated[str, Field(min_length=1)]
_Place = Annotated[str, Field(pattern=r"^/")]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RayInfra(_AnyInfra):
    """A Ray cluster: one job for a launch, and in it one task per run."""

    backend: Literal["ray"]
    """Which engine runs."""
    address: Annotated[str, Field(pattern=r"^(auto|local|(ray|https?)://.+|[^:/]+:[0-9]+)$")] = (
        "auto"
    )
    """Cluster: `auto` (the one of this machine), `ray://HOST:10001`, or the address of its
    dashboard, `http://HOST:8265`, which does not need equal versions; `local` starts one here if
    none is running, and `ray stop` ends it. RAY_ADDRESS overrides it."""
    cpus: Annotated[float, Field(ge=0)] = 1
    """Cores of a run."""
    gpus: Annotated[float, Field(ge=0)] = 0
    """GPUs of a run; with more than one, runs of OLMo-core start under torchrun."""
    resources: dict[str, Positive] = {}
    """Further resources of a run, by the names that the cluster's nodes give them."""
    labels: dict[str, str] = {}
    """Labels that a run's node must have, such as `ray.io/accelerator-type: H100`."""
    array_limit: _Count | None = None
    """Runs at a time; as many as there is room for if left out."""
    retries: Annotated[int, Field(ge=0)] = 3
    """How often a run may restart after its worker or node was lost."""
    python: _Text | None = None
    """Python with Olmix on the workers; Ray's own if left out."""
    runs_dir: _Place | None = None
    """Folder of the groups as the cluster sees it, if it is mounted elsewhere there."""

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        rules = Rules()
        if self.gpus > 1 and self.gpus != int(self.gpus):
            rules.broken(f"found {self.gpus:g}; above 1, GPUs are whole", "gpus")
        refuse_secrets(rules, info, self.to_plain())
        rules.enforce()
        return self

    @property
    def devices(self) -> Devices:
        """Resources of one run."""
        return Devices.of(self.gpus, self.cpus)


def check_variables(
    rules: Rules,
    info: ValidationInfo,
    env: dict[str, str | int],
    env_secrets: dict[str, str],
    own: dict[str, str],
    advice: str = "store it as a Secret and name that",
) -> None:
    """Check names of variables. Values stay out of messages: they may be secrets.

    Args:
        rules: takes what is broken.
        info: of the validation.
        env: variables that are written to files.
        env_secrets: variables that the cluster fills in.
        own: variables that Olmix sets, with why.
        advice: what to do with a secret.
    """
    for section, names in (("env", env), ("env_secrets", env_secrets)):
        for name in names:
            if _VARIABLE.fullmatch(name) is None:
                rules.broken("is not a valid name of an environment variable", section, name)
            elif name in own:
                rules.broken(f"is set by Olmix ({own[name]})", section, name)
    for name, value in env.items():
        why = None if is_kept(info) else judge(name, str(value))
        if name in env_secrets:
            rules.broken("is in env_secrets too; give it once", "env", name)
        elif why is not None:
            rules.broken(
                f"looks like a secret ({why}), and env is written to files; {advice}: "
                f"env_secrets: {{{name}: ...}}",
                "env",
                name,
            )


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
        rules.one_is_given(self, "weka", "host_path", "dataset", "secret")
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
    """Budget to charge."""
    workspace: str
    """Workspace of the experiments: `owner/name`, or its id."""
    cluster: str
    """Cluster, such as `ai2/jupiter`."""
    priority: Literal["low", "normal", "high", "urgent"] = "normal"
    """Priority of the jobs."""
    preemptible: bool = True
    """Whether other jobs may preempt these; a preempted run restarts by itself."""
    min_runtime_s: Positive | None = None
    """Seconds that a preemptible job may run before it can be preempted; 0 if left out."""
    retries: Annotated[int, Field(ge=0)] = 0
    """How often Beaker restarts a run that failed by itself."""
    timeout_s: Positive | None = None
    """Seconds after which Beaker stops a run; never if left out."""
    nodes: _Count = 1
    """Nodes of a run."""
    gpus: Annotated[int, Field(ge=0)] = 1
    """GPUs of a run on each node; with more than one, runs of OLMo-core start under torchrun."""
    cpu_count: Positive | None = None
    """Cores of a run on each node; if left out, as many as its share of the GPUs comes with."""
    memory: _Text | None = None
    """Memory of a run on each node, such as `64GiB`."""
    shared_memory: _Text | None = "10GiB"
    """Size of /dev/shm, which data loaders with several processes need."""
    image: _Text | None = None
    """Beaker image, `user/name` or its id, with Olmix installed."""
    docker_image: _Text | None = None
    """Image from a container registry, instead of `image`."""
    setup: str | None = None
    """Shell lines before the run; the run is not started if one of them fails."""
    python: _Text = "python"
    """Python with Olmix: a name, or a path in the container or on a mount."""
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
    """Folder of the groups as a run sees it, if it is mounted elsewhere there."""
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
        check_variables(
            rules, info, self.env, self.env_secrets, _OWN_VARIABLES,
            "store it with `beaker secret write` and name that secret",
        )  # fmt: skip
        places = [mount.path.rstrip("/") for mount in self.all_mounts]
        for place in sorted({place for place in places if places.count(place) > 1}):
            rules.broken(f"two mounts at {place}; each needs a path of its own", "mounts")
        refuse_secrets(rules, info, self.to_plain())
        rules.enforce()
        return self

    @property
    def devices(self) -> Devices:
        """Resources of one run."""
        return Devices.of(self.nodes * self.gpus, self.nodes * int(self.cpu_count or 1))

    @property
    def all_mounts(self) -> tuple[BeakerMount, ...]:
        """All mounts, Weka buckets included."""
        buckets = self.weka_buckets if self.weka else ()
        return (
            *(BeakerMount(path=f"/weka/{bucket}", weka=bucket) for bucket in buckets),
            *self.mounts,
        )


class KubernetesVolume(Section):
    """A volume of a pod: one of a claim, a folder of the node, an NFS export, a secret or a map."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    """Its name in the pod."""
    path: _Place
    """Where the run sees it."""
    claim: _Text | None = None
    """PersistentVolumeClaim, to read and write."""
    host_path: _Place | None = None
    """Folder of the node, such as a mounted network disk, to read and write."""
    nfs: Annotated[str, Field(pattern=r"^[^:/]+:/")] | None = None
    """NFS export, `server:/path`, to read and write."""
    secret: _Text | None = None
    """Name of a Secret, whose keys become files."""
    config_map: _Text | None = None
    """Name of a ConfigMap, whose keys become files."""
    sub_path: _Text | None = None
    """Folder inside the volume; all of it if left out."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        rules.one_is_given(self, "claim", "host_path", "nfs", "secret", "config_map")
        rules.enforce()
        return self

    @property
    def writable(self) -> bool:
        """Whether a run may write there."""
        return self.secret is None and self.config_map is None


class KubernetesToleration(Section):
    """A taint that pods tolerate, as Kubernetes writes it."""

    key: _Text | None = None
    """Key of the taint; all of them if left out, with `operator: Exists`."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """How `value` is compared."""
    value: str | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect; all of them if left out."""


class KubernetesInfra(_AnyInfra):
    """A Kubernetes cluster: one Indexed Job for a launch, a pod for each run."""

    backend: Literal["kubernetes"]
    """Which engine runs."""
    image: _Text
    """Image with Olmix installed."""
    namespace: _Text | None = None
    """Namespace; that of the context if left out."""
    context: _Text | None = None
    """Context of the kubeconfig; the current one if left out."""
    cpus: Annotated[float, Field(gt=0)] = 1
    """Cores of a run."""
    gpus: Annotated[int, Field(ge=0)] = 0
    """GPUs of a run; with more than one, runs of OLMo-core start under torchrun."""
    gpu_resource: _Text = "nvidia.com/gpu"
    """Name of the cluster's GPUs."""
    memory: _Text | None = None
    """Memory of a run, such as `64Gi`."""
    shared_memory: _Text | None = None
    """Size of /dev/shm, which data loaders with several processes need, such as `8Gi`."""
    resources: dict[str, str | int] = {}
    """Further resources of a run, such as `rdma/hca: 1`."""
    node_selector: dict[str, str] = {}
    """Labels that a run's node must have."""
    tolerations: Annotated[tuple[KubernetesToleration, ...], Field(strict=False)] = ()
    """Taints that runs tolerate."""
    volumes: Annotated[tuple[KubernetesVolume, ...], Field(strict=False)] = ()
    """Volumes, of which one holds the run folders."""
    runs_dir: _Place | None = None
    """Folder of the groups as a pod sees it, if it is mounted elsewhere there."""
    queue: _Text | None = None
    """Kueue's LocalQueue; the Job is created suspended, and Kueue starts it."""
    priority_class: _Text | None = None
    """PriorityClass of the pods, or with `queue` Kueue's WorkloadPriorityClass."""
    array_limit: _Count | None = None
    """Runs at a time; all if left out."""
    retries: Annotated[int, Field(ge=0)] = 3
    """How often a run is restarted after its pod failed by itself; pre-emption does not count."""
    grace_s: Annotated[int, Field(ge=0)] = 120
    """Seconds a run gets to save its state when its pod is stopped."""
    ttl_s: Annotated[int, Field(ge=0)] | None = None
    """Seconds after which Kubernetes removes a Job that has ended; never if left out."""
    python: _Text = "python"
    """Python with Olmix: a name, or a path in the container or on a volume."""
    setup: str | None = None
    """Shell lines before the run; the run is not started if one of them fails."""
    env: dict[str, str | int] = {}
    """Environment variables; they are written to files, so no secrets."""
    env_secrets: dict[str, _Text] = {}
    """Environment variables from Secrets: variable to `secret/key`; the key may be left out if it
    is the variable's name."""
    service_account: _Text | None = None
    """ServiceAccount of the pods."""
    image_pull_secrets: _Names = ()
    """Secrets of the image's registry."""

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        rules = Rules()
        check_variables(rules, info, self.env, self.env_secrets, {"OLMIX_GROUP": "the group's id"})
        for key in ("name", "path"):
            values = [getattr(volume, key).rstrip("/") for volume in self.volumes]
            for value in sorted({value for value in values if values.count(value) > 1}):
                rules.broken(f"two volumes have the {key} {value}; each needs its own", "volumes")
        refuse_secrets(rules, info, self.to_plain())
        rules.enforce()
        return self

    @property
    def devices(self) -> Devices:
        """Resources of one run."""
        return Devices.of(self.gpus, self.cpus)


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
    | Annotated[BeakerInfra, Tag("beaker")]
    | Annotated[RayInfra, Tag("ray")]
    | Annotated[KubernetesInfra, Tag("kubernetes")],
    Discriminator(_backend),
]
"""An infra section, told apart by `backend`."""


class InfraConfig(Section):
    """A file that says only where something runs."""

    infra: Infra = LocalInfra()
    """Where it runs."""
