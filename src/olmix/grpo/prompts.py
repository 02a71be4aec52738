"""Prompts: a question with what the model is told before it, in each model's form of a chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from olmix.grpo.marks import AnswerMark, instruction
from olmix.grpo.questions import Question, Turn

__all__ = ["PromptTemplate", "render_prompt", "render_turns"]

PromptTemplate = Literal["gemma", "chatml", "qwen3", "llama3", "plain"]

_FORMS: dict[PromptTemplate, tuple[str, str]] = {
    "gemma": ("<start_of_turn>{role}\n{content}<end_of_turn>\n", "<start_of_turn>model\n"),
    "chatml": ("<|im_start|>{role}\n{content}<|im_end|>\n", "<|im_start|>assistant\n"),
    # Its reasoning goes where the instruction says, so its own block of thoughts is empty.
    "qwen3": (
        "<|im_start|>{role}\n{content}<|im_end|>\n",
        "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    ),
    "llama3": (
        "<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
}
"""A turn, and how the model's begins. The first token of a text is the tokenizer's business."""


def render_prompt(question: Question, template: PromptTemplate, mark: AnswerMark = "tags") -> str:
    """Return a question as the model is asked it.

    A system turn of the question's chat comes before its `system`, and that before the built-in
    instruction, which asks for the format of `mark`.
    """
    turns = question.turns
    if turns[0].role == "system":
        return render_turns(turns, template)
    told = question.system
    if told is None:
        told = instruction(mark, short=template == "plain")
    before = (Turn("system", told),) if told.strip() else ()
    return render_turns((*before, *turns), template)


def render_turns(turns: Sequence[Turn], template: PromptTemplate) -> str:
    """Return turns, the user's last, in a model's form."""
    turns = [Turn(turn.role, turn.content.strip()) for turn in turns]
    if template == "plain":
        return _plain(turns)
    if template == "gemma" and turns[0].role == "system":
        # Gemma 3 has no such turn: it stands before what the user says first.
        told, first, *others = turns
        turns = [Turn("user", f"{told.content}\n\n{first.content}"), *others]
    form, begin = _FORMS[template]
    names = {"assistant": "model"} if template == "gemma" else {}
    said = [form.format(role=names.get(t.role, t.role), content=t.content) for t in turns]
    return "".join(said) + begin


def _plain(turns: Sequence[Turn]) -> str:
    told = turns[0].content if turns[0].role == "system" else ""
    *earlier, last = turns[1:] if told else turns
    lines = [f"{turn.role}: {turn.content}\n" for turn in earlier]
    return "".join(lines) + f"{last.content} {told}".strip() + "\n"
