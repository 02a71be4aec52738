"""Draw the pictures of docs/design.md: `python docs/write_designs.py [FOLDER]`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np

from olmix.config import GenerationConfig
from olmix.generate import sample_swarm
from olmix.generate.constraints import build_constraints
from olmix.plotting import add_caption, new_figure, style, ternary

NAMES = ("web", "code", "books")
COUNTS = {"web": 600, "code": 250, "books": 150}

PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "dirichlet": ("design: dirichlet, nothing capped", {"enable_bound": False}),
    "dirichlet-caps": ("design: dirichlet, caps of one pass", {}),
    "polytope": ("design: polytope, caps of one pass", {"design": "polytope"}),
    "polytope-minimum": (
        "design: polytope, 0 or at least 0.1",
        {"design": "polytope", "minimum_weight": 0.1},
    ),
    "polytope-bounds": (
        "design: polytope, code at most 2 x books",
        {
            "design": "polytope",
            "ratio_bounds": [{"names": ["code"], "over": ["books"], "max": 2.0}],
        },
    ),
    "optimal": ("design: optimal, caps of one pass", {"design": "optimal"}),
}


def swarm(settings: dict[str, Any], variants: int = 64) -> GenerationConfig:
    """Return a swarm of three domains."""
    plain = {"variants": variants, "references": [], "minimum_weight": 0.0, **settings}
    return GenerationConfig.from_dict(
        {
            "name": "picture",
            "data": {"sources": [{"name": name, "paths": ["x"]} for name in NAMES]},
            "priors": {"token_counts": COUNTS},
            "swarm": plain,
            "max_tokens": 500,
        }
    )


def main() -> None:
    """Draw all pictures."""
    logging.disable(logging.WARNING)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (caption, settings) in PICTURES.items():
        config = swarm(settings)
        weights = np.array([variant.mix.weights(NAMES) for variant in sample_swarm(config)])
        with style():
            figure, ax = new_figure(2.6, 2.3)
            ternary(ax, weights, NAMES, build_constraints(config).caps)
            add_caption(ax, caption, "64 variants, seed 42; lines are caps")
            figure.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
