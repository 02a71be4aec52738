import json

import pytest

from olmix.errors import DataError, MissingPackageError
from olmix.grpo.config import TrainingConfig
from olmix.grpo.data import (
    batches,
    held_out_questions,
    load_dataset,
    load_questions,
    read_folder,
    split_questions,
    synthetic_questions,
)


def source(kind, path, **keys):
    return TrainingConfig(data_source=kind, data_path=str(path), **keys)


def write_jsonl(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_synthetic_answers_are_true():
    made = synthetic_questions()
    assert len({entry.question for entry in made}) == len(made) == 610
    for entry in made:
        expression = entry.question.removeprefix("What is ").removesuffix("?")
        a, sign, b = expression.split()
        assert int(entry.answer) == (int(a) + int(b) if sign == "+" else int(a) - int(b))


def test_training_and_evaluation_share_no_question():
    questions = split_questions(synthetic_questions())
    stream = batches(questions, batch_size=7, num_batches=200, epochs=1, seed=3)
    trained = {entry.question for batch in stream for entry in batch}
    held = {entry.question for entry in held_out_questions(questions, 1000, seed=1)}
    assert len(held) == 61
    assert not held & trained


def test_copies_of_a_question_are_on_one_side_of_the_split(tmp_path):
    records = [{"question": f" Q{n % 30}  or not?", "answer": str(n)} for n in range(70)]
    records[40]["question"] = " Q10 or\tnot? "
    dataset = load_dataset(source("jsonl", write_jsonl(tmp_path / "d.jsonl", records)))
    assert dataset.num_copies == 40
    assert len(dataset.held_out) == 3
    held = {" ".join(entry.question.split()) for entry in dataset.held_out}
    assert not held & {" ".join(entry.question.split()) for entry in dataset.train}
    kept = sum(f"Q{n % 30} or not?" not in held for n in range(70))
    assert len(dataset.train) == kept, "copies of what is trained on stay"


def test_prompts_that_are_too_long_are_left_out_after_the_split():
    whole = split_questions(synthetic_questions())
    shorter = whole.within(len, 14)
    assert shorter.num_too_long > 0
    assert len(shorter.train) + len(shorter.held_out) + shorter.num_too_long == 610
    assert set(map(id, shorter.held_out)) <= set(map(id, whole.held_out))
    assert whole.within(len, 99) == whole
    with pytest.raises(DataError, match=r"max_prompt_length = 5, but the prompts have 14 to 16"):
        whole.within(len, 5)


def test_batches_depend_on_the_seed_alone_and_an_epoch_repeats_them():
    questions = split_questions(synthetic_questions())
    settings = {"batch_size": 4, "num_batches": 5, "epochs": 2}
    first = [tuple(e.question for e in b) for b in batches(questions, seed=0, **settings)]
    again = [tuple(e.question for e in b) for b in batches(questions, seed=0, **settings)]
    other = [tuple(e.question for e in b) for b in batches(questions, seed=1, **settings)]
    assert first == again != other
    assert len(first) == 10
    assert set(first[:5]) == set(first[5:])


def test_gsm8k_answers_stand_behind_their_mark(tmp_path):
    records = [{"q": f"Q{i}", "a": f"so\n#### {i}", "level": i} for i in range(10)]
    file = write_jsonl(tmp_path / "d.jsonl", records)
    found = load_questions(source("jsonl", file, question_column="q", answer_column="a"))
    assert [entry.answer for entry in found] == [str(i) for i in range(10)]
    assert found[3].columns == {"level": 3}


def test_only_a_newline_ends_a_line_and_a_byte_order_mark_is_passed_over(tmp_path):
    records = [{"question": f"a\u2028b\x85c {n}?", "answer": str(n)} for n in range(10)]
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    file = tmp_path / "q.jsonl"
    file.write_text(text, encoding="utf-8-sig")
    questions = load_questions(source("jsonl", file))
    assert [entry.question for entry in questions] == [entry["question"] for entry in records]


def test_a_hub_can_be_a_local_folder(tmp_path):
    pytest.importorskip("datasets")
    write_jsonl(tmp_path / "train.jsonl", [{"question": "a", "answer": "b"}] * 10)
    assert len(load_questions(source("huggingface", tmp_path))) == 10


def test_a_downloaded_folder_is_one_file_or_a_named_one(tmp_path):
    (tmp_path / "a.csv").write_text("question,answer\n1,2\n")
    assert list(read_folder(tmp_path, None)) == [{"question": "1", "answer": "2"}]
    write_jsonl(tmp_path / "b.jsonl", [{"question": "x", "answer": "y"}])
    with pytest.raises(DataError, match=r"a.csv, b.jsonl"):
        list(read_folder(tmp_path, None))
    assert list(read_folder(tmp_path, "b.jsonl")) == [{"question": "x", "answer": "y"}]


def test_what_is_wrong_with_a_file_is_said(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_questions(source("jsonl", tmp_path / "none.jsonl"))
    (tmp_path / "bad.jsonl").write_text('{"question": 1}\n{"que\n')
    with pytest.raises(DataError, match=r"record 1 has no answer; it has question"):
        load_questions(source("jsonl", tmp_path / "bad.jsonl"))
    (tmp_path / "bad.jsonl").write_text("[1]\n")
    with pytest.raises(DataError, match=r"bad.jsonl:1: found list"):
        load_questions(source("jsonl", tmp_path / "bad.jsonl"))
    few = write_jsonl(
        tmp_path / "few.jsonl", [{"question": f"{n % 9}?", "answer": "b"} for n in range(20)]
    )
    with pytest.raises(DataError, match="9 different questions; at least 10"):
        load_dataset(source("jsonl", few))


@pytest.mark.parametrize(
    ("kind", "module"),
    [("huggingface", "datasets"), ("tfds", "tensorflow_datasets"), ("kaggle", "kagglehub")],
)
def test_a_source_says_what_to_install(monkeypatch, kind, module):
    import importlib

    real = importlib.import_module

    def missing(name, *rest):
        if name == module:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingPackageError, match=r"pip install '\.\[grpo-data\]'"):
        load_questions(source(kind, "x"))
