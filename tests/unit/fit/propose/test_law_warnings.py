"""Many domains: which law `auto` tries there, and what is said of one chosen by hand."""

from dataclasses import replace

import numpy as np
import pytest

from olmix.config import FitConfig
from olmix.fit.propose.feasible import feasible_mixtures
from olmix.fit.propose.gradient import search, starting_points
from olmix.fit.propose.law_warnings import law_warnings
from olmix.fit.propose.proposal import build_objective
from olmix.fit.swarm import read_swarm
from olmix.fit.swarm_fit import fit_laws, laws_for
from olmix.laws.epochs import EpochsShape, FittedEpochs
from olmix.text.csv import Table

NUM = 30
NAMES = tuple(f"d{index:02d}" for index in range(NUM))


def truth():
    """Plant a surface with the shape and the sizes of the published 39-domain one."""
    rng = np.random.default_rng(5)
    passes = np.exp(rng.uniform(np.log(5), np.log(400), NUM))
    amplitudes = np.concatenate([rng.gamma(0.4, 0.15, NUM), rng.gamma(0.4, 0.03, NUM)])
    return FittedEpochs(passes, EpochsShape(0.5, 1.0, 1.0), amplitudes, -0.9, 0.75, 0.01)


def planted(num, **sections):
    law, rng = truth(), np.random.default_rng(7)
    natural = 1 / law.passes / (1 / law.passes).sum()
    mixtures = np.vstack([natural, rng.dirichlet(np.ones(NUM), num - 1)])
    values = law.predict(mixtures) + 0.001 * rng.standard_normal(num)
    runs = tuple(f"r{index:03d}" for index in range(num))
    counts = dict(zip(NAMES, (1e12 / law.passes).astype(int).tolist(), strict=True))
    config = FitConfig.from_dict(
        {
            "swarm": {"ratios": "r", "metrics": "m"},
            "priors": {"token_counts": counts},
            "constraints": {"enabled": False, "target_tokens": 10**12},
            **sections,
        }
    )
    tables = (
        Table("r", runs, runs, NAMES, mixtures),
        Table("m", runs, runs, ("bpb",), values[:, None]),
    )
    return law, config, read_swarm(config, tables)


@pytest.mark.parametrize(
    ("num", "tried"), [(179, False), (180, True)], ids=["too few runs", "enough runs"]
)
def test_auto_tries_the_law_of_epochs_where_it_can_be_learnt(num, tried):
    _, config, swarm = planted(num)
    assert ("epochs" in [law.name for law in laws_for(config, swarm)]) == tried


def test_on_a_surface_of_real_size_auto_proposes_well():
    law, config, swarm = planted(200)
    fit = fit_laws(config, swarm)
    start = swarm.unique_mixtures[np.argsort(swarm.values[:, 0])[:4]]
    feasible = feasible_mixtures(
        fit.config.model_copy(update={"constraints": type(config.constraints)()})
    )

    def proposed(name):
        one = replace(fit.fits[0], chosen=name)
        objective = build_objective(replace(fit, fits=[one]), swarm.objective_weights, 0.0)
        found = search(objective, feasible, starting_points(feasible, list(start), 4, 0), 0.01)
        return float(law.predict(found[None])[0]), float(objective.value(found[None])[0])

    best_run = float(law.predict(start[:1])[0])
    (auto, promise), (by_hand, _) = proposed(fit.fits[0].chosen), proposed("log_weight")
    assert auto < best_run
    assert auto < by_hand
    assert abs(auto - promise) < 0.5 * (best_run - auto)


def test_a_law_chosen_by_hand_is_warned_about_with_what_was_measured():
    _, config, swarm = planted(60, regression={"type": "log_linear"})
    fit = fit_laws(config, swarm)
    natural = fit.natural
    said = law_warnings(fit, natural, 0.0)
    assert "alone over 30 domains" in said[0]
    assert "without KL and without caps" in said[1]
    assert len(law_warnings(fit, natural, 0.05)) == 1


def test_a_promise_below_the_floor_is_flagged():
    _, config, swarm = planted(60, regression={"type": "epochs"})
    fit = fit_laws(config, swarm)
    assert law_warnings(fit, fit.natural, 0.0) == []
    candidate = fit.fits[0].best
    high = replace(candidate, law=replace(candidate.law, floor=9.0))
    low = replace(fit.fits[0], chosen="low", candidates={"low": candidate, "epochs": high})
    (said,) = law_warnings(replace(fit, fits=[low]), fit.natural, 0.0)
    assert "bpb" in said
    assert "the floor is 9" in said
