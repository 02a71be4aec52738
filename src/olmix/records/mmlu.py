"""The four categories of MMLU as averages of its 57 subtasks, weighted by their questions.

Numbers of test questions and categories are those of Hendrycks et al. 2021. A table that holds
`mmlu_anatomy:rc::olmes` and the 56 others can be asked for `mmlu_other:rc::olmes`.
"""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["QUESTIONS", "subtasks_of"]

QUESTIONS: dict[str, dict[str, int]] = {
    "stem": {
        "abstract_algebra": 100,
        "astronomy": 152,
        "college_biology": 144,
        "college_chemistry": 100,
        "college_computer_science": 100,
        "college_mathematics": 100,
        "college_physics": 102,
        "computer_security": 100,
        "conceptual_physics": 235,
        "electrical_engineering": 145,
        "elementary_mathematics": 378,
        "high_school_biology": 310,
        "high_school_chemistry": 203,
        "high_school_computer_science": 100,
        "high_school_mathematics": 270,
        "high_school_physics": 151,
        "high_school_statistics": 216,
        "machine_learning": 112,
    },
    "humanities": {
        "formal_logic": 126,
        "high_school_european_history": 165,
        "high_school_us_history": 204,
        "high_school_world_history": 237,
        "international_law": 121,
        "jurisprudence": 108,
        "logical_fallacies": 163,
        "moral_disputes": 346,
        "moral_scenarios": 895,
        "philosophy": 311,
        "prehistory": 324,
        "professional_law": 1534,
        "world_religions": 171,
    },
    "social_sciences": {
        "econometrics": 114,
        "high_school_geography": 198,
        "high_school_government_and_politics": 193,
        "high_school_macroeconomics": 390,
        "high_school_microeconomics": 238,
        "high_school_psychology": 545,
        "human_sexuality": 131,
        "professional_psychology": 612,
        "public_relations": 110,
        "security_studies": 245,
        "sociology": 201,
        "us_foreign_policy": 100,
    },
    "other": {
        "anatomy": 135,
        "business_ethics": 100,
        "clinical_knowledge": 265,
        "college_medicine": 173,
        "global_facts": 100,
        "human_aging": 223,
        "management": 103,
        "marketing": 234,
        "medical_genetics": 100,
        "miscellaneous": 783,
        "nutrition": 306,
        "professional_accounting": 282,
        "professional_medicine": 272,
        "virology": 166,
    },
}
"""Questions of the test set by category and subtask."""


def subtasks_of(metric: str, columns: Collection[str]) -> dict[str, float] | None:
    """Return the columns that a category averages, with their weights; None for any other metric.

    Args:
        metric: such as `mmlu_stem` or `mmlu_stem:rc::olmes`; what follows the name must follow the
            names of the subtasks too.
        columns: columns of the table; one that is itself there is no average.
    """
    if metric in columns:
        return None
    for category, questions in QUESTIONS.items():
        name = f"mmlu_{category}"
        if metric == name or metric.startswith(f"{name}:"):
            suffix = metric[len(name) :]
            total = sum(questions.values())
            return {f"mmlu_{task}{suffix}": n / total for task, n in questions.items()}
    return None
