"""The first screen: no number that is not shown, and what a proposal costs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from olmix.records.fit.folder import read_fit_folder
from olmix.records.fit.ladder import GainAtTarget, Ladder, Rung
from olmix.records.fit.proposal import AnotherRound, Gain
from olmix.records.fit.verification import MeasuredGain
from olmix.report.first_screen import build_first_screen
from olmix.report.last_lines import in_lines, summary
from sample_fit import edit_json, write_sample_fit


@pytest.fixture
def content(fit):
    """Return a fit of a study with configs."""
    content = read_fit_folder(fit)
    for name in ("generation.yaml", "launch.yaml"):
        (Path(content.settings.swarm.ratios).parent / name).touch()
    return content


def with_gain(content, low, high):
    gain = MeasuredGain((low + high) / 2, 0.1, low, high, p_value=0.5)
    return replace(content, verification=replace(content.verification, gains={"natural": gain}))


@pytest.mark.parametrize(
    ("low", "high", "tone", "value"),
    [(0.1, 0.3, "good", "+0.200"), (-0.1, 0.3, "plain", ""), (-0.3, -0.1, "warn", "−0.200")],
)
def test_a_number_is_large_only_where_its_interval_does_not_hold_0(content, low, high, tone, value):
    found = build_first_screen(with_gain(content, low, high), {})
    assert (found.tone, found.value) == (tone, value)
    if not value:
        assert "no gain shown" in found.status
        assert "over natural +0.100 (−0.100 to +0.300)" in found.notes


def test_a_predicted_gain_says_so_and_how_to_verify_it(content):
    found = build_first_screen(replace(content, verification=None), {})
    assert found.status == "Predicted, not verified yet"
    assert found.label.startswith("predicted gain over natural in ")
    home = Path(content.settings.swarm.ratios).parent
    places = f"-c {home}/launch.yaml -o {home}/runs"
    assert found.next.command == f"olmix verify --fit {content.folder} {places}"


def test_runs_of_an_unknown_trainer_are_continued_without_configs(fit):
    """Two tables come without configs, so no command may name one."""
    content = read_fit_folder(fit)
    found = build_first_screen(replace(content, verification=None), {})
    assert (found.next.command, "by the trainer of your runs" in found.next.words) == ("", True)
    assert f"the mixture is {fit}/mix.yaml" in found.next.words
    more = build_first_screen(with_round(replace(content, verification=None), worth=True), {})
    assert more.next.command == f"olmix generate --after {fit} -n 32 -o round-after-abc"


def test_the_price_of_a_verification_comes_from_the_runs(content):
    facts = {run: {"seconds": "6.0"} for run in content.runs}
    found = build_first_screen(replace(content, verification=None, run_facts=facts), {})
    assert "(20 runs, about 2 min of training)" in found.next.words


def test_the_worst_mixture_is_never_good_news(content):
    worst = replace(content, proposal=replace(content.proposal, worst=True))
    assert build_first_screen(with_gain(worst, 0.1, 0.2), {}).tone == "warn"
    predicted = build_first_screen(replace(worst, verification=None), {})
    assert (predicted.tone, predicted.status) == ("warn", "The worst mixture, predicted")
    assert [bar.mixture for bar in predicted.bars] == ["natural", "worst"]
    assert predicted.next.words == ""


def test_a_guess_stays_a_guess_after_its_verification(content):
    guess = replace(content, proposal=replace(content.proposal, reliable=False))
    found = build_first_screen(guess, {})
    assert "the mixture was a guess" in found.statement
    assert found.trust == "none"
    unverified = build_first_screen(replace(guess, verification=None), {})
    assert (unverified.value, unverified.notes, unverified.next.command) == ("", (), "")


def test_bars_show_the_largest_domains_and_all_others_as_one(tmp_path):
    folder = write_sample_fit(tmp_path / "abc", num_runs=12, num_domains=64, num_metrics=1)
    for bar in build_first_screen(read_fit_folder(folder), {}).bars:
        assert len(bar.segments) == 10
        assert bar.segments[-1].domain == "55 others"
        assert sum(segment.share for segment in bar.segments) == pytest.approx(1)


def test_both_bars_have_the_same_domains_in_the_same_colours(content):
    natural, proposed = build_first_screen(content, {}).bars
    assert [s.domain for s in natural.segments] == [s.domain for s in proposed.segments]
    assert [s.colour for s in natural.segments] == [s.colour for s in proposed.segments]
    shares = [segment.share for segment in natural.segments]
    assert shares == sorted(shares, reverse=True)


def test_of_many_metrics_the_worst_and_the_best_are_shown(tmp_path):
    folder = write_sample_fit(tmp_path / "abc", num_runs=12, num_metrics=30)
    found = build_first_screen(read_fit_folder(folder), {})
    assert len(found.costs) == 8
    assert found.costs_title.endswith("the worst 5 and best 3 of 29")
    assert sum(int(count) for count in re.findall(r"\d+", found.costs_note)) == 29


_ALWAYS = ["study", "mixture", "gain", "interval", "costs", "trust"]


@pytest.mark.parametrize(
    "sample",
    [
        {"num_metrics": 110},
        {"num_domains": 64, "num_runs": 40},
        {"rename": {"docs": "d" * 60, "code": "c" * 60}},
        {"verified": False},
    ],
)
def test_the_terminal_gets_the_same_in_ten_lines_of_80_columns(tmp_path, sample):
    folder = write_sample_fit(tmp_path / "abc", **{"num_runs": 12, **sample})
    facts = {"Launched": "28 Nov 2026 by me", "Trained": "9M tokens · 5 min"}
    page = Path("fit/abc/report.html")
    lines = in_lines(build_first_screen(read_fit_folder(folder), facts), "code: data mixture", page)
    assert len(lines) <= 10
    assert all(len(line) <= 80 for line in lines if "olmix " not in line)
    assert lines[0].startswith("study     code · 28 Nov 2026 by me · ")
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    expected = [*_ALWAYS, "next", "report"]
    if not sample.get("verified", True):  # nothing is predicted of other metrics there
        expected.remove("costs")
    assert [name for name in names if name != "caution"] == expected


def test_a_fit_without_a_signal_ends_with_few_lines_that_agree(tmp_path):
    folder = write_sample_fit(tmp_path / "abc", num_runs=12, reliable=False, verified=False)
    lines = in_lines(build_first_screen(read_fit_folder(folder), {}), "", folder / "report.html")
    text = "\n".join(lines)
    assert "gain      none to expect: held-out runs are ranked no better than chance" in lines
    assert "trust     none: " in text
    assert "next      Do not train on it. " in text
    assert "olmix verify" not in text
    assert len(lines) <= 10


def test_a_gain_that_may_be_0_is_not_a_large_number(content):
    gain = replace(content.proposal.gains["natural"], low=-0.01)
    proposal = replace(content.proposal, gains={"natural": gain})
    found = build_first_screen(replace(content, proposal=proposal, verification=None), {})
    assert (found.value, found.status) == ("", "Predicted, not verified yet: the gain may be 0")
    assert found.headline.startswith("may be 0: +0.191 bits per byte over natural, predicted, in ")
    assert found.notes[0].startswith("over natural +0.191 (−0.010 to ")


def test_a_proposal_that_is_natural_is_not_verified(content):
    natural = content.proposal.mixtures["natural"]
    same = {**content.proposal.mixtures, "proposed": natural}
    proposal = replace(content.proposal, mixtures=same, floors={"docs_bpb": 2.0})
    found = build_first_screen(replace(content, proposal=proposal, verification=None), {})
    assert found.next.command == ""
    assert found.next.brief == (
        "Keep natural: the proposal is the same. To look further, loosen proposer.floors."
    )


def test_a_caution_is_the_first_warning_where_nothing_costs_much(content):
    warnings = ("proposer.floors: all: 5 is in the unit of the metric.", "Another one.")
    proposal = replace(content.proposal, warnings=warnings)
    cheap = replace(content, proposal=proposal, verification=None)
    assert "caution   proposer.floors: all: 5 is in the unit of the metric." in in_lines(
        build_first_screen(cheap, {})
    )


def test_the_mixture_takes_the_lines_that_the_rest_leaves(tmp_path):
    folder = write_sample_fit(tmp_path / "abc", num_runs=40, num_domains=64, verified=False)
    lines = in_lines(build_first_screen(read_fit_folder(folder), {}))
    place = next(row for row, line in enumerate(lines) if line.startswith("mixture"))
    assert lines[place].startswith("mixture   from natural: code ")
    assert lines[place + 1].startswith(" ")
    assert re.search(r" and \d+ more$", lines[place + 1])


def test_a_ladder_alone_is_a_measurement_too(content):
    rungs = tuple(
        Rung(scale, 1000, None, replace(content.verification, seeds=(1, 2, 3)))
        for scale in (1.0, 4.0)
    )
    ladder = Ladder(level=0.9, rungs=rungs, statement="It grows.")
    found = build_first_screen(replace(content, verification=None, ladder=ladder), {})
    assert found.status == "Measured at 4× the size with 3 fresh seeds"
    assert "verify" not in found.next.words.lower()
    gain = content.verification.gains["natural"].mean
    assert found.ladder == f"+{gain:.3f} at 1×, +{gain:.3f} at 4× the size"
    assert f"sizes     {found.ladder}" in in_lines(found)
    said = f"gain      +{gain:.3f} over natural, measured at 4× the size, in networkx_bpb"
    assert said in in_lines(found), "the unit goes where the name would be cut off"


def test_the_largest_size_of_a_ladder_decides_what_comes_next(content):
    """At the smallest, natural was better; at the largest the proposal is, and so at the target."""
    worse, better = (with_gain(content, *ends).verification for ends in ((-0.2, -0.1), (0.1, 0.2)))
    rungs = tuple(Rung(scale, 1000, None, one) for scale, one in ((1.0, worse), (4.0, better)))
    ladder = Ladder(level=0.9, rungs=rungs, statement="It grows.")
    climbed = replace(content, verification=worse, ladder=ladder)
    assert build_first_screen(climbed, {}).next.words.startswith("Train on")
    target = GainAtTarget(64.0, 64_000, Gain(0.1, 0.1, -0.3, 0.5))
    further = replace(climbed, ladder=replace(ladder, target=target))
    assert "verify with more seeds" in build_first_screen(further, {}).next.words


def test_without_a_proposal_there_is_a_first_screen_too(fit):
    for name in ("proposal", "verification"):
        (fit / f"{name}.json").unlink()
    found = build_first_screen(read_fit_folder(fit), {})
    assert (found.bars, found.lights, found.costs) == ((), (), ())
    assert "no mixture was proposed" in found.statement
    assert summary(fit)


def test_unknown_weights_and_gains_are_left_out(fit):
    edit_json(fit / "proposal.json", **{"mixtures/natural/weights/docs": None})
    edit_json(fit / "verification.json", **{"gains/natural/mean": None})
    found = build_first_screen(read_fit_folder(fit), {})
    assert found.label.startswith("predicted gain")
    assert "nan" not in " ".join(in_lines(found))


def with_round(content, *, worth):
    said = "Another 32 runs are expected to gain 0.03, above the noise of 0.01: run them."
    more = AnotherRound(32, 0.03, 0.05, 0.01, worth, said)
    return replace(content, proposal=replace(content.proposal, another_round=more))


def test_a_round_that_is_worth_it_comes_before_a_verification(content):
    found = build_first_screen(with_round(replace(content, verification=None), worth=True), {})
    assert found.next.words.startswith("Another 32 runs are expected to gain 0.03, above the noise")
    assert "--after" in found.next.command
    assert "-n 32" in found.next.command
    found = build_first_screen(with_round(replace(content, verification=None), worth=False), {})
    assert "olmix verify" in found.next.command


def test_after_a_gain_that_more_runs_would_not_improve_comes_a_ladder(content):
    better = with_gain(content, 0.1, 0.2)
    command = build_first_screen(with_round(better, worth=False), {}).next.command
    assert command.endswith("--scales 1,4 --seeds 3")
    assert "--after" in build_first_screen(with_round(better, worth=True), {}).next.command
    assert "--after" in build_first_screen(better, {}).next.command


def with_costs(content, **losses):
    """Return a verification where the proposal adds so much to each metric of value 2."""
    seeds = content.verification.seeds
    rows = tuple(
        {"mixture": mixture, "seed": str(seed)}
        | {
            name: str(2.0 + (loss if mixture == "proposed" else 0.0))
            for name, loss in losses.items()
        }
        for mixture in ("natural", "proposed")
        for seed in seeds
    )
    found = replace(content.verification, metrics={name: {} for name in losses})
    return replace(content, verification=found, verification_rows=rows)


def test_a_ruinous_cost_is_told_in_per_cent_and_with_a_gentler_way(content):
    found = build_first_screen(with_costs(content, docs_bpb=1.1, code_bpb=0.05), {})
    assert [row.share for row in found.costs] == ["55 % worse", "2.5 % worse"]
    assert found.gentler.words.startswith("docs_bpb gets 55 % worse. ")
    assert "{all: 5 %}" in found.gentler.words
    assert found.gentler.command.startswith("olmix fit -c FIT.yaml -o ")
    assert "if you can afford its costs" in found.next.words
    cheap = build_first_screen(with_costs(content, docs_bpb=0.1), {})
    assert cheap.gentler.words == ""
    floor = replace(content, proposal=replace(content.proposal, floors={"docs_bpb": 2.1}))
    assert build_first_screen(with_costs(floor, docs_bpb=1.1), {}).gentler.words == ""


def test_after_a_verification_the_trust_says_what_was_measured(content):
    noisy = replace(content.metrics[0], noise_sd=content.metrics[0].law.cv.rmse / 4.4)
    doubtful = replace(content, metrics=(noisy, *content.metrics[1:]))
    found = build_first_screen(doubtful, {})
    assert found.measured.startswith(
        "The prediction alone was not enough (error 4.4 times the noise"
    )
    assert "but the gain was measured: better than natural with" in found.measured
    assert found.next.words.startswith("Train on ")
    assert f"trust     {found.measured_brief}" in in_lines(found)
    assert found.measured_brief.endswith(" seeds; the prediction alone: weak")


def test_before_a_verification_there_is_one_advice(content):
    gain = replace(content.proposal.gains["natural"], low=-0.01)
    proposal = replace(content.proposal, gains={"natural": gain})
    found = build_first_screen(replace(content, proposal=proposal, verification=None), {})
    assert found.next.words.startswith("The gain is not certain: verify before you train on it")
    assert "Do not train" not in " ".join(in_lines(found))


def test_the_gentler_fit_takes_the_config_of_this_one(content, tmp_path):
    costly, config = with_costs(content, docs_bpb=1.1), tmp_path / "fit.yaml"
    commands = [f"olmix fit -c {config} -o fits"]
    assert " -c FIT.yaml" in build_first_screen(costly, {}, commands).gentler.command
    config.touch()
    assert f" -c {config}" in build_first_screen(costly, {}, commands).gentler.command


def test_without_token_counts_gains_are_over_the_uniform_mixture(content):
    priors = replace(content.settings.priors, unknown=True)
    found = build_first_screen(
        replace(content, settings=replace(content.settings, priors=priors)), {}
    )
    assert [bar.mixture for bar in found.bars] == ["uniform", "proposed"]
    assert " gain over uniform in " in found.label
    assert "natural" not in " ".join(in_lines(found))
