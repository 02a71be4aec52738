"""The generation config that a fit implies: a further round needs none of its own."""

from __future__ import annotations

from olmix.config import FitConfig, GenerationConfig
from olmix.config.data import sources_of
from olmix.config.launch import UNKNOWN_LENGTH

__all__ = ["generation_of"]


def generation_of(fit: FitConfig, after: str, wanted: int) -> GenerationConfig:
    """Return a config of the domains, the token limits and the pinned weights of a fit.

    It makes bare variants: a fit knows neither files nor how runs are trained.

    Args:
        fit: the config of the fit.
        after: its folder.
        wanted: number of mixtures.

    Raises:
        ConfigError: a domain has a name that no data section allows.
    """
    limits, pins = fit.constraints, fit.filtering.fixed_weight
    tokens = limits.target_tokens if limits.enabled else None
    return GenerationConfig.from_dict(
        {
            "name": "round",
            "data": {"sources": sources_of({name: [name] for name in fit.priors.domains})},
            "priors": fit.priors.to_plain(),
            "max_tokens": UNKNOWN_LENGTH if tokens is None else tokens,
            "swarm": {
                "after": after,
                "variants": wanted,
                "repetition_factor": limits.repetition_factor,
                "group_bounds": [
                    {"names": [name], "min": weight, "max": weight} for name, weight in pins.items()
                ],
            },
        },
        f"{after}: as a generation config",
    )
