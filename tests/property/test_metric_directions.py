"""Collect, fit and sweep results ask `olmix.records.metric` which way is better, and agree."""

from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from olmix.collect.record import Record
from olmix.collect.selection import select
from olmix.config import FitConfig
from olmix.fit.metrics import select_metrics
from olmix.records.metric import is_metric, lower_is_better, lower_is_better_by_name, sort_names
from olmix.sweep import results
from olmix.sweep.factors import Factors
from olmix.sweep.folder import Mapped
from olmix.sweep.status import SweptRun
from olmix.text.csv import Table

WORDS = (
    "acc accuracy f1 exact_match pass@1 score reward loss bpb ppl perplexity nll error code math "
    "arc mmlu eval train none stderr se lr seconds tokens_per_second grad_norm time papers"
)
names = st.lists(
    st.sampled_from(WORDS.split()) | st.from_regex(r"[A-Za-z]{1,6}", fullmatch=True),
    min_size=1,
    max_size=3,
).flatmap(lambda words: st.sampled_from("_/,:-").map(lambda mark: mark.join(words)))
tables = st.dictionaries(names, st.none() | st.booleans(), min_size=1, max_size=5)
"""Names of metrics, and the direction that the user gives of each."""


def _fit(columns, **sections):
    table = Table("metrics.csv", ("r",), ("r",), tuple(columns), np.ones((1, len(columns))))
    settings_ = {
        "swarm": {"ratios": "ratios.csv", "metrics": "metrics.csv"},
        "priors": {"token_counts": {"a": 1, "b": 1}},
    }
    return select_metrics(FitConfig.from_dict({**settings_, **sections}, "fit"), table)


def _directions(found):
    return dict(zip(found.names, found.lower_is_better, strict=True))


def _collect(columns, given_):
    record = Record("r", "finished", final=dict.fromkeys(columns, 1.0))
    return select([record], None, columns, given_)


@given(table=tables)
@settings(max_examples=150)
def test_what_collect_writes_is_what_fit_takes(table):
    errors = sort_names(table).errors
    columns = [name for name in table if name not in errors]
    assume(columns)
    told = {name: lower for name in columns if (lower := table[name]) is not None}
    wanted = {name: lower_is_better([name], told) for name in columns}
    selection = _collect(columns, told)
    assert selection.lower_is_better == wanted
    tasks = {family: list(members) for family, members in selection.families.items()}
    found = _fit(
        columns,
        eval={"type": "offline", "tasks": tasks},
        lower_is_better=selection.directions,
    )
    assert found.problems == ()
    assert _directions(found) == wanted


@given(table=tables)
@settings(max_examples=150)
def test_a_fit_refuses_what_only_the_name_says_to_be_better_higher(table):
    told = {name: lower for name, lower in table.items() if lower is not None}
    found = _fit(table, lower_is_better=told)
    taken = [n for n in table if n in told or (is_metric(n) and n not in sort_names(table).errors)]
    assert set(found.names) == set(taken)
    unsaid = [n for n in taken if n not in told and lower_is_better_by_name(n) is False]
    (error,) = [p for p in found.problems if "gives no direction" in p] or [""]
    assert bool(unsaid) == bool(error)
    assert all(f"{name}" in error for name in unsaid)
    if not unsaid and taken:
        assert _directions(found) == {name: lower_is_better([name], told) for name in taken}


@given(name=names, lower=st.none() | st.booleans())
@settings(max_examples=60)
def test_a_sweep_is_ranked_the_way_that_the_others_take(tmp_path_factory, name, lower):
    runs = [Mapped(id=f"run_{i:03d}", hash=str(i)) for i in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        states = [SweptRun(run, "finished", {name: [(1, float(run.hash))]}) for run in runs]
        patch.setattr(results, "read_states", lambda folder: states)
        patch.setattr(results, "choose_factors", lambda *args: Factors({}, (), ""))
        patch.setattr(results, "_draw", lambda *args: None)
        patch.setattr(
            results, "experiment_of", lambda folder: Mock(config=Mock(variables={}, paired=()))
        )
        found = results.write_results(
            tmp_path_factory.getbasetemp(), metric=name, lower_is_better=lower
        )
    given_ = {} if lower is None else {name: lower}
    assert found.lower_is_better == lower_is_better([name], given_)
    assert found.ranking[0][0].id == ("run_000" if found.lower_is_better else "run_001")
