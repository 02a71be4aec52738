"""Configs in the shapes that the public ones of Ai2's Olmix have, written anew.

One function per shape. `SHAPES` maps the name of a shape to what it makes, to which public configs
have it, and to what our reader says of it as it stands: `None` where it is accepted.
"""

from collections.abc import Callable
from dataclasses import dataclass

BUCKET = "s3://bucket/tokens"
COUNTS = {
    "web:science": 84_000_000_000,
    "web:code": 23_000_000_000,
    "web:jobs": 20_000_000_000,
    "wiki": 3_600_000_000,
    "papers": 21_000_000_000,
}
INFRA = {
    "budget": "ai2/budget", "workspace": "ai2/space", "cluster": "ai2/cluster",
    "priority": "high", "nodes": 1, "gpus": 1,
}  # fmt: skip
TASKS = {
    "math": {"gsm8k_gold_bpb_5shot": "eval/downstream/gsm8k_gold_bpb_5shot (BPB v2)"},
    "qa": {"arc_easy_test_rc_5shot": "eval/downstream/arc_easy_test_rc_5shot (BPB v2)"},
}


def leaf(name, *, folder="", **more):
    return {"name": name, "paths": [f"{BUCKET}/{folder}{name}/*.npy"], **more}


def sources(**more):
    """Three sources, the first of them with topics; `more` goes into every node."""
    topics = [leaf(name, folder="web/", **more) for name in ("science", "code", "jobs")]
    return [{"name": "web", "topics": topics, **more}, leaf("wiki", **more), leaf("papers", **more)]


def training(**changes):
    return {
        "proxy_model_id": "olmo3_14m", "tokenizer": "dolma2", "chinchilla_multiple": 0.5,
        "seed": 42, "global_batch_size": 16, **changes,
    }  # fmt: skip


def launch(**changes):
    mix = {
        "web": {
            "weight": 0.6,
            "science": {"weight": 0.333333, "repetition_factor": 1.0},
            "code": {"weight": 0.333333, "repetition_factor": 1.0},
            "jobs": {"weight": 0.333333, "repetition_factor": 1.0},
        },
        "wiki": {"weight": 0.2, "repetition_factor": 2.0},
        "papers": {"weight": 0.2, "repetition_factor": 1.5},
    }
    return {
        "name": "mix-baseline", "description": "Equal parts", "infra": INFRA,
        "training": training(), "data": {"sources": sources()},
        "eval": {"type": "inloop", "tasks": TASKS}, "mix": mix, **changes,
    }  # fmt: skip


def launch_of_qualities():
    def topic(name):
        buckets = [leaf(q, folder=f"{name}/") for q in ("high", "med", "low")]
        return {"name": name, "quality": buckets}

    inner = {
        "high": {"weight": 0.700002, "repetition_factor": 1.0},
        "med": {"weight": 0.299998, "repetition_factor": 1.0},
        "low": {"weight": 0.0, "repetition_factor": 1.0},
    }
    mix = {
        "web": {
            "weight": 0.999998,
            "science": {"weight": 0.25, **inner},
            "code": {"weight": 0.75, **inner},
        },
        "papers": {"weight": 1e-06, "repetition_factor": 1.5},
        "wiki": {"weight": 1e-06, "repetition_factor": 2.0},
    }
    tree = [
        {"name": "web", "topics": [topic("science"), topic("code")]},
        leaf("papers"),
        leaf("wiki"),
    ]
    return launch(name="quality-high-0.5x", data={"sources": tree}, mix=mix)


def base_of_swarms():
    section = training(proxy_model_id="olmo2_30m", chinchilla_multiple=5)
    del section["global_batch_size"]
    return launch(name="base", training=section)


def generation(**changes):
    swarm = {
        "seed": 42, "variants": 4, "mix_temperature": 1.0, "min_strength": 0.1,
        "max_strength": 5.0, "minimum_weight": 0.002,
    }  # fmt: skip
    return {
        "name": "example-swarm", "data": {"sources": sources()},
        "priors": {"token_counts": COUNTS}, "swarm": swarm, "max_tokens": 140_000_000, **changes,
    }  # fmt: skip


def sizes(counts):
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}


def generation_of_pinned_sources():
    tree = sources()
    for source, weight in zip(tree, (0.7, 0.01, 0.29), strict=True):
        source["weight"] = weight
    manual = {"web:jobs": 0.1, "web:science": 0.1, "web:code": 0.8}
    swarm = {**generation()["swarm"], "manual_topic_prior": manual}
    priors = {"relative_sizes": sizes(COUNTS), "token_counts": COUNTS}
    return generation(data={"sources": tree}, priors=priors, swarm=swarm)


REUSED = {"dclm:food": 0.25, "dclm:games": 0.35, "finemath": 0.3, "stack:C": 0.1}


def reuse(counts, **swarm):
    topics = [leaf(name, weight=weight) for name, weight in REUSED.items()]
    tree = [{"name": "existing", "topics": topics}, leaf("pdfs"), leaf("wiki")]
    settings = {
        "seed": 42, "variants": 16, "minimum_weight": 0.0001, "min_strength": 1,
        "max_strength": 20, "nonzero_weight": ["existing", "pdfs", "wiki"],
        "manual_prior": {"existing": 0.7, "pdfs": 0.1, "wiki": 0.2}, **swarm,
    }  # fmt: skip
    return {
        "name": "reuse", "data": {"sources": tree},
        "priors": {"relative_sizes": sizes(counts), "token_counts": counts},
        "swarm": settings, "max_tokens": 2_910_233_600,
    }  # fmt: skip


REUSE_COUNTS = {
    "existing:dclm:food": 15_000_000_000,
    "existing:dclm:games": 33_000_000_000,
    "existing:finemath": 34_000_000_000,
    "existing:stack:C": 4_700_000_000,
    "pdfs": 1_100_000_000_000,
    "wiki": 10_000_000_000,
}


def reuse_with_names_of_before():
    counts = {name.replace("existing:finemath", "finemath"): n for name, n in REUSE_COUNTS.items()}
    return reuse(counts)


FIT_COUNTS = {"web": 60_000_000_000, "code": 15_000_000_000, "math": 25_000_000_000}


def fit(**changes):
    return {
        "swarm": {"ratios": "ratios.csv", "metrics": "metrics.csv"},
        "priors": {"token_counts": FIT_COUNTS},
        "eval": {"type": "offline", "tasks": {"math": ["m_alg::olmes"], "qa": ["arc:rc::olmes"]}},
        "regression": {
            "type": "log_linear", "seed": 0, "n_test": 0, "train_split": 1.0,
            "aggregate_task_families": False,
        },
        "proposer": {
            "type": "exact", "temperature": None, "kl_reg": 0.05, "fit_only": False,
            "make_worst_mix": False,
        },
        "constraints": {
            "enabled": True, "target_tokens": "10_000_000_000", "repetition_factor": 4.0,
        },
        "filtering": {"drop_metrics": ["medqa_en:rc::none"], "obj_weights": {}},
        **changes,
    }  # fmt: skip


def fit_per_family():
    section = {**fit()["regression"], "aggregate_task_families": True}
    weights = {"math": "7/26.0", "qa": "19/26.0"}
    return fit(regression=section, filtering={"drop_metrics": [], "obj_weights": weights})


def fit_of_a_part():
    section = {**fit()["regression"], "train_split": 30}
    shares = {"web": 0.6, "code": 0.13, "math": 0.2}
    priors = {"relative_sizes": shares, "total_tokens": None, "token_counts": FIT_COUNTS}
    found = fit(regression=section, priors=priors)
    del found["eval"]
    return found


def fit_with_defaults():
    return {"swarm": fit()["swarm"], "priors": fit()["priors"]}


def flat(**changes):
    return {
        "name": "test-30m", "description": "A minimal run", **INFRA,
        "proxy_model_id": "olmo2_30m", "tokenizer": "dolma2", "chinchilla_multiple": 0.5,
        "variants": 2, "seed": 42, "sources": sources(max_repetition_factor=2.0), **changes,
    }  # fmt: skip


def flat_with_limits():
    tree = sources(max_repetition_factor=1.0, max_source_ratio=0.7)
    found = flat(
        sources=tree, max_tokens=500_000_000, sequence_length=2048, mix_temperature=1.0,
        min_strength=0.1, max_strength=5.0, target_tokens=10**12, eval_tasks=["arc_easy_rc_5shot"],
    )  # fmt: skip
    del found["chinchilla_multiple"]
    return found


def flat_of_weights():
    """All weights given, in per cent, as the experiments on qualities have them."""

    def topic(name, weight):
        buckets = [leaf(q, folder=f"{name}/", weight=w) for q, w in (("v18", 30), ("v20", 70))]
        return {"name": name, "weight": weight, "quality": buckets}

    tree = [
        {"name": "web", "weight": 98, "topics": [topic("science", 15), topic("code", 83)]},
        leaf("papers", weight=1, max_repetition_factor=1.5),
        leaf("wiki", weight=1, max_repetition_factor=2.0),
    ]
    return flat(
        sources=tree, variants=1, minimum_weight=0.0001, global_batch_size=16,
        proxy_model_id="olmo3_14m",
    )  # fmt: skip


def experiment():
    found = launch(name="duration-0.5x")
    del found["mix"]
    found["data"] = {"sources": sources(max_repetition_factor=1.5)}
    return {
        **found,
        "priors": {"token_counts": COUNTS},
        "swarm": {"seed": 42, "variants": 1},
    }


@dataclass(frozen=True)
class Shape:
    """A shape of config.

    Attributes:
        build: makes one.
        model: the config class that is meant to read it.
        refused: a part of what our reader says; `None` where it is accepted.
        public: which public configs have this shape.
    """

    build: Callable[[], dict]
    model: str
    refused: str | None
    public: str


SHAPES = {
    "launch": Shape(launch, "launch", "Write `16 sequences`", "examples/launch: 31"),
    "launch of qualities": Shape(
        launch_of_qualities, "launch", "`16 sequences`", "quality_thresholds, quality_upsampling"
    ),
    "base": Shape(base_of_swarms, "launch", None, "mixture_reuse_case_study/launch"),
    "generation": Shape(generation, "generation", None, "examples/generate/example"),
    "pinned sources": Shape(
        generation_of_pinned_sources, "generation", None, "examples/generate/example_2"
    ),
    "reuse": Shape(
        lambda: reuse(REUSE_COUNTS), "generation", None, "mixture_reuse_case_study/generate"
    ),
    "reuse, other names": Shape(
        reuse_with_names_of_before, "generation", "existing:finemath is missing",
        "mixture_reuse_case_study/generate/5",
    ),
    "fit": Shape(fit, "fit", None, "examples/fit/example"),
    "fit per family": Shape(fit_per_family, "fit", None, "examples/fit/dclm_per_family"),
    "fit of a part": Shape(
        fit_of_a_part, "fit", "they add up to 0.93, not to 1", "full_recomputation, case studies"
    ),
    "fit with defaults": Shape(fit_with_defaults, "fit", None, "none: all that may be left out"),
    "experiment": Shape(
        experiment, "launch", "priors: unknown key", "experiments/ of February 2026"
    ),
    "flat": Shape(flat, "launch", "sources: unknown key", "examples/test_olmo2_30m"),
    "flat with limits": Shape(
        flat_with_limits, "launch", "sources: unknown key", "examples/mixture_olmo2_30m"
    ),
    "flat of weights": Shape(
        flat_of_weights, "launch", "sources: unknown key", "experiments/ before sections"
    ),
}  # fmt: skip
