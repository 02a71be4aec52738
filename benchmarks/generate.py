"""Time sampling and compare designs: `python benchmarks/generate.py`.

Run it on one core (`taskset -c 0 python benchmarks/generate.py`).
"""

from __future__ import annotations

import logging
import tempfile
import time

import numpy as np

from olmix.config import GenerationConfig
from olmix.generate import diagnose, generate, sample_swarm

SOURCES = 4


def config(domains: int, variants: int, budget: float = 0.1, **swarm: object) -> GenerationConfig:
    """Return a swarm over 4 sources; `budget` is max_tokens as a share of all tokens."""
    rng = np.random.default_rng(0)
    sources = [
        {
            "name": f"s{i}",
            "topics": [{"name": f"t{j}", "paths": ["x"]} for j in range(domains // SOURCES)],
        }
        for i in range(SOURCES)
    ]
    names = [
        f"{source['name']}:{topic['name']}" for source in sources for topic in source["topics"]
    ]
    counts = {name: int(1e9 * rng.uniform(0.1, 1)) for name in names}
    return GenerationConfig.from_dict(
        {
            "name": "bench",
            "data": {"sources": sources},
            "priors": {"token_counts": counts},
            "swarm": {"variants": variants, "references": ["natural", "uniform"], **swarm},
            "max_tokens": round(budget * sum(counts.values())),
        }
    )


def seconds(work: object) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - started


def speed() -> None:
    """Time sampling alone, and with the files."""
    print(f"{'swarm':<44}{'sampled, s':>12}{'and written, s':>16}")
    for domains, variants, swarm in (
        (24, 512, {}),
        (24, 512, {"design": "polytope"}),
        (24, 512, {"design": "polytope", "minimum_weight": 0.0}),
        (24, 512, {"design": "optimal"}),
        (64, 10_000, {}),
        (64, 10_000, {"design": "polytope", "minimum_weight": 0.0}),
    ):
        found = config(domains, variants, **swarm)
        sampled = seconds(lambda found=found: sample_swarm(found))
        with tempfile.TemporaryDirectory() as folder:
            written = seconds(lambda found=found, folder=folder: generate(found, folder))
        what = ", ".join(f"{v}" for v in swarm.values()) or "dirichlet"
        print(f"{f'{variants:,} x {domains} {what}':<44}{sampled:>12.2f}{written:>16.2f}")


def tight() -> None:
    """Count the variants that tight swarms give."""
    print(f"\n{'tight swarm, 512 x 24':<44}{'variants':>12}{'seconds':>16}")
    once = {"repetition_factor": 1.0, "allow_repetition": False}
    names = config(24, 1).data.domains
    narrow = [{"names": [names[0], names[1]], "min": 0.3, "max": 0.3001}]
    for what, budget, swarm in (
        ("30 % of all tokens, one pass", 0.3, once),
        ("50 % of all tokens, one pass", 0.5, once),
        ("80 % of all tokens, one pass", 0.8, once),
        ("all domains nonzero", 0.1, {"nonzero_weight": list(names)}),
        ("two topics hold 0.3 to 0.3001", 0.1, {"group_bounds": narrow, "repetition_factor": 4.0}),
        ("min_strength = max_strength", 0.1, {"min_strength": 1.0, "max_strength": 1.0}),
        ("minimum weight 0.2", 0.02, {"minimum_weight": 0.2, "repetition_factor": 20.0}),
    ):
        found = config(24, 512, budget, **swarm)
        started = time.perf_counter()
        count = len(sample_swarm(found)) - 2
        print(f"{what:<44}{count:>12}{time.perf_counter() - started:>16.2f}")


def designs() -> None:
    """Compare what designs of the same size tell."""
    head = ("nearest pair", "D-eff. linear", "D-eff. log-linear")
    print(f"\n{'design':<32}" + "".join(f"{text:>20}" for text in head))
    for domains, variants, budget in ((8, 64, 0.1), (24, 128, 0.1), (24, 128, 0.5)):
        for design in ("dirichlet", "polytope", "optimal"):
            found = config(domains, variants, budget, design=design, references=[])
            mixes = [variant.mix for variant in sample_swarm(found)]
            known = diagnose(mixes, found.data.domains)
            what = f"{variants} x {domains}, {budget:.0%}: {design}"
            values = (
                known.least_distance,
                known.d_efficiency_linear,
                known.d_efficiency_log_linear,
            )
            print(f"{what:<32}" + "".join(f"{value:>20.4f}" for value in values))


def main() -> None:
    """Print the tables."""
    logging.disable(logging.WARNING)
    speed()
    tight()
    designs()


if __name__ == "__main__":
    main()
