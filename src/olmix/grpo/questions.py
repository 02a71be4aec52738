"""A question as it is asked, scored and evaluated: turns of a chat, a true answer, columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Question", "Role", "Turn"]

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Turn:
    """A turn of a chat.

    Attributes:
        role: who speaks.
        content: what is said.
    """

    role: Role
    content: str


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        question: the text; of a chat, its last turn.
        answer: the true answer; `None` where the data have none.
        columns: the other columns of the dataset, handed to rewards.
        chat: the turns, the question last; empty where it is the only one.
        system: what the model is told before; `None` for the built-in instruction.
    """

    question: str
    answer: str | None
    columns: Mapping[str, Any] = field(default_factory=dict)
    chat: tuple[Turn, ...] = ()
    system: str | None = None

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns of the chat, at least the user's."""
        return self.chat or (Turn("user", self.question),)

    @property
    def key(self) -> str:
        """The text by which copies are found: all turns, each run of spaces as one."""
        return "\n".join(" ".join(turn.content.split()) for turn in self.turns)
