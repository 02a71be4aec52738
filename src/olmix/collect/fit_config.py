"""The fit config beside the tables: which metrics, which way is better, and the priors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.collect.selection import Selection
from olmix.collect.write import METRICS, RATIOS, STANDARD_ERRORS
from olmix.config import DataConfig, FitConfig, PriorsConfig, read_yaml
from olmix.errors import OlmixError
from olmix.records.fingerprint import local_fingerprints
from olmix.records.token_files import read_layout
from olmix.records.token_formats import LOCAL
from olmix.records.tokens import expand
from olmix.text.numbers import counted
from olmix.text.yaml import write_yaml

__all__ = ["find_priors", "write_fit_config"]


def find_priors(
    file: Path | None, data: Mapping[str, Any] | None, domains: Sequence[str]
) -> tuple[PriorsConfig | None, str]:
    """Return the token counts of the domains and where they come from, or `None` and why not.

    Args:
        file: what `olmix priors compute -o` wrote, if given.
        data: a `data` section with absolute paths, to count the tokens of its raw local files.
        domains: the columns of `ratios.csv`.

    Raises:
        OlmixError: the file given cannot be read, or lacks a domain.
    """
    if file is not None:
        content = read_yaml(file).data
        inner = content.get("priors", content) if isinstance(content, Mapping) else content
        priors = PriorsConfig.from_dict(inner, str(file))
        lacking = [name for name in domains if name not in priors.token_counts]
        if lacking:
            raise OlmixError(f"{file}: token_counts lacks {', '.join(lacking)}")
        return _restrict(priors, domains), f"from {file}"
    if data is None:
        return None, "the token counts of the domains are unknown"
    try:
        section = DataConfig.from_dict(data, "data", kept=True)
        counts = _count(section, domains)
    except (OlmixError, OSError, KeyError) as error:
        return None, f"the token counts of the domains are unknown: {error}"
    prints = {k: mark for k, mark in local_fingerprints(section).items() if k in domains}
    priors = PriorsConfig(token_counts=counts, fingerprints=prints or None)
    return priors, "counted in the token files of the first run"


def _restrict(priors: PriorsConfig, domains: Sequence[str]) -> PriorsConfig:
    sizes = priors.relative_sizes
    if sizes is not None:
        total = sum(sizes[name] for name in domains)
        sizes = {name: sizes[name] / total for name in domains}
    counts = {name: priors.token_counts[name] for name in domains}
    known = priors.fingerprints or {}
    prints = {name: known[name] for name in domains if name in known} or None
    return PriorsConfig(token_counts=counts, relative_sizes=sizes, fingerprints=prints)


def _count(data: DataConfig, domains: Sequence[str]) -> dict[str, int]:
    """Return the tokens of each domain, from its local token files.

    Raises:
        OlmixError: a file is missing, remote, or holds no array of tokens.
    """
    return {
        name: sum(
            read_layout(str(file), LOCAL, data.dtype).num_tokens
            for file in expand(data.paths_of(name), f"domain {name}")
        )
        for name in domains
    }


def write_fit_config(
    path: Path, selection: Selection, priors: PriorsConfig, source: str, runs: int
) -> Path:
    """Write a config that `olmix fit` runs on the tables beside it as it stands."""
    tables = {"ratios": RATIOS, "metrics": METRICS}
    if (path.parent / STANDARD_ERRORS).is_file():
        tables["standard_errors"] = STANDARD_ERRORS
    content: dict[str, Any] = {
        "swarm": tables,
        "priors": priors.to_plain(),
        "eval": {
            "type": "offline",
            "tasks": {family: list(names) for family, names in selection.families.items()},
        },
    }
    directions = selection.directions
    if directions:
        content["lower_is_better"] = directions
    header = (
        f"Written by `olmix collect` for the {counted(runs, 'run')} beside it; fit them with:\n"
        f"  olmix fit -c {path.name} -o fit\n"
        f"Token counts: {source}."
    )
    if set(directions) - selection.given:
        header += (
            "\nDirections (lower_is_better) are guessed from the metrics' names; correct them."
        )
    FitConfig.from_dict(content, str(path))
    write_yaml(path, content, header)
    return path
