"""The work and the needs of a run, worked out from the configuration alone: no JAX, no weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from olmix.grpo.answers import is_readable
from olmix.grpo.config import RunConfig
from olmix.grpo.data import Dataset
from olmix.grpo.tokenizer import BUILT_IN_SIZE

__all__ = ["RunPlan", "data_warnings", "describe_data", "make_plan"]

_OPTIMIZER_COPIES = {"adamw": 2, "sgd": 1}
_MUCH = 4 * 2**30
"""Bytes of an update from which on a smaller micro-batch is advised."""


@dataclass(frozen=True)
class RunPlan:
    """Shapes, memory and steps of a run.

    Attributes:
        steps: batches of prompts.
        updates: updates of the weights.
        rollout_shape: (sequences, prompt tokens, answer tokens) of a step.
        update_shape: (sequences, tokens) on the device at once.
        parameters: of the model; `None` where only the folder of the weights says it.
        lora_parameters: that are trained.
        model_bytes: of the weights.
        training_bytes: of LoRA, its gradient and the optimizer's state, in 32 bits.
        cache_bytes: of keys and values while sampling.
        activation_bytes: about what an update keeps for the gradient.
        logits_bytes: of an update's logits, their gradient and their entropy, in 32 bits.
        advice: how an update takes less memory, where it takes most of it.
        warnings: settings that have no effect or make learning unlikely.
    """

    steps: int
    updates: int
    rollout_shape: tuple[int, int, int]
    update_shape: tuple[int, int]
    parameters: int | None
    lora_parameters: int | None
    model_bytes: int | None
    training_bytes: int | None
    cache_bytes: int | None
    activation_bytes: int | None
    logits_bytes: int | None
    advice: str | None
    warnings: tuple[str, ...]

    @property
    def total_bytes(self) -> int | None:
        """Sum of the parts: about what the device needs at least."""
        parts = (
            self.model_bytes, self.training_bytes, self.cache_bytes, self.activation_bytes,
            self.logits_bytes,
        )  # fmt: skip
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None


def make_plan(config: RunConfig) -> RunPlan:
    """Work out what a run does and takes."""
    model, training, generation = config.model, config.training, config.generation
    answers = config.grpo.num_generations
    sequences = training.batch_size * answers
    at_once = (training.micro_batch_size or training.batch_size) * answers
    length = generation.max_prompt_length + generation.max_new_tokens
    bytes_per_value = 4 if model.dtype == "float32" else 2
    architecture = model.architecture()
    parameters = lora = cache = activations = logits = None
    if architecture is not None:
        vocabulary = architecture.vocab_size or BUILT_IN_SIZE
        parameters = architecture.num_parameters(vocabulary)
        lora = parameters
        if model.lora_rank:
            lora = architecture.num_lora_parameters(model.lora_rank, model.lora_module_path)
        cache = architecture.cache_bytes(sequences, length, bytes_per_value)
        activations = architecture.activation_bytes(at_once, length, bytes_per_value)
        logits = architecture.logits_bytes(at_once, length, generation.max_new_tokens, vocabulary)
    copies = 2 + _OPTIMIZER_COPIES[config.optimizer.kind]
    return RunPlan(
        steps=training.num_steps,
        updates=config.num_updates,
        rollout_shape=(sequences, generation.max_prompt_length, generation.max_new_tokens),
        update_shape=(at_once, length),
        parameters=parameters,
        lora_parameters=lora,
        model_bytes=None if parameters is None else parameters * bytes_per_value,
        training_bytes=None if lora is None else lora * copies * 4,
        cache_bytes=cache,
        activation_bytes=activations,
        logits_bytes=logits,
        advice=_advice(config, (activations or 0) + (logits or 0)),
        warnings=tuple(_warnings(config, lora)),
    )


def _advice(config: RunConfig, update_bytes: int) -> str | None:
    """Return which micro-batch brings an update's arrays down to a size that is worth a word."""
    prompts = config.training.batch_size
    at_once = config.training.micro_batch_size or prompts
    if update_bytes <= _MUCH or at_once == 1:
        return None
    smaller = [n for n in range(at_once - 1, 0, -1) if prompts % n == 0]
    fitting = (n for n in smaller if update_bytes * n / at_once <= _MUCH)
    chosen = next(fitting, 1)
    return (
        f"training.micro_batch_size={chosen} takes {update_bytes * chosen / at_once / 2**30:.1f} "
        f"GiB instead of {update_bytes / 2**30:.1f} for activations and logits"
    )


def _warnings(config: RunConfig, lora: int | None) -> Iterator[str]:
    """Yield settings that are allowed and hardly meant."""
    if lora == 0:
        yield f"model.lora_module_path = {config.model.lora_module_path} matches no module"
    if config.model.custom_params is not None and config.model.source != "random":
        yield (
            "model.custom_params changes the model's sizes, so its weights are random; the "
            "tokenizer is the built-in one"
        )
    if config.model.is_random and config.model.warm_start is None:
        yield (
            "the model has random weights and no model.warm_start: its answers have no tags, so "
            "all rewards are equal and nothing is learned"
        )
    if config.training.checkpoint_interval > config.training.num_steps:
        yield (
            f"training.checkpoint_interval = {config.training.checkpoint_interval} has no effect: "
            f"the run has {config.training.num_steps} steps"
        )
    if config.grpo.num_iterations == 1 and config.grpo.epsilon_high is not None:
        yield (
            "grpo.epsilon_high has no effect with grpo.num_iterations=1: each answer is used for "
            "one update, whose importance ratio is 1"
        )
    numeric = config.grpo.rewards.get("numeric_answer")
    if config.grpo.answer in ("exact", "choice") and numeric is not None and numeric.weight:
        yield (
            "grpo.rewards.numeric_answer reads numbers, whatever grpo.answer = "
            f"{config.grpo.answer} says; for other answers it is always 0: "
            "grpo.rewards.numeric_answer=0"
        )


def describe_data(config: RunConfig, dataset: Dataset | None) -> str:
    """Return the sources of the questions and, where they have been read, how many there are."""
    sources = config.data.sources
    total = sum(source.weight for source in sources)
    said: list[str] = []
    for index, source in enumerate(sources):
        text = " ".join(str(p) for p in (source.kind, source.path, source.subset) if p)
        if source.name:
            text = f"{source.name} ({source.weight / total:.0%}): {text}"
        if dataset is None:
            text += ", is fetched when the run starts"
        else:
            part = dataset.parts[index]
            held, whole = len(part.held_out), len(part.train) + len(part.held_out)
            text += f", {whole:,} questions, {held:,} "
            text += "of them a test of their own" if source.has_test else "held out"
        said.append(text)
    return "; ".join(said)


def data_warnings(dataset: Dataset, config: RunConfig) -> Iterator[str]:
    """Yield what is odd about the questions: copies, long ones, answers of another kind."""
    where = ", ".join(source.path or "the data" for source in config.data.sources)
    if dataset.num_copies:
        yield (
            f"{where}: {dataset.num_copies:,} questions have the same text as others; copies of "
            "held-out questions are left out"
        )
    if dataset.num_too_long:
        room = config.generation.max_prompt_length
        yield (
            f"{where}: {dataset.num_too_long:,} questions are left out because their prompts have "
            f"more than generation.max_prompt_length = {room} tokens"
        )
    kind, questions = config.grpo.answer, (*dataset.train, *dataset.held_out)
    answers = [entry.answer for entry in questions if entry.answer is not None]
    odd = [answer for answer in answers if not is_readable(answer, kind)]
    if odd:
        what, others = {
            "number": ("single number", "math, exact or choice"),
            "choice": ("letter of a choice", "number, math or exact"),
        }[kind]
        yield (
            f"{where}: {len(odd):,} of {len(answers):,} true answers are not a {what}, such as "
            f'"{odd[0][:60]}"; only identical text matches them. Perhaps grpo.answer is {others}.'
        )
