"""Which metrics are taken, in which direction, and what keeps a run out because of its mixture."""

import json

import numpy as np
import pytest

from olmix.cli.main import main
from olmix.collect import Options, collect
from olmix.config import FitConfig
from olmix.errors import DataError
from olmix.fit.swarm import read_swarm
from olmix.text.csv import read_table
from olmix.text.files import read_json, write_json
from olmix.text.yaml import write_yaml

MIX = {"code": 0.5, "web": 0.5}


def _runs(folder, records, mix=MIX, summary=None):
    """Write a run for each list of records; a callable `mix` or `summary` is told its number."""
    for index, lines in enumerate(records):
        run = folder / f"r{index}"
        run.mkdir(parents=True)
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        write_yaml(run / "config.yaml", {"mix": mix(index) if callable(mix) else mix})
        if summary is not None:
            write_json(run / "summary.json", summary(index) if callable(summary) else summary)
    return folder


def _columns(found):
    return read_table(found.metrics).columns


def test_what_most_trainers_log_beside_the_loss_is_no_metric(tmp_path):
    line = {"step": 1, "epoch": 1, "loss": 2.0, "seconds": 9.0, "tokens_per_second": 1e5}
    found = collect([_runs(tmp_path / "runs", [[line | {"lr": 0.1, "grad_norm": 3}]])], tmp_path)
    assert _columns(found) == ("loss",)
    assert found.notes[0] == "no metric was named; using loss. Choose others with --metric NAME"
    assert found.notes[1] == (
        "logged but not used: epoch, seconds, tokens_per_second, lr, grad_norm"
    )


def test_a_summary_may_hold_bookkeeping_too(tmp_path):
    final = {"metrics": {"x_bpb": 1.0, "lr": 0.1, "grad_norm": 2.0, "epoch": 1}}
    found = collect([_runs(tmp_path / "runs", [[]], summary=final)], tmp_path)
    assert _columns(found) == ("x_bpb",)


def test_bookkeeping_is_collected_where_it_is_named(tmp_path):
    runs = _runs(tmp_path / "runs", [[{"step": 1, "loss": 2.0, "seconds": 9.0}]])
    assert _columns(collect([runs], tmp_path, Options(metrics=["seconds"]))) == ("seconds",)


def test_nothing_but_bookkeeping_is_refused(tmp_path):
    runs = _runs(tmp_path / "runs", [[{"step": 1, "lr": 0.1}]])
    with pytest.raises(DataError, match="has logged any metric: lr was logged"):
        collect([runs], tmp_path)


def _lm_eval(acc, error="N/A"):
    arc = {"alias": "arc", "acc,none": acc, "acc_stderr,none": error, "word_perplexity,none": 9.0}
    return [{"step": 1, "eval": {"arc": arc}}]


def test_standard_errors_have_a_table_of_their_own(tmp_path):
    runs = _runs(tmp_path / "runs", [_lm_eval(0.5), _lm_eval(0.6, 0.01)])
    found = collect([runs], tmp_path)
    metrics, errors = read_table(found.metrics), read_table(found.errors)
    assert metrics.columns == errors.columns == ("arc/acc,none", "arc/word_perplexity,none")
    assert metrics.runs == errors.runs
    np.testing.assert_array_equal(errors.values, [[np.nan, np.nan], [0.01, np.nan]])


def test_without_standard_errors_no_older_table_of_them_stays(tmp_path):
    (tmp_path / "metrics_se.csv").write_text("old")
    found = collect([_runs(tmp_path / "runs", [[{"step": 1, "loss": 2.0}]])], tmp_path)
    assert found.errors is None
    assert not (tmp_path / "metrics_se.csv").exists()


@pytest.mark.parametrize(("how", "error"), [("last", 0.3), ("best", 0.2), ("tail", 0.25)])
def test_the_error_belongs_to_the_value_that_is_taken(tmp_path, how, error):
    lines = [
        {"step": s, "acc": acc, "acc_stderr": 0.1 * s}
        for s, acc in enumerate((0.2, 0.9, 0.5), start=1)
    ]
    options = Options(value=how, tail=0.7)
    found = collect([_runs(tmp_path / "runs", [lines])], tmp_path, options)
    assert read_table(found.errors).values.tolist() == [[pytest.approx(error)]]


def test_a_standard_error_cannot_be_chosen_as_a_metric(tmp_path):
    runs = _runs(tmp_path / "runs", [[{"step": 1, "acc": 0.5, "acc_stderr": 0.1}]])
    with pytest.raises(DataError, match="acc_stderr: it is the standard error of acc"):
        collect([runs], tmp_path, Options(metrics=["acc_stderr"]))


@pytest.mark.parametrize(
    ("options", "lower"),
    [
        ({}, {"acc": False, "math": True}),
        ({"lower_is_better": ["acc"], "higher_is_better": ["math"]}, {"acc": True, "math": False}),
    ],
)
def test_directions_are_those_of_the_names_unless_they_are_given(tmp_path, options, lower):
    records = [[{"step": 1, "eval": {"acc": i / 9, "math": i * i / 9}}] for i in range(4)]
    runs = _runs(tmp_path / "runs", records, lambda i: {"code": i / 4, "web": 1 - i / 4})
    priors = tmp_path / "priors.yaml"
    write_yaml(priors, {"token_counts": {"code": 1000, "web": 1000}})
    found = collect([runs], tmp_path / "out", Options(priors=priors, **options))
    by_name = [note for note in found.notes if "judging by the names" in note]
    assert bool(by_name) == (not options)
    swarm = read_swarm(FitConfig.from_yaml(found.fit_config))
    assert dict(zip(swarm.metrics, swarm.lower_is_better, strict=True)) == lower


def test_a_metric_cannot_be_given_both_directions(tmp_path):
    runs = _runs(tmp_path / "runs", [[{"step": 1, "acc": 0.5}]])
    both = Options(higher_is_better=["acc"], lower_is_better=["acc"])
    with pytest.raises(DataError, match="not both"):
        collect([runs], tmp_path, both)


LOSS = [{"step": 1, "loss": 2.0}]


def test_runs_with_wrong_mixtures_are_refused_one_by_one(tmp_path):
    mixes = ({"code": 0.15, "web": 0.8}, {"code": "half", "web": 0.5})
    runs = _runs(tmp_path / "runs", [LOSS, LOSS], mixes.__getitem__)
    with pytest.raises(DataError) as caught:
        collect([runs], tmp_path)
    assert "r0: mix: the weights add up to 0.95" in str(caught.value)
    assert "r1: mix: code: found 'half'" in str(caught.value)


def test_a_run_with_a_wrong_mixture_is_named_and_left_out(tmp_path):
    mixes = (MIX, {"code": 0.15, "web": 0.8})
    found = collect([_runs(tmp_path / "runs", [LOSS, LOSS], mixes.__getitem__)], tmp_path)
    assert found.runs == ("r0",)
    assert "add up to 0.95" in found.incomplete["r1"]
    assert "r1" in read_json(tmp_path / "completeness.json")["wrong_mixture"]


def test_the_mixture_asked_for_does_not_stand_in_for_wrong_shares(tmp_path):
    summary = {"metrics": {"loss": 2.0}, "token_shares": {"code": 0.5}}
    with pytest.raises(DataError, match=r"r0: token_shares: they add up to 0\.5, without web"):
        collect([_runs(tmp_path / "runs", [LOSS], summary=summary)], tmp_path)


def test_variants_take_the_place_of_a_wrong_mix(tmp_path):
    write_yaml(tmp_path / "v/r0.yaml", {"name": "r0", "mix": MIX})
    runs = _runs(tmp_path / "runs", [LOSS], {"code": 0.15, "web": 0.8})
    found = collect([runs], tmp_path, Options(variants=tmp_path / "v"))
    assert read_table(found.ratios).values.tolist() == [[0.5, 0.5]]


def test_a_variant_with_a_wrong_mix_is_refused(tmp_path):
    write_yaml(tmp_path / "v/r0.yaml", {"name": "r0", "mix": {"code": 0.5, "web": 0.4}})
    runs = _runs(tmp_path / "runs", [LOSS])
    with pytest.raises(DataError, match=r"r0\.yaml: mix: the weights add up to 0\.9"):
        collect([runs], tmp_path, Options(variants=tmp_path / "v"))


@pytest.mark.parametrize(("code", "status"), [(0.505, 0), (0.52, 1)])
def test_strict_fails_where_shares_are_off_by_more_than_a_point(tmp_path, code, status):
    summary = {"metrics": {"loss": 2.0}, "token_shares": {"code": code, "web": 1 - code}}
    runs = _runs(tmp_path / "runs", [LOSS], summary=summary)
    words = ["collect", str(runs), "-o", str(tmp_path / "out")]
    for more, wanted in (([], 0), (["--strict"], status)):
        with pytest.raises(SystemExit) as ended:
            main([*words, *more])
        assert ended.value.code == wanted
    off = read_json(tmp_path / "out/completeness.json")["shares_off"]
    assert list(off) == ([] if status == 0 else ["r0"])
