"""`SlurmJob`: what a job asks SLURM for. Launches and sweeps share it.

A value that becomes a line of a script is checked here, because nobody sees a script before it is
submitted: a line break would end the `#SBATCH` line, and what SLURM cannot read it may pass over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from olmix.config.base import Rules, Section
from olmix.config.secrets import refuse_secrets
from olmix.text.slurm import container_words, environment_lines

__all__ = ["SlurmGpus", "SlurmJob", "SlurmLine", "SlurmTime"]

_Count = Annotated[int, Field(ge=1)]
_TIME = re.compile(
    r"[0-9]+(:[0-9]{1,2}){0,2}|[0-9]+-[0-9]{1,2}(:[0-9]{1,2}){0,2}|unlimited|infinite",
    re.ASCII | re.IGNORECASE,
)
_MEMORY = re.compile(r"[0-9]+([KMGT]B?)?", re.ASCII | re.IGNORECASE)
_GPUS = re.compile(r"[A-Za-z][\w.-]*:[1-9][0-9]*", re.ASCII)
_GPU_GRES = re.compile(r"(?:gres[/:])?gpu(?::[A-Za-z][\w.-]*)?(?::([0-9]+))?", re.ASCII)


def _check_line(text: str) -> str:
    """Refuse what would end a `#SBATCH` line, or a quoted value in it."""
    for letter in text:
        if letter == '"' or not letter.isprintable():
            name = {"\n": "a line break", '"': 'a quotation mark (")'}.get(letter, ascii(letter))
            raise ValueError(f"{name} is not allowed in an #SBATCH line; leave it out")
    if not text.strip():
        raise ValueError("text is needed; leave the key out to use SLURM's default")
    return text


def _read_time(value: object) -> object:
    """Read a time limit; SLURM takes a plain number for minutes."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or _TIME.fullmatch(text) is None:
        raise ValueError(
            "minutes (90), or HH:MM:SS (12:00:00), or days and hours (1-12, 1-12:30:00), or "
            "UNLIMITED is needed"
        )
    return text


def _read_memory(value: object) -> object:
    """Read an amount of memory; SLURM takes a plain number for megabytes."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or _MEMORY.fullmatch(text) is None:
        raise ValueError(
            "a whole number and K, M, G or T is needed, such as 64G; a number alone is megabytes"
        )
    return text


def _read_gpus(value: object) -> int | str:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and _GPUS.fullmatch(value):
        return value
    raise ValueError("a number is needed, or a type and a number, such as h100:1")


def _read_names(value: object) -> object:
    return value.split() if isinstance(value, str) else value


def _read_lines(value: object) -> object:
    is_list = isinstance(value, list | tuple) and all(isinstance(line, str) for line in value)
    return "\n".join(value) if is_list else value  # type: ignore[arg-type]  # texts, as was asked


_LIST = {"type": "array", "items": {"type": "string"}}
_NUMBER_OR_TEXT = WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string"}]})
_TEXT_OR_LIST = WithJsonSchema({"anyOf": [{"type": "string"}, _LIST]})

SlurmLine = Annotated[str, AfterValidator(_check_line)]
"""Text that stands in a line of a script or on a command line."""
SlurmTime = Annotated[str, BeforeValidator(_read_time), _NUMBER_OR_TEXT]
_Memory = Annotated[str, BeforeValidator(_read_memory), _NUMBER_OR_TEXT]
SlurmGpus = Annotated[int | str, PlainValidator(_read_gpus), _NUMBER_OR_TEXT]
_Names = Annotated[
    tuple[SlurmLine, ...], Field(strict=False), BeforeValidator(_read_names), _TEXT_OR_LIST
]
_Lines = Annotated[str, BeforeValidator(_read_lines), _TEXT_OR_LIST]


class SlurmJob(Section):
    """The resources that a job asks SLURM for, and the environment of its runs."""

    partition: SlurmLine | None = None
    """Partition of the jobs."""
    account: SlurmLine | None = None
    """Account to charge."""
    qos: SlurmLine | None = None
    """Quality of service."""
    constraint: SlurmLine | None = None
    """Features that a node must have, such as `a100|h100`."""
    gres: SlurmLine | None = None
    """Generic resources of a run on each node, such as `gpu:h100:1`."""
    nodes: _Count = 1
    """Nodes of a run."""
    gpus: SlurmGpus = 0
    """GPUs of a run on each node: a number, or a type and a number such as `h100:1`."""
    cpus: _Count | None = None
    """Cores of a run on each node."""
    mem: _Memory | None = None
    """Memory of a run on each node, such as `64G`; a number alone is megabytes."""
    time: SlurmTime | None = None
    """Time limit of a run: minutes (`90`), `HH:MM:SS`, or days and hours (`1-12`)."""
    array_limit: _Count | None = None
    """Runs at a time, also if runs are split over several arrays, which then wait for each
    other."""
    max_array_size: Annotated[int, Field(ge=2)] = 1001
    """`MaxArraySize` of the cluster: more runs are split over several arrays."""
    dependency: SlurmLine | None = None
    """Jobs that must end first, such as `afterok:1234`; a job whose dependency can never be
    satisfied is cancelled."""
    requeue: bool | None = None
    """Whether a pre-empted job goes back into the queue; if left out, the cluster decides."""
    modules: _Names = ()
    """Modules to load: a list, or a text with spaces between them."""
    venv: SlurmLine | None = None
    """Folder of a virtual environment to enter."""
    conda: SlurmLine | None = None
    """Name of a conda environment to activate."""
    python: SlurmLine | None = None
    """Python of the runs, with Olmix installed. If left out: that of `venv`, `conda` or
    `container`, else the one that writes the script."""
    container: SlurmLine | None = None
    """Container image to run in."""
    container_runtime: Literal["apptainer", "pyxis"] = "apptainer"
    """The program that starts the container."""
    setup: _Lines | None = None
    """Shell lines before the run: a text, or a list of lines."""

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        rules = Rules()
        if self.venv is not None and self.conda is not None:
            rules.broken("venv and conda are both given; keep one", "conda")
        refuse_secrets(rules, info, self.to_plain())
        rules.enforce()
        return self

    @property
    def num_gpus(self) -> int:
        """GPUs of a run on each node, whether `gpus` or `gres` asks for them."""
        if self.gpus:
            return int(str(self.gpus).rpartition(":")[2])
        found = [_GPU_GRES.fullmatch(part) for part in (self.gres or "").split(",")]
        return sum(int(match[1] or 1) for match in found if match is not None)

    @property
    def has_own_environment(self) -> bool:
        """Whether the settings say which Python runs, so that the current one does not."""
        return any((self.venv, self.conda, self.python, self.container))

    def directives(self, name: str, array: str, log: str) -> Mapping[str, str | int | bool | None]:
        """Return the options of an array of jobs, for `olmix.text.slurm.directive_lines`.

        Args:
            name: of the jobs.
            array: indices of the tasks, such as `0-9`.
            log: pattern of the files that take what the tasks print.
        """
        limit = f"%{self.array_limit}" if self.array_limit is not None else ""
        return {
            "job-name": name,
            "array": f"{array}{limit}",
            "output": log,
            "nodes": self.nodes,
            "ntasks-per-node": 1,
            "cpus-per-task": self.cpus,
            "gpus-per-node": self.gpus or None,
            "gres": self.gres,
            "mem": self.mem,
            "time": self.time,
            "account": self.account,
            "partition": self.partition,
            "qos": self.qos,
            "constraint": self.constraint,
            "requeue": self.requeue is True,
            "no-requeue": self.requeue is False,
        }

    def environment(self, here: str | None = None) -> list[str]:
        """Return the shell lines before a run.

        Args:
            here: folder of the environment that is at work here, entered where nothing else is.
        """
        venv = here if here is not None and not self.has_own_environment else self.venv
        setup = () if self.setup is None else self.setup.rstrip("\n").split("\n")
        return list(environment_lines(self.modules, venv, self.conda, setup))

    def in_container(self) -> list[str]:
        """Return the words before a command that runs in the container; none without one."""
        if self.container is None:
            return []
        return container_words(self.container, self.container_runtime, gpus=self.num_gpus > 0)
