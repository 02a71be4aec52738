"""What is accepted starts: every recipe finds what it reads and makes objects of."""

import pytest

from olmix.errors import ConfigError
from olmix.sweep import ValidationError, build_plan
from olmix.sweep.torchtune.recipe import find_reads
from olmix.sweep.torchtune.registry import read_registry

LORA = "llama3_2/1B_lora_single_device"
FULL = "llama3_2/1B_full_single_device"
MODELS = "torchtune.models.llama3_2"
SCHEDULE = "torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup"


def plan(base, variables=None, **controls):
    made = {"experiment_name": "x", "base_config": base, "variables": variables or {"seed": [1]}}
    return build_plan(made | {"controls": controls})


def test_a_warm_up_needs_a_scheduler():
    with pytest.raises(ValidationError) as found:
        plan(FULL, {"num_warmup_steps": [5, 10]})
    assert "variables.num_warmup_steps: lr_scheduler has no _component_" in str(found.value)
    assert f"add lr_scheduler: {{_component_: {SCHEDULE}}}" in str(found.value)
    made = plan(FULL, {"num_warmup_steps": [5, 10]}, lr_scheduler={"_component_": SCHEDULE})
    assert made.runs[1].config["lr_scheduler"]["num_warmup_steps"] == 10


@pytest.mark.parametrize("key", ["model", "model._component_"])
def test_a_lora_recipe_needs_a_model_with_lora_and_a_full_one_a_model_without(key):
    def model(name):
        component = f"{MODELS}.{name}"
        return {key: component if key.endswith("_component_") else {"_component_": component}}

    with pytest.raises(ValidationError, match="trains LoRA, and .* is a full model without"):
        plan(LORA, **model("llama3_2_1b"))
    with pytest.raises(ValidationError, match="trains the full model, and .* has LoRA"):
        plan(FULL, **model("lora_llama3_2_1b"))
    plan(LORA, **model("lora_llama3_2_3b"))
    plan(FULL, **model("llama3_2_3b"))


@pytest.mark.parametrize("key", ["optimizer", "checkpointer.model_type", "model.lora_alpha"])
def test_what_a_recipe_needs_cannot_be_deleted(key):
    with pytest.raises(ValidationError, match=f"reads {key}, and the config has none"):
        plan(LORA, **{key: "!delete"})


def test_what_it_does_not_need_can():
    made = plan(LORA, profiler="!delete", **{"optimizer.fused": "!delete"})
    assert "profiler" not in made.runs[0].config
    assert "fused" not in made.runs[0].config["optimizer"]
    with pytest.raises(ConfigError, match="no optimizer.fuse that could be deleted"):
        plan(LORA, **{"optimizer.fuse": "!delete"})


def test_every_shipped_config_has_what_its_recipe_needs():
    for name, shipped in read_registry().configs.items():
        needed = find_reads(read_registry().recipes[shipped.recipe]).needed
        assert needed, name
        made = {"experiment_name": "x", "base_config": name}
        assert len(build_plan(made).runs) == 1, name
