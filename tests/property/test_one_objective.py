"""Fit, verify and report mean the same by the objective, whatever its directions and weights."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fit_fixtures import plant
from olmix.fit.models_file import LoadedFit
from olmix.fit.propose.references import measured_objective
from olmix.fit.results import objective_of
from olmix.fit.swarm import read_swarm
from olmix.records.fit.columns import Columns
from olmix.records.fit.proposal import ProposedObjective
from olmix.records.fit.scores import Calibration

metrics = st.dictionaries(
    st.sampled_from(["code_bpb", "a b/c", "Ä", "m.1"]),
    st.tuples(st.booleans(), st.floats(0, 10).map(lambda weight: round(weight, 3))),
    min_size=1,
)


@settings(max_examples=25)
@given(metrics, st.integers(0, 999))
def test_all_compute_the_same_value_of_a_run(wanted, seed):
    assume(any(weight > 0 for _, weight in wanted.values()))
    rng = np.random.default_rng(seed)
    levels = dict(zip(wanted, rng.normal(size=len(wanted)), strict=True))
    truths = {name: (lambda x, at=at: at + x @ np.arange(4.0)) for name, at in levels.items()}
    with tempfile.TemporaryDirectory() as name:
        planted = plant(Path(name), truths, num=12, noise=0.1, replicates=1, seed=seed)
        swarm = read_swarm(
            planted.config(
                lower_is_better={metric: lower for metric, (lower, _) in wanted.items()},
                filtering={
                    "obj_weights": {metric: weight for metric, (_, weight) in wanted.items()}
                },
            )
        )
    ours = objective_of(swarm)
    stored = ProposedObjective(**ours.to_plain()).asked
    loaded = LoadedFit(
        Path(),
        swarm.domains,
        {},
        dict(zip(swarm.metrics, swarm.lower_is_better, strict=True)),
        dict(zip(swarm.metrics, swarm.objective_weights.tolist(), strict=True)),
        {},
        swarm.mixtures,
        {},
        Calibration(base=1.0, slope=0.0, quantile=1.0),
    ).objective
    fitted = swarm.objective_sign * measured_objective(swarm)[swarm.group]
    table = dict(zip(swarm.metrics, swarm.values.T, strict=True))
    for objective in (ours, stored, loaded):
        np.testing.assert_allclose(objective.average(table), fitted, rtol=1e-9, atol=1e-12)
        assert objective.sign == swarm.objective_sign
    for run, values in enumerate(swarm.values):
        measured = dict(zip(swarm.metrics, values.tolist(), strict=True))
        verified = Columns().value(stored, measured)
        np.testing.assert_allclose(verified, fitted[run], rtol=1e-9, atol=1e-12)
