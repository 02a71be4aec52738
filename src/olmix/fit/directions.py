"""Which way is better, where a fit must know it.

What a name says of its direction is said in `olmix.records.metric`; here stand the rules for what
the config leaves open. A name that says "higher is better" is refused where the objective counts it
and the config does not say so: a fit that guesses wrongly proposes the worst mixture. Where nothing
depends on it (weight 0), the name is believed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from olmix.records.metric import lower_is_better, lower_is_better_by_name
from olmix.records.mmlu import subtasks_of
from olmix.text.numbers import shortened
from olmix.text.yaml import render_yaml

__all__ = ["Directions", "Families", "directions"]

Families = Mapping[str, Sequence[str]]
"""Metrics by family."""


@dataclass(frozen=True)
class Directions:
    """Which way is better.

    Attributes:
        lower_is_better: direction of each metric.
        notes: what was decided, as sentences.
        problems: what is wrong.
        guessed: metrics that the objective counts and whose direction nothing says.
    """

    lower_is_better: Mapping[str, bool]
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    guessed: tuple[str, ...] = ()


def directions(
    given: Mapping[str, bool], path: str, kept: Families, counted: Collection[str], averaged: bool
) -> Directions:
    """Return the direction of each metric.

    Args:
        given: `lower_is_better` of the config, which wins over all names.
        path: the table of metrics, for messages.
        kept: the metrics that are fitted, by family.
        counted: what the objective counts: metrics, or families where these are averaged.
        averaged: whether they are.
    """
    lower, problems = {}, []
    unsaid: dict[str, None] = {}
    believed: list[str] = []
    guessed: list[str] = []
    for family, members in kept.items():
        for name in members:
            said = _given(name, family if averaged else name, given)
            if len(said) > 1:
                problems.append(
                    f"lower_is_better: lower is better for some subtasks of {name} and worse for "
                    f"others; give the direction of {name} itself"
                )
            lower[name] = next(iter(said), lower_is_better((name, family), {}))
            told = [lower_is_better_by_name(own) for own in (name, family)]
            if not said and told == [None, None] and (family if averaged else name) in counted:
                guessed.append(name)
            if not lower[name] and not said:
                owner = family if averaged else name
                if owner in counted:
                    unsaid[owner] = None
                else:
                    believed.append(name)
    notes = []
    if believed:
        notes.append(
            f"{shortened(believed)}: taken as higher is better, judging by the names; the "
            "objective does not use them."
        )
    if unsaid:
        problems.append(_unsaid(list(unsaid), kept, path, averaged))
    return Directions(lower, tuple(notes), tuple(problems), tuple(guessed))


def _given(name: str, family: str, given: Mapping[str, bool]) -> tuple[bool, ...]:
    """Return the direction that the config gives a metric: none, one, or two that contradict.

    What it says of the subtasks of a category of MMLU holds for the category.
    """
    for own in (name, family):
        if own in given:
            return (given[own],)
    parts = subtasks_of(name, ()) or {}
    return tuple({given[part] for part in parts if part in given})


def _unsaid(names: Sequence[str], kept: Families, path: str, averaged: bool) -> str:
    """Return the error about names that say "higher" where the config does not."""
    shown = [f"{n} ({shortened(kept[n])})" for n in names] if averaged else list(names)
    lines = render_yaml({"lower_is_better": dict.fromkeys(names, False)})
    indented = "".join(f"    {line}\n" for line in lines.splitlines())
    return (
        f"{path}: {', '.join(shown)}: higher is better, judging by the name; the config gives no "
        f"direction. Write there\n{indented}  with `true` where lower is in fact better"
    )
