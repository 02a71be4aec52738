"""A fit folder as `olmix fit` and `olmix verify` write it, with plausible numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from olmix.text.csv import write_table
from olmix.text.files import write_json, write_text

NATURAL = {
    "docs": 0.34,
    "code": 0.27,
    "scripture": 0.13,
    "cpp": 0.11,
    "stubs": 0.07,
    "math": 0.05,
    "unicode": 0.03,
}
PROPOSED = {
    "docs": 0.22,
    "code": 0.55,
    "scripture": 0.01,
    "cpp": 0.03,
    "stubs": 0.12,
    "math": 0.06,
    "unicode": 0.01,
}
TARGET = "networkx_bpb"
_HARD = {"unicode": 1.2, "scripture": 2.2, "math": 2.0, "stubs": 1.1, "code": 1.9, "cpp": 1.8}
_COSTS = (0.0, -0.2, -0.3, 1.3, 0.9, 0.2, 0.35, 1.4)
"""What the proposal adds to the measured mean of each metric, beside what it does to all."""
_PULL = {"code": -0.55, "docs": -0.35, "stubs": -0.2, "cpp": -0.1, "math": 0.05}


def write_sample_fit(
    folder: Path,
    *,
    num_runs: int = 24,
    seed: int = 0,
    reliable: bool = True,
    verified: bool = True,
    rename: dict[str, str] | None = None,
    num_domains: int = 7,
    num_metrics: int = 8,
) -> Path:
    """Write a fit folder and return its path; `rename` renames domains."""
    rng = np.random.default_rng(seed)
    names = rename or {}
    extra = [f"more-{i}" for i in range(num_domains - len(NATURAL))]
    known = [*NATURAL, *extra][:num_domains]
    natural = _mixture({names.get(d, d): NATURAL.get(d, 0.02) for d in known})
    proposed = _mixture({names.get(d, d): PROPOSED.get(d, 0.01) for d in known})
    domains = list(natural)
    uniform = {d: 1 / len(domains) for d in domains}
    kinds = [TARGET, *(f"{d}_bpb" for d in domains)]
    more = [f"task-{i}_bpb" for i in range(max(num_metrics - len(kinds), 0))]
    metrics = [*kinds, *more][:num_metrics]
    runs = ["natural", "uniform", *(f"quickstart-1a2b3c4d-{i:04d}" for i in range(num_runs - 2))]
    mixtures = rng.dirichlet(7 * np.array(list(natural.values())) + 0.4, size=num_runs)
    mixtures[0], mixtures[1] = list(natural.values()), list(uniform.values())
    values = np.stack([_measure(mixtures, m, domains, rng) for m in metrics], axis=1)
    best = int(np.argmin(values[:, 0]))
    best_seen = dict(zip(domains, mixtures[best].tolist(), strict=True))
    tables = folder.parent / "results"
    write_table(tables / "ratios.csv", runs, dict(zip(domains, mixtures.T.tolist(), strict=True)))
    write_table(tables / "metrics.csv", runs, dict(zip(metrics, values.T.tolist(), strict=True)))
    write_table(
        tables / "runs.csv", runs, {"state": ["finished"] * num_runs, "seed": [0] * num_runs}
    )
    _write_config(folder, tables, metrics, natural, seed)
    _write_fit(folder, domains, metrics, runs, values, reliable, rng)
    mixes = {"natural": natural, "uniform": uniform, "best_seen": best_seen, "proposed": proposed}
    _write_proposal(folder, mixes, runs[best], float(values[best, 0]), reliable)
    if verified:
        _write_verification(folder, mixes, metrics, rng)
    return folder


def _mixture(sizes: dict[str, float]) -> dict[str, float]:
    total = sum(sizes.values())
    return {domain: size / total for domain, size in sizes.items()}


def edit_json(path: Path, **changes: Any) -> None:
    """Change some entries of a JSON file; keys such as `metrics/a/lower_is_better` reach deeper."""
    content = json.loads(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        *way, last = key.split("/")
        place = content
        for step in way:
            place = place[step]
        place[last] = value
    write_json(path, content)


def _measure(mixtures: Any, metric: str, domains: list[str], rng: np.random.Generator) -> Any:
    noise = 0.006 * rng.standard_normal(len(mixtures))
    if metric == TARGET:
        pull = np.array([_PULL.get(d, 0.1) for d in domains])
        return 1.62 + np.exp(-0.9 + 1.6 * mixtures @ pull) + noise
    name = metric.removesuffix("_bpb")
    position = domains.index(name) if name in domains else len(metric) % len(domains)
    level = _HARD.get(domains[position], 2.0)
    return level + 0.5 * np.exp(-3.0 * np.sqrt(mixtures[:, position])) + noise


def _write_config(
    folder: Path, tables: Path, metrics: list[str], natural: dict[str, float], seed: int
) -> None:
    config = {
        "swarm": {"ratios": str(tables / "ratios.csv"), "metrics": str(tables / "metrics.csv")},
        "priors": {"token_counts": {d: int(4_000_000 * w) for d, w in natural.items()}},
        "eval": {"type": "offline", "tasks": {"validation": metrics}},
        "regression": {"type": "auto", "seed": seed, "num_folds": 5, "n_test": 0},
        "proposer": {"type": "auto", "kl_reg": 0.05},
        "filtering": {"obj_weights": {m: float(m == TARGET) for m in metrics}},
        "hash": "0f1e2d3c",
        "data_hash": {"ratios": "aabbccdd", "metrics": "eeff0011"},
        "versions": {"olmix": "0.1.0", "python": "3.11.2", "numpy": "2.4.0", "scipy": "1.17.0"},
    }
    write_json(folder / "config.json", config)


def _write_fit(
    folder: Path,
    domains: list[str],
    metrics: list[str],
    runs: list[str],
    values: Any,
    reliable: bool,
    rng: np.random.Generator,
) -> None:
    entries: dict[str, Any] = {}
    lines = ["run,metric,measured,fitted,held_out,fold"]
    for j, metric in enumerate(metrics):
        spread = 0.012 if reliable else 0.4
        fitted = values[:, j] + 0.6 * spread * rng.standard_normal(len(runs))
        held = values[:, j] + spread * rng.standard_normal(len(runs))
        for i, run in enumerate(runs):
            cell = metric.replace('"', '""')
            numbers = ",".join(repr(float(v)) for v in (values[i, j], fitted[i], held[i]))
            lines.append(f'{run},"{cell}",{numbers},{i % 5}')
        good = _scores(values[:, j], held)
        worse = _scores(values[:, j], held + 0.02 * rng.standard_normal(len(runs)))
        train = _scores(values[:, j], fitted)
        chosen = "log_linear" if j % 3 == 2 else "log_weight"
        other = "log_weight" if j % 3 == 2 else "log_linear"
        laws = {chosen: {"cv": good, "train": train}, other: {"cv": worse, "train": train}}
        entries[metric] = {
            "lower_is_better": True,
            "num_runs": len(runs),
            "objective_weight": float(metric == TARGET),
            "chosen": chosen,
            "candidates": {law: laws[law] for law in sorted(laws)},
            "noise_sd": 0.0061 if j % 2 == 0 else None,
            "signal": reliable,
            "signal_p_value": 1e-6 if reliable else 0.41,
        }
    fit = {
        "format": 1,
        "domains": domains,
        "metrics": entries,
        "runs": {
            "used": runs,
            "names": {run: run for run in runs},
            "dropped": {"quickstart-1a2b3c4d-0099": "networkx_bpb is missing"},
        },
        "notes": [
            f"{TARGET}: log_weight was chosen; its error on held-out runs is the smaller one.",
            "The interaction matrix is evaluated at the natural mixture.",
        ],
    }
    write_json(folder / "fit.json", fit)
    write_text(folder / "predictions.csv", "\n".join(lines) + "\n")
    matrix = 0.12 * rng.standard_normal((len(metrics), len(domains)))
    columns = dict(zip(domains, matrix.T.tolist(), strict=True))
    write_table(folder / "interaction_matrix.csv", metrics, columns)
    text = (folder / "interaction_matrix.csv").read_text(encoding="utf-8")
    write_text(folder / "interaction_matrix.csv", text.replace("run,", "metric,", 1))


def _scores(measured: Any, predicted: Any) -> dict[str, float]:
    def ranks(array: Any) -> Any:
        return np.argsort(np.argsort(array))

    error = float(np.sqrt(np.mean((predicted - measured) ** 2)))
    return {
        "spearman": float(np.corrcoef(ranks(measured), ranks(predicted))[0, 1]),
        "pearson": float(np.corrcoef(measured, predicted)[0, 1]),
        "r2": float(1 - error**2 / measured.var()),
        "rmse": error,
    }


def _write_proposal(
    folder: Path,
    mixes: dict[str, dict[str, float]],
    best_run: str,
    best_value: float,
    reliable: bool,
) -> None:
    predicted = {"natural": 1.902, "uniform": 1.861, "best_seen": 1.742, "proposed": 1.711}
    gains = {"natural": 0.191, "uniform": 0.150, "best_seen": 0.031}
    wide = 0.02 if reliable else 0.4
    mixtures: dict[str, Any] = {
        name: {
            "weights": weights,
            "predicted": {
                "mean": predicted[name],
                "low": predicted[name] - wide,
                "high": predicted[name] + wide,
            },
        }
        for name, weights in mixes.items()
    }
    mixtures["best_seen"] |= {"run": best_run, "measured": best_value}
    statement = (
        "The proposed mixture is predicted to be better than natural by 0.191 bits per byte "
        "(90 % interval 0.171 to 0.211)."
        if reliable
        else "There is no reliable signal in this swarm: held-out predictions of networkx_bpb do "
        "not follow the measurements. More runs, replicates, or another metric would help."
    )
    proposal = {
        "objective": {"name": TARGET, "lower_is_better": True, "metrics": {TARGET: 1.0}},
        "proposer": "gradient",
        "kl_reg": 0.05,
        "caps": dict.fromkeys(mixes["natural"], 1.0),
        "mixtures": mixtures,
        "gains": {
            name: {
                "mean": gain,
                "std_error": wide / 1.645,
                "low": gain - wide,
                "high": gain + wide,
                "probability": 0.999 if reliable else 0.61,
            }
            for name, gain in gains.items()
        },
        "repetition": {
            d: 160_000 * w / (4_000_000 * mixes["natural"][d]) for d, w in mixes["proposed"].items()
        },
        "reliable": reliable,
        "warnings": ["code: the proposed weight 55.0 % is above every weight that was tried."],
        "statement": statement,
    }
    write_json(folder / "proposal.json", proposal)
    best = [{"domain": d, "weight": w} for d, w in mixes["proposed"].items()]
    write_json(folder / "opt_avg_all_metrics_log_weight_optimal.json", best)
    write_json(folder / f"{TARGET}_log_weight_optimal.json", best)


def _write_verification(
    folder: Path,
    mixes: dict[str, dict[str, float]],
    metrics: list[str],
    rng: np.random.Generator,
) -> None:
    seeds = [2000 + i for i in range(5)]
    common = 0.02 * rng.standard_normal(len(seeds))
    level = {"natural": 1.905, "uniform": 1.858, "best_seen": 1.729, "proposed": 1.709}
    values = {
        name: level[name] + common + 0.008 * rng.standard_normal(len(seeds)) for name in mixes
    }
    root = math.sqrt(len(seeds))
    gains = {}
    for name in ("natural", "uniform", "best_seen"):
        gain = values[name] - values["proposed"]
        error = float(gain.std(ddof=1) / root)
        gains[name] = {
            "mean": float(gain.mean()),
            "std_error": error,
            "low": float(gain.mean() - 2.132 * error),
            "high": float(gain.mean() + 2.132 * error),
            "t": float(gain.mean() / error),
            "p_value": 0.0004,
        }
    size = gains["natural"]
    verification = {
        "metric": TARGET,
        "lower_is_better": True,
        "unit": "bits per byte",
        "level": 0.9,
        "seeds": seeds,
        "mixtures": {
            name: {
                "weights": mixes[name],
                "values": values[name].tolist(),
                "mean": float(values[name].mean()),
                "std_error": float(values[name].std(ddof=1) / root),
            }
            for name in mixes
        },
        "gains": gains,
        "predicted_gain": json.loads((folder / "proposal.json").read_text())["gains"],
        "metrics": {
            metric: {
                name: {
                    "mean": float(values[name].mean() + 0.1 * j)
                    + (_COSTS[j % len(_COSTS)] if name == "proposed" else 0.0),
                    "std_error": 0.004 + 0.001 * j,
                }
                for name in mixes
            }
            for j, metric in enumerate(metrics)
        },
        "num_runs": 20,
        "group": "verify-5e6f7a8b",
        "statement": (
            "The proposed mixture is better than natural by a gain of "
            f"{size['mean']:.3f} ± {size['std_error']:.3f} bits per byte (lower is better); better "
            f"than uniform by {gains['uniform']['mean']:.3f} ± {gains['uniform']['std_error']:.3f}."
        ),
    }
    write_json(folder / "verification.json", verification)
    rows = [(name, seed) for name in mixes for seed in range(len(seeds))]
    columns: dict[str, list[Any]] = {
        "mixture": [name for name, _ in rows],
        "seed": [seeds[i] for _, i in rows],
    }
    for j, metric in enumerate(metrics):
        cost = _COSTS[j % len(_COSTS)]
        columns[metric] = [
            float(values[name][i] + 0.1 * j + cost * (name == "proposed")) for name, i in rows
        ]
    labels = [f"{name.replace('_', '-')}-seed-{seeds[i]}" for name, i in rows]
    write_table(folder / "verification.csv", labels, columns)
