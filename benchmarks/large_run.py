"""Whether small runs that repeat data as the large run will find its mixture better.

    python benchmarks/large_run.py [folder]

The texts of the demo that are closest to its target (validation of networkx), with `code` cut to
20,000 tokens. The large run has 640,000 tokens and a model of width 64: at weight 1 it passes 32
times over `code`. The small ones have 40,000 tokens and width 16, so that tokens per parameter are
about the same. Swarms of 24 small runs have the same mixtures: one sees all the data (which it
hardly repeats), three see a sixteenth of each domain (`target_tokens`), each with another subset of
its documents. Then, at the size of the large run:

- natural, and the proposals of the swarms and of the three matched ones fitted together, with 3
  seeds;
- a grid of mixtures with one seed, of which the best are trained with 3;
- a ladder of the matched proposal at 1, 4 and 16 times the tokens and parameters: what the first
  two say of the third, and what it measured.

Regret is to the best of the grid (mean of its 3 seeds); it can be negative.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path

import numpy as np

from olmix.cli.main import cli
from olmix.config import LaunchConfig, VariantConfig
from olmix.launch import Group, launch_local
from olmix.mixture import Mixture
from olmix.records.fit.ladder import read_ladder
from olmix.records.fit.proposal import read_proposal
from olmix.records.run import RunFolder
from olmix.simplex import Array
from olmix.text.csv import read_table, write_table
from olmix.text.yaml import write_yaml
from olmix.verify.ladder import extrapolate
from olmix.verify.sizes import at_scale

DOMAINS = ("code", "docs", "stubs")
CODE_TOKENS = 20_000
SMALL, LARGE = 40_000, 640_000
SEEDS = (2_000, 2_001, 2_002)
METRIC = "networkx_bpb"
SWARMS: dict[str, dict[str, int]] = {
    "plain": {},
    "matched": {"target_tokens": LARGE},
    "matched-1": {"target_tokens": LARGE, "subset_seed": 1},
    "matched-2": {"target_tokens": LARGE, "subset_seed": 2},
}
MATCHED = ("matched", "matched-1", "matched-2")
"""What the training section of each swarm says beside its length and size."""
GRID_STEPS = 8
"""Steps of the grid along each edge of the triangle."""
BEST = 5
"""Points of the grid that are trained with all seeds."""


def prepare(work: Path) -> dict[str, int]:
    """Write texts, tokens and configs; returns the tokens of each domain."""
    run("prepare", "-o", str(work / "data"))
    counts = {}
    for name in DOMAINS:
        file = work / "data" / "train" / name / "part-0000.bin"
        tokens = np.fromfile(file, np.uint16)
        if name == "code":
            tokens = tokens[:CODE_TOKENS]
            tokens.tofile(file)
        counts[name] = len(tokens)
    data = {
        "dtype": "uint16",
        "tokenizer": "data/tokenizer.json",
        "sources": [{"name": n, "paths": [f"data/train/{n}/part-0000.bin"]} for n in DOMAINS],
    }
    small = {"trainer": "proxy", "max_tokens": SMALL, "d_model": 16}
    for name, matched in SWARMS.items():
        launch = {
            "name": name,
            "infra": {"backend": "local"},
            "training": {**small, **matched},
            "data": data,
            "eval": {"type": "validation", "paths": {"networkx": ["data/validation/networkx.bin"]}},
        }
        write_yaml(work / f"{name}.yaml", launch)
        write_yaml(
            work / f"{name}-generation.yaml",
            {
                "name": name,
                "data": data,
                "priors": {"token_counts": counts},
                # No caps: both swarms have the same mixtures.
                "swarm": {
                    "variants": 22,
                    "references": ["natural", "uniform"],
                    "design": "polytope",
                    "enable_bound": False,
                },
                "max_tokens": SMALL,
            },
        )
        write_fit_config(work, name, counts)
    return counts


def write_fit_config(work: Path, name: str, counts: dict[str, int]) -> None:
    """Write how a swarm is fitted: without a pull to the prior."""
    write_yaml(
        work / f"{name}-fit.yaml",
        {
            "swarm": {t: f"{name}-results/{t}.csv" for t in ("ratios", "metrics")},
            "priors": {"token_counts": counts},
            "proposer": {"kl_reg": 0.0},
        },
    )


def run(*words: str) -> None:
    """Run a command of olmix."""
    status = cli.main(list(words), standalone_mode=False)
    if isinstance(status, int) and status:
        raise SystemExit(f"olmix {' '.join(words)} ended with {status}")


def propose(work: Path, name: str) -> Array:
    """Train a swarm and fit it; returns the mixture that it proposes, (D,)."""
    launch = ("--base", str(work / f"{name}.yaml"))
    variants, runs = str(work / f"{name}-variants"), str(work / "runs")
    generation = str(work / f"{name}-generation.yaml")
    run("generate", "-c", generation, *launch, "-o", variants, "--no-plots")
    run("launch", "run", "-v", variants, "-o", runs, "--yes", "-g", name)
    run("collect", str(work / "runs" / name), "-o", str(work / f"{name}-results"))
    run("fit", "-c", str(work / f"{name}-fit.yaml"), "-o", str(work / f"{name}-fit"))
    return proposal_of(work, name)


def pool(work: Path, counts: dict[str, int]) -> Array:
    """Fit the runs of all subsets together; returns the mixture that they propose, (D,)."""
    tables: dict[str, dict[str, list[float]]] = {}
    for table, columns in (("ratios", DOMAINS), ("metrics", (METRIC,))):
        parts = [read_table(work / f"{name}-results" / f"{table}.csv") for name in MATCHED]
        rows = np.vstack([part.select(columns) for part in parts])
        tables[table] = dict(zip(columns, rows.T.tolist(), strict=True))
        runs = [f"{n}-{run}" for n, part in zip(MATCHED, parts, strict=True) for run in part.runs]
        write_table(work / "pooled-results" / f"{table}.csv", runs, tables[table])
    write_fit_config(work, "pooled", counts)
    run("fit", "-c", str(work / "pooled-fit.yaml"), "-o", str(work / "pooled-fit"))
    return proposal_of(work, "pooled")


def proposal_of(work: Path, name: str) -> Array:
    """Return what a fit proposes, (D,)."""
    proposal = read_proposal(work / f"{name}-fit" / "latest")
    return np.array([proposal.weights("proposed")[domain] for domain in DOMAINS])


def train(work: Path, group: str, mixtures: dict[str, Array], seeds: tuple[int, ...]) -> Array:
    """Train mixtures as the large run does; returns what they measured, (mixtures, seeds)."""
    base = at_scale(LaunchConfig.from_yaml(work / "plain.yaml"), LARGE / SMALL)
    runs = [
        base.with_variant(
            VariantConfig(
                name=f"{name}-{seed}",
                mix=Mixture.from_weights(DOMAINS, weights, np.full(len(DOMAINS), 40.0)),
                seed=seed,
            ),
            group,
        )
        for name, weights in mixtures.items()
        for seed in seeds
    ]
    done = launch_local(Group.of(group, runs), work / "runs")
    values = [RunFolder(done.folder / one.name).read_summary().metrics[METRIC] for one in runs]
    return np.array(values).reshape(len(mixtures), len(seeds))


def grid() -> dict[str, Array]:
    """Return mixtures all over the triangle, by name."""
    points = [
        (i, j, GRID_STEPS - i - j) for i in range(GRID_STEPS + 1) for j in range(GRID_STEPS + 1 - i)
    ]
    # Almost nothing but the scarce domain is hopeless, and takes as long as any.
    kept = [point for point in points if point[0] <= 6]
    return {"grid-" + "-".join(map(str, point)): np.array(point) / GRID_STEPS for point in kept}


def mean_and_error(values: Array) -> str:
    """Return a mean over seeds and its standard error in words."""
    return f"{values.mean():.4f} ± {values.std(ddof=1) / math.sqrt(len(values)):.4f}"


def shares(weights: Array) -> str:
    """Return a mixture in words."""
    return ", ".join(f"{n} {100 * w:.0f} %" for n, w in zip(DOMAINS, weights, strict=True))


def main(work: Path) -> None:
    """Print everything."""
    counts = prepare(work)
    tokens = np.array([counts[name] for name in DOMAINS], dtype=float)
    asked = {"natural": tokens / tokens.sum()}
    asked |= {name: propose(work, name) for name in SWARMS}
    asked["pooled"] = pool(work, counts)
    points = grid()
    first = train(work, "grid", points, SEEDS[:1])[:, 0]
    best = [list(points)[index] for index in first.argsort()[:BEST]]
    asked |= {name: points[name] for name in best}
    values = dict(zip(asked, train(work, "large", asked, SEEDS), strict=True))
    top = min(best, key=lambda name: values[name].mean())
    print(f"\nAt {LARGE:,} tokens, {METRIC} (lower is better), {len(SEEDS)} seeds")
    for name, weights in asked.items():
        passes = weights[0] * LARGE / CODE_TOKENS
        regret, gain = values[name] - values[top], values["natural"] - values[name]
        distance = float(np.abs(weights - points[top]).sum() / 2)
        print(
            f"{name:12} {mean_and_error(values[name])}  gain {mean_and_error(gain)}  regret "
            f"{mean_and_error(regret)}  {shares(weights)}; {passes:.1f} passes over code; "
            f"{distance:.2f} from the best of the grid",
            flush=True,
        )
    print("matched less plain:", mean_and_error(values["matched"] - values["plain"]))
    print(
        "grid, one seed:", ", ".join(f"{n[5:]} {v:.3f}" for n, v in zip(points, first, strict=True))
    )
    show_ladder(work)


def show_ladder(work: Path) -> None:
    """Train the ladder of the matched proposal and hold its second step against its third."""
    fit, config = str(work / "matched-fit" / "latest"), str(work / "matched.yaml")
    words = ("--fit", fit, "-c", config, "-o", str(work / "runs"), "--seeds", "3", "--yes")
    run("verify", *words, "--scales", "1,4,16")
    ladder = read_ladder(Path(fit))
    if ladder is None:
        raise SystemExit("there is no ladder")
    gains = [rung.gain for rung in ladder.rungs]
    said = extrapolate([1, 4], gains[:2], 16, len(SEEDS))
    print(
        f"from 1 and 4 times: {said.mean:+.4f} ({said.low:+.4f} to {said.high:+.4f}) at 16 times; "
        f"measured {gains[2].mean:+.4f} ± {gains[2].std_error:.4f}"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
