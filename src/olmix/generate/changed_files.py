"""Whether a swarm that is extended was trained on the token files as they are now."""

from __future__ import annotations

from pathlib import Path

from olmix.config import GenerationConfig
from olmix.errors import DataError
from olmix.records.fingerprint import changed_contents, explain_change, fingerprints_of
from olmix.records.fit.scores import read_fit
from olmix.records.group import read_group_record

__all__ = ["changes_since"]


def changes_since(config: GenerationConfig) -> list[str]:
    """Return in words which domains have other files than the swarm that is extended had.

    Args:
        config: names a fit (`swarm.after`) or a swarm (`swarm.augment`); its priors, or the files
            themselves where they can be reached, say what they are now.
    """
    earlier = [(place, before) for place, before in _earlier(config) if before]
    if not earlier:
        return []
    now = {**(config.priors.fingerprints or {}), **fingerprints_of(config.data)}
    found = []
    for place, before in earlier:
        changed = changed_contents(before, now)
        if changed:
            found.append(explain_change(changed, f"the runs of {place}"))
    return found


def _earlier(config: GenerationConfig) -> list[tuple[str, dict[str, str]]]:
    """Return what is extended and the fingerprints of its domains, as far as they are known."""
    swarm, found = config.swarm, []
    if swarm.after is not None:
        found.append((swarm.after, dict(read_fit(Path(swarm.after)).fingerprints)))
    if swarm.augment is not None:
        place = Path(swarm.augment)
        for note in sorted((place if place.is_dir() else place.parent).glob("launch-*.json")):
            try:
                found.append((str(note), read_group_record(note).fingerprints))
            except DataError:
                continue
    return found
