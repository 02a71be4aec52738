import pytest

from olmix.errors import ConfigError
from olmix.grpo.architecture import PRESETS
from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig
from olmix.grpo.devices import resolve_mesh
from olmix.grpo.run_plan import make_plan


def plan(*overrides):
    return make_plan(RunConfig.from_dict(compose(overrides)))


@pytest.mark.parametrize(
    ("model", "parameters"),
    [(("gemma3", "270m"), 268_098_176), (("llama", "smollm2_135m"), 134_515_008)],
)
def test_parameters_are_those_of_the_released_models(model, parameters):
    assert PRESETS[model].num_parameters() == parameters


def test_lora_of_rank_r_adds_inputs_plus_outputs_times_r():
    architecture = PRESETS[("gemma3", "270m")]
    # q: 640 in, 4 heads x 256 out
    assert architecture.num_lora_parameters(1, ".*q_einsum") == 18 * (640 + 1024)
    assert architecture.num_lora_parameters(8, "nothing") == 0


def test_a_plan_says_steps_shapes_and_memory():
    made = plan("training.num_batches=5", "training.epochs=3", "grpo.num_iterations=2")
    assert (made.steps, made.updates) == (15, 30)
    assert made.rollout_shape == (16, 256, 512)
    assert made.model_bytes == 2 * 268_098_176
    assert made.total_bytes > made.model_bytes + made.cache_bytes
    halved = plan("training.micro_batch_size=2")
    assert halved.update_shape == (8, 768)
    assert 2 * halved.logits_bytes == made.logits_bytes
    assert 2 * halved.activation_bytes == made.activation_bytes
    assert halved.total_bytes < made.total_bytes
    # Logits of 768 tokens and their gradient; of the 512 of the answer their entropy's two arrays.
    assert made.logits_bytes == 4 * 16 * 2 * (768 + 512) * 262_144


def test_a_plan_says_which_micro_batch_takes_less_memory():
    words = ("model=llama3.2_1b", "training.batch_size=12")
    large = plan(*words)
    assert large.advice.startswith("training.micro_batch_size=")
    chosen = int(large.advice.partition(" ")[0].rpartition("=")[2])
    smaller = plan(*words, f"training.micro_batch_size={chosen}")
    assert 12 % chosen == 0
    assert smaller.activation_bytes + smaller.logits_bytes <= 4 * 2**30 or chosen == 1
    assert smaller.advice is None
    assert plan("+experiment=quick_test").advice is None


def test_a_plan_warns_of_what_is_hardly_meant():
    said = " ".join(
        plan(
            "+model.custom_params={num_layers:2}",
            "model.lora_module_path=nothing",
            "training.num_batches=3",
            "+grpo.epsilon_high=0.3",
        ).warnings
    )
    for text in (
        "matches no module",
        "weights are random",
        "nothing is learned",
        "checkpoint_interval = 50 has no effect",
        "epsilon_high has no effect",
    ):
        assert text in said
    assert plan("+experiment=quick_test").warnings == ()


@pytest.mark.parametrize(
    ("sizes", "devices", "fits"),
    [((-1, 1), 8, (8, 1)), ((1, -1), 4, (1, 4)), ((2, 2), 4, (2, 2)), ((-1, 2), 8, (4, 2))],
)
def test_a_mesh_takes_all_devices(sizes, devices, fits):
    assert resolve_mesh(sizes, devices) == fits


@pytest.mark.parametrize(("sizes", "devices"), [((1, 4), 1), ((-1, 3), 8), ((2, 2), 8)])
def test_a_mesh_that_does_not_fit_is_refused_with_one_that_does(sizes, devices):
    with pytest.raises(ConfigError, match=rf"model.mesh_shape=\[\[{devices},1\],\[fsdp,tp\]\]"):
        resolve_mesh(sizes, devices)
