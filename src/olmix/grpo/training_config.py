"""The section `training` of a configuration: data, batches and checkpoints."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from olmix.config.base import NonNegative, Positive, Rules, Section, Weight

__all__ = ["CurriculumConfig", "DatasetConfig", "QuestionSource", "TrainingConfig", "fields_of"]

_Count = Annotated[int, Field(ge=1)]
_Kind = Literal["synthetic", "jsonl", "huggingface", "tfds", "kaggle"]
SYNTHETIC = ("sums", "copying", "sorting")
"""Tasks that are made here."""
_WITHOUT_SPLITS = (None, "synthetic", "jsonl", "kaggle")


@dataclass(frozen=True)
class QuestionSource:
    """One dataset as it is read, all defaults filled in.

    Attributes:
        name: of the dataset; empty where it is the only one.
        kind: where it is.
        path: file, folder or name.
        subset: part of it.
        split: to train on.
        test_path: another file or dataset to evaluate on.
        test_split: another split to evaluate on.
        question_column: of the questions; `None` where `prompt` makes them.
        answer_column: of the true answers; `None` where there are none.
        prompt: template of the question.
        system_prompt: what the model is told before; `None` for the built-in instruction.
        weight: share of the questions of a run, relative to the others.
    """

    name: str
    kind: str
    path: str | None
    subset: str | None
    split: str
    test_path: str | None
    test_split: str | None
    question_column: str | None
    answer_column: str | None
    prompt: str | None
    system_prompt: str | None
    weight: float

    @property
    def has_test(self) -> bool:
        """Whether it is evaluated on questions of their own."""
        return self.test_path is not None or self.test_split is not None


class _Questions(Section):
    """Settings that one dataset and the whole training have in common."""

    data_source: _Kind | None = None
    """Where the questions come from; `synthetic` is generated. If left out: sums for a model with
    random weights, GSM8K from Hugging Face for others."""
    data_path: str | None = None
    """File, folder or name of the dataset."""
    data_subset: str | None = None
    """Configuration of a Hugging Face dataset, the file in a Kaggle one, or which built-in task:
    sums, copying or sorting."""
    test_path: str | None = None
    """Another file or dataset to evaluate on, instead of a tenth of the questions."""
    test_split: str | None = None
    """Another split of the dataset to evaluate on, instead of a tenth of the questions."""
    prompt: str | None = None
    """Template of the question, with columns in braces: `Translate to {language}: {text}`."""
    system_prompt: str | None = None
    """What the model is told before the question, instead of the built-in instruction; empty for
    nothing."""

    def _check_questions(self, rules: Rules, *where: str) -> None:
        if self.data_source == "synthetic":
            for key in ("data_path", "test_path", "test_split", "prompt"):
                if getattr(self, key) is not None:
                    rules.broken("has no effect with data_source=synthetic", *where, key)
            if self.data_subset not in (None, *SYNTHETIC):
                rules.broken(
                    f'found "{self.data_subset}"; made here are {", ".join(SYNTHETIC)}',
                    *where,
                    "data_subset",
                )
        elif self.data_source is not None and self.data_path is None:
            rules.broken(f"data_source={self.data_source} needs it", *where, "data_path")
        if self.data_source in ("jsonl", "kaggle") and self.test_split is not None:
            rules.broken("files have no splits; use test_path", *where, "test_split")
        for what in _problems_of(self.prompt):
            rules.broken(what, *where, "prompt")


class DatasetConfig(_Questions):
    """One of several datasets; keys that are left out are taken from `training`."""

    weight: NonNegative = 1.0
    """Share of the questions of a run, relative to those of the other datasets."""
    data_split: str | None = None
    """Split of a Hugging Face or TensorFlow dataset."""
    question_column: str | None = None
    """Column of the questions."""
    answer_column: str | None = None
    """Column of the true answers; empty where there are none."""


class CurriculumConfig(Section):
    """Choose and order questions by how often the base model answers them correctly."""

    column: str | None = None
    """Column with the pass rates; if left out, they are measured before training."""
    num_samples: _Count = 4
    """Answers per question from which its pass rate is measured."""
    min_pass_rate: Weight = 0.0
    """Leave out questions that are answered correctly less often."""
    max_pass_rate: Weight = 1.0
    """Leave out questions that are answered correctly more often."""
    order: Literal["easy_first", "shuffled"] = "easy_first"
    """Whether a run starts with the questions that are answered correctly most often."""


class TrainingConfig(_Questions):
    """Data, batches and checkpoints."""

    data_split: str = "train"
    """Split of a Hugging Face or TensorFlow dataset."""
    question_column: str | None = "question"
    """Column of the questions: texts, or chats (lists of `role` and `content`)."""
    answer_column: str | None = "answer"
    r"""Column of the true answers: after `####`, in `\boxed{}`, or the whole text. Null or empty if
    there are none, for rewards that need none."""
    datasets: dict[str, DatasetConfig] = Field(default_factory=dict)
    """Several datasets by name, each with a weight, instead of `data_source`."""
    mixture: str | None = None
    """File with the weights of the datasets: a variant of `olmix generate`, or its `mix_json`."""
    curriculum: CurriculumConfig | None = None
    """Choose and order questions by pass rate."""
    num_batches: _Count = 100
    """Batches per epoch."""
    batch_size: _Count = 4
    """Prompts per batch; each gets `grpo.num_generations` answers."""
    micro_batch_size: _Count | None = None
    """Prompts on the device at a time."""
    epochs: _Count = 1
    """Passes over the batches."""
    num_epochs: _Count | None = None
    """Older form of `epochs`."""
    gradient_clip: Positive | None = None
    """Largest norm of the gradient; no limit if left out."""
    checkpoint_dir: str | None = None
    """Folder of the checkpoints; `checkpoints/` in the run's folder where left out."""
    checkpoint_interval: _Count = 50
    """Steps between two checkpoints; the last step is always kept."""
    max_checkpoints: _Count = 3
    """Checkpoints to keep."""
    resume: Literal["auto", "never", "must"] = "auto"
    """Whether to continue from a checkpoint in the folder."""
    samples_per_step: Annotated[int, Field(ge=0)] = 2
    """Answers of each step to keep in samples.jsonl."""

    @property
    def passes(self) -> int:
        """Passes over the batches, by whichever name."""
        return self.epochs if self.num_epochs is None else self.num_epochs

    @property
    def num_steps(self) -> int:
        """Batches of the whole run."""
        return self.num_batches * self.passes

    @property
    def sources(self) -> tuple[QuestionSource, ...]:
        """The datasets, each with what `training` says where it says nothing itself."""
        if not self.datasets:
            return (_source("", self, self, 1.0),)
        return tuple(_source(n, entry, self, entry.weight) for n, entry in self.datasets.items())

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        rules = Rules()
        if self.num_epochs is not None and self.epochs not in (1, self.num_epochs):
            rules.broken(f"contradicts training.epochs = {self.epochs}; give one", "num_epochs")
        if self.data_source is None and not self.datasets:
            for key in ("data_path", "data_subset", "test_path", "test_split"):
                if getattr(self, key) is not None:
                    rules.broken(
                        f"say what kind {key} is: jsonl, huggingface, tfds or kaggle", "data_source"
                    )
                    break
        self._check_questions(rules)
        self._check_datasets(rules)
        for source in self.sources:
            if source.question_column is None and source.prompt is None:
                rules.broken("where there is none, training.prompt is needed", "question_column")
        if self.micro_batch_size is not None and self.batch_size % self.micro_batch_size:
            rules.broken(
                f"found {self.micro_batch_size}; it must divide batch_size = {self.batch_size}",
                "micro_batch_size",
            )
        self._check_curriculum(rules)
        rules.enforce()
        return self

    def _check_datasets(self, rules: Rules) -> None:
        if self.mixture is not None and not self.datasets:
            rules.broken("has no effect without training.datasets", "mixture")
        if not self.datasets:
            return
        for key in ("data_source", "data_path", "data_subset", "test_path"):
            if getattr(self, key) is not None:
                rules.broken("has no effect beside training.datasets", key)
        for name, entry in self.datasets.items():
            if not re.fullmatch(r"[\w.:-]+", name):
                rules.broken("letters, digits and . : - are allowed in a name", "datasets", name)
            if entry.data_source is None:
                rules.broken(
                    "it is needed: jsonl, huggingface, ...", "datasets", name, "data_source"
                )
            entry._check_questions(rules, "datasets", name)
        if not any(entry.weight for entry in self.datasets.values()):
            rules.broken("all weights are 0: there is nothing to train on", "datasets")

    def _check_curriculum(self, rules: Rules) -> None:
        chosen = self.curriculum
        if chosen is not None and chosen.min_pass_rate > chosen.max_pass_rate:
            rules.broken(
                f"found {chosen.min_pass_rate:g}, above max_pass_rate = {chosen.max_pass_rate:g}",
                "curriculum",
                "min_pass_rate",
            )


def _source(
    name: str, entry: TrainingConfig | DatasetConfig, shared: TrainingConfig, weight: float
) -> QuestionSource:
    def either(key: str) -> str | None:
        own = getattr(entry, key)
        found: str | None = getattr(shared, key) if own is None else own
        return found

    prompt = either("prompt")
    return QuestionSource(
        name=name,
        kind=entry.data_source or "synthetic",
        path=entry.data_path,
        subset=entry.data_subset,
        split=either("data_split") or "train",
        test_path=entry.test_path,
        test_split=None if entry.data_source in _WITHOUT_SPLITS else either("test_split"),
        question_column=either("question_column"),
        answer_column=either("answer_column") or None,
        prompt=prompt,
        system_prompt=either("system_prompt"),
        weight=weight,
    )


def fields_of(template: str) -> list[str]:
    """Return the columns that a template of a prompt names, each once.

    Raises:
        ValueError: it is no template.
    """
    fields = string.Formatter().parse(template)
    return list(dict.fromkeys(name for _, name, _, _ in fields if name is not None))


def _problems_of(template: str | None) -> Iterator[str]:
    """Yield what is wrong with a template of a prompt."""
    if template is None:
        return
    try:
        names = fields_of(template)
    except ValueError as error:
        yield f"{error}; write a brace that is not a column twice"
        return
    if not names:
        yield "names no column in braces, so all questions would be the same"
    for name in names:
        if not re.fullmatch(r"[^\W\d][\w ]*", name):
            yield f"found {{{name}}}; the name of a column is needed, and other braces twice"
