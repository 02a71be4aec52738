"""Questions with answers, split and put in order: from one dataset, or from several with weights.

Training and evaluation never see the same question: a tenth of the different texts is held out,
whatever else they are asked with, or the questions are those of a test of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from olmix.errors import DataError
from olmix.grpo.data_sources import read_questions
from olmix.grpo.questions import Question
from olmix.grpo.training_config import TrainingConfig

__all__ = [
    "Dataset",
    "Part",
    "batches",
    "held_out_questions",
    "is_local",
    "load_dataset",
    "pass_rates",
    "split_questions",
]

_HELD_OUT = 10
"""One question in this many is for evaluation."""


@dataclass(frozen=True)
class Part:
    """One dataset, split.

    Attributes:
        name: of the dataset; empty where it is the only one.
        weight: share of the questions of a run, relative to the other datasets.
        train: to train on.
        held_out: for evaluation.
    """

    name: str
    weight: float
    train: Sequence[Question]
    held_out: Sequence[Question]


@dataclass(frozen=True)
class Dataset:
    """Questions, split.

    Attributes:
        parts: the datasets; no text that one of them holds out is trained on in any.
        num_copies: questions whose text stood before them in the data. Those to train on stay,
            those held out are left out.
        num_too_long: questions that were left out because their prompts are too long.
    """

    parts: tuple[Part, ...]
    num_copies: int = 0
    num_too_long: int = 0

    @property
    def train(self) -> list[Question]:
        """The questions to train on, of all datasets that have a weight."""
        return [question for part in self.parts if part.weight for question in part.train]

    @property
    def held_out(self) -> list[Question]:
        """The questions for evaluation, of all datasets."""
        return [question for part in self.parts for question in part.held_out]

    def within(self, length_of: Callable[[Question], int], room: int) -> Dataset:
        """Leave out questions whose prompts have more than `room` tokens.

        Raises:
            DataError: too few are left.
        """
        lengths: list[int] = []

        def fitting(questions: Sequence[Question]) -> list[Question]:
            found = [length_of(question) for question in questions]
            lengths.extend(found)
            return [q for q, length in zip(questions, found, strict=True) if length <= room]

        kept = tuple(
            replace(part, train=fitting(part.train), held_out=fitting(part.held_out))
            for part in self.parts
        )
        for part in kept:
            if (part.weight and not part.train) or not part.held_out:
                raise DataError(
                    f"generation.max_prompt_length = {room}, but the prompts have "
                    f"{min(lengths)} to {max(lengths)} tokens: it leaves {len(part.train)} "
                    f"questions to train on and {len(part.held_out)} to evaluate"
                    + (f" of {part.name}" if part.name else "")
                )
        left = sum(length > room for length in lengths)
        return replace(self, parts=kept, num_too_long=left)

    def chosen(self, keep: Callable[[Question], bool]) -> Dataset:
        """Leave out questions to train on.

        Raises:
            DataError: none is left of a dataset that has a weight.
        """
        parts = tuple(
            replace(part, train=[question for question in part.train if keep(question)])
            for part in self.parts
        )
        for part in parts:
            if part.weight and not part.train:
                raise DataError(
                    "training.curriculum leaves no question to train on"
                    + (f" of {part.name}" if part.name else "")
                    + "; widen min_pass_rate and max_pass_rate"
                )
        return replace(self, parts=parts)


def is_local(config: TrainingConfig) -> bool:
    """Whether the questions can be read without a network."""
    return all(source.kind in ("synthetic", "jsonl") for source in config.sources)


def load_dataset(config: TrainingConfig) -> Dataset:
    """Read all questions of the datasets, and split them.

    Raises:
        DataError: a file, dataset or column is missing.
        MissingPackageError: a source needs a package that is not installed.
    """
    parts: list[Part] = []
    copies = 0
    for source in config.sources:
        name = source.name or str(source.path or source.kind)
        questions = read_questions(source)
        if source.has_test:
            tests = _by_text(read_questions(source, test=True))
            if not questions or not tests:
                raise DataError(f"{name}: there are no questions to train on, or none in its test")
            held = [group[0] for group in tests.values()]
            copies += len(questions) - len(_by_text(questions))
            parts.append(Part(source.name, source.weight, questions, held))
        else:
            split = split_questions(questions, name)
            copies += split.num_copies
            parts.append(replace(split.parts[0], name=source.name, weight=source.weight))
    held_texts = {question.key for part in parts for question in part.held_out}
    if len(parts) > 1 or config.sources[0].has_test:
        trained = [[q for q in part.train if q.key not in held_texts] for part in parts]
        copies += sum(len(p.train) - len(t) for p, t in zip(parts, trained, strict=True))
        parts = [replace(part, train=left) for part, left in zip(parts, trained, strict=True)]
    for part, source in zip(parts, config.sources, strict=True):
        if part.weight and not part.train:
            raise DataError(
                f"{source.name or source.path}: every question to train on is held out for "
                "evaluation, there or in another dataset; no question is left to train on"
            )
    if len(parts) > 1:
        parts = [_named(part) for part in parts]
    return Dataset(tuple(parts), num_copies=copies)


def _named(part: Part) -> Part:
    """Give each question of a dataset its name, as the column `dataset`."""

    def name(question: Question) -> Question:
        return replace(question, columns={"dataset": part.name, **question.columns})

    return replace(
        part, train=[name(q) for q in part.train], held_out=[name(q) for q in part.held_out]
    )


def _by_text(questions: Sequence[Question]) -> dict[str, list[Question]]:
    groups: dict[str, list[Question]] = {}
    for entry in questions:
        groups.setdefault(entry.key, []).append(entry)
    return groups


def split_questions(questions: Sequence[Question], name: str = "questions") -> Dataset:
    """Hold out every tenth text of a fixed shuffle of the different texts.

    Raises:
        DataError: there are too few different texts.
    """
    groups = list(_by_text(questions).values())
    if len(groups) < _HELD_OUT:
        raise DataError(
            f"{name}: {len(groups)} different questions; at least {_HELD_OUT} are needed"
        )
    shuffled = [groups[index] for index in np.random.default_rng(0).permutation(len(groups))]
    kept = [group for index, group in enumerate(shuffled) if index % _HELD_OUT]
    part = Part(
        name="",
        weight=1.0,
        train=[entry for group in kept for entry in group],
        held_out=[group[0] for group in shuffled[::_HELD_OUT]],
    )
    return Dataset((part,), num_copies=len(questions) - len(groups))


def held_out_questions(dataset: Dataset, count: int | None, seed: int) -> list[Question]:
    """Return up to `count` questions that training does not see, all where it is left out.

    Of several datasets each gives the same number, whatever its weight: runs with other mixtures
    are measured on the same questions.
    """
    shared = None if count is None else max(1, count // len(dataset.parts))
    chosen: list[Question] = []
    for part in dataset.parts:
        order = np.random.default_rng(seed).permutation(len(part.held_out))
        chosen.extend(part.held_out[index] for index in order[:shared])
    return chosen


def batches(
    dataset: Dataset,
    *,
    batch_size: int,
    num_batches: int,
    epochs: int,
    seed: int,
    easiness: Callable[[Question], float] | None = None,
) -> Iterator[list[Question]]:
    """Yield the batches of a run: `num_batches` an epoch, the same batches in another order each.

    The stream depends on its arguments alone, so a resumed run skips what it has seen. Questions
    repeat where `num_batches` asks for more than there are. With `easiness` an epoch begins with
    the easiest of its questions.
    """
    rng = np.random.default_rng(seed)
    count = num_batches * batch_size
    drawn = _drawn(dataset, count, rng, seed)
    if easiness is not None:
        drawn.sort(key=lambda question: -easiness(question))
    in_order = range(num_batches)
    for epoch in range(epochs):
        fixed = epoch == 0 or easiness is not None
        for row in in_order if fixed else rng.permutation(num_batches):
            yield drawn[row * batch_size : (row + 1) * batch_size]


def _drawn(dataset: Dataset, count: int, rng: np.random.Generator, seed: int) -> list[Question]:
    """Return `count` questions: shuffles of each dataset, one after the other, in fixed shares.

    After n questions each dataset has given its share of n, to less than one question; so two runs
    with other weights differ by them alone.
    """
    parts = [(index, part) for index, part in enumerate(dataset.parts) if part.weight]
    if len(parts) == 1:
        return _cycle(parts[0][1].train, count, rng)
    weights = np.array([part.weight for _, part in parts])
    shares = weights / weights.sum()
    streams = [
        iter(_cycle(part.train, count, np.random.default_rng([seed, index])))
        for index, part in parts
    ]
    given = np.zeros(len(parts))
    drawn: list[Question] = []
    for number in range(1, count + 1):
        chosen = int(np.argmax(number * shares - given))
        given[chosen] += 1
        drawn.append(next(streams[chosen]))
    return drawn


def _cycle(questions: Sequence[Question], count: int, rng: np.random.Generator) -> list[Question]:
    order: list[int] = []
    while len(order) < count:
        order.extend(rng.permutation(len(questions)))
    return [questions[index] for index in order[:count]]


def pass_rates(questions: Sequence[Question], column: str) -> Mapping[str, float]:
    """Return the pass rate of each question by its text, from a column of the data.

    Raises:
        DataError: a question has none, or one that is no share.
    """
    rates: dict[str, float] = {}
    for question in questions:
        value = question.columns.get(column)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise DataError(
                f"training.curriculum.column = {column}: found {value!r} for the question "
                f'"{question.question[:60]}"; a number from 0 to 1 is needed'
            )
        rates[question.key] = float(value)
    return rates
