"""Mixture reuse on this machine, in five steps: `python benchmarks/mixture_reuse.py FOLDER`.

A data set changes five times. After each change the best mixture is found twice: by a new swarm
over all domains, and by reuse, where domains that did not change keep their ratios and are sampled
as one (Chen et al. 2026). Both results are trained with the same fresh seeds. FOLDER needs `data/`,
made by `olmix prepare -o FOLDER/data`; the generation configs are written to FOLDER/configs.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from olmix.mixture import Mixture
from olmix.text.yaml import write_yaml

Shares = dict[str, float]

MAX_TOKENS = 160_000
SEEDS = (2001, 2002, 2003)
START = ("docs", "math", "scripture", "unicode")
STEPS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    # what is done, domains that come (or come back changed), domains that go
    ("1_add_code", ("code",), ()),
    ("2_add_more_sources", ("cpp", "stubs"), ()),
    ("3_revise_scripture", ("scripture_v2",), ("scripture",)),
    ("4_remove_unicode", (), ("unicode",)),
    ("5_partition_math", ("math_a", "math_b"), ("math",)),
)


def olmix(*words: str | Path) -> None:
    """Run a command."""
    command = [sys.executable, "-m", "olmix", "-q", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Study:
    """The files of the study.

    Args:
        root: the folder that holds `data/`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, Path] = {}
        for path in sorted((root / "data/train").iterdir()):
            self.files[path.name] = next(path.glob("*.bin"))
        for new, old, half in (
            ("scripture_v2", "scripture", 0),
            ("math_a", "math", 0),
            ("math_b", "math", 1),
        ):
            tokens = np.fromfile(self.files[old], np.uint16)
            target = root / "data/changed" / f"{new}.bin"
            target.parent.mkdir(exist_ok=True)
            middle = len(tokens) // 2
            (tokens[:middle] if half == 0 else tokens[middle:]).tofile(target)
            self.files[new] = target

    def tokens(self, name: str) -> int:
        """Return the tokens of a domain."""
        return self.files[name].stat().st_size // 2

    def validation(self, domains: list[str]) -> list[str]:
        """Return the validation texts of some domains."""
        return sorted({name.split("_")[0] for name in domains})

    def launch(self, path: Path, sources: list[dict[str, Any]], domains: list[str]) -> None:
        """Write a launch config."""
        names = self.validation(domains)
        paths = {name: [str(self.root / f"data/validation/{name}.bin")] for name in names}
        write_yaml(
            path,
            {
                "name": "reuse",
                "training": {"trainer": "proxy", "max_tokens": MAX_TOKENS},
                "data": self.data(sources),
                "eval": {"type": "validation", "paths": paths},
            },
        )

    def data(self, sources: list[dict[str, Any]]) -> dict[str, Any]:
        """Return a data section."""
        tokenizer = str(self.root / "data/tokenizer.json")
        return {"dtype": "uint16", "tokenizer": tokenizer, "sources": sources}

    def source(self, name: str, weight: float | None = None) -> dict[str, Any]:
        """Return a domain as a node of the tree."""
        pin = {} if weight is None else {"weight": weight}
        return {"name": name, "paths": [str(self.files[name])], **pin}

    def search(self, label: str, frozen: Shares, free: list[str]) -> tuple[Shares, int]:
        """Find the best mixture of one frozen group and free domains; returns it and the runs."""
        work = self.root / "work" / label
        total = sum(frozen.values())
        ratios = {name: share / total for name, share in frozen.items()}
        sources = [self.source(name) for name in free]
        if frozen:
            topics = [self.source(name, share) for name, share in ratios.items()]
            sources.insert(0, {"name": "existing", "topics": topics})
        groups = len(sources)
        counts = {f"existing:{name}": self.tokens(name) for name in frozen}
        counts |= {name: self.tokens(name) for name in free}
        generation = {
            "name": f"reuse-{label.replace('_', '-')}",
            "data": self.data(sources),
            "priors": {"token_counts": counts},
            "swarm": {
                "variants": 3 * (groups + 1) - 2,
                "references": ["natural", "uniform"],
                "mix_temperature": 0.25,
                "min_strength": groups / 4,
                "max_strength": groups * 4.0,
                "minimum_weight": 0.01,
                "repetition_factor": 4.0,
            },
            "max_tokens": MAX_TOKENS,
        }
        write_yaml(self.root / "configs" / f"{label}.yaml", generation)
        self.launch(work / "launch.yaml", sources, [*frozen, *free])
        config = self.root / "configs" / f"{label}.yaml"
        words = ("--base", work / "launch.yaml", "-o", work / "variants", "--no-plots")
        olmix("generate", "-c", config, *words)
        olmix("launch", "run", "-v", work / "variants", "-o", work / "runs", "--yes")
        (group,) = (work / "runs").iterdir()
        olmix("collect", group, "-o", work / "results")
        proposed = self.fit(work, free, bool(frozen), [*frozen, *free])
        found = {name: proposed[name] for name in free}
        found |= {name: proposed["existing"] * share for name, share in ratios.items()}
        return found, len(list((work / "variants").glob("*.yaml")))

    def fit(self, work: Path, free: list[str], frozen: bool, domains: list[str]) -> Shares:
        """Fit the swarm, the frozen group as one domain, and return the proposal."""
        with (work / "results/ratios.csv").open() as lines:
            rows = list(csv.DictReader(lines))
        columns = (["existing"] if frozen else []) + free
        with (work / "results/grouped.csv").open("w") as out:
            writer = csv.writer(out)
            writer.writerow(["run", *columns])
            for row in rows:
                own = [float(row[name]) for name in free]
                rest = [1.0 - sum(own)] if frozen else []
                writer.writerow([row["run"], *rest, *own])
        inside = [name for name in domains if name not in free]
        counts = {"existing": sum(self.tokens(name) for name in inside)} if frozen else {}
        counts |= {name: self.tokens(name) for name in free}
        metrics = [f"{name}_bpb" for name in self.validation(domains)]
        fit = {
            "swarm": {"ratios": "results/grouped.csv", "metrics": "results/metrics.csv"},
            "priors": {"token_counts": counts},
            "eval": {"type": "offline", "tasks": {"validation": metrics}},
            "regression": {"type": "auto", "seed": 0},
        }
        write_yaml(work / "fit.yaml", fit)
        olmix("fit", "-c", work / "fit.yaml", "-o", work / "fit")
        found = json.loads((work / "fit/latest/proposal.json").read_text())
        weights: Shares = found["mixtures"]["proposed"]["weights"]
        return weights

    def losses(self, label: str, mixtures: dict[str, Shares]) -> dict[str, list[float]]:
        """Train mixtures with fresh seeds; returns mean bits per byte of each seed."""
        work = self.root / "work" / f"{label}_check"
        domains = list(next(iter(mixtures.values())))
        self.launch(work / "launch.yaml", [self.source(name) for name in domains], domains)
        place: dict[str, str] = {}
        for name, shares in mixtures.items():
            for seed in SEEDS:
                run = f"{name}-{seed}"
                place[run] = name
                mix = Mixture.from_weights(list(shares), np.array(list(shares.values())))
                content = {"name": run, "mix": mix.to_plain(), "seed": seed}
                write_yaml(work / f"variants/{run}.yaml", content)
        words = ("-c", work / "launch.yaml", "-g", "check", "-o", work / "runs", "--yes")
        olmix("launch", "run", "-v", work / "variants", *words)
        olmix("collect", work / "runs/check", "-o", work / "results")
        found: dict[str, list[float]] = {name: [] for name in mixtures}
        with (work / "results/metrics.csv").open() as lines:
            for row in csv.DictReader(lines):
                values = [float(row[f"{name}_bpb"]) for name in self.validation(domains)]
                found[place[row["run"]]].append(float(np.mean(values)))
        return found


def main() -> None:
    """Run the study and print its table."""
    study = Study(Path(sys.argv[1]).resolve())
    start, runs = study.search("0_start", {}, list(START))
    full, reuse = dict(start), dict(start)
    total = {"full": runs, "reuse": runs}
    print(f"{'step':<22}{'runs, all anew':>16}{'runs, reuse':>13}{'loss, all anew':>16}"
          f"{'loss, reuse':>13}{'difference':>12}")  # fmt: skip
    print(f"{'0_start':<22}{runs:>16}{runs:>13}")
    for label, new, gone in STEPS:
        frozen = {name: share for name, share in reuse.items() if name not in gone}
        domains = [*frozen, *new]
        full, anew = study.search(f"{label}_full", {}, domains)
        if new:
            reuse, again = study.search(label, frozen, list(new))
        else:
            # Nothing new: the others keep their ratios, and no run is needed.
            reuse = {name: share / sum(frozen.values()) for name, share in frozen.items()}
            again = 0
        total["full"] += anew
        total["reuse"] += again
        order = {name: full[name] for name in domains}
        losses = study.losses(label, {"full": order, "reuse": {d: reuse[d] for d in domains}})
        one, two = np.array(losses["full"]), np.array(losses["reuse"])
        print(f"{label:<22}{anew:>16}{again:>13}{one.mean():>16.4f}{two.mean():>13.4f}"
              f"{(two - one).mean():>+12.4f}", flush=True)  # fmt: skip
    print(f"{'all':<22}{total['full']:>16}{total['reuse']:>13}")


if __name__ == "__main__":
    main()
