"""Prompts: the instruction that asks for reasoning and answer, and each model's form of a turn."""

from __future__ import annotations

__all__ = ["INSTRUCTION", "SHORT_INSTRUCTION", "render_prompt"]

INSTRUCTION = (
    "Solve the problem. Think about it first and write how you solve it between <reasoning> and "
    "</reasoning>. Then write the answer, which is a single number or word, between <answer> and "
    "</answer>."
)
SHORT_INSTRUCTION = "Use <reasoning> and <answer>."
"""For the built-in tokenizer, where every letter is a token."""

_TEMPLATES = {
    "gemma": (
        "<start_of_turn>user\n{instruction}\n\n{question}<end_of_turn>\n<start_of_turn>model\n"
    ),
    "chatml": (
        "<|im_start|>system\n{instruction}<|im_end|>\n"
        "<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    ),
    "plain": "{question} {instruction}\n",
}


def render_prompt(question: str, template: str) -> str:
    """Return a question as the model is asked it; `template` is `model.prompt_template`."""
    instruction = SHORT_INSTRUCTION if template == "plain" else INSTRUCTION
    return _TEMPLATES[template].format(instruction=instruction, question=question.strip())
