"""Checks of a config that TRL's own parser leaves out.

What stands in a config file replaces the defaults of TRL's parser, which takes it as it is: of any
type, and out of any choices. A key that no dataclass has goes to `accelerate launch`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from olmix.errors import nearest
from olmix.sweep.component_source import parameters_of
from olmix.sweep.framework import Note, Path_, RunCost
from olmix.sweep.merge import Parameters
from olmix.sweep.trl.arguments import DATASET, launch_keys
from olmix.sweep.value_checks import (
    ABOVE_0,
    COUNT,
    FROM_0,
    PATH,
    RATE,
    SHARE,
    WHOLE,
    Rule,
    why_refused,
)

__all__ = ["check_config", "check_pushes"]

_RULES: Mapping[str, Rule] = {
    "per_device_train_batch_size": COUNT,
    "per_device_eval_batch_size": COUNT,
    "gradient_accumulation_steps": COUNT,
    "num_train_epochs": ABOVE_0,
    "learning_rate": RATE,
    "weight_decay": FROM_0,
    "warmup_steps": FROM_0,
    "logging_steps": FROM_0,
    "max_grad_norm": FROM_0,
    "lora_r": COUNT,
    "lora_alpha": COUNT,
    "lora_dropout": SHARE,
    "max_length": COUNT,
    "max_completion_length": COUNT,
    "num_generations": COUNT,
    "beta": FROM_0,
    "seed": WHOLE,
    "output_dir": PATH,
}
_LORA = ("lora_", "use_rslora", "use_dora")


def check_config(
    recipe: str, parameters: Parameters, config: Mapping[str, object], cost: RunCost
) -> Iterator[Note]:
    """Yield everything to say about one config.

    Args:
        recipe: the command, such as `sft`.
        parameters: what its config can hold.
        config: the merged config.
        cost: what it takes.
    """
    for key, value in config.items():
        yield from _check_key(f"trl {recipe}", parameters, key, value)
    if not config.get("model_name_or_path"):
        yield Note(("model_name_or_path",), "no model_name_or_path is set; name or path of a model")
    for check in (_data, _adapters, _rewards):
        yield from check(recipe, parameters, config)
    yield from _steps(parameters, config, cost)


def check_pushes(configs: Sequence[Mapping[str, object]]) -> Iterator[Note]:
    """Yield that several runs would push their models to one repository."""
    names = [c.get("hub_model_id") for c in configs if c.get("push_to_hub") is True]
    named = [name for name in names if name is not None]
    if len(set(named)) < len(named):
        what = f"several runs push to {named[0]} and overwrite each other; write {{seed}} or the "
        yield Note(("hub_model_id",), f"{what}like of a variable into the name")


def _check_key(owner: str, parameters: Parameters, key: str, value: object) -> Iterator[Note]:
    if key in parameters.kinds:
        what = why_refused(owner, key, value, parameters)
        if what is None and key in _RULES and value is not None:
            what = _RULES[key].broken_by(value) or None
        if what is not None:
            yield Note((key,), what)
    elif key not in launch_keys():
        guess = nearest(key, parameters.kinds)
        hint = f"; did you mean `{guess}`?" if guess is not None else ""
        yield Note((key,), f"{owner} takes no `{key}`, nor does `accelerate launch`{hint}")


def _data(recipe: str, parameters: Parameters, config: Mapping[str, object]) -> Iterator[Note]:
    del recipe, parameters
    entries, name = config.get("datasets"), config.get("dataset_name")
    if not entries and not name:
        what = "no data: set datasets, a list such as [{path: json, data_files: train.jsonl}], or "
        yield Note(("datasets",), f"{what}dataset_name")
    if entries and name:
        what = "TRL takes `datasets` and ignores dataset_name; delete one of the two"
        yield Note(("dataset_name",), what)
    if not isinstance(entries, list):
        return
    for index, entry in enumerate(entries):
        yield from _entry(("datasets", str(index)), entry)
    plain = [entry for entry in entries if isinstance(entry, Mapping)]
    shares = [entry.get("fraction") for entry in plain]
    if any(share is not None for share in shares):
        if None in shares:
            what = "fraction must be set for all datasets or for none of them"
            yield Note(("datasets",), what)
        if config.get("streaming") is True:
            yield Note(("streaming",), "a fraction of a dataset is not possible with streaming")
    if config.get("eval_strategy", "no") != "no" and config.get("test_split_size") is None:
        what = "with `datasets`, evaluation needs a part of the data: set test_split_size, such as "
        yield Note(("eval_strategy",), f"{what}0.1")


def _entry(path: Path_, entry: object) -> Iterator[Note]:
    """Yield what is wrong with one entry of `datasets`."""
    known = parameters_of(DATASET) or Parameters({}, open=True)
    if not isinstance(entry, Mapping):
        yield Note(path, "a mapping such as {path: json, data_files: train.jsonl} is needed")
        return
    if entry.get("path") is None:
        none = (
            "no path is given, and the files' suffix does not tell the format: a name on the "
            "Hub, or "
        )
        yield Note(path, f"{none}json, csv, parquet, text")
    for key, value in entry.items():
        what: str | None = None
        if key in known.kinds:
            what = why_refused("an entry of datasets", key, value, known)
        elif not known.open:
            guess = nearest(key, known.kinds)
            hint = f"did you mean `{guess}`?" if guess else f"it takes {', '.join(known.kinds)}"
            what = f"an entry of datasets takes no `{key}`; {hint}"
        if what is not None:
            yield Note(path, what)


def _adapters(recipe: str, parameters: Parameters, config: Mapping[str, object]) -> Iterator[Note]:
    del recipe, parameters
    if config.get("use_peft") is True:
        modules = config.get("lora_target_modules")
        if isinstance(modules, list) and len(modules) == 1 and modules[0].isidentifier():
            what = f"TRL takes the only entry of a list as a pattern of whole names: {modules[0]} "
            path = ("lora_target_modules",)
            yield Note(path, f'{what}matches no layer; write [".*\\\\.{modules[0]}"]')
        return
    for key in config:
        if key.startswith(_LORA):
            what = f"without use_peft: true the whole model is trained, and {key} is ignored"
            yield Note((key,), what)


def _rewards(recipe: str, parameters: Parameters, config: Mapping[str, object]) -> Iterator[Note]:
    if "reward_funcs" not in parameters.kinds:
        return
    if not config.get("reward_funcs") and not config.get("reward_model_name_or_path"):
        what = f"trl {recipe} needs reward_funcs, such as [think_format_reward], or a reward model"
        yield Note(("reward_funcs",), what)


def _steps(parameters: Parameters, config: Mapping[str, object], cost: RunCost) -> Iterator[Note]:
    def value(key: str) -> Any:
        return config.get(key, parameters.defaults.get(key))

    steps = cost.steps
    checks: Collection[tuple[str, Callable[[float], bool], str]] = (
        ("warmup_steps", lambda n: n >= (steps or 0), "the learning rate never reaches its value"),
        ("logging_steps", lambda n: n > (steps or 0), "no loss is logged; set a smaller one"),
    )
    for key, is_long, so in checks:
        found = value(key)
        if steps is not None and isinstance(found, int | float) and found >= 1 and is_long(found):
            what = f"{key} is {found:g} in a training of {steps} steps: {so}"
            yield Note((key,), what, "warning")
    logs = value("report_to")
    listed = logs if isinstance(logs, list) else [logs]
    if value("save_strategy") == "no" and not {"tensorboard", "all"} & set(map(str, listed)):
        what = "save_strategy: no leaves no trainer_state.json, so that `olmix sweep results` finds"
        yield Note(("save_strategy",), f"{what} no metrics; set report_to: tensorboard", "notice")
