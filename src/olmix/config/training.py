"""How one run is trained: the embedded proxy trainer, OLMo-core, or a command of your own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_serializer,
    field_validator,
    model_validator,
)

from olmix.config.base import LocalPath, NonNegative, Positive, Rules, Section, TokenCount, is_kept
from olmix.config.batch import read_batch, render_batch
from olmix.config.olmo_sizes import MODEL_PARAMETERS
from olmix.config.secrets import refuse_secrets
from olmix.errors import nearest

__all__ = ["CommandTraining", "InstanceFilter", "OlmoCoreTraining", "ProxyTraining", "Training"]

_Count = Annotated[int, Field(ge=1)]
_Unit = Annotated[float, Field(ge=0, lt=1)]
_Batch = Annotated[
    int,
    Field(ge=1),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]}),
]

MIX_FILE = "mix.json"
"""The mixture of a run, for a command: ``{domain: {weight, repetition_factor}}``."""
MANIFEST_FILE = "data_manifest.json"
"""The data of a run, for a command: paths, weight and repetition of each domain."""
PLACEHOLDERS = ("config", "mix_json", "data_manifest", "run_dir", "max_tokens", "seed")
"""The names that `CommandTraining.command` may use in braces."""

CHINCHILLA_TOKENS_PER_PARAMETER = 20
"""Tokens per non-embedding parameter of a compute-optimal run (Hoffmann et al. 2022)."""


def _check_length(section: Any, rules: Rules) -> None:
    if section.max_tokens is not None and section.chinchilla_multiple is not None:
        rules.broken("give max_tokens or chinchilla_multiple, not both", "max_tokens")


class _Matched(Section):
    """The large run that a run stands for, whatever trains it."""

    target_tokens: TokenCount | None = None
    """Tokens of the large run that this one stands for. Each domain is cut to `max_tokens /
    target_tokens` of its tokens, so that a weight means as many passes over it as in the large run.
    If left out, nothing is cut."""
    target_parameters: TokenCount | None = None
    """Non-embedding parameters of the large model; previews compare tokens per parameter."""
    subset_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """Seed for which part of each domain is kept, the same for all runs of a swarm; 0 if left
    out."""

    @property
    def num_tokens(self) -> int:
        """Tokens of a run."""
        raise NotImplementedError

    @property
    def pass_tokens(self) -> int:
        """Tokens by which passes are counted: a weight means so many tokens of its domain."""
        return self.num_tokens if self.target_tokens is None else self.target_tokens

    @property
    def subset_share(self) -> float:
        """Share of each domain's tokens that a run may see."""
        return self.num_tokens / self.pass_tokens

    def _check_target(self, rules: Rules) -> None:
        if self.target_tokens is None:
            for key in ("target_parameters", "subset_seed"):
                if getattr(self, key) is not None:
                    rules.broken("it belongs to target_tokens; give that too", key)
        elif self.num_tokens > self.target_tokens:
            rules.broken(
                f"found {self.target_tokens:,}, but a run has {self.num_tokens:,} tokens; the "
                "large run has at least as many",
                "target_tokens",
            )


class ProxyTraining(_Matched):
    """The embedded trainer: a small decoder-only transformer that trains in seconds on one core."""

    trainer: Literal["proxy"] = "proxy"
    """Which trainer runs."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the initial weights and of the order of each domain's data."""
    max_tokens: TokenCount | None = None
    """Tokens of one run; 160K when `chinchilla_multiple` is not given either."""
    chinchilla_multiple: Positive | None = None
    """Length of a run as a multiple of 20 tokens per non-embedding parameter."""

    d_model: Annotated[int, Field(ge=8, le=8192)] = 64
    """Width of the residual stream."""
    num_layers: Annotated[int, Field(ge=1, le=128)] = 1
    """Number of transformer blocks."""
    num_heads: Annotated[int, Field(ge=1)] = 4
    """Attention heads; each is `d_model / num_heads` wide, an even number."""
    d_hidden: _Count | None = None
    """Width of the SwiGLU layer; 8/3 of `d_model`, rounded up to a multiple of 8, if left out."""
    context_length: Annotated[int, Field(ge=2, le=65536)] = 64
    """Tokens of one sequence."""
    batch_size: _Count = 8
    """Sequences of one step."""

    learning_rate: Positive = 8e-3
    """Peak learning rate of AdamW."""
    embedding_lr_multiplier: Positive = 16.0
    """Factor on the learning rate of the embedding table."""
    beta1: _Unit = 0.9
    """Decay of AdamW's first moment."""
    beta2: _Unit = 0.98
    """Decay of AdamW's second moment."""
    weight_decay: NonNegative = 0.1
    """Decoupled weight decay of the matrices; embeddings and norms have none."""
    clip_norm: Positive = 1.0
    """Largest norm of the gradient."""
    warmup_fraction: _Unit = 0.1
    """Share of the steps in which the learning rate rises; after that it falls linearly to 0."""

    log_interval: _Count = 32
    """Steps between records of the training loss."""
    eval_interval: Annotated[int, Field(ge=0)] = 0
    """Steps between evaluations; 0 evaluates only at the end."""
    checkpoint_interval_s: NonNegative = 10.0
    """Seconds between checkpoints; a killed run resumes from its last one."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        _check_length(self, rules)
        if self.d_model % (2 * self.num_heads):
            rules.broken(
                f"d_model = {self.d_model} does not split into {self.num_heads} heads of equal, "
                "even width",
                "num_heads",
            )
        elif self.num_tokens < self.batch_size * self.context_length:
            rules.broken(
                f"{self.num_tokens} tokens are less than one step of {self.batch_size} x "
                f"{self.context_length}",
                "max_tokens",
            )
        self._check_target(rules)
        rules.enforce()
        return self

    @property
    def hidden(self) -> int:
        """Width of the SwiGLU layer."""
        return self.d_hidden if self.d_hidden is not None else -(-8 * self.d_model // 24) * 8

    @property
    def num_parameters(self) -> int:
        """Non-embedding parameters: attention, SwiGLU, norms of the blocks, and a last norm."""
        width = self.d_model
        block = 4 * width * width + 3 * width * self.hidden + 2 * width
        return self.num_layers * block + width

    @property
    def num_steps(self) -> int:
        """Steps of a run: as many whole ones as its tokens give."""
        return max(1, self.num_tokens // (self.batch_size * self.context_length))

    @property
    def num_tokens(self) -> int:
        """Tokens of a run."""
        if self.max_tokens is not None:
            return self.max_tokens
        if self.chinchilla_multiple is not None:
            per_parameter = CHINCHILLA_TOKENS_PER_PARAMETER * self.chinchilla_multiple
            return round(per_parameter * self.num_parameters)
        return 160_000


class InstanceFilter(Section):
    """Which sequences are too repetitive to count in the loss (OLMo-core)."""

    repetition_max_period: _Count = 13
    """Longest run of tokens that counts as one repetition."""
    repetition_min_period: _Count = 1
    """Shortest run of tokens that counts as one repetition."""
    repetition_max_count: _Count = 32
    """Repetitions in a row at which a sequence is left out."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        low, high = self.repetition_min_period, self.repetition_max_period
        if low > high:
            rules.broken(
                f"it is {low}, above repetition_max_period = {high}; swap them",
                "repetition_min_period",
            )
        rules.enforce()
        return self


class OlmoCoreTraining(_Matched):
    """A run of OLMo-core, the trainer of the OLMo models."""

    trainer: Literal["olmo_core"] = "olmo_core"
    """Which trainer runs."""
    proxy_model_id: Annotated[str, Field(min_length=1)]
    """Name of the model, such as `olmo3_14m`; any name if `model_parameters` is given."""
    model_parameters: TokenCount | None = None
    """Non-embedding parameters of a model of your own; those of OLMo 2 and 3 are known."""
    tokenizer: str = "dolma2"
    """Name of the tokenizer, as OLMo-core knows it; `data.tokenizer` takes its place."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the initial weights and of the order of the data."""
    max_tokens: TokenCount | None = None
    """Tokens of one run."""
    chinchilla_multiple: Positive | None = None
    """Length of a run as a multiple of 20 tokens per non-embedding parameter."""
    sequence_length: Annotated[int, Field(ge=2, le=1_048_576)] = 2048
    """Tokens of one sequence."""
    device_batch_size: _Count = 4
    """Most sequences that one device processes at once; a step consists of several such parts."""
    global_batch_size: _Batch | None = None
    """Size of one step on all devices, `16 sequences` or `32768 tokens`; a bare number counts
    tokens. If left out, it follows from the size of the model."""
    learning_rate: Positive | None = None
    """Peak learning rate; if left out, it follows from the size of the model."""
    checkpoint_path: LocalPath | None = None
    """Checkpoint to start from, or a folder of them: the weights of the latest, not its step or its
    optimizer."""
    checkpoint_interval: _Count = 1000
    """Steps between checkpoints; a killed run resumes from its last one."""
    train_type: Literal["pretrain", "anneal"] = "pretrain"
    """`pretrain` warms the learning rate up and lets it fall along a cosine, `anneal` lets it fall
    linearly to 0."""
    eval_interval: _Count = 1000
    """Steps between evaluations."""
    no_eval: bool = False
    """Whether to skip evaluation."""
    instance_filter: bool | InstanceFilter = False
    """Whether highly repetitive sequences are left out of the loss, or what counts as highly
    repetitive."""

    @field_validator("global_batch_size", mode="before")
    @classmethod
    def _read_batch(cls, value: object, info: ValidationInfo) -> object:
        length = info.data.get("sequence_length")
        # Without a valid length, that alone is reported.
        return None if length is None else read_batch(value, length, kept=is_kept(info))

    @field_serializer("global_batch_size")
    def _render_batch(self, value: int | None) -> int | str | None:
        return None if value is None else render_batch(value, self.sequence_length)

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        _check_length(self, rules)
        if self.max_tokens is None and self.chinchilla_multiple is None:
            rules.broken("give max_tokens or chinchilla_multiple", "max_tokens")
        if self.chinchilla_multiple is not None and self.num_parameters is None:
            guess = nearest(self.proxy_model_id, MODEL_PARAMETERS)
            hint = f"did you mean `{guess}`? Or" if guess is not None else "for your own model,"
            rules.broken(
                f'found "{self.proxy_model_id}", whose size is not known; {hint} give '
                "model_parameters",
                "proxy_model_id",
            )
        if self.global_batch_size is not None and self.global_batch_size % self.sequence_length:
            rules.broken(
                f"{self.global_batch_size} tokens are not a whole number of sequences of "
                f"{self.sequence_length}",
                "global_batch_size",
            )
        if self.max_tokens is not None or self.num_parameters is not None:
            self._check_target(rules)
        rules.enforce()
        return self

    @property
    def num_parameters(self) -> int | None:
        """Non-embedding parameters of the model, where they are known."""
        if self.model_parameters is not None:
            return self.model_parameters
        return MODEL_PARAMETERS.get(self.proxy_model_id)

    @property
    def num_tokens(self) -> int:
        """Tokens of a run: `max_tokens`, or 20 x parameters x `chinchilla_multiple`."""
        if self.max_tokens is not None:
            return self.max_tokens
        per_parameter = CHINCHILLA_TOKENS_PER_PARAMETER * (self.chinchilla_multiple or 1.0)
        return round(per_parameter * (self.num_parameters or 0))


class CommandTraining(_Matched):
    """Any trainer, as a command.

    Placeholders give it the files that say what to train on, and `OLMIX_RUN_DIR` is the folder of
    its run. It reports by writing lines to `metrics.jsonl` there, or through `olmix.runlog`.
    """

    trainer: Literal["command"] = "command"
    """Which trainer runs."""
    command: Annotated[str, Field(min_length=1)]
    """Command with the placeholders {config} {mix_json} {data_manifest} {run_dir} {max_tokens}
    {seed}; no shell reads it, so for pipes write `bash -c '...'`. Double a literal brace."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed passed to the command."""
    max_tokens: TokenCount
    """Tokens of one run."""

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        rules = Rules()
        try:
            self.words(Path("run"))
        except KeyError as error:
            rules.broken(
                f"found {{{error.args[0]}}}; known are "
                + ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
                + ", and a brace is written twice",
                "command",
            )
        except (ValueError, IndexError) as error:
            rules.broken(f"cannot be read as a command: {error}", "command")
        refuse_secrets(rules, info, self.command, "command")
        self._check_target(rules)
        rules.enforce()
        return self

    @property
    def num_tokens(self) -> int:
        """Tokens of a run."""
        return self.max_tokens

    def words(self, run_dir: Path) -> list[str]:
        """Return the command of a run as a list of words.

        Args:
            run_dir: folder of the run.

        Raises:
            KeyError: an unknown placeholder.
            ValueError: quotes or braces that do not close.
        """
        values = {
            "config": run_dir / "config.yaml",
            "mix_json": run_dir / MIX_FILE,
            "data_manifest": run_dir / MANIFEST_FILE,
            "run_dir": run_dir,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
        }
        words = [word.format_map(values) for word in shlex.split(self.command)]
        if not words:
            raise ValueError("it is empty")
        return words


def _trainer(value: object) -> str | None:
    """Return the trainer of a training section; `proxy_model_id` alone means OLMo-core."""
    if not isinstance(value, dict):
        return getattr(value, "trainer", "proxy")
    trainer = value.get("trainer")
    if trainer is None:
        trainer = "olmo_core" if "proxy_model_id" in value else "proxy"
    return trainer if isinstance(trainer, str) else str(trainer)


Training = Annotated[
    Annotated[ProxyTraining, Tag("proxy")]
    | Annotated[OlmoCoreTraining, Tag("olmo_core")]
    | Annotated[CommandTraining, Tag("command")],
    Discriminator(_trainer),
]
"""A training section, told apart by `trainer`."""
