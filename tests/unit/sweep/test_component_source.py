"""What is read from the source of torchtune, without importing it."""

import json

import pytest

from olmix.sweep.component_source import is_missing, parameters_of
from olmix.sweep.data_files import count_rows
from olmix.sweep.torchtune.cost import estimate
from olmix.sweep.torchtune.recipe import find_reads
from olmix.sweep.torchtune.registry import read_registry


def test_a_recipe_reads_keys_however_they_are_written(tmp_path):
    recipe = tmp_path / "recipe.py"
    recipe.write_text(
        "PROFILE = 'profiler'\n"
        "def main(cfg):\n"
        "    cfg.batch_size, cfg['seed'], cfg.get('compile', False), cfg.get(PROFILE)\n"
        "    cfg.checkpointer.model_type, 'lr_scheduler' in cfg\n"
        "    setup(part=cfg.quantizer)\n"
        "    config.instantiate(cfg.model)\n"
        "def setup(part):\n"
        "    part.groupsize, part.get('precision')\n"
    )
    keys = find_reads(recipe).keys
    assert set(keys) == {
        *("batch_size", "seed", "compile", "profiler", "checkpointer", "lr_scheduler"),
        *("quantizer", "model"),
    }
    assert keys["checkpointer"] == {"model_type"}
    assert keys["quantizer"] == {"groupsize", "precision"}


def test_every_training_recipe_reads_its_batch_and_its_optimizer():
    for name, source in read_registry().recipes.items():
        if "finetune" in name or "dpo" in name or "distillation" in name:
            assert {"batch_size", "optimizer", "seed"} <= set(find_reads(source).keys), name


def test_a_component_is_followed_to_its_definition():
    lora = parameters_of("torchtune.models.llama3_2.lora_llama3_2_1b")
    assert lora.kinds["lora_rank"] == {"int"}
    assert lora.kinds["lora_alpha"] == {"int", "float"}
    assert lora.choices["lora_attn_modules"] == ("q_proj", "k_proj", "v_proj", "output_proj")
    assert "lora_attn_modules" in lora.required
    # A functools.partial over another function.
    assert parameters_of("torchtune.datasets.alpaca_cleaned_dataset").rest == "load_dataset_kwargs"
    assert parameters_of("no_such_package.thing") is None


def test_a_name_that_a_module_does_not_hold_is_missing_and_an_unknown_module_is_not():
    assert is_missing("torchtune.datasets.no_such_dataset")
    assert not is_missing("torchtune.datasets.alpaca_dataset")
    assert not is_missing("no_such_package.thing")


@pytest.mark.parametrize(
    ("changes", "steps", "tokens"),
    [
        ({}, 10, 10 * 4 * 128),
        ({"max_steps_per_epoch": 3}, 3, 3 * 4 * 128),
        ({"gradient_accumulation_steps": 2}, 5, 5 * 8 * 128),
        ({"epochs": 2}, 20, 20 * 4 * 128),
    ],
)
def test_steps_are_counted_from_the_rows_of_local_data(changes, steps, tokens, tmp_path):
    file = tmp_path / f"{len(changes)}.json"
    file.write_text(json.dumps([{"a": n} for n in range(42)]))
    config = {
        "batch_size": 4,
        "epochs": 1,
        "dataset": {"source": "json", "data_files": str(file)},
        "tokenizer": {"max_seq_len": 128},
    }
    cost = estimate(config | changes, 1)
    assert (cost.steps, cost.max_tokens) == (steps, tokens)


def test_what_cannot_be_known_is_not_guessed():
    config = {"batch_size": 4, "epochs": 1, "dataset": {"source": "hub/data"}}
    cost = estimate(config, 2)
    assert (cost.effective_batch, cost.steps, cost.max_tokens) == (8, None, None)
    assert estimate(config | {"batch_size": "x"}, 2).effective_batch is None


def test_rows_of_json_lines_end_at_newlines_alone(tmp_path):
    file = tmp_path / "rows.jsonl"
    line = json.dumps({"text": "a\u2028b\x85c\x0bd"}, ensure_ascii=False)
    file.write_text(f"{line}\n" * 10, encoding="utf-8-sig")
    assert count_rows(str(file)) == 10
    file = tmp_path / "rows.json"
    file.write_text(json.dumps([1, 2, 3]), encoding="utf-8-sig")
    assert count_rows(str(file)) == 3
