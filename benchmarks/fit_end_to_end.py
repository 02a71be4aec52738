"""`olmix fit` from tables to a proposal on the two public swarms, with times.

    python benchmarks/fit_end_to_end.py FOLDER

FOLDER is that of `benchmarks/fit_public.py`. Token counts of RegMix are not known, so its domains
count the same; nothing here depends on them but the reference of the divergence.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from olmix.config import FitConfig
from olmix.fit import fit_swarm
from olmix.text.csv import read_table

SWARMS = {
    "RegMix": ("regmix/train_mixture_1m.csv", "regmix/train_pile_loss_1m.csv"),
    "DCLM": ("olmix-dclm/dclm_ratios.csv", "olmix-dclm/dclm_metrics.csv"),
}


def main(folder: Path) -> None:
    """Print what is proposed for each swarm, and how long it took."""
    for name, (ratios, metrics) in SWARMS.items():
        domains = read_table(folder / ratios).columns
        config = FitConfig.from_dict(
            {
                "swarm": {"ratios": str(folder / ratios), "metrics": str(folder / metrics)},
                "priors": {"token_counts": dict.fromkeys(domains, 1_000_000_000)},
            }
        )
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as output:
            result = fit_swarm(config, output)
        seconds = time.perf_counter() - started
        proposal, objective = result.proposal, result.fit.objective
        if proposal is None or objective is None:
            raise SystemExit(f"{name}: nothing was proposed")
        scores, weights = objective.cv, proposal.weights("proposed")
        largest = sorted(weights.items(), key=lambda item: -item[1])[:4]
        print(f"{name}: {len(result.fit.metrics)} metrics, {seconds:.0f} s")
        print(f"  held-out rank correlation of the average {scores.spearman:.3f}")
        print(f"  regret@1 {scores.regret:.4f}, RMSE {scores.rmse:.4f}")
        print("  " + ", ".join(f"{domain} {100 * weight:.0f} %" for domain, weight in largest))
        print(f"  {proposal.statement}")
        for warning in proposal.warnings:
            print(f"  warning: {warning}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
