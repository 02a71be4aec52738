"""Small runs give the shape of the laws, a few larger runs place their values."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fit_fixtures import draw_mixtures
from olmix import fit_laws, load_swarm, propose
from olmix.config import FitConfig
from olmix.errors import ConfigError, DataError
from olmix.fit import fit_swarm, load_fit
from olmix.fit.scales.read import read_scale
from olmix.fit.scales.target import read_larger_scales
from olmix.fit.swarm import read_swarm
from olmix.records.fit.scales import read_scales
from olmix.text.csv import read_table, write_rows, write_table

DOMAINS = "abcdef"
METRICS = tuple(f"m{index}_loss" for index in range(4))
SIZES = {"small": (1e6, 10**8), "large": (64e6, 10**9)}


def truth(mixtures, scale):
    """Plant four losses; at the large scale a line of the small ones and a little of its own."""
    rng = np.random.default_rng(7)
    powers = rng.uniform(-0.6, 0.0, (len(METRICS), len(DOMAINS)))
    small = 2 + np.exp(np.log(mixtures + 0.03) @ powers.T - 1)
    if scale == "small":
        return small
    own = np.sin(6 * mixtures @ rng.normal(0, 1, (len(DOMAINS), len(METRICS))))
    slopes = np.linspace(0.5, 1.0, len(METRICS))
    return 0.4 + slopes * (small + 0.06 * small.std(axis=0) * own)


def rows_of(scale, num, seed, mixtures=None):
    """Draw runs of a scale: ids, mixtures and noisy metrics."""
    rng = np.random.default_rng([seed, num])
    drawn = draw_mixtures(num, len(DOMAINS), seed) if mixtures is None else mixtures
    clean = truth(drawn, scale)
    noisy = clean + 0.05 * clean.std(axis=0) * rng.standard_normal(clean.shape)
    return [f"{scale}{i:03d}" for i in range(len(drawn))], drawn, noisy


def write_scale(folder, scale, rows, lacking=()):
    runs, mixtures, values = rows
    metrics = dict(zip(METRICS, values.T.tolist(), strict=True))
    write_table(
        folder / f"{scale}_r.csv", runs, dict(zip(DOMAINS, mixtures.T.tolist(), strict=True))
    )
    write_table(
        folder / f"{scale}_m.csv", runs, {k: v for k, v in metrics.items() if k not in lacking}
    )


def config_of(folder, **changes):
    scales = [
        {
            "name": name,
            "ratios": str(folder / f"{name}_r.csv"),
            "metrics": str(folder / f"{name}_m.csv"),
            "parameters": parameters,
            "tokens": tokens,
        }
        for name, (parameters, tokens) in SIZES.items()
    ]
    swarm = {"scales": scales, **changes.pop("swarm", {})}
    priors = {"token_counts": dict.fromkeys(DOMAINS, 1000)}
    sections = {"regression": {"type": "gp"}, **changes}
    return FitConfig.from_dict({"swarm": swarm, "priors": priors, **sections})


@pytest.fixture
def folder(tmp_path):
    write_scale(tmp_path, "small", rows_of("small", 48, 1))
    write_scale(tmp_path, "large", rows_of("large", 8, 2))
    return tmp_path


def test_values_at_the_target_are_right_and_intervals_hold(tmp_path):
    """Over several draws of the small and the eight large runs."""
    asked = draw_mixtures(200, len(DOMAINS), 99)
    wanted = rows_of("large", 200, 99, asked)[2]
    errors, covered, at_small = [], [], []
    for draw in range(6):
        write_scale(tmp_path, "small", rows_of("small", 64, 10 + draw))
        write_scale(tmp_path, "large", rows_of("large", 8, 30 + draw))
        result = fit_swarm(config_of(tmp_path, proposer={"fit_only": True}), tmp_path / "fit")
        fit = load_fit(result.folder)
        assert (fit.scale, fit.scales) == ("large", ("small", "large"))
        predicted, intervals = fit.predict(asked), fit.intervals(asked)
        small = load_fit(result.folder, "small").predict(asked)
        for index, name in enumerate(METRICS):
            spread = wanted[:, index].std()
            errors.append(np.sqrt(((predicted[name] - wanted[:, index]) ** 2).mean()) / spread)
            at_small.append(np.sqrt(((small[name] - wanted[:, index]) ** 2).mean()) / spread)
            low, high = intervals[name]
            covered.append(((low <= wanted[:, index]) & (wanted[:, index] <= high)).mean())
    assert np.mean(errors) < 0.2
    assert 0.85 <= np.mean(covered) <= 0.95
    assert np.mean(at_small) > 1


def test_the_proposal_and_what_it_says_are_at_the_target(folder):
    result = fit_swarm(config_of(folder), folder / "fit")
    assert result.proposal.statement.startswith("At large, where 8 runs place the values: ")
    natural = result.proposal.mixtures["natural"].predicted
    (at_target,) = truth(np.full((1, 6), 1 / 6), "large").mean(axis=1)
    assert natural.low <= at_target <= natural.high
    # What a small run measured is no value of the target.
    assert np.isnan(result.proposal.mixtures["best_seen"].measured)
    assert result.proposal.mixtures["best_seen"].run.startswith("small")
    record = read_scales(result.folder)
    assert (record.smallest, record.reached, record.order_only) == ("small", "large", False)
    assert record.scales["large"].num_runs == 8
    slopes = [record.scales["large"].metrics[name].slope for name in METRICS]
    np.testing.assert_allclose(slopes, np.linspace(0.5, 1.0, 4), atol=0.2)


def test_python_and_the_folder_agree(folder):
    config = config_of(folder)
    asked = draw_mixtures(5, len(DOMAINS), 3)
    fitted = fit_laws(load_swarm(config=config))
    loaded = load_fit(fit_swarm(config, folder / "fit").folder)
    for name, found in fitted.predict(asked).items():
        np.testing.assert_allclose(found["mean"], loaded.predict(asked)[name])
        np.testing.assert_allclose(found["low"], loaded.intervals(asked)[name][0])
    assert propose(fitted).statement.startswith("At large, where 8 runs")


def write_joined(folder, names, lacking=()):
    """Write the tables of both scales as two with a column `scale`; returns their paths."""
    paths = {}
    for key, kind in (("ratios", "r"), ("metrics", "m")):
        tables = {scale: read_table(folder / f"{scale}_{kind}.csv") for scale in SIZES}
        header = ("run", "scale", *tables["small"].columns)
        rows = [
            [run, names[scale], *row.tolist()]
            for scale, table in tables.items()
            for run, row in zip(table.runs, table.values, strict=True)
        ]
        if key in lacking:
            header, rows = ("run", *header[2:]), [[run, *row] for run, _, *row in rows]
        paths[key] = folder / f"both_{kind}.csv"
        write_rows(paths[key], header, rows)
    return {key: str(path) for key, path in paths.items()}


def test_one_table_with_a_column_scale_gives_the_same_fit(folder):
    tables = write_joined(folder, {name: name for name in SIZES})
    named = [{"name": n, "parameters": p, "tokens": t} for n, (p, t) in SIZES.items()]
    apart = config_of(folder)
    joined = FitConfig.from_dict({**apart.to_plain(), "swarm": {**tables, "scales": named}})
    first = fit_swarm(apart, folder / "fit")
    assert fit_swarm(joined, folder / "fit").folder == first.folder


@pytest.mark.parametrize("lacking", [(), ("metrics",), ("ratios",)])
def test_two_tables_alone_are_enough_where_the_scales_are_called_by_their_sizes(folder, lacking):
    """The smallest is the shape however the names sort, and a table may leave the column out."""
    tables = write_joined(folder, {"small": "900K", "large": "64M"}, lacking)
    config = FitConfig.from_dict({"swarm": tables})
    assert [scale.name for scale in config.swarm.ordered_scales] == ["900K", "64M"]
    assert config.priors.domains == tuple(DOMAINS)
    swarm = read_swarm(config)
    assert swarm.runs == tuple(f"small{i:03d}" for i in range(48))
    (large,) = read_larger_scales(config, swarm)
    assert large.num_runs == 8
    assert FitConfig.from_dict(config.to_plain()) == config


def test_a_run_may_have_the_same_name_at_two_scales(folder):
    for kind in "rm":
        file = folder / f"large_{kind}.csv"
        file.write_text(file.read_text().replace("large0", "small0"))
    config = FitConfig.from_dict({"swarm": write_joined(folder, {"small": "1M", "large": "64M"})})
    swarm = read_swarm(config)
    (large,) = read_larger_scales(config, swarm)
    assert (len(swarm.runs), large.runs[0]) == (48, "small000")
    tables = {"ratios": str(folder / "both_r.csv"), "metrics": str(folder / "small_m.csv")}
    with pytest.raises(DataError, match="needed: run small000 has the scales 1M and 64M"):
        read_swarm(FitConfig.from_dict({"swarm": tables}))


def test_python_takes_tables_with_a_column_scale(folder):
    tables = write_joined(folder, {"small": "1M", "large": "64M"})
    frames = {
        key: {
            "run": [line.split(",")[0] for line in lines[1:]],
            "scale": [line.split(",")[1] for line in lines[1:]],
            **{
                name: [float(line.split(",")[index]) for line in lines[1:]]
                for index, name in enumerate(lines[0].split(","))
                if index > 1
            },
        }
        for key, path in tables.items()
        if (lines := Path(path).read_text().splitlines())
    }
    by_file = fit_laws(load_swarm(**tables), "gp")
    asked = draw_mixtures(5, len(DOMAINS), 3)
    for given in (frames, {**frames, "metrics": tables["metrics"]}):
        fitted = fit_laws(load_swarm(**given), "gp")
        assert fitted.scales.reached == "64M"
        for name, found in fitted.predict(asked).items():
            np.testing.assert_allclose(found["mean"], by_file.predict(asked)[name]["mean"])
    named = {"scales": [{"name": "1M"}, {"name": "64M"}], "target": "1M"}
    assert fit_laws(load_swarm(**frames, swarm=named), "gp").scales.reached == "1M"


def test_a_column_scale_of_numbers_is_a_domain_or_a_metric(folder):
    """Weights lie between 0 and 1, and a metric alone may have any name."""
    for kind, old in (("r", "a"), ("m", METRICS[0])):
        file = folder / f"small_{kind}.csv"
        header, _, rest = file.read_text().partition("\n")
        file.write_text(header.replace(f",{old}", ",scale", 1) + "\n" + rest)
    tables = {"ratios": str(folder / "small_r.csv"), "metrics": str(folder / "small_m.csv")}
    config = FitConfig.from_dict({"swarm": tables})
    assert (config.swarm.scales, config.priors.domains[0]) == ((), "scale")
    assert "scale" in read_swarm(config).metrics


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            {"small": "tiny", "large": "big"},
            r"tiny, big, which are no sizes such as 60M; give the scales, the smallest first",
        ),
        ({"small": "1M", "large": "1M"}, "one scale leaves nothing to compare"),
    ],
)
def test_a_column_that_does_not_tell_the_scales_apart_is_refused(folder, names, said):
    with pytest.raises(ConfigError, match=said) as error:
        FitConfig.from_dict({"swarm": write_joined(folder, names)})
    assert len(error.value.problems) == 1  # nothing of priors, which were left out


def test_a_run_has_one_scale_in_both_tables(folder):
    tables = write_joined(folder, {"small": "1M", "large": "64M"})
    file = folder / "both_m.csv"
    file.write_text(file.read_text().replace("small003,1M", "small003,64M"))
    with pytest.raises(DataError, match="run small003 has the scale 1M in .* and 64M in"):
        read_swarm(FitConfig.from_dict({"swarm": tables}))
    file.write_text(file.read_text().replace("small003,64M", "small003,"))
    with pytest.raises(DataError, match="scale: found an empty cell, which swarm.scales lacks"):
        read_swarm(FitConfig.from_dict({"swarm": tables}))


def test_a_larger_table_without_any_known_metric_is_refused(folder):
    file = folder / "large_m.csv"
    header, _, rest = file.read_text().partition("\n")
    file.write_text(header.replace("loss", "los") + "\n" + rest)
    config = config_of(folder)
    with pytest.raises(DataError, match="none of its columns is a metric of the smallest scale"):
        read_larger_scales(config, read_swarm(config))


def test_without_large_runs_the_words_say_order_only(folder):
    write_scale(folder, "large", rows_of("large", 3, 2))
    result = fit_swarm(config_of(folder), folder / "fit")
    assert result.proposal.statement.startswith("Order only: no runs place values at large")
    assert read_scales(result.folder).order_only
    target = {"parameters": 7e9, "tokens": 10**12}
    beyond = fit_swarm(config_of(folder, swarm={"target": target}), folder / "fit")
    assert "7,000,000,000 parameters" in beyond.proposal.statement


def test_a_metric_may_be_missing_at_the_large_scale(folder):
    write_scale(folder, "large", rows_of("large", 8, 2), lacking=METRICS[:1])
    result = fit_swarm(config_of(folder, proposer={"fit_only": True}), folder / "fit")
    assert any(f"large: {METRICS[0]}: too few runs measured it" in n for n in result.fit.notes)
    fit = load_fit(result.folder)
    low, high = fit.intervals(draw_mixtures(2, 6))[METRICS[0]]
    assert np.isnan(low).all()
    assert np.isnan(high).all()
    plain = json.loads((result.folder / "models.json").read_text())
    assert plain["scales"][0]["metrics"][METRICS[0]]["calibration"]["base"] is None


def test_mixtures_trained_at_both_scales_give_the_ceiling(folder):
    runs, mixtures, values = rows_of("small", 48, 1)
    write_scale(folder, "small", (runs, mixtures, values))
    write_scale(folder, "large", rows_of("large", 10, 5, mixtures[:10]))
    result = fit_swarm(config_of(folder, proposer={"fit_only": True}), folder / "fit")
    ceiling = read_scales(result.folder).scales["large"].metrics[METRICS[0]].ceiling
    assert ceiling.num_mixtures == 10
    assert ceiling.spearman > 0.8
    assert any(
        "the best that any law of small runs could do, from 10 mixtures" in n
        for n in result.fit.notes
    )


def test_many_large_runs_model_what_the_map_leaves_over(folder):
    write_scale(folder, "large", rows_of("large", 40, 2))
    result = fit_swarm(config_of(folder, proposer={"fit_only": True}), folder / "fit")
    record = read_scales(result.folder).scales["large"]
    assert any(metric.residual for metric in record.metrics.values())
    asked = draw_mixtures(200, len(DOMAINS), 99)
    wanted, fit = truth(asked, "large"), load_fit(result.folder)
    errors, by_map_alone = [], []
    for index, law in enumerate(fit.laws.values()):
        for found, one in ((errors, law), (by_map_alone, replace(law, residual=None))):
            missed = one.predict(asked) - wanted[:, index]
            found.append(np.sqrt((missed**2).mean()) / wanted[:, index].std())
    assert np.mean(errors) < np.mean(by_map_alone)


def test_replicates_count_as_one_mixture(folder):
    _, mixtures, values = rows_of("large", 5, 2)
    twice = [f"r{i}" for i in range(10)], np.vstack([mixtures] * 2), np.vstack([values, values + 1])
    write_scale(folder, "large", twice)
    config = config_of(folder)
    (runs,) = read_larger_scales(config, read_swarm(config))
    assert (runs.num_runs, len(runs.runs)) == (10, 5)
    np.testing.assert_allclose(runs.values, values + 0.5)


def test_a_large_run_that_trains_on_a_new_domain_is_left_out(folder):
    runs, mixtures, values = rows_of("small", 48, 1)
    mixtures[:, 5] = 0
    write_scale(folder, "small", (runs, mixtures / mixtures.sum(axis=1, keepdims=True), values))
    config = config_of(folder)
    found = read_scale(config, read_swarm(config), config.swarm.ordered_scales[1])
    assert set(found.dropped.values()) == {"it gives weight to a domain that is in no small run"}
    assert found.runs == ()


@pytest.mark.parametrize(
    ("swarm", "words"),
    [
        ({"target": "huge"}, "there is no scale huge; the scales are small, large"),
        ({"ratios": "other.csv"}, "it is the table of the smallest scale, small"),
    ],
)
def test_scales_that_contradict_each_other_are_refused(folder, swarm, words):
    with pytest.raises(ConfigError, match=words):
        config_of(folder, swarm=swarm)


def test_a_scale_that_a_fit_does_not_have_is_named(folder):
    result = fit_swarm(config_of(folder), folder / "fit")
    with pytest.raises(DataError, match="no scale 1b; its scales are small, large"):
        load_fit(result.folder, "1b")
