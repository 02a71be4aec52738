"""Expressions take the values of their own run; what names nothing is said beforehand."""

import pytest
from sweep_studies import BASE

from olmix.errors import ConfigError
from olmix.sweep import build_plan, generate_configs


def configs(variables, **controls):
    made = {"experiment_name": "x", "base_config": BASE}
    plan = build_plan(made | {"variables": variables, "controls": controls})
    return [run.config for run in plan.runs]


@pytest.mark.parametrize("path", ["lora_rank", "model.lora_rank"])
@pytest.mark.parametrize("name", ["lora_rank", "model.lora_rank"])
def test_a_path_and_its_alias_are_what_this_run_has(name, path):
    found = configs({name: [8, 32]}, lora_alpha=f"${{mul:2,${{{path}}}}}")
    assert [config["model"]["lora_alpha"] for config in found] == [16, 64]


def test_a_path_below_a_control_is_found():
    found = configs(
        {"seed": [1]}, optimizer={"lr": 1e-3, "weight_decay": "${div:${optimizer.lr},10}"}
    )
    assert found[0]["optimizer"]["weight_decay"] == 1e-4


def test_a_path_leads_through_what_is_derived_itself():
    found = configs(
        {"batch_size": [2, 4]},
        learning_rate="${mul:1e-3,${batch_size}}",
        weight_decay="${div:${optimizer.lr},2}",
    )
    assert [config["optimizer"]["weight_decay"] for config in found] == [1e-3, 2e-3]


def test_what_the_experiment_leaves_alone_is_the_base_s():
    [config] = configs({"seed": [1]}, lora_alpha="${mul:3,${model.lora_rank}}")
    assert config["model"]["lora_alpha"] == 3 * 64


@pytest.mark.parametrize("name", ["learning_rate", "optimizer.lr"])
@pytest.mark.parametrize("own", ["learning_rate", "optimizer.lr"])
def test_a_value_that_names_its_own_place_means_the_base_s(name, own):
    [config] = configs({"seed": [1]}, **{name: f"${{div:${{{own}}},3}}"})
    assert config["optimizer"]["lr"] == pytest.approx(1e-4)
    [config] = configs({"seed": [1]}, **{name: f"${{{own}}}"})
    assert config["optimizer"]["lr"] == 3e-4


def test_a_text_around_its_own_place_is_around_the_base_s():
    [config] = configs({"seed": [1]}, output_dir="${output_dir}/more")
    assert config["output_dir"] == "/tmp/torchtune/llama3_2_1B/lora_single_device/more"


@pytest.mark.parametrize(
    ("one", "other"), [("${batch_size}", "${seed}"), ("${optimizer}", "${seed}")]
)
def test_a_circle_of_what_the_framework_would_follow_is_told(one, other):
    names = {"seed": one, "batch_size" if one == "${batch_size}" else "weight_decay": other}
    with pytest.raises(ConfigError, match="seed and what it names refer to each other in a circle"):
        configs({"lora_rank": [8]}, **names)


def test_a_circle_through_paths_is_told():
    with pytest.raises(ConfigError, match="in a circle: .*model.lora_rank"):
        configs(
            {"seed": [1]},
            lora_rank="${div:${model.lora_alpha},2}",
            lora_alpha="${mul:2,${model.lora_rank}}",
        )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("${outptu_dir}/logs", r"log_dir: \$\{outptu_dir\}: no such .*; did you mean `output_dir`"),
        ("${mul:2,${model.lora_rnk}}", "did you mean `model.lora_rank`"),
        ("${mull:2,${lora_rank}}", "unknown operation; did you mean `mul`"),
        ("${zzzz:1}", "unknown operation `zzzz`"),
    ],
)
def test_an_unknown_name_is_one_line_with_its_number_and_leaves_nothing(tmp_path, value, said):
    file = tmp_path / "e.yaml"
    file.write_text(
        f"experiment_name: x\nbase_config: {BASE}\nvariables: {{lora_rank: [8]}}\n"
        f"controls:\n  metric_logger:\n    log_dir: {value}\n"
    )
    with pytest.raises(ConfigError, match=said) as found:
        generate_configs(file, tmp_path / "out", validator="none")
    assert str(found.value).startswith(f"{file}:6: controls.metric_logger.log_dir: ")
    assert "\n" not in str(found.value).strip()
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_the_framework_s_passes_through():
    found = configs(
        {"seed": [1]},
        output_dir="${oc.env:HOME}/r",
        metric_logger={"log_dir": "${output_dir}/l"},
    )
    assert found[0]["metric_logger"]["log_dir"] == "${output_dir}/l"
