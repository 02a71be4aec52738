"""The model against a plain NumPy transformer, and its gradient against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from olmix.train.proxy import model
from olmix.train.proxy.model import ModelShape

# Compiled as a whole: op by op, JAX compiles each operation by itself.
token_nats = jax.jit(model.token_nats, static_argnames="shape")
SHAPE = ModelShape(vocab_size=11, d_model=8, num_layers=2, num_heads=2, hidden=12)


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def parameters(seed=0):
    params = model.init(np.random.default_rng(seed), SHAPE)
    rng = np.random.default_rng(seed + 1)
    # Gains of 1 would hide a forgotten one.
    return jax.tree.map(
        lambda leaf: leaf.astype(np.float64) + 0.1 * rng.standard_normal(leaf.shape), params
    )


def sequences(seed=2, batch=3, length=6):
    return np.random.default_rng(seed).integers(SHAPE.vocab_size, size=(batch, length + 1))


def reference_norm(x, gain):
    return x / np.sqrt((x**2).mean() + 1e-6) * gain


def reference_rotate(x, position):
    """Rotary positions as complex numbers: one for each pair of (first half, second half)."""
    half = len(x) // 2
    turned = (x[:half] + 1j * x[half:]) * np.exp(
        1j * position * 10_000.0 ** (-np.arange(half) / half)
    )
    return np.concatenate([turned.real, turned.imag])


def reference_block(x, block):
    """One block over one sequence (T, C), a position and a head at a time."""
    length, width = x.shape
    size = width // SHAPE.num_heads
    projected = np.array([reference_norm(row, block["attention_norm"]) for row in x]) @ block["qkv"]
    query, key, value = np.split(projected, 3, axis=1)
    mixed = np.zeros_like(x)
    for head in range(SHAPE.num_heads):
        mine = slice(head * size, (head + 1) * size)
        for now in range(length):
            q = reference_rotate(query[now, mine], now)
            scores = [q @ reference_rotate(key[t, mine], t) / size**0.5 for t in range(now + 1)]
            weights = np.exp(scores) / np.exp(scores).sum()
            mixed[now, mine] = weights @ value[: now + 1, mine]
    x = x + mixed @ block["out"]
    result = []
    for row in x:
        gate, up = np.split(reference_norm(row, block["mlp_norm"]) @ block["gate_up"], 2)
        result.append(row + (gate / (1 + np.exp(-gate)) * up) @ block["down"])
    return np.array(result)


def reference_nats(params, tokens):
    found = []
    for sequence in tokens:
        x = params["embedding"][sequence[:-1]]
        for block in params["blocks"]:
            x = reference_block(x, block)
        for row, target in zip(x, sequence[1:], strict=True):
            chances = np.exp(reference_norm(row, params["norm"]) @ params["embedding"].T)
            found.append(-np.log(chances[target] / chances.sum()))
    return np.array(found).reshape(len(tokens), -1)


def test_the_surprise_matches_a_plain_numpy_transformer():
    params, tokens = parameters(), sequences()
    found = token_nats(params, jnp.asarray(tokens), SHAPE)
    np.testing.assert_allclose(found, reference_nats(params, tokens), rtol=1e-10)


def test_the_loss_is_the_mean_surprise():
    params, tokens = parameters(), sequences()
    found = jax.jit(model.loss, static_argnames="shape")(params, jnp.asarray(tokens), shape=SHAPE)
    np.testing.assert_allclose(found, reference_nats(params, tokens).mean(), rtol=1e-10)


def test_the_gradient_matches_finite_differences():
    params, tokens = parameters(), jnp.asarray(sequences())
    loss = jax.jit(lambda params: model.loss(params, tokens, SHAPE))
    gradient = jax.jit(jax.grad(loss))(params)
    rng = np.random.default_rng(5)
    leaves, structure = jax.tree.flatten(params)
    for index, slope in enumerate(jax.tree.leaves(gradient)):
        direction = rng.standard_normal(leaves[index].shape)
        step = 1e-6
        sides = []
        for sign in (1, -1):
            moved = list(leaves)
            moved[index] = leaves[index] + sign * step * direction
            sides.append(float(loss(jax.tree.unflatten(structure, moved))))
        expected = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose((slope * direction).sum(), expected, rtol=1e-6, atol=1e-9)


def test_a_token_does_not_change_what_was_before_it():
    params, tokens = parameters(), sequences()
    changed = tokens.copy()
    changed[:, 4] = (changed[:, 4] + 1) % SHAPE.vocab_size
    before = token_nats(params, jnp.asarray(tokens), SHAPE)
    after = token_nats(params, jnp.asarray(changed), SHAPE)
    np.testing.assert_allclose(before[:, :3], after[:, :3], rtol=1e-12)
    assert not np.allclose(before[:, 4:], after[:, 4:])


def test_initial_weights_depend_on_the_seed_alone_and_are_float32():
    one, same, other = (model.init(np.random.default_rng(seed), SHAPE) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, one, same)
    assert not np.array_equal(one["embedding"], other["embedding"])
    assert {leaf.dtype for leaf in jax.tree.leaves(one)} == {np.dtype(np.float32)}


def test_the_first_loss_is_near_that_of_a_uniform_guess():
    shape = ModelShape(vocab_size=500, d_model=32, num_layers=2, num_heads=4, hidden=88)
    params = model.init(np.random.default_rng(0), shape)
    tokens = np.random.default_rng(1).integers(500, size=(16, 33))
    found = token_nats(params, jnp.asarray(tokens), shape).mean()
    assert abs(float(found) - np.log(500)) < 1.0
