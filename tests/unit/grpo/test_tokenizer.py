import json

import pytest

from olmix.errors import DataError
from olmix.grpo.marks import instruction
from olmix.grpo.prompts import render_prompt, render_turns
from olmix.grpo.questions import Question, Turn
from olmix.grpo.tokenizer import BUILT_IN_SIZE, built_in_tokenizer, load_tokenizer


def test_each_tag_and_each_letter_is_a_token_and_texts_come_back():
    tokenizer = built_in_tokenizer()
    text = "What is 3 + 4?\n<reasoning>a</reasoning><answer>7</answer>"
    ids = tokenizer.encode(text)
    assert len(ids) == len("What is 3 + 4?\na7") + 4
    assert tokenizer.decode(ids) == text
    assert tokenizer.size == BUILT_IN_SIZE
    assert built_in_tokenizer(300).size == 300


def test_ends_and_padding_are_no_text():
    tokenizer = built_in_tokenizer()
    ids = [*tokenizer.encode("7"), tokenizer.eos_id(), tokenizer.pad_id()]
    assert tokenizer.decode(ids) == "7"


def test_a_saved_tokenizer_is_the_same_one(tmp_path):
    first = built_in_tokenizer()
    first.save(tmp_path)
    second = load_tokenizer(tmp_path)
    assert second.encode("<answer>7") == first.encode("<answer>7")
    assert (second.bos_id(), second.eos_id(), second.pad_id()) == (2, 1, 0)
    assert second.end_ids == (1,)


def test_a_turn_of_gemma_ends_an_answer_too(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<end_of_turn>"]
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({n: i for i, n in enumerate(names)}))
    made.add_special_tokens(names)
    made.save(str(tmp_path / "tokenizer.json"))
    found = load_tokenizer(tmp_path)
    assert found.end_ids == (1, 4)
    assert found.bos_id() is None  # the file puts nothing before a text


def test_a_folder_without_a_tokenizer_is_said(tmp_path):
    with pytest.raises(DataError, match=r"there is no tokenizer.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as a tokenizer"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("template", ["gemma", "chatml", "qwen3", "llama3", "plain"])
def test_prompts_ask_for_reasoning_and_answer(template):
    prompt = render_prompt(Question(" What? ", "1"), template)
    assert "What?" in prompt
    assert instruction("tags", short=template == "plain") in prompt
    assert prompt.endswith("\n")
    assert "<reasoning>" in prompt
    assert "<answer>" in prompt


TURNS = (
    Turn("system", "Be short."),
    Turn("user", "Hi"),
    Turn("assistant", " Hello! "),
    Turn("user", "What is 1 + 1?"),
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (
            "gemma",
            "<start_of_turn>user\nBe short.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello!"
            "<end_of_turn>\n<start_of_turn>user\nWhat is 1 + 1?<end_of_turn>\n"
            "<start_of_turn>model\n",
        ),
        (
            "qwen3",
            "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nWhat is 1 + 1?<|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\n",
        ),
        (
            "llama3",
            "<|start_header_id|>system<|end_header_id|>\n\nBe short.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nHello!<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nWhat is 1 + 1?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
    ],
)
def test_a_chat_is_written_as_the_family_s_template_writes_it(template, expected):
    assert render_turns(TURNS, template) == expected


@pytest.mark.parametrize(
    ("names", "settings", "ends", "pad"),
    [
        # Llama 3.2 Instruct ends turns and texts with tokens of their own, and pads with a third.
        (
            ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|finetune_right_pad_id|>"],
            {"eos_token": "<|eot_id|>", "bos_token": "<|begin_of_text|>"},
            {"<|eot_id|>", "<|end_of_text|>"},
            "<|finetune_right_pad_id|>",
        ),
        # Qwen 3 pads with what also ends a text, so that an answer ends with its turn.
        (
            ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
            {"<|im_end|>"},
            "<|endoftext|>",
        ),
    ],
    ids=["llama3", "qwen3"],
)
def test_the_tokens_that_end_and_pad_are_those_of_the_family(names, settings, ends, pad, tmp_path):
    library = pytest.importorskip("tokenizers")
    made = library.Tokenizer(library.models.WordLevel({"a": 0}, unk_token="a"))
    made.add_special_tokens(names)
    made.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = load_tokenizer(tmp_path)
    assert {made.id_to_token(index) for index in tokenizer.end_ids} == ends
    assert made.id_to_token(tokenizer.pad_id()) == pad
    assert made.id_to_token(tokenizer.eos_id()) == settings["eos_token"]
