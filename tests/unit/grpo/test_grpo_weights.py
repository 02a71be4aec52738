import numpy as np
import pytest

from olmix.errors import DataError
from olmix.grpo.architecture import PRESETS
from olmix.grpo.hf_config import from_hf_config, hf_config
from olmix.grpo.models import frequencies
from olmix.grpo.weights import merge_lora, to_hf_names

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("name", "shape", "a", "b", "formula"),
    [
        ("layers/0/attn/q_einsum/w", (4, 8, 2), (8, 3), (3, 4, 2), "dr,rnh->ndh"),
        ("layers/0/attn/kv_einsum/w", (2, 1, 8, 2), (8, 3), (3, 2, 1, 2), "dr,rckh->ckdh"),
        ("layers/0/attn/attn_vec_einsum/w", (4, 2, 8), (4, 2, 3), (3, 8), "nhr,rd->nhd"),
        ("layers/0/mlp/up_proj/kernel", (8, 5), (8, 3), (3, 5), "ir,ro->io"),
    ],
)
def test_updates_are_added_in_the_layout_of_their_weight(name, shape, a, b, formula):
    weight, left, right = (RNG.normal(size=size).astype(np.float32) for size in (shape, a, b))
    state = {name: weight, f"{name}_lora_a": left, f"{name}_lora_b": right}
    merged = merge_lora(state, rank=3, alpha=6.0)
    assert list(merged) == [name]
    expected = weight + 2.0 * np.einsum(formula, left, right)
    np.testing.assert_allclose(merged[name], expected, rtol=1e-5, atol=1e-6)


def test_heads_become_rows():
    query = RNG.normal(size=(2, 6, 3))
    named = to_hf_names({"layers/7/attn/q_einsum/w": query}, PRESETS[("gemma3", "tiny")])
    matrix = named["model.layers.7.self_attn.q_proj.weight"]
    x = RNG.normal(size=6)
    np.testing.assert_allclose(matrix @ x, np.einsum("d,ndh->nh", x, query).ravel())


def test_a_weight_without_a_place_is_said():
    with pytest.raises(DataError, match="has no place"):
        to_hf_names({"vision/w": np.zeros(1)}, PRESETS[("gemma3", "tiny")])
    with pytest.raises(DataError, match="has no place"):
        to_hf_names({"layers/0/attn/x/w": np.zeros(1)}, PRESETS[("llama", "smollm2_135m")])


@pytest.mark.parametrize("name", PRESETS)
def test_sizes_survive_a_config_json(name):
    architecture = PRESETS[name].replace(vocab_size=104)
    assert from_hf_config(hf_config(architecture, "float32"), "x") == architecture


def test_another_family_is_refused():
    with pytest.raises(DataError, match="model_type is mistral; allowed: gemma3, .*, qwen3"):
        from_hf_config({"model_type": "mistral"}, "config.json")
    with pytest.raises(DataError, match="'hidden_size' is missing"):
        from_hf_config({"model_type": "llama", "num_hidden_layers": 2}, "config.json")


@pytest.mark.parametrize(
    ("size", "changed", "said"),
    [
        (("llama", "3.2_1b"), {"attention_bias": True}, "attention_bias is True"),
        (("llama", "3.2_1b"), {"hidden_act": "relu"}, "hidden_act is relu; .* silu"),
        (
            ("qwen3", "8b"),
            {"rope_scaling": {"rope_type": "yarn", "factor": 4}},
            "rope_type is yarn",
        ),
        (("qwen3", "8b"), {"use_sliding_window": True}, "use_sliding_window is true"),
        (("gemma3", "4b"), {"layer_types": ["full_attention"] * 34}, "layer_types"),
        (("gemma3", "4b"), {"query_pre_attn_scalar": 100}, "query_pre_attn_scalar is 100"),
        (("gemma3", "4b"), {"rope_local_base_freq": 1}, "rope_local_base_freq is 1"),
        (("gemma3", "4b"), {"final_logit_softcapping": 30.0}, "final_logit_softcapping is 30"),
    ],
)
def test_a_model_that_tunix_would_compute_in_another_way_is_refused(size, changed, said):
    config = hf_config(PRESETS[size], "bfloat16")
    with pytest.raises(DataError, match=f"config.json: {said}"):
        from_hf_config({**config, **changed}, "config.json")


def test_what_the_files_of_gemma_3_4b_leave_out_is_known():
    text = {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "model_type": "gemma3_text",
        "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    }
    config = {"model_type": "gemma3", "text_config": text}
    assert from_hf_config(config, "x") == PRESETS[("gemma3", "4b")]


def test_slow_waves_are_stretched_and_fast_ones_are_not():
    scaled = PRESETS[("llama", "3.1_8b")]
    before = frequencies(scaled.replace(rope_scaling=None))
    ratio = frequencies(scaled) / before
    assert ratio[0] == 1.0, "a turn in 6 positions"
    assert ratio[-1] == 1 / 8, "a turn in 2.6 million positions"
    assert (np.diff(ratio) <= 0).all()
    assert ((ratio > 1 / 8) & (ratio < 1)).any()
