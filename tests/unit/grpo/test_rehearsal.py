import json

import pytest

from olmix.errors import DataError
from olmix.grpo.rehearsal import rehearse
from olmix.grpo.run_checks import check_run


def config(*words):
    return check_run(["+experiment=quick_test", *words])


def jsonl(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return ("training.data_source=jsonl", f"training.data_path={path}")


def test_the_data_are_named_and_counted(tmp_path):
    records = [{"question": f"{n % 20} + 1?", "answer": str(n % 20 + 1)} for n in range(30)]
    words = jsonl(tmp_path / "d.jsonl", records)
    [found] = rehearse([config(*words)])
    assert found.data == f"jsonl {tmp_path / 'd.jsonl'}, 28 questions, 2 held out", (
        "no copies of those"
    )
    assert any("10 questions have the same text as others" in warning for warning in found.warnings)
    [made, fetched] = rehearse([config(), check_run([])])
    assert made.data == "synthetic, 610 questions, 61 held out"
    assert fetched.data == "huggingface openai/gsm8k main, is fetched when the run starts"


def test_long_prompts_and_answers_of_another_kind_are_counted(tmp_path):
    records = [{"question": "Q" * n, "answer": "Paris"} for n in range(1, 41)]
    words = jsonl(tmp_path / "d.jsonl", records)
    [found] = rehearse([config(*words)])
    text = " ".join(found.warnings)
    assert "questions are left out because their prompts have more than" in text
    assert 'true answers are not a single number, such as "Paris"' in text
    assert not any(
        "true answers" in w for w in rehearse([config(*words, "grpo.answer=exact")])[0].warnings
    )


def test_what_is_wrong_with_data_and_rewards_of_all_runs_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    missing = ("training.data_source=jsonl", "training.data_path=none.jsonl")
    reward = '+grpo.rewards.mine={function:"my_missing_rewards:f"}'
    with pytest.raises(DataError) as caught:
        rehearse([config(*missing, reward), config(*missing, "seed=1"), config(reward)])
    first, second = str(caught.value).splitlines()
    assert "none.jsonl" in first
    assert "my_missing_rewards" in second
    with pytest.raises(DataError, match="curriculum.column = rate: found None"):
        rehearse([config("training.curriculum={column:rate}")])
    with pytest.raises(DataError, match="has no answer; it has question, solution"):
        rehearse([config(*jsonl(tmp_path / "d.jsonl", [{"question": "?", "solution": "1"}] * 10))])
