"""Generates a config that torchtune ships with every alias set, and makes its components.

Weights, tokenizers and data are not there: models are built without memory, and what opens files is
bound to its signature by torchtune's own check.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.sweep import ConfigWriterError, build_plan, generate_configs

VALUES = {
    "learning_rate": 1e-4,
    "weight_decay": 0.02,
    "lora_rank": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.1,
    "use_dora": True,
    "num_warmup_steps": 3,
    "max_seq_len": 128,
    "packed": False,
}
"""A value for every alias."""


@dataclass(frozen=True)
class Start:
    """What became of a config.

    Attributes:
        aliases: those that were taken and set.
        made: the keys of the components that were made.
        missing: packages that are not here, so that what needs them was not made.
        faults: why it would not start; empty if nothing is wrong.
    """

    aliases: tuple[str, ...]
    made: tuple[str, ...]
    missing: tuple[str, ...]
    faults: tuple[str, ...]


def start(base: str, folder: Path) -> Start:
    """Generate a config of a base with all aliases that it takes, check it, and make its parts."""
    taken = {name: value for name, value in VALUES.items() if _takes(base, {name: value})}
    result = generate_configs(_experiment(base, taken), folder, validator="none")
    [verdict] = result.plan.framework.validate(result.configs, "inprocess")
    faults, missing, made = list(verdict.errors), set(verdict.missing), []
    config = result.plan.runs[0].config
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for key in _keys(config):
            try:
                _make(config, key)
                made.append(key)
            except Exception as error:  # noqa: BLE001 - all of them are told at once
                # A model without a package that torchtune's own check has named.
                if not any(f"'{name}'" in str(_first(error)) for name in missing):
                    faults.append(f"{key} with {taken}: {error}")
    return Start(tuple(taken), tuple(made), tuple(sorted(missing)), tuple(faults))


def _experiment(base: str, controls: Mapping[str, object]) -> dict[str, object]:
    return {"experiment_name": "x", "base_config": base, "controls": dict(controls)}


def _takes(base: str, controls: Mapping[str, object]) -> bool:
    try:
        build_plan(_experiment(base, controls))
    except ConfigWriterError:
        return False
    return True


def _keys(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the components that open no file."""
    for key in config:
        if key.endswith("model") or key in ("optimizer", "lr_scheduler", "loss", "kd_loss"):
            yield key


def _make(config: Mapping[str, Any], key: str) -> None:
    import torch
    from omegaconf import OmegaConf
    from torchtune.config import instantiate

    def make(name: str, *args: object, **kwargs: object) -> Any:
        return instantiate(OmegaConf.create(config[name]), *args, **kwargs)

    weight = [torch.nn.Parameter(torch.zeros(2))]
    if key.endswith("model"):
        with torch.device("meta"):
            made = make(key)
    elif key == "optimizer":
        made = make(key, weight)
    elif key == "lr_scheduler":
        made = make(key, torch.optim.SGD(weight), num_training_steps=9, last_epoch=-1)
    else:
        made = make(key)
    if made is None:
        raise ValueError("nothing was made")


def _first(error: BaseException) -> BaseException:
    """Return what an error began with."""
    return error if error.__cause__ is None else _first(error.__cause__)
