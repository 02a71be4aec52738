"""Their generation configs: other defaults, and priors whose names or sums do not fit the data."""

from __future__ import annotations

from olmix.convert.data_tree import domains_of, drop_limits, scale_weights
from olmix.convert.draft import Draft, Plain

__all__ = ["convert_generation", "convert_sizes"]

_MOST_PASSES = 5.0
"""Passes over a domain beyond which Ai2's Olmix throws a mixture away."""
_ZERO_IS_NOT_GIVEN = (
    "minimum_weight", "minimum_source_weight", "minimum_topic_weight",
    "source_mix_temperature", "topic_mix_temperature",
    "min_source_strength", "max_source_strength", "min_topic_strength", "max_topic_strength",
)  # fmt: skip
_TEMPERATURES = ("mix_temperature", "source_mix_temperature", "topic_mix_temperature")


def convert_generation(draft: Draft) -> None:
    """Convert a generation config."""
    drop_limits(draft)
    scale_weights(draft)
    _convert_names(draft)
    convert_sizes(draft)
    _convert_defaults(draft)
    _convert_swarm(draft)
    _complete_prior(draft)


def _convert_names(draft: Draft) -> None:
    """Name the domains of the priors as the data do, where only one can be meant."""
    domains = domains_of(draft)
    counts = draft.get("priors", "token_counts")
    if not isinstance(counts, dict):
        return
    missing = [name for name in domains if name not in counts]
    for name in [name for name in counts if name not in domains]:
        meant = [domain for domain in missing if domain.endswith(f":{name}")]
        if len(meant) != 1:
            continue
        for key in ("token_counts", "relative_sizes"):
            section = draft.get("priors", key)
            if isinstance(section, dict) and name in section:
                renamed = {meant[0] if old == name else old: v for old, v in section.items()}
                section.clear()
                section.update(renamed)
        where = ("priors", "token_counts", meant[0])
        draft.notes.append((where, f"was {name}; the data section has {meant[0]}"))


def convert_sizes(draft: Draft) -> None:
    """Divide `relative_sizes` by their sum where that is not 1."""
    sizes = draft.get("priors", "relative_sizes")
    if not isinstance(sizes, dict) or not all(isinstance(v, int | float) for v in sizes.values()):
        return
    total = sum(sizes.values())
    if total <= 0 or abs(total - 1) <= 0.01:
        return
    scaled = {name: value / total for name, value in sizes.items()}
    why = f"they added up to {total:.6g} and were divided by it, as Ai2's Olmix does"
    draft.put(scaled, "priors", "relative_sizes", why=why)


def _convert_defaults(draft: Draft) -> None:
    """Write out what is left out, where it means something else there."""
    swarm = draft.section("swarm")
    if "variants" not in swarm:
        draft.put(1, "swarm", "variants", why="left out, it is 1 in Ai2's Olmix and 32 here")
    if "repetition_factor" not in swarm and swarm.get("allow_repetition", True):
        why = (
            "Ai2's Olmix lets a mixture pass over a domain up to 5 times (allow_repetition); left "
            "out, it is 1 here"
        )
        draft.put(_MOST_PASSES, "swarm", "repetition_factor", why=why)


def _convert_swarm(draft: Draft) -> None:
    swarm = draft.section("swarm")
    draft.take(
        "swarm",
        "sample_multiplier",
        why="sample_multiplier is left out: here no draw is thrown away",
    )
    for key in _ZERO_IS_NOT_GIVEN:
        if swarm.get(key) == 0:
            draft.take("swarm", key, why=f"{key}: 0 is left out: it meant `not given` there")
    for key in _TEMPERATURES:
        if isinstance(swarm.get(key), int | float) and swarm[key] > 1:
            why = f"was {swarm[key]}; above 1 it had no effect there, but has one here"
            draft.put(1.0, "swarm", key, why=why)
    if str(swarm.get("existing_mix_file", "")).endswith((".pkl", ".pickle")):
        why = "a pickle: `olmix generate` reads it with --allow-pickle, or a CSV file without"
        draft.notes.append((("swarm", "existing_mix_file"), why))


def _complete_prior(draft: Draft) -> None:
    """Name every source in `manual_prior`, where some are not named."""
    manual = draft.get("swarm", "manual_prior")
    sizes = draft.get("priors", "relative_sizes") or draft.get("priors", "token_counts")
    if not isinstance(manual, dict) or not isinstance(sizes, dict):
        return
    natural = _by_source(sizes)
    if not set(natural) - set(manual):
        return
    shares = {name: float(manual.get(name, size)) for name, size in natural.items()}
    total = sum(shares.values())
    why = (
        "sources that were not named counted with their natural shares, and all of them were "
        "divided by their sum; here they would share what the named ones leave of 1"
    )
    scaled = {name: share / total for name, share in shares.items()}
    draft.put(scaled, "swarm", "manual_prior", why=why)


def _by_source(sizes: Plain) -> dict[str, float]:
    """Return the natural share of each source."""
    total = sum(sizes.values())
    found: dict[str, float] = {}
    for name, size in sizes.items():
        source = name.partition(":")[0]
        found[source] = found.get(source, 0.0) + size / total
    return found
