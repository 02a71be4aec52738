"""The update against AdamW written out in NumPy, and the shape of the learning rate."""

import jax
import numpy as np
import pytest

from olmix.config import ProxyTraining
from olmix.train.proxy import model, optimizer
from olmix.train.proxy.model import ModelShape
from olmix.train.proxy.optimizer import Hyper, learning_rate

SHAPE = ModelShape(vocab_size=7, d_model=8, num_layers=1, num_heads=2, hidden=8)
TRAINING = ProxyTraining.from_dict(
    {
        "max_tokens": 100 * 8 * 64,
        "weight_decay": 0.3,
        "clip_norm": 0.5,
        "embedding_lr_multiplier": 3.0,
        "warmup_fraction": 0.02,
    }
)


def named(tree):
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def adamw(params, gradients, rates):
    """AdamW of Loshchilov and Hutter, over named arrays, with the gradient clipped first."""
    first = dict.fromkeys(params, 0.0)
    second = dict.fromkeys(params, 0.0)
    for count, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        norm = np.sqrt(sum((leaf**2).sum() for leaf in gradient.values()))
        for name, leaf in gradient.items():
            clipped = leaf * min(1.0, TRAINING.clip_norm / norm)
            first[name] = 0.9 * first[name] + 0.1 * clipped
            second[name] = 0.98 * second[name] + 0.02 * clipped**2
            direction = (first[name] / (1 - 0.9**count)) / (
                np.sqrt(second[name] / (1 - 0.98**count)) + 1e-8
            )
            is_embedding, is_norm = "embedding" in name, "norm" in name
            decay = 0.0 if is_embedding or is_norm else TRAINING.weight_decay
            scale = TRAINING.embedding_lr_multiplier if is_embedding else 1.0
            params = {
                **params,
                name: params[name] - scale * rate * (direction + decay * params[name]),
            }
    return params


@pytest.mark.parametrize("size", [0.01, 10.0], ids=["not clipped", "clipped"])
def test_three_steps_match_adamw_written_out(size):
    hyper = Hyper.of(TRAINING)
    params = model.init(np.random.default_rng(0), SHAPE)
    rng = np.random.default_rng(1)
    gradients = [
        jax.tree.map(lambda leaf: size * rng.standard_normal(leaf.shape, np.float32), params)
        for _ in range(3)
    ]
    update = jax.jit(optimizer.update)
    moved, state = params, optimizer.init(params)
    for step, gradient in enumerate(gradients):
        moved, state = update(hyper, np.int32(step), gradient, state, moved)
    rates = [float(learning_rate(hyper, step)) for step in range(3)]
    expected = adamw(named(params), [named(gradient) for gradient in gradients], rates)
    for name, leaf in named(moved).items():
        np.testing.assert_allclose(leaf, expected[name], rtol=2e-5, atol=2e-6, err_msg=name)


def test_the_learning_rate_rises_to_its_peak_and_falls_towards_zero():
    hyper = Hyper.of(ProxyTraining.from_dict({"max_tokens": 50 * 8 * 64, "warmup_fraction": 0.2}))
    rates = np.array([float(learning_rate(hyper, step)) for step in range(51)]) / 8e-3
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10, rtol=1e-6)
    np.testing.assert_allclose(rates[10:], np.linspace(1, 0, 41), atol=1e-6)


def test_without_warm_up_the_first_step_has_the_peak():
    hyper = Hyper.of(ProxyTraining.from_dict({"warmup_fraction": 0.0}))
    assert float(learning_rate(hyper, 0)) == pytest.approx(8e-3)
