"""Lists of data sets, and mixtures of them as a variable, from the design to the fit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweep_studies import BASE, log_run

from olmix.config import FitConfig
from olmix.errors import ConfigError
from olmix.fit import fit_swarm
from olmix.sweep import build_plan, generate_configs
from olmix.sweep.mixtures import mixtures_of, repetitions
from olmix.sweep.results import write_results
from olmix.sweep.torchtune.registry import read_registry


def said(made):
    with pytest.raises(ConfigError) as found:
        build_plan(made)
    return str(found.value)


@pytest.fixture
def sources(tmp_path):
    rows = {"web": 300, "code": 100, "maths": 50}
    for name, count in rows.items():
        (tmp_path / f"{name}.jsonl").write_text('{"output": "x"}\n' * count)
    return {name: {"data_files": str(tmp_path / f"{name}.jsonl")} for name in rows}


def study(sources, variables=None, framework="torchtune", **controls):
    bases = {"torchtune": {"base_config": BASE}, "trl": {"recipe": "sft"}}
    return {
        "experiment": {"name": "mix", "framework": framework},
        "framework_config": bases[framework],
        "sources": sources,
        "variables": variables or {},
        "controls": controls,
    }


def test_every_shipped_config_with_data_takes_a_list_of_them():
    taken = 0
    for name, shipped in read_registry().configs.items():
        text = shipped.path.read_text()
        if "\ndataset:" not in text or "multi_dataset" in name:
            continue
        made = {
            "experiment_name": "x",
            "base_config": name,
            "controls": {"dataset": [{"split": "train"}, {"split": "test"}]},
        }
        plan = build_plan(made)
        node = plan.base.data["dataset"]
        merged = plan.runs[0].config["dataset"]
        assert merged == [node | {"split": "train"}, node | {"split": "test"}], name
        taken += 1
    assert taken > 100


def test_lists_and_single_data_sets_can_be_compared():
    one = {"source": "a"}
    values = [one, [one, {"source": "b"}]]
    plan = build_plan(
        {"experiment_name": "x", "base_config": BASE, "variables": {"dataset": values}}
    )
    single, both = (run.config["dataset"] for run in plan.runs)
    assert single["source"] == both[0]["source"] == "a"
    assert both[1]["_component_"] == single["_component_"]


def test_what_a_component_does_not_take_is_found_in_every_entry_of_a_list():
    values = [{"source": "a"}, {"sorce": "b"}]
    made = {"experiment_name": "x", "base_config": BASE, "controls": {"dataset": values}}
    assert "takes no argument `sorce`" in said(made)
    made["controls"] = {"dataset": [{"source": "a"}], "shuffle": False}
    [found] = [f.what for f in build_plan(made).findings if "one after the other" in f.what]
    assert found.startswith("without shuffle: true")


def test_torchtune_repeats_sources_until_their_rows_are_near_their_shares(sources):
    mix = {"web": 0.5, "code": 0.3, "maths": 0.2}
    [run] = build_plan(study(sources, {"dataset_mix": [mix]})).runs
    entries = [node["data_files"].rpartition("/")[2] for node in run.config["dataset"]]
    rows = {"web.jsonl": 300, "code.jsonl": 100, "maths.jsonl": 50}
    total = sum(rows[name] for name in entries)
    for name, share in run.params["dataset_mix"].items():
        true = sum(rows[e] for e in entries if e == f"{name}.jsonl") / total
        assert share == pytest.approx(true, abs=1e-6), "what is noted is what is trained on"
        assert share == pytest.approx(mix[name], abs=0.011)
    assert run.config["dataset"][0]["source"] == "json"
    assert "_component_" in run.config["dataset"][0]


def test_trl_gets_a_fraction_of_every_source(sources):
    pytest.importorskip("trl", reason="needs the files of TRL")
    mix = {"web": 0.7, "code": 0.3}
    made = study(sources, framework="trl", dataset_mix=mix, model_name_or_path="m", max_steps=20)
    [run] = build_plan(made).runs
    entries = run.config["datasets"]
    assert [entry["fraction"] for entry in entries] == [0.7, 0.3], "what has no share is not read"
    assert entries[0]["path"] == "json"


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ([{"wab": 1.0}], "there is no source wab; did you mean `web`?"),
        ([{"web": 0.7, "code": 0.4}], "the shares add up to 1.1, not to 1"),
        ([{"web": -0.5, "code": 1.5}], "found -0.5; a share from 0 to 1 is needed"),
        ([0.5], "a mixture is written {web: 0.7, ...}; found 0.5"),
        ({"design": "grid", "runs": 4}, "design is grid; allowed: dirichlet, optimal"),
        ({"design": "optimal"}, "runs, a whole number from 2 on, is needed"),
        ({"design": "optimal", "run": 3}, "unknown keys run; allowed: design, runs, seed, prior"),
        ([{"web": 0.9999, "maths": 0.0001}], "too small to reach by repeating the others"),
    ],
)
def test_a_wrong_mixture_is_told_what_to_do(sources, mix, message):
    assert message in said(study(sources, {"dataset_mix": mix}))


def test_mixtures_need_sources_and_sources_a_mixture(sources):
    assert "a mixture needs `sources`" in said(study({}, {"dataset_mix": [{"web": 1.0}]}))
    assert "nothing says how to mix them" in said(study(sources))
    unknown = {"web": {"source": "a/b"}, "code": {"source": "c/d", "rows": 10}}
    made = study(unknown, {"dataset_mix": [{"web": 0.5, "code": 0.5}]})
    assert "the rows of web cannot be counted; write sources.web.rows" in said(made)
    made = study(sources, {"dataset_mix": [{"web": 1.0}]}, packed=True)
    assert "both set dataset" in said(made)


@pytest.mark.parametrize("design", ["dirichlet", "optimal"])
@pytest.mark.parametrize(("size", "runs"), [(2, 6), (3, 12), (7, 40)])
def test_a_design_gives_different_mixtures_and_the_same_ones_again(design, size, runs):
    names = [f"s{n}" for n in range(size)]
    value = {"design": design, "runs": runs, "seed": 3}
    found = mixtures_of(value, names)
    assert len({tuple(mixture.values()) for mixture in found}) == runs
    for mixture in found:
        assert math.fsum(mixture.values()) == pytest.approx(1, abs=1e-9)
        assert min(mixture.values()) >= 0
    assert mixtures_of(value, names) == found


def test_the_optimal_design_knows_a_quadratic_law_better_than_draws_do():
    names = ["a", "b", "c"]

    def log_determinant(design):
        found = mixtures_of({"design": design, "runs": 10, "seed": 0}, names)
        w = np.array([list(mixture.values()) for mixture in found])
        terms = np.column_stack([w, w[:, 0] * w[:, 1], w[:, 0] * w[:, 2], w[:, 1] * w[:, 2]])
        return np.linalg.slogdet(terms.T @ terms)[1]

    assert log_determinant("optimal") > log_determinant("dirichlet") + 1


@given(
    st.lists(st.tuples(st.floats(0.1, 1), st.integers(10, 1000)), min_size=2, max_size=4),
)
def test_repetitions_are_few_and_near_what_was_asked_for(drawn):
    total = sum(weight for weight, _ in drawn)
    weights = {str(n): weight / total for n, (weight, _) in enumerate(drawn)}
    rows = {str(n): count for n, (_, count) in enumerate(drawn)}
    counts = repetitions(weights, rows)
    if not counts:
        return  # one source is so small that it would be needed hundreds of times
    assert sum(counts.values()) <= 200
    parts = {name: count * rows[name] for name, count in counts.items()}
    # One repetition more or less of any source changes its share by no more than this.
    finest = max(rows[name] / sum(parts.values()) for name in parts)
    for name, part in parts.items():
        assert abs(part / sum(parts.values()) - weights[name]) <= max(0.011, finest)


def test_a_swept_mixture_is_fitted_as_a_swarm_and_found(sources, tmp_path):
    variables = {"dataset_mix": {"design": "optimal", "runs": 12}, "seed": [1]}
    controls = {"output_dir": "runs", "max_steps_per_epoch": 2}
    made = study(sources, variables, **controls)
    folder = generate_configs(made, tmp_path / "study", validator="none").folder
    planted = np.array([0.5, 0.3, 0.2])
    for number, run in enumerate(build_plan(made).runs):
        shares = np.array([run.params["dataset_mix"][name] for name in sources])
        loss = 2 + 2 * float(np.sum((shares - planted) ** 2))
        log_run(folder, number, [loss] * 10)
    found = write_results(folder)
    assert found.swarm == folder / "results" / "mixture" / "fit.yaml"
    assert "web: 300" in found.swarm.read_text()

    fitted = fit_swarm(FitConfig.from_yaml(found.swarm), tmp_path / "fit")
    weights = fitted.proposal.weights("proposed")
    gaps = [abs(weights[name] - share) for name, share in zip(sources, planted, strict=True)]
    assert sum(gaps) < 0.3, weights
