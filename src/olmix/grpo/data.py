"""Questions with answers: made here, from a file, or from a hub.

Training and evaluation never see the same question: a tenth of the different texts is held out,
whatever else they are asked with.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from olmix.errors import DataError, needs
from olmix.grpo.config import TrainingConfig
from olmix.text.files import json_lines

__all__ = [
    "Dataset",
    "Question",
    "batches",
    "held_out_questions",
    "is_local",
    "load_dataset",
    "load_questions",
    "split_questions",
    "synthetic_questions",
]

_HELD_OUT = 10
"""One question in this many is for evaluation."""


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        question: the text.
        answer: the true answer.
        columns: the other columns of the dataset, handed to rewards.
    """

    question: str
    answer: str
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class Dataset:
    """Questions, split.

    Attributes:
        train: to train on.
        held_out: for evaluation; no text of them is trained on.
        num_copies: questions whose text stood before them in the data. Those to train on stay,
            those held out are left out.
        num_too_long: questions that were left out because their prompts are too long.
    """

    train: Sequence[Question]
    held_out: Sequence[Question]
    num_copies: int = 0
    num_too_long: int = 0

    def within(self, length_of: Callable[[str], int], room: int) -> Dataset:
        """Leave out questions whose prompts have more than `room` tokens.

        Raises:
            DataError: too few are left.
        """
        lengths = {q.question: length_of(q.question) for q in (*self.train, *self.held_out)}
        train, held = (
            [q for q in part if lengths[q.question] <= room] for part in (self.train, self.held_out)
        )
        if not train or not held:
            raise DataError(
                f"generation.max_prompt_length = {room}, but the prompts have "
                f"{min(lengths.values())} to {max(lengths.values())} tokens: it leaves "
                f"{len(train)} questions to train on and {len(held)} to evaluate"
            )
        left = len(self.train) + len(self.held_out) - len(train) - len(held)
        return replace(self, train=train, held_out=held, num_too_long=left)


def synthetic_questions() -> list[Question]:
    """Return the sums and differences of two numbers below 20 with results from 0 to 38."""
    numbers = range(20)
    made = [
        (f"What is {a} {sign} {b}?", f"{a} {sign} {b} = {result}", str(result))
        for a in numbers
        for b in numbers
        for sign, result in (("+", a + b), ("-", a - b))
        if result >= 0
    ]
    return [Question(text, answer, {"reasoning": worked}) for text, worked, answer in made]


def load_questions(config: TrainingConfig) -> list[Question]:
    """Read all questions of the source.

    Raises:
        DataError: a file, dataset or column is missing.
        MissingPackageError: the source needs a package that is not installed.
    """
    source = config.data_source
    if source is None or source == "synthetic":
        return synthetic_questions()
    readers = {
        "jsonl": _read_jsonl,
        "huggingface": _read_huggingface,
        "tfds": _read_tfds,
        "kaggle": _read_kaggle,
    }
    return list(_questions(readers[source](config), config))


def is_local(config: TrainingConfig) -> bool:
    """Whether the questions can be read without a network."""
    return config.data_source in ("synthetic", "jsonl")


def load_dataset(config: TrainingConfig) -> Dataset:
    """Read all questions of the source, and split them.

    Raises:
        DataError: a file, dataset or column is missing.
        MissingPackageError: the source needs a package that is not installed.
    """
    return split_questions(load_questions(config), str(config.data_path))


def split_questions(questions: Sequence[Question], name: str = "questions") -> Dataset:
    """Hold out every tenth text of a fixed shuffle of the different texts.

    Raises:
        DataError: there are too few different texts.
    """
    by_text: dict[str, list[Question]] = {}
    for entry in questions:
        by_text.setdefault(" ".join(entry.question.split()), []).append(entry)
    groups = list(by_text.values())
    if len(groups) < _HELD_OUT:
        raise DataError(
            f"{name}: {len(groups)} different questions; at least {_HELD_OUT} are needed"
        )
    shuffled = [groups[index] for index in np.random.default_rng(0).permutation(len(groups))]
    kept = [group for index, group in enumerate(shuffled) if index % _HELD_OUT]
    return Dataset(
        train=[entry for group in kept for entry in group],
        held_out=[group[0] for group in shuffled[::_HELD_OUT]],
        num_copies=len(questions) - len(groups),
    )


def held_out_questions(dataset: Dataset, count: int, seed: int) -> list[Question]:
    """Return up to `count` questions that training does not see."""
    held = dataset.held_out
    order = np.random.default_rng(seed).permutation(len(held))
    return [held[index] for index in order[:count]]


def batches(
    dataset: Dataset, *, batch_size: int, num_batches: int, epochs: int, seed: int
) -> Iterator[list[Question]]:
    """Yield the batches of a run: `num_batches` an epoch, the same batches in another order each.

    The stream depends on its arguments alone, so a resumed run skips what it has seen. Questions
    repeat where `num_batches` asks for more than there are.
    """
    kept = dataset.train
    rng = np.random.default_rng(seed)
    order: list[int] = []
    while len(order) < num_batches * batch_size:
        order.extend(rng.permutation(len(kept)))
    rows = np.array(order[: num_batches * batch_size]).reshape(num_batches, batch_size)
    for epoch in range(epochs):
        for row in rows if epoch == 0 else rows[rng.permutation(num_batches)]:
            yield [kept[index] for index in row]


def _questions(records: Iterable[Mapping[str, Any]], config: TrainingConfig) -> Iterator[Question]:
    """Yield questions, with the answer behind ``####`` where there is one (GSM8K)."""
    columns = (config.question_column, config.answer_column)
    for number, record in enumerate(records):
        missing = [name for name in columns if record.get(name) is None]
        if missing:
            raise DataError(
                f"{config.data_path}: record {number + 1} has no {' and no '.join(missing)}; it "
                f"has {', '.join(map(str, record))}. Set training.question_column and "
                "training.answer_column."
            )
        question, answer = (_text(record[name]) for name in columns)
        others = {name: value for name, value in record.items() if name not in columns}
        yield Question(question, answer.rpartition("####")[2].strip(), others)


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _read_jsonl(config: TrainingConfig) -> Iterator[Mapping[str, Any]]:
    yield from _json_lines(Path(str(config.data_path)))


def _json_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"training.data_path: {path}: cannot be read: {error}") from error
    for number, line in json_lines(text):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: this line is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise DataError(f"{path}:{number}: found {type(record).__name__}; an object is needed")
        yield record


def _load(module: str, purpose: str) -> Any:
    with needs("grpo-data", purpose):
        return importlib.import_module(module)


def _read_huggingface(config: TrainingConfig) -> Iterable[Mapping[str, Any]]:
    datasets = _load("datasets", "training.data_source=huggingface")
    try:
        found: Iterable[Mapping[str, Any]] = datasets.load_dataset(
            config.data_path, config.data_subset, split=config.data_split
        )
    except (OSError, ValueError) as error:
        raise DataError(_unreachable("huggingface", config, error)) from error
    return found


def _read_tfds(config: TrainingConfig) -> Iterable[Mapping[str, Any]]:
    tfds = _load("tensorflow_datasets", "training.data_source=tfds")
    try:
        # `data_source` reads ArrayRecord files and needs no TensorFlow.
        found: Iterable[Mapping[str, Any]] = tfds.data_source(
            config.data_path, split=config.data_split
        )
    except (ImportError, OSError, ValueError, NotImplementedError) as error:
        raise DataError(_unreachable("tfds", config, error)) from error
    return found


def _read_kaggle(config: TrainingConfig) -> Iterable[Mapping[str, Any]]:
    hub = _load("kagglehub", "training.data_source=kaggle")
    try:
        folder = Path(hub.dataset_download(config.data_path))
    except (OSError, ValueError) as error:
        raise DataError(_unreachable("kaggle", config, error)) from error
    return read_folder(folder, config.data_subset)


def read_folder(folder: Path, name: str | None) -> Iterator[Mapping[str, Any]]:
    """Yield the records of a `.jsonl` or `.csv` file in a folder.

    Raises:
        DataError: there is none, or several and no name.
    """
    import csv

    files = sorted(path for kind in ("*.jsonl", "*.csv") for path in folder.rglob(kind))
    chosen = files if name is None else [path for path in files if path.name == name]
    if len(chosen) != 1:
        listed = ", ".join(path.name for path in files) or "none"
        raise DataError(f"{folder}: set training.data_subset to one of its files: {listed}")
    if chosen[0].suffix == ".jsonl":
        yield from _json_lines(chosen[0])
        return
    with chosen[0].open(encoding="utf-8", newline="") as handle:
        yield from csv.DictReader(handle)


def _unreachable(source: str, config: TrainingConfig, error: Exception) -> str:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return (
        f"training.data_path: {config.data_path}: cannot be read from {source}: {reason}\n"
        "  It needs the network, and an account where the dataset asks for one. Offline, use "
        "training.data_source=jsonl or synthetic."
    )
