"""Their fit configs: other defaults, and a raw weight of the divergence."""

from __future__ import annotations

from olmix.convert.draft import Draft
from olmix.convert.generation import convert_sizes

__all__ = ["convert_fit"]


def convert_fit(draft: Draft) -> None:
    """Convert a fit config."""
    convert_sizes(draft)
    regression = draft.section("regression")
    if "type" not in regression:
        why = "left out, it is log_linear in Ai2's Olmix and `auto` here"
        draft.put("log_linear", "regression", "type", why=why)
    proposer = draft.section("proposer")
    if "type" not in proposer:
        kind = "exact" if regression["type"] == "log_linear" else "auto"
        why = "left out, it is exact in Ai2's Olmix, which needs log-linear laws, and `auto` here"
        draft.put(kind, "proposer", "type", why=why)
    _convert_kl(draft)
    if proposer.get("temperature") is not None and proposer["type"] != "simulation":
        draft.take(
            "proposer", "temperature", why="temperature is left out: only `simulation` reads it"
        )


def _convert_kl(draft: Draft) -> None:
    proposer = draft.section("proposer")
    if "kl_unit" in proposer:
        return
    if proposer.get("kl_reg") in (None, 0):
        if "kl_reg" not in proposer:
            why = "left out, it is 0 in Ai2's Olmix and 0.05 of the swarm's spread here"
            draft.put(0.0, "proposer", "kl_reg", why=why)
        return
    if proposer["type"] != "exact":
        why = f"was {proposer['kl_reg']}; Ai2's Olmix reads it with `exact` alone"
        draft.put(0.0, "proposer", "kl_reg", why=why)
        return
    why = "in the unit of the metrics, as there; here the default is that of the swarm's spread"
    draft.put("raw", "proposer", "kl_unit", why=why)
