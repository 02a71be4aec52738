"""How much matched runs see of their domains, for previews; see `olmix.records.matching`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from olmix.config import LaunchConfig
from olmix.launch.group_plan import Group
from olmix.records.matching import Cut, check_cuts, cuts_of, few_documents, length_note

__all__ = ["MatchedDomain", "Matching", "matching_of"]


@dataclass(frozen=True)
class MatchedDomain:
    """A domain of a matched group.

    Attributes:
        cut: how many tokens it has, and how many of them runs see.
        natural: passes over it at its natural share, in small runs and the large one alike.
        most: passes over it in the run that has most of it.
    """

    cut: Cut
    natural: float
    most: float


@dataclass(frozen=True)
class Matching:
    """How the runs of a group are matched to a large run.

    Attributes:
        domains: the domains whose files are local.
        note: how tokens per parameter compare.
        few: domains of which runs see few documents, and about how many.
    """

    domains: tuple[MatchedDomain, ...]
    note: str | None
    few: Mapping[str, float]


def matching_of(group: Group) -> Matching | None:
    """Return what the runs of a group see; `None` where they are not matched to a large run.

    Raises:
        ConfigError: names every domain of which some run would see less than one step.
        DataError: a file of a domain is missing or unreadable.
    """
    matched = [
        run
        for run in group.runs
        if isinstance(run, LaunchConfig) and run.training.target_tokens is not None
    ]
    if not matched:
        return None
    checked = {}
    for run in matched:  # usually the same length and data for all of them
        key = (run.training.num_tokens, run.training.target_tokens, id(run.data))
        if key not in checked:
            checked[key] = cuts_of(run)
        used = tuple(cut for cut in checked[key] if run.mix and _weight(run, cut.name) > 0)
        check_cuts(used, run.training, run.name)
    first = matched[0]
    cuts, tokens = next(iter(checked.values())), first.training.pass_tokens
    total = sum(cut.tokens for cut in cuts)
    domains = tuple(
        MatchedDomain(
            cut,
            tokens / total,
            max(_weight(run, cut.name) for run in matched) * tokens / cut.tokens,
        )
        for cut in cuts
    )
    return Matching(domains, length_note(first.training), few_documents(first, cuts))


def _weight(run: LaunchConfig, domain: str) -> float:
    return run.mix[domain].weight if run.mix is not None and domain in run.mix else 0.0
