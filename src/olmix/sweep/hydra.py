"""Hydra as a framework of sweeps: each run is a set of overrides for `olmix grpo train`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.records.logs import Curves, read_jsonl
from olmix.sweep.document import Document
from olmix.sweep.experiment import Experiment
from olmix.sweep.framework import (
    OUTPUT_DIR,
    Base,
    Framework,
    OnStep,
    Path_,
    Verdict,
    read_base_file,
)
from olmix.sweep.merge import has
from olmix.sweep.scalars import render_flow, render_key

__all__ = ["HYDRA", "Hydra"]

RECIPE = "grpo"


class Hydra(Framework):
    """Override sets over a composed config.

    `base_config` is an experiment preset (``+experiment=NAME``); `base_config_file` is a composed
    config, as ``--cfg job`` prints it, against which names and types are checked.
    """

    name = "hydra"
    writes_whole_configs = False
    logs = "metrics.jsonl"
    # A preset is not composed here, so its own folder is not known; all runs would share it.
    default_output_dir = "runs"

    def load_base(self, experiment: Experiment) -> Base:
        """Read the composed config, or take a preset by its name.

        Raises:
            BaseConfigNotFoundError: the file is missing or no mapping.
        """
        preset = experiment.config.framework_config.base_config
        if preset is not None:
            return Base(preset, {}, None, RECIPE)
        document = read_base_file(experiment)
        return Base(document.name, document.data, document, RECIPE)

    def knows(self, base: Base, path: Path_) -> bool:
        """Say whether the base has a top-level key; a preset is not composed and knows all."""
        return not base.data or path[0] in base.data

    def check_names(self, base: Base, names: Mapping[str, Path_]) -> Iterable[tuple[str, str]]:
        """Yield parameters below no key of the composed config."""
        for name, path in names.items():
            if not self.knows(base, path):
                listed = ", ".join(base.data)
                yield name, f"{base.name} has no `{path[0]}`; it has: {listed}"

    def render(self, base: Base, config: Mapping[str, Any], given: Mapping[Path_, Any]) -> str:
        """Return the overrides of a run as YAML: a list that a shell or a script can pass on."""
        words = [] if base.data else [f"+experiment={base.name}"]
        values = {path: value for path, value in given.items() if path != ("output_dir",)}
        if "output_dir" in config:
            # The run's own folder: below the key `output_dir` Hydra would add date and time.
            words.append(f"hydra.run.dir={_hydra_value(config['output_dir'])}")
        for path, value in values.items():
            sign = "" if has(base.data, path) else "++"
            words.append(f"{sign}{'.'.join(path)}={_hydra_value(value)}")
        return "overrides:\n" + "".join(f"  - {json.dumps(word)}\n" for word in words)

    def validate(
        self, configs: Sequence[Path], method: str, on_step: OnStep | None = None
    ) -> list[Verdict]:
        """Check that every file holds overrides; Hydra checks these when it composes."""
        del method
        verdicts = []
        for index, path in enumerate(configs):
            data = Document(path.read_text(encoding="utf-8"), str(path)).data
            fine = isinstance(data.get("overrides"), list)
            verdicts.append(Verdict() if fine else Verdict(("no list of overrides",)))
            if on_step is not None:
                on_step(index + 1, len(configs))
        return verdicts

    def command(self, recipe: str, config: str, gpus: int) -> list[str]:
        """Return the command that trains a run."""
        del recipe, gpus
        return ["olmix", "grpo", "train", "--overrides", config]

    def read_curves(self, folders: Mapping[Path_, Path], printed: Path) -> Curves:
        """Return the metrics of the run's latest `metrics.jsonl`."""
        del printed
        file = _latest(folders[OUTPUT_DIR], "metrics.jsonl")
        return {} if file is None else read_jsonl(file)

    def is_finished(
        self, config: Mapping[str, Any], folders: Mapping[Path_, Path], last_step: int
    ) -> bool:
        """Whether a run has written its summary."""
        del config, last_step
        metrics = _latest(folders[OUTPUT_DIR], "metrics.jsonl")
        return metrics is not None and metrics.with_name("summary.json").is_file()


def _latest(output_dir: Path, name: str) -> Path | None:
    """Return the newest file of a name: Hydra gives every start a folder named by its time."""
    found = sorted(output_dir.rglob(name), key=lambda file: (file.stat().st_mtime, str(file)))
    return found[-1] if found else None


def _hydra_value(value: Any) -> str:
    """Return a value in Hydra's grammar of overrides."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        plain = value.replace("_", "").replace("-", "").replace(".", "").replace("/", "")
        return value if plain.isalnum() and render_flow(value) == value else f"'{escaped}'"
    if isinstance(value, Mapping):
        cells = (f"{render_key(key)}:{_hydra_value(entry)}" for key, entry in value.items())
        return "{" + ",".join(cells) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_hydra_value(entry) for entry in value) + "]"
    return render_flow(value)


HYDRA = Hydra()
