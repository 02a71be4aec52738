"""TRL as a framework of sweeps: a config file for each run of `trl sft`, `dpo` and the like."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.errors import nearest, require
from olmix.records.log_files import EVENTS, TRAINER_STATE, read_trainer_state, trainer_state
from olmix.records.log_readers import Curves, read_tensorboard
from olmix.sweep.data_files import count_rows, format_of
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
)
from olmix.sweep.merge import Parameters
from olmix.sweep.trl.arguments import launch_keys, recipes
from olmix.sweep.trl.checks import check_config, check_pushes
from olmix.sweep.trl.example import write_example
from olmix.sweep.trl.smoke import train_tiny
from olmix.sweep.trl.worker import check_files
from olmix.text.progress import OnProgress

__all__ = ["FRAMEWORK", "Trl"]

_PLACES: Mapping[str, str] = {
    "lr": "learning_rate",
    "lora_rank": "lora_r",
    "epochs": "num_train_epochs",
    "batch_size": "per_device_train_batch_size",
    "max_seq_len": "max_length",
    "packed": "packing",
    "num_warmup_steps": "warmup_steps",
}
"""Names that experiments have for other frameworks too."""


class Trl(Framework):
    """TRL's command line: one YAML for each run, made from a file of yours or from nothing."""

    name = "trl"
    takes = frozenset({"base_config_file", "recipe"})
    needs_base = False
    logs = "trainer_state.json of the checkpoints, and TensorBoard's event files"
    scale = ("lora_r", "lora_alpha")
    mix_path = ("datasets",)

    def load_base(self, experiment: Experiment) -> Base:
        """Read the base config, if there is one.

        Raises:
            BaseConfigNotFoundError: the file cannot be read, or TRL has no such command.
            MissingPackageError: TRL is not installed.
        """
        recipe = self.section.recipe
        if recipe not in recipes():
            guess = nearest(recipe, recipes()) if recipe is not None else None
            hint = f". Did you mean `{guess}`?" if guess is not None else ""
            found = f'TRL has no command "{recipe}"' if recipe else "which command trains the runs?"
            what = f"{found} recipe: one of {', '.join(recipes())}{hint}"
            raise base_not_found(experiment, what, "recipe")
        base = super().load_base(experiment)
        return base if base.document is not None else Base(f"trl {recipe}", {}, None, recipe)

    def path_of(self, base: Base, name: str) -> Path_:
        """Return where a parameter lives: all of TRL's stand at the top."""
        return super().path_of(base, _PLACES.get(name, name))

    def knows(self, base: Base, path: Path_) -> bool:
        """Whether the command, or `accelerate launch`, has a key."""
        del base
        return path[0] in self._parameters.kinds or path[0] in launch_keys()

    @property
    def _parameters(self) -> Parameters:
        return recipes()[str(self.section.recipe)]

    def parameters_of(self, component: str) -> Parameters | None:
        """Return what a config can hold; TRL has no components."""
        return None if component else self._parameters

    def complete(self, config: dict[str, object], given: Iterable[Path_]) -> list[Note]:
        """Name the format of data files that only their suffix tells."""
        del given
        notes: list[Note] = []
        entries = config.get("datasets")
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            found = format_of(entry.get("data_files")) if isinstance(entry, dict) else None
            if found is not None and entry.get("path") is None:
                entry["path"] = found
                what = f"no path is given: datasets.{index}.path is {found}, by the files' suffix"
                notes.append(Note(("datasets", str(index)), what, "notice"))
        return notes

    def mix(
        self, sources: Mapping[str, Mapping[str, Any]], weights: Mapping[str, float]
    ) -> MixedEntries:
        """Return a mixture by the `fraction` of each data set."""
        plain = {n: {k: v for k, v in node.items() if k != "rows"} for n, node in sources.items()}
        used = {name: weight for name, weight in weights.items() if weight > 0}
        for node in plain.values():
            found = format_of(node.get("data_files"))
            if found is not None:
                node.setdefault("path", found)
        return MixedEntries([plain[name] | {"fraction": w} for name, w in used.items()], weights)

    def check_config(
        self, base: Base, config: Mapping[str, object], given: Iterable[Path_]
    ) -> list[Note]:
        """Return what our own checks say of a config."""
        del given
        cost = self.cost(base, config, 1)
        return list(check_config(str(base.recipe), self._parameters, config, cost))

    def check_runs(
        self, base: Base, runs: Sequence[tuple[Mapping[str, object], Mapping[Path_, object]]]
    ) -> list[Note]:
        """Whether runs would overwrite each other on the Hub."""
        del base
        return list(check_pushes([config for config, _ in runs]))

    def cost(self, base: Base, config: Mapping[str, Any], gpus: int) -> RunCost:
        """Return batch, steps and tokens of a run."""
        del base
        values = {**self._parameters.defaults, **config}
        batch = _whole(values.get("per_device_train_batch_size"))
        accumulation = _whole(values.get("gradient_accumulation_steps"))
        processes = max(gpus, 1)
        effective, steps, rows = batch * accumulation * processes, None, _rows(values)
        if not effective:
            return RunCost(processes=processes)
        if _whole(values.get("max_steps")):
            steps = _whole(values["max_steps"])
        elif rows is not None and isinstance(values.get("num_train_epochs"), int | float):
            batches = math.ceil(rows / (batch * processes))
            steps = math.ceil(values["num_train_epochs"] * math.ceil(batches / accumulation))
        length = values.get("max_length")
        tokens = None
        if steps is not None and isinstance(length, int):
            tokens = steps * effective * length
        return RunCost(effective, steps, tokens, processes)

    def validate(
        self, configs: Sequence[Path], method: str, on_progress: OnProgress | None = None
    ) -> list[Verdict]:
        """Check configs by TRL's own parser, as its command does before it trains."""
        del method
        return check_files(str(self.section.recipe), configs, on_progress)

    def require(self) -> None:
        """Raise a `MissingPackageError` where TRL cannot be imported."""
        require(("torch", "trl"), "trl", "TRL's own parser (--no-validate leaves it out)")

    def smoke(
        self,
        base: Base,
        configs: Mapping[str, dict[str, Any]],
        on_progress: OnProgress | None = None,
    ) -> Mapping[str, str]:
        """Train every config for two steps on a tiny model."""
        return train_tiny(str(base.recipe), self._parameters, configs, on_progress)

    @classmethod
    def write_example(cls, folder: Path) -> Path:
        """Write a study of four runs that train on a CPU."""
        return write_example(folder)

    def command(self, recipe: str, config: str, gpus: int) -> list[str]:
        """Return TRL's command; it starts a process on each GPU."""
        several = ["--num_processes", str(gpus)] if gpus > 1 else []
        return ["trl", recipe, "--config", config, *several]

    def folders(self, config: Mapping[str, Any]) -> dict[Path_, str]:
        """Return the folders of checkpoints and of TensorBoard's files."""
        logs = config.get("logging_dir")
        return super().folders(config) | ({("logging_dir",): logs} if isinstance(logs, str) else {})

    def read_curves(self, run: RunFiles) -> Curves:
        """Return the history in the last checkpoint, or else what TensorBoard has."""
        curves = read_trainer_state(run.output.rglob(TRAINER_STATE))
        if curves:
            return curves
        places = {run.output, *run.folders.values()}
        events = read_tensorboard({file for place in places for file in place.rglob(EVENTS)})
        return {
            name.removeprefix("train/").replace("eval/", "eval_"): points
            for name, points in events.items()
        }

    def is_finished(self, run: RunFiles, last_step: int) -> bool:
        """Whether the model was saved after the last step."""
        del last_step
        state = trainer_state(run.output.rglob(TRAINER_STATE))
        steps, last = state.get("max_steps"), state.get("global_step")
        if isinstance(steps, int) and isinstance(last, int) and last < steps:
            return False
        return any(any(run.output.glob(name)) for name in ("*.safetensors*", "*model*.bin*"))


def _whole(value: Any) -> int:
    """Return a whole number above 0; 0 for anything else."""
    return value if isinstance(value, int) and value > 0 else 0


def _rows(config: Mapping[str, Any]) -> int | None:
    """Return the rows that a config trains on, where they are in local files of JSON."""
    entries = config.get("datasets")
    if not isinstance(entries, list) or config.get("packing") or config.get("test_split_size"):
        return None
    counts: list[int] = []
    for entry in entries:
        file = entry.get("data_files") if isinstance(entry, Mapping) else None
        rows = count_rows(file) if isinstance(file, str) and entry.get("path") == "json" else None
        if rows is None:
            return None
        counts.append(rows)
    shares = [entry.get("fraction") for entry in entries]
    if not shares or not all(isinstance(share, int | float) for share in shares):
        return sum(counts)
    weights = [share / sum(shares) for share in shares]
    total: float = min(rows / w for rows, w in zip(counts, weights, strict=True) if w > 0)
    kept: list[int] = [round(w * total) for w in weights]
    return sum(kept)


FRAMEWORK = Trl
