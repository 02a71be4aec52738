"""The categories of MMLU, where they were looked for before they became `olmix.records.mmlu`."""

from olmix.records.mmlu import CATEGORIES, QUESTIONS, subtasks_of

__all__ = ["CATEGORIES", "QUESTIONS", "subtasks_of"]
