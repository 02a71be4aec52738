"""torchtune as a framework of sweeps: its names, its configs and its commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.errors import require
from olmix.records.log_readers import Curves
from olmix.sweep.component_source import parameters_of
from olmix.sweep.document import YamlDocument
from olmix.sweep.experiment import Experiment
from olmix.sweep.framework import (
    Base,
    Framework,
    MixedEntries,
    Note,
    Path_,
    RunCost,
    RunFiles,
    Verdict,
    base_not_found,
    read_base_file,
)
from olmix.sweep.merge import Parameters
from olmix.sweep.torchtune.checks import check_config, world_size
from olmix.sweep.torchtune.cost import estimate
from olmix.sweep.torchtune.dataset_sources import complete_sources, mix_by_repetition
from olmix.sweep.torchtune.example import write_example
from olmix.sweep.torchtune.library import tune_words
from olmix.sweep.torchtune.logs import find_folders, is_finished, read_curves
from olmix.sweep.torchtune.parameter_paths import PLACES
from olmix.sweep.torchtune.recipe import find_reads, reads_of
from olmix.sweep.torchtune.registry import Registry, read_registry
from olmix.sweep.torchtune.smoke import train_tiny
from olmix.sweep.torchtune.traps import folder_traps
from olmix.sweep.torchtune.validation import validate_configs
from olmix.text.progress import OnProgress

__all__ = ["FRAMEWORK", "Torchtune"]

_LORA = {name for name, path in PLACES.items() if path[0] == "model"}
_COMMAND = re.compile(r"tune run (?:--?\S+(?: \d+)? )*([\w/]+) .*--config")
_MAX_LISTED = 8


class Torchtune(Framework):
    """torchtune 0.6: one YAML per run, made from a config that it ships or a file of yours."""

    name = "torchtune"
    takes = frozenset({"base_config", "base_config_file", "recipe"})
    default_output_dir = None  # every config that it ships has one
    scale = ("lora_rank", "lora_alpha")
    mix_path = ("dataset",)
    lists = frozenset({("dataset",)})
    logs = "those of DiskLogger, TensorBoardLogger, and StdoutLogger under the array script"

    def load_base(self, experiment: Experiment) -> Base:
        """Read the base config.

        Raises:
            BaseConfigNotFoundError: it does not exist or is no config; lists the nearest names.
            MissingPackageError: torchtune is not installed.
        """
        registry = read_registry()
        section = experiment.config.framework_config
        recipe = section.recipe
        if recipe is not None and recipe not in registry.recipes:
            close = ", ".join(_near(recipe, registry.recipes)) or ", ".join(registry.recipes)
            what = f'torchtune has no recipe "{recipe}"; the nearest are: {close}'
            raise base_not_found(experiment, what, "recipe")
        if section.base_config is not None:
            shipped = registry.configs.get(section.base_config)
            if shipped is None:
                close = "".join(
                    f"\n    {name}" for name in _near(section.base_config, registry.configs)
                )
                what = f'torchtune ships no config "{section.base_config}"; the nearest are:{close}'
                raise base_not_found(
                    experiment, f"{what}\n  `tune ls` lists all of them.", "base_config"
                )
            document = YamlDocument(shipped.path.read_text(encoding="utf-8"), shipped.name)
            return Base(shipped.name, document.data, document, recipe or shipped.recipe)
        document = read_base_file(experiment)
        recipe = recipe or _guess_recipe(document, registry)
        return Base(document.name, document.data, document, recipe)

    def path_of(self, base: Base, name: str) -> Path_:
        """Return where a parameter name lives; in distillation, LoRA is that of the student."""
        del base
        return PLACES.get(name, tuple(name.split(".")))

    def knows(self, base: Base, path: Path_) -> bool:
        """Whether the base has a key or its recipe reads it."""
        return path[0] in base.data or path[0] in reads_of(base).keys

    def parameters_of(self, component: str) -> Parameters | None:
        """Return what a component can be given, from its source."""
        return parameters_of(component)

    def check_names(self, base: Base, names: Mapping[str, Path_]) -> Iterator[tuple[str, str]]:
        """Yield the parameters that this base cannot have."""
        for name, path in names.items():
            if name in _LORA or path in [PLACES[key] for key in _LORA]:
                model = base.data.get("model")
                if isinstance(model, Mapping) and "lora_rank" not in model:
                    siblings = _siblings(base)
                    hint = (
                        f"use a LoRA config of the same model: {', '.join(siblings)}"
                        if siblings
                        else "`tune ls` lists the LoRA configs"
                    )
                    yield name, f"{base.name} trains the full model and has no LoRA; {hint}"
                    continue
            section = path[0]
            if name in PLACES and section not in base.data and section not in reads_of(base).keys:
                yield name, f"{base.name} has no {section}, so there is no {'.'.join(path)}"

    def check_config(
        self, base: Base, config: Mapping[str, object], given: Iterable[Path_]
    ) -> list[Note]:
        """Return what our own checks say of a config."""
        return check_config(base, config, tuple(given))

    def check_places(self, config: Mapping[str, Any], root: Path) -> Iterable[Note]:
        """Yield checkpointers that would write where they read."""
        return folder_traps(config, root)

    def cost(self, base: Base, config: Mapping[str, Any], gpus: int) -> RunCost:
        """Return batch, steps and tokens of a run."""
        return estimate(config, world_size(base, gpus))

    def validate(
        self,
        configs: Sequence[Path],
        method: str,
        on_progress: OnProgress | None = None,
    ) -> list[Verdict]:
        """Check configs as `tune validate` does."""
        return validate_configs(configs, method, on_progress)

    def require(self) -> None:
        """Raise a `MissingPackageError` where torchtune cannot be imported."""
        needed = ("torch", "torchao", "omegaconf")
        require(needed, "torchtune", "`tune validate` (--no-validate leaves it out)")

    def smoke(
        self,
        base: Base,
        configs: Mapping[str, dict[str, Any]],
        on_progress: OnProgress | None = None,
    ) -> Mapping[str, str]:
        """Train every config for two steps on a tiny model of its family."""
        return train_tiny(base, configs, on_progress)

    @classmethod
    def write_example(cls, folder: Path) -> Path:
        """Write a study of four runs that train on a CPU."""
        return write_example(folder)

    def command(self, recipe: str, config: str, gpus: int) -> list[str]:
        """Return the `tune run` command."""
        words = [*tune_words(), "run"]
        if recipe in read_registry().distributed:
            words += ["--nnodes", "1", "--nproc_per_node", str(max(gpus, 1))]
        return [*words, recipe, "--config", config]

    def folders(self, config: Mapping[str, Any]) -> dict[Path_, str]:
        """Return every folder that a run writes: results, checkpoints, logs, profiles."""
        return find_folders(config)

    def complete(self, config: dict[str, object], given: Iterable[Path_]) -> list[Note]:
        """Name the format of data files that only their suffix tells."""
        return complete_sources(config, {path[0] for path in given})

    def mix(
        self, sources: Mapping[str, Mapping[str, Any]], weights: Mapping[str, float]
    ) -> MixedEntries:
        """Return a mixture as a list in which each source stands as often as it must."""
        return mix_by_repetition(sources, weights)

    def read_curves(self, run: RunFiles) -> Curves:
        """Return the metrics of torchtune's own loggers."""
        return read_curves(run.folders, run.printed)

    def is_finished(self, run: RunFiles, last_step: int) -> bool:
        """Whether the last epoch was saved."""
        return is_finished(run.config, run.folders, last_step)


def _near(name: str, known: Iterable[str]) -> list[str]:
    """Return the names most like a name: same family first."""
    import difflib

    family = name.partition("/")[0]
    listed = list(known)
    close = difflib.get_close_matches(name, listed, n=_MAX_LISTED, cutoff=0.4)
    same = [other for other in listed if other.partition("/")[0] == family and "/" in other]
    return list(dict.fromkeys([*close[:4], *same, *close]))[:_MAX_LISTED]


def _guess_recipe(document: YamlDocument, registry: Registry) -> str | None:
    """Return the recipe that a file names in its comments, or the only one that it fits."""
    for match in _COMMAND.finditer(document.text):
        if match[1] in registry.recipes:
            return match[1]
    keys = set(document.data)
    fits = [
        name
        for name, source in registry.recipes.items()
        if source.is_file() and keys <= set(find_reads(source).keys)
    ]
    return fits[0] if len(fits) == 1 else None


def _siblings(base: Base) -> list[str]:
    """Return the LoRA configs of the same model: those that name the same family and size."""
    family, _, rest = base.name.partition("/")
    size = rest.partition("_")[0]
    found = []
    for name, shipped in read_registry().configs.items():
        if name.startswith(f"{family}/{size}_") and "lora" in name:
            text = shipped.path.read_text(encoding="utf-8")
            if re.search(r"^\s+lora_rank:", text, re.MULTILINE):
                found.append(name)
    return found


FRAMEWORK = Torchtune
