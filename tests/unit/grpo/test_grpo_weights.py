import numpy as np
import pytest

from olmix.errors import DataError
from olmix.grpo.architecture import PRESETS
from olmix.grpo.weights import from_hf_config, hf_config, merge_lora, to_hf_names

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
    with pytest.raises(DataError, match="model_type is qwen3; allowed"):
        from_hf_config({"model_type": "qwen3"}, "config.json")
    with pytest.raises(DataError, match="'hidden_size' is missing"):
        from_hf_config({"model_type": "llama", "num_hidden_layers": 2}, "config.json")
