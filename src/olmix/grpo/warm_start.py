"""A short supervised warm start: a random model learns to answer, sometimes in the format.

It stands in for pre-training where no weights can be had, so that there is something to reinforce.
Examples are made here, with worked answers; some of them lack marks. Questions that are held out
are not among them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from olmix.errors import DataError
from olmix.grpo.config import RunConfig
from olmix.grpo.data import Dataset, batches, split_questions
from olmix.grpo.marks import AnswerMark, write_answer
from olmix.grpo.prompts import render_prompt
from olmix.grpo.questions import Question
from olmix.grpo.synthetic import synthetic_questions
from olmix.grpo.tokenizer import TextTokenizer

__all__ = ["completion", "warm_start"]

logger = logging.getLogger(__name__)

Array = np.ndarray[Any, Any]


def completion(
    question: Question, rng: np.random.Generator, format_rate: float, mark: AnswerMark = "tags"
) -> str:
    """Return a true answer: in format with a chance of `format_rate`, else lacking marks."""
    reasoning, answer = str(question.columns["reasoning"]), str(question.answer)
    if mark == "none" or rng.random() < format_rate:
        return write_answer(reasoning, answer, mark)
    broken = [f"{reasoning} {answer}"]
    if mark == "tags":
        broken = [
            f"<reasoning>{reasoning}</reasoning>{answer}",
            f"{reasoning}<answer>{answer}</answer>",
            *broken,
        ]
    return broken[rng.integers(len(broken))]


def warm_start(model: object, tokenizer: TextTokenizer, config: RunConfig) -> float:
    """Train all weights of a model in place and return the last loss, in nats per token.

    Raises:
        DataError: the answers do not fit the lengths of `generation`.
    """
    import jax.numpy as jnp
    import optax
    from flax import nnx

    warm = config.model.warm_start
    if warm is None:
        return float("nan")
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, warm.learning_rate, max(1, warm.steps // 10), warm.steps + 1
    )
    optimizer = nnx.Optimizer(model, optax.adam(schedule), wrt=nnx.Param)
    step = nnx.jit(_step, donate_argnames=("optimizer",))
    rng = np.random.default_rng([config.seed, 1])
    stream = batches(
        _examples(config),
        batch_size=warm.batch_size,
        num_batches=warm.steps,
        epochs=1,
        seed=config.seed,
    )
    loss, mark = jnp.nan, config.grpo.answer_mark
    for questions in stream:
        texts = [
            (
                render_prompt(entry, config.model.prompt_template, mark),
                completion(entry, rng, warm.format_rate, mark),
            )
            for entry in questions
        ]
        tokens, mask = _encode(texts, tokenizer, config)
        loss = step(model, optimizer, jnp.asarray(tokens), jnp.asarray(mask))
    logger.info("warm start: %d steps, loss %.3f nats per token", warm.steps, float(loss))
    return float(loss)


def _examples(config: RunConfig) -> Dataset:
    """Return what is made here of the data, split as it is for training, or the sums."""
    tasks = [s.subset for s in config.data.sources if s.kind == "synthetic"] or [None]
    return Dataset(tuple(split_questions(synthetic_questions(t)).parts[0] for t in tasks))


def _encode(
    texts: Sequence[tuple[str, str]], tokenizer: TextTokenizer, config: RunConfig
) -> tuple[Array, Array]:
    """Return tokens (n, length) and where an answer's tokens stand in them."""
    generation = config.generation
    length = generation.max_prompt_length + generation.max_new_tokens
    tokens = np.full((len(texts), length), tokenizer.pad_id(), np.int32)
    mask = np.zeros((len(texts), length), bool)
    bos = tokenizer.bos_id()
    for row, (prompt, answer) in enumerate(texts):
        begin = ([] if bos is None else [bos]) + tokenizer.encode(prompt)
        end = [*tokenizer.encode(answer), tokenizer.eos_id()]
        if len(begin) + len(end) > length:
            raise DataError(
                f"generation: max_prompt_length + max_new_tokens = {length} tokens, but a "
                f"warm-start example has {len(begin) + len(end)}; raise them"
            )
        tokens[row, : len(begin) + len(end)] = begin + end
        mask[row, len(begin) : len(begin) + len(end)] = True
    return tokens, mask


def _step(model: Any, optimizer: Any, tokens: Any, mask: Any) -> Any:
    """Do one step and return the mean cross-entropy over the answers' tokens."""
    import jax.numpy as jnp
    import optax
    from flax import nnx

    length = tokens.shape[1]

    def loss(network: Any) -> Any:
        positions = jnp.broadcast_to(jnp.arange(length), tokens.shape)
        seen = jnp.broadcast_to(jnp.tril(jnp.ones((length, length), bool)), (1, length, length))
        logits, _ = network(tokens, positions, None, seen)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], tokens[:, 1:])
        counted = mask[:, 1:]
        return (losses * counted).sum() / counted.sum()

    value, gradient = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradient)
    return value
