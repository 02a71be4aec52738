"""Hydra as a framework of sweeps: each run is a set of overrides for `olmix grpo train`."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from olmix.errors import require
from olmix.records.log_readers import Curves, number, read_jsonl
from olmix.sweep.document import YamlDocument
from olmix.sweep.experiment import Experiment
from olmix.sweep.framework import (
    OUTPUT_DIR,
    Base,
    Framework,
    Note,
    Path_,
    RunFiles,
    Verdict,
    read_base_file,
)
from olmix.sweep.merge import DELETE, at, flatten, has
from olmix.sweep.scalars import render_flow, render_key
from olmix.text.progress import OnProgress, Steps

__all__ = ["FRAMEWORK", "Hydra"]

RECIPE = "grpo"
_WORD = re.compile(r"[\w./-]*[A-Za-z0-9][\w./-]*", re.ASCII)
_BEFORE_QUOTE = re.compile(r"(\\*)('|\Z)")


class Hydra(Framework):
    """Override sets over a composed config.

    `base_config` is an experiment preset (``+experiment=NAME``); `base_config_file` is a composed
    config, as ``--cfg job`` prints it, against which names and types are checked.
    """

    name = "hydra"
    takes = frozenset({"base_config", "base_config_file"})
    writes_whole_configs = False
    logs = "metrics.jsonl"

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
        """Whether the base has a top-level key; a preset is not composed and knows all."""
        return not base.data or path[0] in base.data

    def check_names(self, base: Base, names: Mapping[str, Path_]) -> Iterable[tuple[str, str]]:
        """Yield parameters below no key of the composed config."""
        for name, path in names.items():
            if not self.knows(base, path):
                listed = ", ".join(base.data)
                yield name, f"{base.name} has no `{path[0]}`; it has: {listed}"

    def render(
        self, base: Base, config: Mapping[str, object], given: Mapping[Path_, object]
    ) -> str:
        """Return the overrides of a run as YAML: a list that a shell or a script can pass on."""
        words = _overrides(base, config, given)
        return "overrides:\n" + "".join(f"  - {render_flow(word)}\n" for word in words)

    def check_runs(
        self,
        base: Base,
        runs: Sequence[tuple[Mapping[str, object], Mapping[Path_, object]]],
    ) -> list[Note]:
        """Compose every run and check it, as `olmix grpo train` does before it imports JAX."""
        if not _can_compose():
            what = "hydra-core is not installed, so these runs were not composed and checked"
            return [Note((), what, "warning")]
        preset = _preset(base)
        words = [_overrides(base, *run) for run in runs]
        wrong, *found = _compose([preset, *words])
        if wrong:  # no run composes; what else is wrong is seen without the preset
            found = _compose([[word for word in run if word not in preset] for run in words])
        return list(dict.fromkeys(note for notes in (wrong, *found) for note in notes))

    def require(self) -> None:
        """Raise a `MissingPackageError` where runs cannot be composed."""
        require(["hydra"], "grpo", "Composing the runs (--no-validate leaves it out)")

    def validate(
        self, configs: Sequence[Path], method: str, on_progress: OnProgress | None = None
    ) -> list[Verdict]:
        """Compose the overrides that every file holds, and check the runs that they make."""
        del method
        verdicts: dict[Path, Verdict] = {}
        runs: dict[Path, list[str]] = {}
        for path in configs:
            words = YamlDocument(path.read_text(encoding="utf-8"), str(path)).data.get("overrides")
            if isinstance(words, list):
                runs[path] = list(map(str, words))
            else:
                verdicts[path] = Verdict(("no list of overrides",))
        for path, notes in zip(runs, _compose(list(runs.values())), strict=True):
            said = (f"{'.'.join(note.path)}: {note.what}".removeprefix(": ") for note in notes)
            verdicts[path] = Verdict(tuple(said))
        Steps(on_progress, len(configs))("validate", len(configs))
        return [verdicts[path] for path in configs]

    def command(self, recipe: str, config: str, gpus: int) -> list[str]:
        """Return the command that trains a run."""
        del recipe, gpus
        return ["olmix", "grpo", "train", "--overrides", config]

    def read_curves(self, run: RunFiles) -> Curves:
        """Return the metrics of the run's latest `metrics.jsonl`."""
        file = _latest(run.output, "metrics.jsonl")
        return {} if file is None else read_jsonl(file)

    def is_finished(self, run: RunFiles, last_step: int) -> bool:
        """Whether a run has written its summary."""
        del last_step
        metrics = _latest(run.output, "metrics.jsonl")
        return metrics is not None and metrics.with_name("summary.json").is_file()


def _latest(output_dir: Path, name: str) -> Path | None:
    """Return the newest file of a name: Hydra gives every start a folder named by its time."""
    found = sorted(output_dir.rglob(name), key=lambda file: (file.stat().st_mtime, str(file)))
    return found[-1] if found else None


def _can_compose() -> bool:
    return importlib.util.find_spec("hydra") is not None


def _compose(runs: Sequence[Sequence[str]]) -> list[list[Note]]:
    """Compose each of several runs, and return what is wrong with it.

    In a process of its own: the trainer is another stage, and Hydra keeps a global state.
    """
    done = subprocess.run(
        [sys.executable, "-m", "olmix", "grpo", "check-overrides"],
        input=json.dumps(runs),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return [[Note((), f"the runs cannot be composed: {done.stderr.strip()}")] for _ in runs]
    return [
        [Note(tuple(filter(None, entry["where"].split("."))), entry["what"]) for entry in problems]
        for problems in json.loads(done.stdout)
    ]


def _groups() -> set[str]:
    """Return the groups of the tree that runs are composed from: `model` has a file for each model.

    As training does, a folder ``conf/`` in the working folder is looked at too.
    """
    spec = importlib.util.find_spec("olmix.grpo")
    trees = [Path.cwd(), *map(Path, spec.submodule_search_locations or () if spec else ())]
    folders = (folder for tree in trees for folder in (tree / "conf").glob("*"))
    return {folder.name for folder in folders if folder.is_dir()}


def _preset(base: Base) -> list[str]:
    return [] if base.data else [f"+experiment={base.name}"]


def _overrides(
    base: Base, config: Mapping[str, object], given: Mapping[Path_, object]
) -> list[str]:
    """Return the words that make a run of the tree that `olmix grpo train` composes."""
    words = _preset(base)
    if isinstance(config.get("output_dir"), str):
        # The run's own folder: below the key `output_dir` Hydra would add date and time.
        words.append(f"hydra.run.dir={_hydra_value(config['output_dir'])}")
    groups = set() if base.data else _groups()
    # The runs start from a composed file: its values are passed on.
    values = {path: at(config, path) for path, _ in flatten(base.data)}
    for path, value in (values | dict(given)).items():
        if value == DELETE or not has(config, path):
            words.append(f"~{'.'.join(path)}")
        elif path != OUTPUT_DIR:
            is_choice = len(path) == 1 and path[0] in groups
            words.append(f"{'' if is_choice else '++'}{'.'.join(path)}={_hydra_value(value)}")
    return words


def _hydra_value(value: object) -> str:
    """Return a value in Hydra's grammar of overrides.

    Inside quotes a backslash means itself, but before a quote; the closing one counts.
    """
    if isinstance(value, str):
        escaped = _BEFORE_QUOTE.sub(lambda m: 2 * m[1] + m[2].replace("'", "\\'"), value)
        is_word = _WORD.fullmatch(value) and render_flow(value) == value and number(value) is None
        return value if is_word else f"'{escaped}'"
    if isinstance(value, Mapping):
        cells = (f"{render_key(key)}:{_hydra_value(entry)}" for key, entry in value.items())
        return "{" + ",".join(cells) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_hydra_value(entry) for entry in value) + "]"
    return render_flow(value)


FRAMEWORK = Hydra
