"""The composed configuration as a model: what Hydra cannot check is checked here.

The YAML tree is plain, so that Hydra's ``~key`` and ``+key`` work; types, unknown keys, values out
of range and values without an effect are found when the tree has been composed, all at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from olmix.config.base import Fraction, NonNegative, Positive, Rules, Section, Weight
from olmix.grpo.answers import AnswerKind
from olmix.grpo.marks import AnswerMark
from olmix.grpo.model_config import ModelConfig
from olmix.grpo.rewards import NEED_ANSWERS, check_rewards
from olmix.grpo.training_config import TrainingConfig

__all__ = [
    "EvaluationConfig",
    "GrpoConfig",
    "OptimizerConfig",
    "RewardConfig",
    "RunConfig",
    "SamplingConfig",
    "SchedulerConfig",
    "TrainingConfig",
]

_Count = Annotated[int, Field(ge=1)]
_Names = Annotated[tuple[str, ...], Field(strict=False)]
_Tokens = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False, min_length=1)]
_Schedule = Literal["constant", "linear", "cosine", "warmup_cosine"]
_COSINE_WARMUP = 0.1
"""Share of the updates, where none is given."""
_GSM8K = {
    "data_source": "huggingface",
    "data_path": "openai/gsm8k",
    "data_subset": "main",
    "test_split": "test",
}


class OptimizerConfig(Section):
    """The optimizer; keys of the other one are refused."""

    name: Literal["adamw", "sgd"] | None = None
    """Which; where it is left out, `momentum` or `nesterov` mean sgd."""
    learning_rate: Positive
    """Highest learning rate."""
    b1: Fraction | None = None
    """Decay of the mean of gradients (adamw; 0.9)."""
    b2: Fraction | None = None
    """Decay of the mean of squared gradients (adamw; 0.99)."""
    eps: Positive | None = None
    """Added to the denominator (adamw; 1e-8)."""
    weight_decay: NonNegative | None = None
    """Decoupled decay of the weights (adamw; 0)."""
    momentum: Weight | None = None
    """Decay of the sum of gradients (sgd; none)."""
    nesterov: bool | None = None
    """Nesterov's form of the momentum (sgd; false)."""
    schedule_type: _Schedule | None = None
    """Older form of `scheduler.name`."""
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    """Like `scheduler.warmup_fraction`, but in updates."""

    @property
    def kind(self) -> Literal["adamw", "sgd"]:
        """Which optimizer."""
        if self.name is not None:
            return self.name
        return "adamw" if self.momentum is None and self.nesterov is None else "sgd"

    @model_validator(mode="after")
    def _check(self) -> OptimizerConfig:
        rules = Rules()
        foreign = {"adamw": ("momentum", "nesterov"), "sgd": ("b1", "b2", "eps", "weight_decay")}
        for key in foreign[self.kind]:
            if getattr(self, key) is not None:
                rules.broken(f"has no effect with the optimizer {self.kind}; remove it", key)
        if self.nesterov and self.momentum is None:
            rules.broken("has no effect without optimizer.momentum", "nesterov")
        rules.enforce()
        return self


class SchedulerConfig(Section):
    """The learning rate over the run."""

    name: _Schedule
    """Which curve; `cosine` is `warmup_cosine`."""
    warmup_fraction: Weight | None = None
    """Share of the updates in which the rate rises from 0; where left out, a tenth with
    `warmup_cosine` and none with the others."""
    end_value: Weight | None = None
    """Where the curve ends, as a share of the learning rate (0)."""

    @model_validator(mode="after")
    def _check(self) -> SchedulerConfig:
        rules = Rules()
        if self.name == "constant" and self.end_value is not None:
            rules.broken("has no effect with a constant rate", "end_value")
        rules.enforce()
        return self


class RewardConfig(Section):
    """One of the rewards."""

    function: str | None = None
    """``module:function`` of your own reward."""
    weight: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    """Factor in the sum of the rewards; below 0 it is a penalty."""
    timeout_s: Positive | None = None
    """Seconds that a call of the function may take; no limit if left out."""


class GrpoConfig(Section):
    """The algorithm."""

    variant: Literal["grpo", "dr_grpo", "dapo", "gspo"] = "grpo"
    """Which learner of Tunix."""
    num_generations: Annotated[int, Field(ge=2)] = 4
    """Answers to a prompt: the group."""
    num_iterations: _Count = 1
    """Updates on the same answers."""
    beta: NonNegative = 0.04
    """Weight of the divergence from the model before training."""
    epsilon: Positive = 0.2
    """Clip of the importance ratio, below and above."""
    epsilon_high: Positive | None = None
    """Clip above, where it differs."""
    eos_tokens: _Tokens | None = None
    """Older form of `generation.eos_tokens`."""
    answer: AnswerKind = "number"
    """How a given answer is compared with the true one, in rewards and evaluation: as one number,
    as mathematics (math-verify), as exactly the same text, or as the letter of a choice."""
    answer_mark: AnswerMark = "tags"
    r"""Where the answer is, and so the format: reasoning and answer in tags, `\boxed{}` or
    a line `####` at the end, or the whole completion."""
    rewards: Annotated[dict[str, RewardConfig], Field(min_length=1)]
    """Name to weight, or to `function` and `weight`."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, data: object) -> object:
        """Write ``name: 1.0`` as ``name: {weight: 1.0}``."""
        if not isinstance(data, Mapping) or not isinstance(data.get("rewards"), Mapping):
            return data
        rewards = {
            name: {"weight": entry} if isinstance(entry, int | float) else entry
            for name, entry in data["rewards"].items()
        }
        return {**data, "rewards": rewards}

    @model_validator(mode="after")
    def _check(self) -> GrpoConfig:
        rules = Rules()
        if self.variant == "dapo" and self.beta > 0:
            rules.broken("dapo has no divergence penalty; use grpo.beta=0", "beta")
        if self.epsilon_high is not None and self.epsilon_high < self.epsilon:
            rules.broken(
                f"found {self.epsilon_high}; at least epsilon = {self.epsilon} is needed",
                "epsilon_high",
            )
        for name, what in check_rewards({n: r.function for n, r in self.rewards.items()}):
            rules.broken(what, "rewards", name)
        if all(reward.weight == 0 for reward in self.rewards.values()):
            rules.broken("all weights are 0: there is nothing to learn", "rewards")
        rules.enforce()
        return self


class SamplingConfig(Section):
    """How answers are sampled."""

    max_prompt_length: _Count = 256
    """Tokens of the longest prompt; shorter ones are padded to it."""
    max_new_tokens: _Count = 512
    """Tokens of the longest answer; longer ones are cut."""
    temperature: Positive = 0.9
    """Sampling temperature."""
    top_p: Fraction = 1.0
    """Total probability of the most likely tokens to sample from (top-p)."""
    top_k: _Count | None = None
    """Number of most likely tokens to sample from (top-k); all if left out."""
    eos_tokens: _Tokens | None = None
    """Tokens that end an answer; the tokenizer's own if left out."""
    engine: Literal["vanilla", "vllm", "sglang_jax"] = "vanilla"
    """Engine that samples the answers in training: Tunix's own sampler, vLLM or SGLang."""


class EvaluationConfig(Section):
    """Measuring on questions that training does not see."""

    preset: Literal["greedy", "standard", "liberal"] = "greedy"
    """How answers are sampled: greedy; temperature 0.7, top-p 0.95, top-k 50; 0.85, 1.0, 2000."""
    num_prompts: _Count | None = 64
    """Number of questions; null takes all that are held out, or the whole test set."""
    num_samples: _Count = 1
    """Answers to a question; pass@k is given for k up to this."""
    batch_size: _Count = 16
    """Prompts at once."""
    seed: int = 1
    """Seed for questions and answers."""
    every: _Count | None = None
    """Training steps between evaluations; none in between if left out."""
    at_start: bool = False
    """Whether to evaluate the model before training."""
    at_end: bool = True
    """Whether to evaluate the model after training."""

    @model_validator(mode="after")
    def _check(self) -> EvaluationConfig:
        rules = Rules()
        if self.preset == "greedy" and self.num_samples > 1:
            rules.broken(
                f"found {self.num_samples}; greedy answers are all the same: use "
                "evaluation.preset=standard",
                "num_samples",
            )
        rules.enforce()
        return self


class RunConfig(Section):
    """A whole run."""

    project_name: str
    """Name of the output folder, and of the project in trackers."""
    experiment_name: str | None = None
    """A name of the run."""
    tags: _Names = ()
    """Tags for trackers."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed for weights, data and answers."""
    logging: Annotated[
        tuple[Literal["jsonl", "tensorboard", "trackio", "wandb"], ...], Field(strict=False)
    ] = ("jsonl",)
    """Where metrics go; JSONL always."""
    output_dir: str
    """Folder of the outputs."""
    model: ModelConfig
    optimizer: OptimizerConfig
    scheduler: SchedulerConfig
    grpo: GrpoConfig
    generation: SamplingConfig
    training: TrainingConfig
    evaluation: EvaluationConfig

    @property
    def data(self) -> TrainingConfig:
        """The training with the source of its data."""
        if self.training.data_source is not None or self.training.datasets:
            return self.training
        chosen = {"data_source": "synthetic"} if self.model.is_random else _GSM8K
        return self.training.model_copy(update=chosen)

    @property
    def eos_tokens(self) -> tuple[int, ...] | None:
        """Tokens that end an answer, from whichever place."""
        return self.generation.eos_tokens or self.grpo.eos_tokens

    @property
    def num_updates(self) -> int:
        """Updates of the weights in the whole run."""
        return self.training.num_steps * self.grpo.num_iterations

    @property
    def schedule(self) -> str:
        """Which curve the learning rate follows."""
        name = self.optimizer.schedule_type or self.scheduler.name
        return "warmup_cosine" if name == "cosine" else name

    @property
    def warmup_updates(self) -> int:
        """Updates in which the learning rate rises."""
        if self.optimizer.warmup_steps is not None:
            return self.optimizer.warmup_steps
        is_cosine = self.scheduler.name in ("cosine", "warmup_cosine")
        usual = _COSINE_WARMUP if is_cosine else 0.0
        given = self.scheduler.warmup_fraction
        return round((usual if given is None else given) * self.num_updates)

    @model_validator(mode="after")
    def _check(self) -> RunConfig:
        rules = Rules()
        given, older = self.generation.eos_tokens, self.grpo.eos_tokens
        if given is not None and older is not None and set(given) != set(older):
            rules.broken(
                f"found {list(older)}, but generation.eos_tokens = {list(given)}; give one",
                "grpo",
                "eos_tokens",
            )
        self._check_schedule(rules)
        self._check_answers(rules)
        by_default = self.data is not self.training and self.model.is_random
        if by_default and self.training.prompt is not None:
            rules.broken("has no effect on the synthetic sums", "training", "prompt")
        self._check_engine(rules)
        if self.warmup_updates > self.num_updates:
            rules.broken(
                f"found {self.warmup_updates}; the run has {self.num_updates} updates",
                "optimizer",
                "warmup_steps",
            )
        rules.enforce()
        return self

    def _check_schedule(self, rules: Rules) -> None:
        """Refuse two values of one setting; the tree's own `scheduler.name` gives way."""
        steps, fraction = self.optimizer.warmup_steps, self.scheduler.warmup_fraction
        if steps is not None and fraction is not None and steps != fraction * self.num_updates:
            rules.broken(
                f"found {steps}, but scheduler.warmup_fraction = {fraction:g} of "
                f"{self.num_updates} updates; give one",
                "optimizer",
                "warmup_steps",
            )
        name, older = self.scheduler.name, self.optimizer.schedule_type
        if older is not None and name not in ("warmup_cosine", older):
            rules.broken(
                f"found {older}, but scheduler.name = {name}; give one",
                "optimizer",
                "schedule_type",
            )

    def _check_engine(self, rules: Rules) -> None:
        """Refuse what the engines other than Tunix's own sampler are not set up for."""
        engine = self.generation.engine
        if engine == "vanilla":
            return
        if self.model.trains_lora:
            rules.broken(
                f"{engine} samples from all weights here; set model.lora_rank=null",
                "generation",
                "engine",
            )
        if self.grpo.num_iterations > 1:
            rules.broken(
                f"{engine} gives no probabilities for several updates on the same answers; set "
                "grpo.num_iterations=1",
                "generation",
                "engine",
            )

    def _check_answers(self, rules: Rules) -> None:
        """Refuse rewards that need true answers where the data have none."""
        if any(source.answer_column is not None for source in self.data.sources):
            return
        for name in NEED_ANSWERS:
            entry = self.grpo.rewards.get(name)
            if entry is not None and entry.function is None and entry.weight:
                rules.broken(
                    "it compares with true answers, but training.answer_column says that there "
                    f"are none; remove it: grpo.rewards.{name}=0",
                    "grpo",
                    "rewards",
                    name,
                )
