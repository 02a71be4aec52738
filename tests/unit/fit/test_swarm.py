import numpy as np
import pytest

from fit_fixtures import log_linear, log_weight, plant
from olmix.errors import DataError, OlmixError
from olmix.fit.swarm import read_swarm
from olmix.fit.swarm_fit import fit_laws
from olmix.fit.tied_domains import find_pinned, pin
from olmix.laws.outliers import accidents


@pytest.fixture
def planted(tmp_path):
    return plant(tmp_path, {"y": log_linear, "z": log_weight}, num=20)


def _refused(planted, **changes):
    with pytest.raises(OlmixError) as caught:
        read_swarm(planted.config(**changes))
    return str(caught.value)


def _edit(planted, table, change):
    """Rewrite the lines of a table; `change` gets and returns a list of lists of cells."""
    file = planted.folder / f"{table}.csv"
    rows = [line.split(",") for line in file.read_text().splitlines()]
    file.write_text("".join(",".join(row) + "\n" for row in change(rows)))


def test_runs_are_joined_by_their_id_and_not_by_their_row(planted):
    whole = read_swarm(planted.config())
    _edit(planted, "metrics", lambda rows: [rows[0], *rows[:0:-1]])
    turned = read_swarm(planted.config())
    assert turned.runs == whole.runs
    np.testing.assert_array_equal(turned.values, whole.values)


def test_domains_stand_in_the_order_of_the_priors_and_metrics_in_that_of_eval(planted):
    counts = dict.fromkeys("dbca", 1000)
    tasks = {"last": ["z"], "first": ["y"]}
    swarm = read_swarm(
        planted.config(priors={"token_counts": counts}, eval={"type": "offline", "tasks": tasks})
    )
    assert swarm.domains == ("d", "b", "c", "a")
    assert swarm.metrics == ("z", "y")
    np.testing.assert_allclose(swarm.mixtures[:, 0], planted.mixtures[:, 3])


@pytest.mark.parametrize("left", ["run", "run_id"])
@pytest.mark.parametrize("right", ["run", "run_id"])
def test_the_id_is_called_run_or_run_id(planted, left, right):
    whole = read_swarm(planted.config())
    _edit(planted, "ratios", lambda rows: [[left, *rows[0][1:]], *rows[1:]])
    _edit(planted, "metrics", lambda rows: [[right, *rows[0][1:]], *rows[1:]])
    np.testing.assert_array_equal(read_swarm(planted.config()).values, whole.values)


@pytest.mark.parametrize("name", ["", "index"])
def test_index_columns_and_columns_without_a_name_are_skipped(planted, name):
    whole = read_swarm(planted.config())
    for table in ("ratios", "metrics"):
        _edit(
            planted,
            table,
            lambda rows: [[name, *rows[0]], *([str(i), *row] for i, row in enumerate(rows[1:]))],
        )
    swarm = read_swarm(planted.config())
    assert swarm.metrics == ("y", "z")
    np.testing.assert_array_equal(swarm.mixtures, whole.mixtures)


def test_a_run_that_one_table_lacks_is_left_out_and_named(planted):
    _edit(planted, "metrics", lambda rows: rows[:3] + rows[4:])
    _edit(planted, "ratios", lambda rows: rows[:-1])
    swarm = read_swarm(planted.config())
    assert set(swarm.dropped) == {"r002", "r020"}
    assert swarm.dropped["r002"] == "in ratios.csv, not in metrics.csv"
    assert not {"r002", "r020"} & set(swarm.runs)
    said = "r002: in ratios.csv, not in metrics.csv; r020: in metrics.csv, not in ratios.csv"
    assert f"Left out (2 runs): {said}." in swarm.notes


def test_a_missing_value_leaves_a_run_out_for_that_metric_alone(planted):
    planted.metrics["y"][4] = None
    swarm = read_swarm(planted.write().config())
    assert np.isnan(swarm.values[4, 0])
    assert np.isfinite(swarm.values[4, 1])
    assert "y is missing in 1 run; its fit leaves out runs without it." in swarm.notes


def test_a_run_without_any_metric_is_dropped(planted):
    for column in planted.metrics.values():
        column[6] = None
    swarm = read_swarm(planted.write().config())
    assert swarm.dropped == {"r006": "none of the metrics was measured"}


def test_rounded_weights_are_scaled_to_add_up_to_1(planted):
    planted.ratios = {name: np.round(column, 3).tolist() for name, column in planted.ratios.items()}
    swarm = read_swarm(planted.write().config())
    np.testing.assert_allclose(swarm.mixtures.sum(axis=1), 1, rtol=1e-15)


def test_replicates_share_a_group_and_are_averaged(planted):
    swarm = read_swarm(planted.config())
    assert swarm.group[:3].tolist() == [0, 0, 1]
    assert swarm.num_groups == 20
    means, counts = swarm.averaged()
    assert counts[0, :2].tolist() == [2, 1]
    assert means[0, 0] == pytest.approx(np.mean(planted.metrics["y"][:2]))


def test_a_domain_that_no_run_has_is_dead_and_noted(planted):
    planted.ratios["e"] = [0.0] * 21
    counts = dict.fromkeys("abcde", 1000)
    planted.write()
    swarm = read_swarm(planted.config(priors={"token_counts": counts}))
    assert swarm.live.tolist() == [True] * 4 + [False]
    assert any(
        note.startswith("No run has e, so nothing is known about it") for note in swarm.notes
    )


def test_a_diverged_run_is_pointed_out(planted):
    planted.metrics["z"][9] = 5000.0
    swarm = read_swarm(planted.write().config())
    note = next(note for note in swarm.notes if note.startswith("z: run r009 ("))
    assert "measured 5000, which no run with a similar mixture explains" in note
    assert swarm.measured[9].max() == 5000
    assert swarm.values.max() < 100


@pytest.mark.parametrize("value", [5e173, np.inf, -np.inf, 1e308])
def test_any_value_of_one_run_leaves_a_fit(planted, value):
    planted.metrics["z"][9] = value
    fit = fit_laws(planted.write().config(), read_swarm(planted.config()))
    assert all(np.isfinite(one.best.cv.rmse) for one in fit.fits)


def test_runs_without_a_domain_are_no_accidents(tmp_path):
    rng = np.random.default_rng(0)
    mixtures = rng.dirichlet(np.ones(5), 30)
    mixtures[:6, 3] = 0
    mixtures /= mixtures.sum(axis=1, keepdims=True)
    values = 1.55 + 1.5 * (mixtures[:, 3] == 0) + rng.normal(0, 0.005, 30)
    assert not accidents(mixtures, values).any()
    values[20] = 3.05
    assert np.flatnonzero(accidents(mixtures, values)).tolist() == [20]


def test_few_mixtures_are_noted(tmp_path):
    swarm = read_swarm(plant(tmp_path, {"y": log_linear}, num=8).config())
    assert "8 distinct mixtures is few for 4 domains; aim for 15 or more." in swarm.notes


def test_objective_weights_add_up_to_1_and_may_be_0(planted):
    swarm = read_swarm(planted.config(filtering={"obj_weights": {"y": 0.0}}))
    assert swarm.objective_weights.tolist() == [0.0, 1.0]
    swarm = read_swarm(planted.config(filtering={"obj_weights": {"y": 3.0}}))
    assert swarm.objective_weights.tolist() == [0.75, 0.25]


@pytest.fixture
def scaled(planted):
    """A swarm whose second metric is the first one a hundred times as large."""
    planted.metrics["z"] = [100.0 * value for value in planted.metrics["y"]]
    return planted.write()


def test_a_metric_that_decides_the_average_alone_is_named(scaled):
    (warning,) = read_swarm(scaled.config()).warnings
    assert "z varies 100 times as much as y" in warning
    assert "`standardise: true`" in warning
    assert warning in read_swarm(scaled.config()).notes


def test_weights_that_even_the_scales_out_or_leave_a_metric_out_were_chosen(scaled):
    for weight in (0.01, 0.0):
        swarm = read_swarm(scaled.config(filtering={"obj_weights": {"z": weight}}))
        assert swarm.warnings == ()


def test_scales_that_are_alike_are_not_pointed_out(planted):
    assert read_swarm(planted.config()).warnings == ()


def test_standardised_weights_are_those_of_the_config_over_the_spread(scaled):
    swarm = read_swarm(scaled.config(standardise=True))
    assert swarm.warnings == ()
    np.testing.assert_allclose(swarm.objective_weights, [100 / 101, 1 / 101])
    weighed = {"filtering": {"obj_weights": {"y": 3.0}}}
    swarm = read_swarm(scaled.config(standardise=True, **weighed))
    np.testing.assert_allclose(swarm.objective_weights, [300 / 301, 1 / 301])


def test_held_out_runs_are_whole_mixtures(planted):
    swarm = read_swarm(planted.config(regression={"n_test": 4}))
    held = set(swarm.group[swarm.held_out])
    assert not held & set(swarm.group[~swarm.held_out])
    assert 4 <= swarm.held_out.sum() <= 5


def test_support_domains_keep_runs_on_these_alone(planted):
    for row in range(8):
        weights = [0.5, 0.3, 0.2, 0.0]
        for name, weight in zip("abcd", [*np.roll(weights[:3], row).tolist(), 0.0], strict=True):
            planted.ratios[name][row] = weight
    for row, share in enumerate(np.linspace(0.1, 0.7, 6).tolist()):
        for name, weight in zip("abcd", [share, 0.2, 0.8 - share, 0.0], strict=True):
            planted.ratios[name][row + 8] = weight
    swarm = read_swarm(planted.write().config(filtering={"support_domains": ["a", "b", "c"]}))
    assert len(swarm.runs) == 14
    assert set(swarm.dropped.values()) == {
        "filtering.support_domains: its mixture has other domains too"
    }
    assert "leaves none of 21 runs" in _refused(planted, filtering={"support_domains": ["d"]})


def test_all_problems_of_the_weights_are_reported_at_once(planted):
    planted.ratios["a"][1] = None
    planted.ratios["b"][2] = -0.25
    planted.ratios["c"][3] = 7.0
    planted.write()
    lines = _refused(planted).splitlines()
    assert len(lines) == 3
    assert "run r001: a is empty; write 0 for none" in lines[0]
    assert "run r002: b is -0.25; a weight must not be negative" in lines[1]
    assert "run r003: the weights add up to" in lines[2]
    assert all(line.startswith(str(planted.folder / "ratios.csv")) for line in lines)


def test_weights_in_per_cent_are_recognised(planted):
    planted.ratios = {name: [100 * w for w in column] for name, column in planted.ratios.items()}
    message = _refused(planted.write())
    assert "the weights add up to 100, not to 1; are they per cent?" in message


def test_many_runs_with_one_problem_are_one_line(planted):
    rows = [f"x{i},{2 + i / 10},0,0,0" for i in range(80)]
    (planted.folder / "ratios.csv").write_text("\n".join(["run,a,b,c,d", *rows]) + "\n")
    (planted.folder / "metrics.csv").write_text(
        "\n".join(["run,y", *(f"x{i},1" for i in range(80))])
    )
    (line,) = _refused(planted).splitlines()
    assert line.endswith("80 runs, the first of them x0: the weights add up to 2, not to 1")


def test_numbers_of_rows_do_not_join_tables_whose_names_disagree(planted):
    """A data frame that was shuffled and saved with its row numbers as `index`."""
    names = {f"r{i:03}": f"mix {i}" for i in range(21)}

    def renamed(rows):
        rows[0][:1] = ["index", "name"]
        return [rows[0], *([str(i), names[r[0]], *r[1:]] for i, r in enumerate(rows[1:]))]

    for table in ("ratios", "metrics"):
        _edit(planted, table, renamed)
    assert len(read_swarm(planted.config()).runs) == 21
    numbers = lambda rows: [rows[0], *([str(i), *r[1:]] for i, r in enumerate(rows[1:]))]  # noqa: E731
    _edit(planted, "metrics", lambda rows: numbers([rows[0], *rows[:0:-1]]))
    message = _refused(planted)
    assert "disagree in `name` for 20 runs: 0 is mix 0 in the first and mix 20 in the" in message
    assert "rename `name` to `run`" in message


def test_a_floor_beyond_the_range_of_every_metric_is_pointed_out(planted):
    def said(floors):
        notes = read_swarm(planted.config(proposer={"floors": floors})).warnings
        return [note for note in notes if "proposer.floors" in note]

    (note,) = said({"all": 50})
    assert "50 is in the unit of the metric" in note
    assert "`50 %` is relative" in note
    assert said({"y": 50, "z": 0.01})[0].startswith("proposer.floors: y: 50 is in")
    assert said({"all": "50 %"}) == said(0.01) == []
    assert "did you mean all?" in _refused(planted, proposer={"floors": {"al": "5 %"}})


def test_columns_that_are_not_the_domains_are_named_on_both_sides(planted):
    message = _refused(planted, priors={"token_counts": dict.fromkeys("abcx", 10)})
    assert "the priors lack d; the table lacks x" in message


def test_tables_without_a_common_run_are_refused(planted):
    _edit(planted, "metrics", lambda rows: [rows[0], *(["q" + r[0], *r[1:]] for r in rows[1:])])
    message = _refused(planted)
    assert "have no run in common: the first starts with r000, the second with qr000" in message


def test_too_few_mixtures_are_counted_without_replicates(tmp_path):
    planted = plant(tmp_path, {"y": log_linear}, num=4, replicates=10)
    assert "y: 4 domains need at least 5 different mixtures; found 4; aim for 15" in _refused(
        planted
    )


def test_gaussian_processes_need_no_more_mixtures_than_domains(tmp_path):
    letters = "".join(chr(ord("a") + index) for index in range(26))
    planted = plant(tmp_path, {"y": lambda x: 3 - x[:, 0] + x[:, 1]}, num=20, domains=letters)
    assert read_swarm(planted.config(regression={"type": "gp"})).num_groups == 20
    assert read_swarm(planted.config(regression={"type": "auto"})).num_groups == 20
    assert "26 domains need at least 27 different mixtures; found 20" in _refused(
        planted, regression={"type": "log_linear"}
    )
    few = plant(tmp_path, {"y": lambda x: 3 - x[:, 0] + x[:, 1]}, num=15, domains=letters)
    assert "26 domains need at least 16 different mixtures; found 15; aim for 81" in _refused(few)


def test_held_out_runs_that_leave_too_few_are_named_as_the_reason(planted):
    message = _refused(planted, regression={"n_test": 18})
    assert "runs held out by regression.n_test" in message


def test_a_metric_that_never_changes_is_refused(planted):
    planted.metrics["y"] = [0.5] * 21
    planted.write()
    assert "y is 0.5 in every run, so nothing can be learned from it" in _refused(planted)
    kept = read_swarm(planted.config(filtering={"drop_metrics": ["y"]}))
    assert kept.metrics == ("z",)


def test_metrics_that_no_mixture_has_together_have_no_average(tmp_path):
    planted = plant(tmp_path, {"y": log_linear, "z": log_weight}, num=30, replicates=1)
    planted.metrics["y"][::2] = [None] * 15
    planted.metrics["z"][1::2] = [None] * 15
    planted.write()
    message = _refused(planted)
    assert "0 different mixtures have all 2 metrics of the average" in message
    assert "filtering.obj_weights" in message
    swarm = read_swarm(planted.config(filtering={"obj_weights": {"z": 0.0}}))
    assert swarm.metrics == ("y", "z")


def test_a_table_that_is_not_there_is_named(planted):
    (planted.folder / "metrics.csv").unlink()
    with pytest.raises(DataError, match=r"metrics\.csv: there is no such file"):
        read_swarm(planted.config())


def test_the_same_run_twice_is_no_replicate(planted):
    before = read_swarm(planted.write().config())
    planted.runs.append("r999")
    for table in (planted.ratios, planted.metrics):
        for column in table.values():
            column.append(column[3])
    after = read_swarm(planted.write().config())
    assert after.runs == before.runs
    assert [why for why in after.dropped.values() if why.startswith("the same run as r003")]


def test_a_domain_that_never_varies_is_pinned(tmp_path):
    rng = np.random.default_rng(0)
    swarm = plant(tmp_path, {"y": log_linear}, num=24)
    others = rng.dirichlet(np.ones(3), 24) * 0.8
    pinned = 0.2 + rng.uniform(-0.002, 0.002, 24)
    assert find_pinned("abcd", np.column_stack([others, pinned])) == {
        "d": pytest.approx(0.2, abs=1e-3)
    }
    fixed = pin(np.array([0.1, 0.2, 0.3, 0.4]), "abcd", {"d": 0.2})
    np.testing.assert_allclose(fixed, [0.8 / 6, 1.6 / 6, 2.4 / 6, 0.2])
    assert find_pinned("abcd", np.full((24, 4), 0.25)) == {}
    assert read_swarm(swarm.config()).pinned == {}


def test_the_noise_of_a_solver_is_0(planted):
    planted.ratios["b"][2] += planted.ratios["a"][2]
    planted.ratios["a"][2] = -1e-12
    swarm = read_swarm(planted.write().config())
    assert swarm.mixtures[swarm.runs.index("r002")].min() == 0.0
    planted.ratios["a"][2] = -1e-3
    assert "a is -0.001; a weight must not be negative" in _refused(planted.write())


@pytest.mark.parametrize("total", [0.99, 1.01])
def test_sums_of_printed_weights_are_mended_and_that_is_said(planted, total):
    for column in planted.ratios.values():
        column[2] *= total
    swarm = read_swarm(planted.write().config())
    assert swarm.mixtures[2].sum() == pytest.approx(1, abs=1e-15)
    (note,) = [note for note in swarm.notes if "do not add up to 1" in note]
    assert f"1 of {len(swarm.runs)} runs" in note
    assert f"(r002: {total:g})" in note


def test_exact_sums_are_not_spoken_of(planted):
    assert not any("add up" in note for note in read_swarm(planted.config()).notes)


def test_sums_beyond_one_per_cent_are_refused(planted):
    for column in planted.ratios.values():
        column[2] *= 0.98
    message = _refused(planted.write())
    assert "the weights add up to 0.98, not to 1 (from 0.99 to 1.01 is allowed)" in message
    assert "is a domain missing?" in message


def test_a_column_that_is_the_mean_of_the_others_is_pointed_out(planted):
    pairs = zip(planted.metrics["y"], planted.metrics["z"], strict=True)
    planted.metrics["mean"] = [None if None in pair else sum(pair) / 2 for pair in pairs]
    swarm = read_swarm(planted.write().config())
    assert any(note.startswith("mean is the mean of the other metrics") for note in swarm.notes)
    assert len([note for note in swarm.notes if "mean of the other" in note]) == 1


def test_runs_of_one_mixture_are_refused_in_one_sentence(planted):
    for column in planted.ratios.values():
        column[:] = [column[0]] * len(column)
    message = _refused(planted.write())
    assert "runs have the same mixture" in message
    assert "Train runs of other mixtures" in message
    assert "\n" not in message


def test_a_metric_that_no_run_measured_is_named(planted):
    planted.metrics["z"] = [None] * len(planted.runs)
    assert "z is measured in no run. Add it to filtering.drop_metrics" in _refused(planted.write())


def test_a_pin_of_the_config_is_that_of_runs_which_have_it_but_for_rounding(planted):
    """Else no run would lie within the limits, and none could be the best seen."""
    first = next(iter(planted.ratios))
    rows = np.stack([np.array(column) for column in planted.ratios.values()], axis=1)
    rows[:, 0] = 0
    weights = 0.2 + 0.002 * np.cos(np.arange(len(rows)))
    rows *= (1 - weights)[:, None] / rows.sum(axis=1, keepdims=True)
    rows[:, 0] = weights
    for column, values in zip(planted.ratios.values(), rows.T, strict=True):
        column[:] = values.tolist()
    pinned = {"filtering": {"fixed_weight": {first: 0.2}}}
    swarm = read_swarm(planted.write().config(**pinned))
    assert swarm.pinned == {first: 0.2}
    assert np.ptp(swarm.mixtures[:, 0]) == 0


def test_mixtures_that_differ_in_the_last_digits_are_one(planted):
    planted.ratios["a"][0] += 1e-9
    planted.ratios["b"][0] -= 1e-9
    swarm = read_swarm(planted.write().config())
    assert (len(swarm.runs), swarm.num_groups) == (21, 20)


def test_averages_of_a_metric_of_which_more_is_better_are_turned(planted):
    swarm = read_swarm(planted.config(lower_is_better={"z": False}))
    means, _ = swarm.averaged()
    plain, _ = read_swarm(planted.config()).averaged()
    np.testing.assert_array_equal(means[0], plain[0])
    np.testing.assert_array_equal(means[1], -plain[1])


def test_a_mixture_is_held_out_with_all_of_its_runs(planted):
    for columns in (planted.ratios, planted.metrics):
        for name, column in columns.items():
            columns[name] = column * 2
    planted.metrics = {
        name: [value + 1e-3 * (index >= 21) for index, value in enumerate(column)]
        for name, column in planted.metrics.items()
    }
    planted.runs += [f"again-{run}" for run in planted.runs]
    swarm = read_swarm(planted.write().config(regression={"n_test": 4}))
    assert swarm.held_out.sum() >= 4
    for group in range(swarm.num_groups):
        assert len(set(swarm.held_out[swarm.group == group].tolist())) == 1
