import json

import pytest

from olmix.errors import DataError, MissingPackageError
from olmix.grpo.data import (
    batches,
    held_out_questions,
    load_dataset,
    split_questions,
)
from olmix.grpo.data_sources import read_folder, read_questions
from olmix.grpo.prompts import render_prompt
from olmix.grpo.questions import Turn
from olmix.grpo.synthetic import synthetic_questions
from olmix.grpo.training_config import TrainingConfig


def source(kind, path, **keys):
    return TrainingConfig(data_source=kind, data_path=str(path), **keys)


def load_questions(config):
    [only] = config.sources
    return read_questions(only)


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
    def letters(question):
        return len(question.question)

    whole = split_questions(synthetic_questions())
    shorter = whole.within(letters, 14)
    assert shorter.num_too_long > 0
    assert len(shorter.train) + len(shorter.held_out) + shorter.num_too_long == 610
    assert set(map(id, shorter.held_out)) <= set(map(id, whole.held_out))
    assert whole.within(letters, 99) == whole
    with pytest.raises(DataError, match=r"max_prompt_length = 5, but the prompts have 14 to 16"):
        whole.within(letters, 5)


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
    with pytest.raises(DataError, match=r"bad.jsonl:2: this line is not JSON"):
        load_questions(source("jsonl", tmp_path / "bad.jsonl"))
    records = [{"question": "?", "answer": 1}, {"question": "?", "answer": float("nan")}]
    write_jsonl(tmp_path / "bad.jsonl", [*records, {"question": "?"}])
    with pytest.raises(DataError, match=r"record 2 has no answer; .* 2 of 3 records lack"):
        load_questions(source("jsonl", tmp_path / "bad.jsonl"))
    write_jsonl(tmp_path / "bad.jsonl", [{"question": "?", "answer": "1", "choices": ["a"]}])
    with pytest.raises(DataError, match=r"record 1: choices: found \['a'\]; a text or a number"):
        load_questions(source("jsonl", tmp_path / "bad.jsonl", prompt="{question} {choices}"))
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


def test_a_template_asks_with_several_columns(tmp_path):
    records = [{"text": f"word {n}", "language": "French", "answer": "mot"} for n in range(10)]
    file = write_jsonl(tmp_path / "d.jsonl", records)
    keys = {"prompt": "Translate to {language}: {text} {{sic}}", "system_prompt": "Be short."}
    found = load_questions(source("jsonl", file, **keys))
    assert found[3].question == "Translate to French: word 3 {sic}"
    assert found[3].columns == {"text": "word 3", "language": "French"}
    assert render_prompt(found[3], "plain") == f"{found[3].question} Be short.\n"
    with pytest.raises(DataError, match=r"record 1 has no tongue; it has .* Set training.prompt"):
        load_questions(source("jsonl", file, prompt="{tongue}: {text}"))


def test_a_chat_is_asked_turn_by_turn_and_copies_of_it_are_found(tmp_path):
    chat = [
        {"role": "system", "content": "You count."},
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "3"},
    ]
    records = [{"prompt": [*chat[:3], {"role": "user", "content": f"{n}"}]} for n in range(12)]
    file = write_jsonl(tmp_path / "d.jsonl", [*records, records[0]])
    config = source("jsonl", file, question_column="prompt", answer_column=None)
    found = load_questions(config)
    assert found[3].chat == tuple(Turn(each["role"], each["content"]) for each in chat)
    assert (found[3].question, found[3].answer) == ("3", None)
    assert load_dataset(config).num_copies == 1
    assert render_prompt(found[3], "chatml") == (
        "<|im_start|>system\nYou count.<|im_end|>\n<|im_start|>user\n1<|im_end|>\n"
        "<|im_start|>assistant\n2<|im_end|>\n<|im_start|>user\n3<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert render_prompt(found[3], "gemma").startswith("<start_of_turn>user\nYou count.\n\n1<end")


@pytest.mark.parametrize(
    "chat",
    [
        [],
        [{"role": "assistant", "content": "a"}],
        [{"role": "system", "content": "a"}],
        [{"role": "user", "content": ["a"]}],
        [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}],
        [{"role": "tool", "content": "a"}, {"role": "user", "content": "b"}],
        ["Hello"],
    ],
)
def test_what_is_no_chat_is_refused(tmp_path, chat):
    file = write_jsonl(tmp_path / "d.jsonl", [{"question": chat, "answer": "1"}])
    with pytest.raises(DataError, match="record 1: .*a chat is a list of"):
        load_questions(source("jsonl", file))


def test_boxed_solutions_are_read_as_their_answers(tmp_path):
    solution = "So \\boxed{1}, or rather $\\boxed{\\frac{1}{2}}$."
    file = write_jsonl(tmp_path / "d.jsonl", [{"question": "?", "answer": solution}])
    assert load_questions(source("jsonl", file))[0].answer == "\\frac{1}{2}"


def several(tmp_path, **weights):
    entries = {}
    for name, weight in weights.items():
        records = [{"question": f"{name} {n}?", "answer": str(n)} for n in range(40)]
        file = write_jsonl(tmp_path / f"{name}.jsonl", records)
        entries[name] = {"data_source": "jsonl", "data_path": str(file), "weight": weight}
    return TrainingConfig.from_dict({"datasets": entries})


def test_several_datasets_are_mixed_in_fixed_shares(tmp_path):
    dataset = load_dataset(several(tmp_path, a=3.0, b=1.0, c=0.0))
    drawn = [q for b in batches(dataset, batch_size=4, num_batches=25, epochs=1, seed=0) for q in b]
    for count in range(1, 101):
        share = sum(q.columns["dataset"] == "a" for q in drawn[:count]) / count
        assert abs(share - 0.75) <= 1 / count
    assert {q.columns["dataset"] for q in drawn} == {"a", "b"}
    held = held_out_questions(dataset, 9, seed=1)
    assert [q.columns["dataset"] for q in held] == [*"aaabbbccc"]
    other = load_dataset(several(tmp_path, a=1.0, b=1.0, c=1.0))
    assert [q.key for q in held_out_questions(other, 9, seed=1)] == [q.key for q in held]
    first = [q.key for q in drawn if q.columns["dataset"] == "b"]
    again = batches(other, batch_size=4, num_batches=25, epochs=1, seed=0)
    more = [q.key for batch in again for q in batch if q.columns["dataset"] == "b"]
    assert more[: len(first)] == first, "another mixture draws the same questions of a dataset"


def test_a_text_that_one_dataset_holds_out_is_trained_on_in_none(tmp_path):
    records = [{"question": f"Q{n}?", "answer": str(n)} for n in range(40)]
    for name, some in (("a", records[:30]), ("b", records[10:])):
        write_jsonl(tmp_path / f"{name}.jsonl", some)
    entries = {n: {"data_source": "jsonl", "data_path": str(tmp_path / f"{n}.jsonl")} for n in "ab"}
    dataset = load_dataset(TrainingConfig.from_dict({"datasets": entries}))
    assert not {q.key for q in dataset.held_out} & {q.key for q in dataset.train}


def test_a_test_of_its_own_is_held_out_and_all_else_is_trained_on(tmp_path):
    records = [{"question": f"Q{n}?", "answer": str(n)} for n in range(30)]
    train = write_jsonl(tmp_path / "train.jsonl", records[:25])
    test = write_jsonl(tmp_path / "test.jsonl", [*records[20:], records[22]])
    dataset = load_dataset(source("jsonl", train, test_path=str(test)))
    assert [q.answer for q in dataset.train] == [str(n) for n in range(20)]
    assert [q.answer for q in dataset.held_out] == [str(n) for n in range(20, 30)]
    assert dataset.num_copies == 5
    assert len(held_out_questions(dataset, None, seed=0)) == 10
    with pytest.raises(DataError, match="no question is left to train on"):
        load_dataset(source("jsonl", train, test_path=str(train)))


def test_an_epoch_with_a_curriculum_begins_with_the_easiest(tmp_path):
    dataset = split_questions(synthetic_questions())
    stream = batches(
        dataset, batch_size=4, num_batches=9, epochs=2, seed=0,
        easiness=lambda question: -int(question.answer),
    )  # fmt: skip
    answers = [[int(question.answer) for question in batch] for batch in stream]
    first = [number for batch in answers[:9] for number in batch]
    assert first == sorted(first)
    assert answers[9:] == answers[:9]
    with pytest.raises(DataError, match="leaves no question to train on"):
        dataset.chosen(lambda question: False)


@pytest.mark.parametrize("task", ["copying", "sorting"])
def test_lists_of_digits_are_copied_and_sorted(task):
    made = synthetic_questions(task)
    assert len({question.key for question in made}) == len(made)
    for question in made:
        digits = question.question.split()[1].rstrip(".")
        assert question.answer == (digits if task == "copying" else "".join(sorted(digits)))
