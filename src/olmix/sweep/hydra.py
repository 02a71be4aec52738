"""Hydra as a framework of sweeps: each run is a set of overrides for `olmix grpo train`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.errors import ConfigError, NotAvailableError
from olmix.sweep.document import Document
from olmix.sweep.errors import BaseConfigNotFoundError, Finding
from olmix.sweep.experiment import Experiment
from olmix.sweep.framework import Base, Cost, Note, Path_, Verdict
from olmix.sweep.merge import Parameters
from olmix.sweep.scalars import render_flow, render_key

__all__ = ["HYDRA", "Hydra"]

RECIPE = "grpo"


class Hydra:
    """Override sets over a composed config.

    `base_config` is an experiment preset (``+experiment=NAME``); `base_config_file` is a composed
    config, as ``--cfg job`` prints it, against which names and types are checked.
    """

    name = "hydra"
    writes_whole_configs = False

    def load_base(self, experiment: Experiment) -> Base:
        """Read the composed config, or take a preset by its name.

        Raises:
            BaseConfigNotFoundError: the file is missing or no mapping.
        """
        section = experiment.config.framework_config
        if section.base_config is not None:
            return Base(section.base_config, {}, None, RECIPE)
        path = Path(str(section.base_config_file))
        try:
            document = Document(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            what = f"{path}: cannot be read as a composed config: {error}"
            finding = Finding(
                BaseConfigNotFoundError, what, ("framework_config", "base_config_file")
            )
            raise BaseConfigNotFoundError([experiment.problem(finding)], experiment.name) from None
        return Base(str(path), document.data, document, RECIPE)

    def path_of(self, base: Base, name: str) -> Path_:
        """Return the dotted name as a path, as Hydra reads it."""
        del base
        return tuple(name.split("."))

    def knows(self, base: Base, path: Path_) -> bool:
        """Say whether the base has a top-level key; a preset is not composed and knows all."""
        return not base.data or path[0] in base.data

    def parameters_of(self, component: str) -> Parameters | None:
        """Return nothing: composed configs hold values, not components."""
        del component
        return None

    def check_names(self, base: Base, names: Mapping[str, Path_]) -> Iterable[tuple[str, str]]:
        """Yield parameters below no key of the composed config."""
        for name, path in names.items():
            if not self.knows(base, path):
                listed = ", ".join(base.data)
                yield name, f"{base.name} has no `{path[0]}`; it has: {listed}"

    def check_config(
        self, base: Base, config: Mapping[str, Any], given: Iterable[Path_]
    ) -> list[Note]:
        """Return nothing: Hydra checks when it composes."""
        del base, config, given
        return []

    def cost(self, base: Base, config: Mapping[str, Any], gpus: int) -> Cost:
        """Return nothing but the number of processes."""
        del base, config
        return Cost(processes=max(gpus, 1))

    def render(self, base: Base, config: Mapping[str, Any], given: Mapping[Path_, Any]) -> str:
        """Return the overrides of a run as YAML: a list that a shell or a script can pass on."""
        words = [] if base.data else [f"+experiment={base.name}"]
        values = {path: value for path, value in given.items() if path != ("output_dir",)}
        if "output_dir" in config:
            # The run's own folder: below the key `output_dir` Hydra would add date and time.
            words.append(f"hydra.run.dir={_hydra_value(config['output_dir'])}")
        known = base.data
        for path, value in values.items():
            sign = "" if known and _has(known, path) else "++"
            words.append(f"{sign}{'.'.join(path)}={_hydra_value(value)}")
        return "overrides:\n" + "".join(f"  - {json.dumps(word)}\n" for word in words)

    def validate(
        self,
        configs: Sequence[Path],
        method: str,
        on_step: Callable[[int, int], None] | None = None,
    ) -> list[Verdict]:
        """Check that every file holds overrides."""
        del method
        verdicts = []
        for index, path in enumerate(configs):
            data = Document(path.read_text(encoding="utf-8"), str(path)).data
            fine = isinstance(data.get("overrides"), list)
            verdicts.append(Verdict() if fine else Verdict(("no list of overrides",)))
            if on_step is not None:
                on_step(index + 1, len(configs))
        return verdicts

    def require(self) -> None:
        """Need nothing."""

    def smoke(
        self,
        base: Base,
        configs: Mapping[str, dict[str, Any]],
        on_step: Callable[[int, int], None] | None = None,
    ) -> Mapping[str, str]:
        """Raise: tiny models are trained by `olmix grpo train` itself."""
        del base, configs, on_step
        raise NotAvailableError(
            "--smoke is not available for hydra; use the preset +experiment=quick_test"
        )

    def command(self, recipe: str, config: str, gpus: int) -> list[str]:
        """Return the command that trains a run."""
        del recipe, gpus
        return ["olmix", "grpo", "train", "--overrides", config]

    def read_curves(self, output_dir: Path) -> Mapping[str, list[tuple[int, float]]]:
        """Return the metrics of a run's `metrics.jsonl`."""
        curves: dict[str, list[tuple[int, float]]] = {}
        file = output_dir / "metrics.jsonl"
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            for name, value in entry.items():
                if name != "step" and isinstance(value, int | float):
                    curves.setdefault(name, []).append((int(entry.get("step", 0)), float(value)))
        return curves

    def is_finished(self, config: Mapping[str, Any], output_dir: Path) -> bool:
        """Say whether a run has written its summary."""
        del config
        return (output_dir / "summary.json").is_file()


def _has(config: Mapping[str, Any], path: Path_) -> bool:
    node: Any = config
    for step in path:
        if not isinstance(node, Mapping) or step not in node:
            return False
        node = node[step]
    return True


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
