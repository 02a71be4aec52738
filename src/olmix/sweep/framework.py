"""The interface between a sweep and the framework that trains its runs.

Nothing outside a framework's own folder knows how its configs look, what reads them or how a run
is started; the sweep itself plans, merges, names and writes. A framework has to say two things: the
command of a run, and when a run has ended. All else has an answer here that fits a trainer which
reads one YAML file and logs in a common format.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from olmix.config.experiment import FrameworkConfig
from olmix.errors import ConfigError, NotAvailableError
from olmix.records.log_files import read_logs
from olmix.records.log_readers import Curves
from olmix.sweep.document import YamlDocument
from olmix.sweep.errors import BaseConfigNotFoundError, Finding
from olmix.sweep.experiment import Experiment
from olmix.sweep.merge import Parameters, at
from olmix.text.progress import OnProgress, Steps
from olmix.text.yaml import render_yaml

__all__ = [
    "OUTPUT_DIR",
    "Base",
    "Framework",
    "MixedEntries",
    "Note",
    "Path_",
    "RunCost",
    "RunFiles",
    "Verdict",
    "base_not_found",
    "read_base_file",
]

Path_ = tuple[str, ...]
"""Path of keys in a config; an entry of a list is named by its number."""
OUTPUT_DIR: Path_ = ("output_dir",)
"""Where configs mostly say to which folder a run's results go."""


@dataclass(frozen=True)
class Base:
    """The config that all runs start from.

    Attributes:
        name: what it is called.
        data: its values.
        document: its text, where runs are written as copies of it.
        recipe: what trains it, where that is known.
    """

    name: str
    data: Mapping[str, Any]
    document: YamlDocument | None
    recipe: str | None


@dataclass(frozen=True)
class Note:
    """Something to say about a config.

    Attributes:
        path: keys of the config that it is about; none where it is about the base.
        what: what was found, what is allowed and what to do.
        level: whether it stops the generation.
    """

    path: Path_
    what: str
    level: Literal["error", "warning", "notice"] = "error"


@dataclass(frozen=True)
class RunCost:
    """The size of a run, as far as its config tells.

    Attributes:
        effective_batch: sequences per optimizer step, over all processes.
        steps: optimizer steps of the whole run; `None` where the size of the data is unknown.
        max_tokens: most tokens that are trained on; `None` where unknown.
        processes: processes, one per GPU.
    """

    effective_batch: int | None = None
    steps: int | None = None
    max_tokens: int | None = None
    processes: int = 1


@dataclass(frozen=True)
class Verdict:
    """The verdict of the framework's own check on one config.

    Attributes:
        errors: why it is invalid; empty if it is not.
        missing: optional packages that are not installed here, so that parts were not checked.
    """

    errors: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class MixedEntries:
    """A mixture as a trainer takes it.

    Attributes:
        datasets: its data sets.
        shares: the share of each source that they make, which may be near to what was asked for.
    """

    datasets: list[dict[str, Any]]
    shares: Mapping[str, float]


@dataclass(frozen=True)
class RunFiles:
    """The inputs of a run, and where it writes.

    Attributes:
        file: its config file.
        config: the values of it.
        output: the folder of its results.
        folders: every folder that it writes, by the key that says so (see `Framework.folders`).
        printed: what it wrote to its standard output under the array script; it need not be there.
    """

    file: Path
    config: Mapping[str, Any]
    output: Path
    folders: Mapping[Path_, Path]
    printed: Path


class Framework(ABC):
    """A training framework, for one experiment.

    Args:
        section: `framework_config` of the experiment.

    Attributes:
        name: as `experiment.framework` has it, and that of the framework's folder.
        takes: the keys of `framework_config` that it reads.
        needs_base: whether an experiment must say what its runs start from.
        logs: what `read_curves` can read, in words.
        writes_whole_configs: whether a run's file is a complete config, or only what differs.
        default_output_dir: where runs write, relative to the experiment's folder, if neither the
            base nor the experiment says; `None` where that is the framework's business.
        scale: the last keys of the LoRA rank and of the alpha that it is scaled by.
        mix_path: where the data sets of a mixture stand, if there can be one.
        lists: paths at which a list of mappings may stand in place of a mapping.
        suffix: how the names of config files end.
        output_key: where a config says to which folder a run's results go.
    """

    name: ClassVar[str]
    takes: ClassVar[frozenset[str]] = frozenset({"base_config_file"})
    needs_base: ClassVar[bool] = True
    logs: ClassVar[str] = "metrics.jsonl, metrics.csv, trainer_state.json, TensorBoard's events"
    writes_whole_configs: ClassVar[bool] = True
    default_output_dir: ClassVar[str | None] = "runs"
    scale: ClassVar[tuple[str, str] | None] = None
    mix_path: ClassVar[Path_ | None] = None
    lists: ClassVar[frozenset[Path_]] = frozenset()

    def __init__(self, section: FrameworkConfig) -> None:
        self.section = section
        self.suffix = ".yaml"
        self.output_key = OUTPUT_DIR

    @abstractmethod
    def command(self, recipe: str, config: str, gpus: int) -> list[str]:
        """Return the words of the command that trains a config, from the experiment's folder."""

    @abstractmethod
    def is_finished(self, run: RunFiles, last_step: int) -> bool:
        """Whether a run has ended as it should; `last_step` is the last one that it logged."""

    def load_base(self, experiment: Experiment) -> Base:
        """Read the base config; raises `BaseConfigNotFoundError`."""
        recipe = self.section.recipe or self.name
        if self.section.base_config_file is None:
            return Base("nothing", {}, None, recipe)
        document = read_base_file(experiment)
        return Base(document.name, document.data, document, recipe)

    def render(
        self, base: Base, config: Mapping[str, object], given: Mapping[Path_, object]
    ) -> str:
        """Return the text of a run's file; `given` are the values set, by their paths."""
        del given
        return render_yaml(dict(config)) if base.document is None else base.document.render(config)

    def comment(self, text: str) -> str:
        """Return a text as comments of the run's file."""
        return "".join(f"# {line}\n" for line in text.splitlines()) + "\n"

    def read_config(self, file: Path) -> Mapping[str, object]:
        """Read a run's file again."""
        return YamlDocument(file.read_text(encoding="utf-8"), str(file)).data

    def validate(
        self, configs: Sequence[Path], method: str, on_progress: OnProgress | None = None
    ) -> list[Verdict]:
        """Check the files with the framework's own check, all of them."""
        del method
        Steps(on_progress, len(configs))("validate", len(configs))
        return [Verdict() for _ in configs]

    def read_curves(self, run: RunFiles) -> Curves:
        """Return the value at each step of every metric that a run has logged."""
        return read_logs(run.output)

    def folders(self, config: Mapping[str, Any]) -> dict[Path_, str]:
        """Return every folder that a run writes, by its key, with what it refers to put in."""
        found = at(config, self.output_key)
        return {self.output_key: os.path.normpath(found)} if isinstance(found, str) else {}

    def complete(self, config: dict[str, object], given: Iterable[Path_]) -> list[Note]:
        """Add to a merged config what follows from what is given; say what was added."""
        del config, given
        return []

    def mix(
        self, sources: Mapping[str, Mapping[str, Any]], weights: Mapping[str, float]
    ) -> MixedEntries:
        """Return the data sets that make a mixture, to stand at `mix_path`.

        Args:
            sources: data sets by name.
            weights: their shares, which sum to 1.

        Raises:
            DerivationError: the mixture cannot be made of them.
        """
        raise NotImplementedError(self.name)

    def path_of(self, base: Base, name: str) -> Path_:
        """Return where a parameter name lives in the config: a dotted name is a path."""
        del base
        return tuple(name.split("."))

    def knows(self, base: Base, path: Path_) -> bool:
        """Whether anything reads what stands at a path."""
        return path[0] in base.data

    def parameters_of(self, component: str) -> Parameters | None:
        """Return what a component can be given, `None` where that is unknown.

        The name of the config itself is empty.
        """
        del component
        return None

    def check_names(self, base: Base, names: Mapping[str, Path_]) -> Iterable[tuple[str, str]]:
        """Yield (name, what is wrong) of parameters that this base cannot have."""
        del base, names
        return ()

    def check_config(
        self, base: Base, config: Mapping[str, object], given: Iterable[Path_]
    ) -> list[Note]:
        """Return everything to say about one merged config; `given` are the paths set."""
        del base, config, given
        return []

    def check_runs(
        self,
        base: Base,
        runs: Sequence[tuple[Mapping[str, object], Mapping[Path_, object]]],
    ) -> list[Note]:
        """Return what can only be said of whole runs: the config of each, and the values set."""
        del base, runs
        return []

    def check_places(self, config: Mapping[str, Any], root: Path) -> Iterable[Note]:
        """Yield what is wrong with a config's paths, where relative ones are relative to `root`."""
        del config, root
        return ()

    def cost(self, base: Base, config: Mapping[str, Any], gpus: int) -> RunCost:
        """Return what a run takes."""
        del base, config
        return RunCost(processes=max(gpus, 1))

    def require(self) -> None:  # noqa: B027 - a framework may need nothing
        """Raise a `MissingPackageError` where the framework's own check cannot be made here."""

    def smoke(
        self,
        base: Base,
        configs: Mapping[str, dict[str, Any]],
        on_progress: OnProgress | None = None,
    ) -> Mapping[str, str]:
        """Train every config for two steps on a tiny model; say why it fails, or nothing, by id.

        Raises:
            NotAvailableError: the framework or the recipe cannot be trained on something tiny.
        """
        del base, configs, on_progress
        raise NotAvailableError(f"--smoke is not available for the framework {self.name}")

    @classmethod
    def write_example(cls, folder: Path) -> Path:
        """Write a small study with everything that it needs; return its experiment.

        Raises:
            NotAvailableError: there is none for this framework.
        """
        del folder
        raise NotAvailableError(f"there is no example for the framework {cls.name}")


def read_base_file(experiment: Experiment) -> YamlDocument:
    """Read `framework_config.base_config_file`.

    Raises:
        BaseConfigNotFoundError: it is missing, cannot be read, or holds no mapping.
    """
    path = Path(str(experiment.config.framework_config.base_config_file))
    try:
        return YamlDocument(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        what = f"{path}: there is no such file; give the path of a config of this framework"
    except (OSError, UnicodeDecodeError) as error:
        what = f"{path}: cannot be read: {error}"
    except ConfigError as error:
        what = str(error)
    raise base_not_found(experiment, what, "base_config_file")


def base_not_found(experiment: Experiment, what: str, key: str) -> BaseConfigNotFoundError:
    """Return the error for a key of `framework_config` that names nothing."""
    finding = Finding(BaseConfigNotFoundError, what, ("framework_config", key))
    return BaseConfigNotFoundError([experiment.problem(finding)], experiment.name)
