"""What is accepted starts: configs of `tune ls`, with all aliases set, make their components.

One of each recipe is tried here; OLMIX_EVERY_CONFIG=1 tries all 150, which takes minutes.

Weights, tokenizers and data are not there: models are built without memory, and what opens files is
bound to its signature by torchtune's own check.
"""

import os
import sys
from pathlib import Path

import pytest

from olmix.sweep import ConfigWriterError, build_plan, generate_configs
from olmix.sweep.torchtune.parameter_paths import PLACES
from olmix.sweep.torchtune.registry import read_registry
from olmix.text.files import digest

# Found, not imported: their import warns, and takes ten seconds.
if not all(
    any((Path(place) / name).is_dir() for place in sys.path) for name in ("torch", "torchtune")
):
    pytest.skip("needs torch and torchtune; `make test` installs them", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

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


def _accepted(base):
    """Return the aliases that a base takes."""
    taken = {}
    for name, value in VALUES.items():
        made = {"experiment_name": "x", "base_config": base, "controls": {name: value}}
        try:
            build_plan(made)
            taken[name] = value
        except ConfigWriterError:
            continue
    return taken


def _build(config, models):
    """Make every component that opens no file."""
    import torch
    from omegaconf import OmegaConf
    from torchtune import config as torchtune_config

    def make(node, *args, **kwargs):
        return torchtune_config.instantiate(OmegaConf.create(node), *args, **kwargs)

    for key, node in config.items():
        if key.endswith("model") and digest(node) not in models:
            models.add(digest(node))
            with torch.device("meta"):
                assert make(node) is not None
    weight = torch.nn.Parameter(torch.zeros(2))
    if "optimizer" in config and "bitsandbytes" not in str(config["optimizer"]):
        optimizer = make(config["optimizer"], [weight])
        if "lr_scheduler" in config:
            assert make(config["lr_scheduler"], optimizer, num_training_steps=9, last_epoch=-1)
    for key in ("loss", "kd_loss"):
        if key in config:
            assert make(config[key]) is not None


def test_all_aliases_are_values_of_this_test():
    assert VALUES.keys() == PLACES.keys() - {"lr"}


def _some(configs):
    """Return every config where asked for by OLMIX_EVERY_CONFIG, else one of each recipe."""
    if os.environ.get("OLMIX_EVERY_CONFIG"):
        return list(configs)
    first = {}
    for name in configs:
        first.setdefault(name.rsplit("/", 1)[-1].split("_", 1)[-1], name)
    return list(first.values())


def test_configs_with_every_alias_that_they_take_make_their_components(tmp_path):
    models: set[str] = set()
    failed: dict[str, str] = {}
    for number, name in enumerate(_some(read_registry().configs)):
        taken = _accepted(name)
        made = {"experiment_name": "x", "base_config": name, "controls": taken}
        result = generate_configs(made, tmp_path / str(number), validator="none")
        [verdict] = result.plan.framework.validate(result.configs, "inprocess")
        if verdict.errors:
            failed[name] = "; ".join(verdict.errors)
        if verdict.missing:
            continue  # such as bitsandbytes, or torchvision for models that see
        try:
            _build(result.plan.runs[0].config, models)
        except Exception as error:  # noqa: BLE001 - all of them are told at once
            failed[name] = f"{taken}: {error}"
    assert not failed
    assert len(models) > 10
