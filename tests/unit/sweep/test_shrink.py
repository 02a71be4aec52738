from pathlib import Path

import pytest

from olmix.errors import NotAvailableError
from olmix.sweep.document import YamlDocument
from olmix.sweep.torchtune.assets import Assets
from olmix.sweep.torchtune.registry import read_registry
from olmix.sweep.torchtune.shrink import data_of, shrink

ASSETS = Assets(Path("/tiny/rows.json"), Path("/tiny/tokenizer.model"))
FOLDER = Path("/tiny")
NOT_TINY = {
    # Nothing is trained.
    "generate",
    "dev/generate_v2",
    "dev/generate_v2_distributed",
    "eleuther_eval",
    "quantize",
    # Data of its own, and of this one also a model.
    "dev/early_exit_finetune_distributed",
    "dev/lora_finetune_distributed_multi_dataset",
}


def configs(recipe=None):
    for shipped in read_registry().configs.values():
        if recipe in (None, shipped.recipe):
            yield shipped, YamlDocument(shipped.path.read_text(), shipped.name).data


def tiny(name):
    shipped = read_registry().configs[name]
    config = YamlDocument(shipped.path.read_text(), name).data
    return shrink(config, data_of(shipped.recipe), ASSETS, FOLDER)


def test_every_recipe_is_trained_or_says_why_not():
    for recipe in read_registry().recipes:
        if recipe in NOT_TINY:
            with pytest.raises(NotAvailableError, match=f"the recipe {recipe}: it .*It is for: "):
                data_of(recipe)
        else:
            assert data_of(recipe)
    with pytest.raises(NotAvailableError, match="name it in framework_config.recipe"):
        data_of(None)


def test_every_shipped_config_but_those_with_images_shrinks():
    refused = set()
    for shipped, config in configs():
        if shipped.recipe in NOT_TINY:
            continue
        try:
            small = shrink(config, data_of(shipped.recipe), ASSETS, FOLDER)
        except NotAvailableError:
            refused.add(shipped.name.partition("/")[0])
            continue
        assert small.config["device"] == "cpu"
        assert "/tmp/" not in str(small.config), "nothing of the base's own files is left"
        for key, node in small.config.items():
            if key.endswith("checkpointer"):
                assert node["checkpoint_files"][0] in small.weights
    assert refused == {"llama3_2_vision"}


def test_settings_that_are_tested_stay():
    small = tiny("llama3_1/8B_lora_dpo").config
    assert small["loss"]["beta"] == 0.1
    assert small["optimizer"]["lr"] == 5e-4
    assert small["model"]["lora_rank"] == 8
    assert small["dataset"]["_component_"] == "torchtune.datasets.preference_dataset"


def test_in_distillation_teacher_and_student_have_weights_of_their_own():
    small = tiny("llama3_2/8B_to_1B_KD_lora_single_device")
    assert len(small.weights) == 2
    student, teacher = (
        small.weights[small.config[key]["checkpoint_files"][0]]
        for key in ("checkpointer", "teacher_checkpointer")
    )
    assert student["lora_rank"] == 64
    assert "lora_rank" not in teacher


def test_in_ppo_policy_and_reward_have_weights_of_their_own():
    small = tiny("mistral/7B_full_ppo_low_memory")
    config = small.config
    assert (
        config["checkpointer"]["checkpoint_files"]
        == (config["ref_policy_checkpointer"]["checkpoint_files"])
    )
    reward = small.weights[config["reward_checkpointer"]["checkpoint_files"][0]]
    assert reward["num_classes"] == 1
    assert config["num_steps"] // config["batch_size"] == 2


def test_a_quantized_model_is_as_wide_as_its_groups():
    assert tiny("llama2/7B_qat_full").config["model"]["embed_dim"] == 256
