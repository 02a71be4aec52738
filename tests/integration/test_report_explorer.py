"""The sliders of the report in a real browser: the page predicts what Python predicts."""

import json

import numpy as np
import pytest

from browser import needs_chromium, opened
from fit_fixtures import SHARES, log_linear, log_weight, pinned_swarm, plant, reused
from olmix.fit import fit_swarm, load_fit
from olmix.report import write_report

pytestmark = [pytest.mark.slow, needs_chromium]

KINDS = (
    "auto",
    "gp",
    "log_linear",
    "log_weight",
    "autoscale",
    "bimix",
    "epochs",
    "lightgbm",
    "search",
    "families",
)


def up(mixtures):
    """A metric of which more is better."""
    return -log_weight(mixtures)


def tangled(mixtures):
    """A metric that no formula among the laws has, so that `auto` averages several."""
    return 2 + np.sin(5 * mixtures[:, 0]) * mixtures[:, 1] - mixtures[:, 2] ** 2


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    truths = {"y": log_linear, "up": up, "</script>": tangled}
    return plant(tmp_path_factory.mktemp("explorer"), truths, num=40, noise=0.05)


def report_of(planted, kind):
    if kind == "lightgbm":
        pytest.importorskip("lightgbm")
    proposer = {"type": "search"} if kind == "search" else {}
    regression, more = {"type": kind}, {}
    if kind == "families":
        regression = {"type": "auto", "aggregate_task_families": True}
        tasks = {"down": ["y", "</script>"], "rise": ["up"]}
        more = {"eval": {"type": "offline", "tasks": tasks}}
    config = planted.config(
        regression=regression, proposer=proposer, lower_is_better={"up": False}, **more
    )
    folder = fit_swarm(config, planted.folder / "fit").folder
    return folder, write_report(folder, drawn="none")


def read(shown):
    """Return the mixture of the page, and prediction and interval of every metric."""
    section = shown.page.locator("#explore")
    mixture = np.array(json.loads(section.get_attribute("data-weights")))
    rows = {}
    for row in section.locator("tbody tr").all():
        name = row.locator("th").inner_text()
        rows[name] = [
            float(row.get_attribute(f"data-{key}")) for key in ("predicted", "low", "high")
        ]
    return mixture, rows


def check(fit, mixture, rows):
    """Compare the numbers of the page with those of Python at the same mixture."""
    predicted, intervals = fit.predict(mixture), fit.intervals(mixture)
    for metric in fit.metrics:
        (value,), ((low,), (high,)) = predicted[metric], intervals[metric]
        np.testing.assert_allclose(rows[metric], [value, low, high], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_predicts_what_python_predicts(planted, kind):
    folder, page = report_of(planted, kind)
    fit = load_fit(folder)
    with opened(page) as shown:
        sliders = shown.page.locator("#explore input[type=range]")
        for index, value in ((0, "0.7"), (2, "0.35"), (3, "0"), (1, "1")):
            sliders.nth(index).fill(value)
            mixture, rows = read(shown)
            assert mixture.sum() == pytest.approx(1)
            assert mixture[index] == pytest.approx(float(value))
            check(fit, mixture, rows)
        for name in ("natural", "proposed"):
            shown.page.get_by_role("button", name=name, exact=True).click()
            mixture, rows = read(shown)
            weights = json.loads((folder / "proposal.json").read_text())["mixtures"][name][
                "weights"
            ]
            np.testing.assert_allclose(mixture, [weights[d] for d in "abcd"], atol=1e-12)
            check(fit, mixture, rows)
        assert shown.complaints == []
        assert shown.requests == []


def test_components_that_many_metrics_share_are_predicted_by_the_page_too(tmp_path):
    rng = np.random.default_rng(0)
    swarm = plant(tmp_path, {"y": tangled}, num=40, replicates=1)
    clean = np.array(swarm.metrics["y"])
    noise = 0.7 * clean.std() * rng.standard_normal((10, len(clean)))
    swarm.metrics = {f"m{i}": (clean + own).tolist() for i, own in enumerate(noise)}
    folder = fit_swarm(swarm.write().config(regression={"type": "gp"}), tmp_path / "fit").folder
    fit = load_fit(folder)
    assert "components" in repr(fit.laws)
    with opened(write_report(folder, drawn="none")) as shown:
        sliders = shown.page.locator("#explore input[type=range]")
        for index, value in ((0, "0.7"), (2, "0.35")):
            sliders.nth(index).fill(value)
            check(fit, *read(shown))
        assert shown.complaints == []


@pytest.mark.parametrize("asked", [False, True])
def test_a_pinned_domain_has_no_slider_and_keeps_its_weight(planted, tmp_path, asked):
    swarm, pins = (planted, {"d": 0.2}) if asked else (pinned_swarm(tmp_path), {})
    directions = {"up": False} if asked else {}
    config = swarm.config(
        regression={"type": "gp"}, filtering={"fixed_weight": pins}, lower_is_better=directions
    )
    folder = fit_swarm(config, tmp_path / "fit").folder
    fit = load_fit(folder)
    with opened(write_report(folder, drawn="none")) as shown:
        sliders = shown.page.locator("#explore input[type=range]")
        assert sliders.count() == 3
        assert shown.page.locator(".slides .pinned").all_inner_texts() == ["20.0 %"]
        fixed = read(shown)[0][3]
        for index, value in ((0, "0.7"), (2, "0.35"), (1, str(1 - fixed))):
            sliders.nth(index).fill(value)
            mixture, rows = read(shown)
            assert mixture[3] == fixed
            assert mixture.sum() == pytest.approx(1)
            assert mixture[index] == pytest.approx(float(value), abs=1e-3)
            check(fit, mixture, rows)
        assert shown.complaints == []


@pytest.fixture(scope="module")
def page(planted):
    return report_of(planted, "auto")[1]


def test_arrow_keys_move_a_slider_and_the_other_weights_make_room(page):
    with opened(page) as shown:
        slider = shown.page.get_by_role("slider", name="b", exact=True)
        shown.page.get_by_role("button", name="uniform").click()
        before, rows_before = read(shown)
        slider.focus()
        for _ in range(50):
            slider.press("ArrowRight")
        after, rows_after = read(shown)
        assert after[1] == pytest.approx(before[1] + 0.05)
        np.testing.assert_allclose(after[[0, 2, 3]], np.full(3, 0.7 / 3))
        assert after.sum() == pytest.approx(1)
        assert rows_after != rows_before
        assert slider.get_attribute("aria-valuetext") == "30.0 %"
        assert "weight of b" in shown.page.locator("svg.response").text_content()


def test_the_average_is_that_of_its_metrics_in_its_own_direction(page):
    with opened(page) as shown:
        _, rows = read(shown)
        average = rows["average of all metrics"][0]
        assert average == pytest.approx((rows["y"][0] + rows["</script>"][0] - rows["up"][0]) / 3)


def test_the_curve_follows_the_metric_that_is_chosen(page):
    with opened(page) as shown:
        curve = shown.page.locator("svg.response")
        before = curve.locator("polyline").get_attribute("points")
        shown.page.locator("#explore .curve select").select_option("up")
        assert curve.locator("polyline").get_attribute("points") != before
        assert curve.get_attribute("aria-label").startswith("up against the weight of")


def test_a_mixture_far_from_all_runs_is_called_an_extrapolation(page):
    with opened(page) as shown:
        note = shown.page.locator("#explore [role=status]")
        shown.page.get_by_role("button", name="best seen").click()
        assert "within what was tried" in note.inner_text()
        shown.page.locator("#explore input[type=range]").nth(3).fill("1")
        assert "outside what was tried. Its predictions are extrapolations." in note.inner_text()


def test_the_mixture_can_be_taken_into_a_launch_config(page):
    from olmix.mixture import Mixture

    with opened(page) as shown:
        shown.page.locator("#explore details details summary").click()
        text = shown.page.locator("#explore pre").inner_text()
        mixture, _ = read(shown)
    import yaml

    parsed = Mixture.parse(yaml.safe_load(text)["mix"])
    weights = {name: parsed[name].weight for name in parsed}
    assert weights == pytest.approx(
        {d: w for d, w in zip("abcd", mixture, strict=True) if w > 0}, rel=1e-5
    )


@pytest.mark.parametrize("width", [360, 800])
def test_the_sliders_fit_the_window(page, width):
    with opened(page, width=width) as shown:
        assert shown.page.evaluate("document.documentElement.scrollWidth") == width
        assert shown.too_wide() == []
        box = shown.page.get_by_role("slider", name="a", exact=True).bounding_box()
        assert box["width"] > 60
        assert box["height"] >= 24


def test_a_frozen_source_has_one_slider_and_is_written_as_its_leaves(tmp_path):
    folder = fit_swarm(reused(tmp_path).config(), tmp_path / "fit").folder
    page = write_report(folder, drawn="none")
    with opened(page) as shown:
        assert shown.page.get_by_role("slider").count() == 2
        shown.page.get_by_role("slider", name="old", exact=True).fill("0.5")
        shown.page.locator("#explore details details summary").click()
        text = shown.page.locator("#explore pre").inner_text()
        for leaf, share in SHARES.items():
            assert f'"{leaf}": {{weight: {0.5 * share:.6f}'[:-3] in text
            assert shown.page.locator("#mixture").get_by_text(leaf).count() > 0
        assert shown.complaints == []


def test_proportions_are_kept_however_far_a_slider_goes(page):
    with opened(page) as shown:
        shown.page.get_by_role("button", name="best seen").click()
        before, _ = read(shown)
        slider = shown.page.get_by_role("slider", name="b", exact=True)
        slider.press("End")
        assert read(shown)[0][1] == 1
        slider.fill(str(before[1]))
        np.testing.assert_allclose(read(shown)[0], before, atol=1e-3)
        slider.press("Home")
        after, _ = read(shown)
        rest = [0, 2, 3]
        np.testing.assert_allclose(after[rest], before[rest] / before[rest].sum(), atol=1e-9)


def test_a_locked_domain_keeps_its_weight_and_a_typed_share_is_taken(page):
    with opened(page) as shown:
        shown.page.get_by_role("button", name="uniform").click()
        shown.page.get_by_role("checkbox", name="lock a", exact=True).check()
        share = shown.page.get_by_role("textbox", name="b, per cent", exact=True)
        share.fill("60")
        share.press("Enter")
        np.testing.assert_allclose(read(shown)[0], [0.25, 0.6, 0.075, 0.075])
        share.fill("90")
        share.press("Enter")
        np.testing.assert_allclose(read(shown)[0], [0.25, 0.75, 0, 0], atol=1e-12)
        assert share.input_value() == "75.0"
        assert shown.page.get_by_role("alert").inner_text() == "At most 75.0 %: a locked."
        assert shown.page.get_by_role("textbox", name="a, per cent", exact=True).is_disabled()
        assert shown.page.get_by_role("slider", name="a", exact=True).is_disabled()
        before, _ = read(shown)
        for nothing in ("", "many"):
            share.fill(nothing)
            share.press("Enter")
            np.testing.assert_allclose(read(shown)[0], before)
            assert share.input_value() == "75.0"
        share.fill("12,5 %")
        share.press("Enter")
        assert read(shown)[0][1] == pytest.approx(0.125)
        assert shown.page.get_by_role("alert").count() == 0


def test_the_address_holds_the_mixture(page):
    with opened(page) as shown:
        shown.page.get_by_role("slider", name="b", exact=True).fill("0.4")
        address, (mixture, _) = shown.page.url, read(shown)
        shown.page.goto("about:blank")
        shown.page.goto(address)
        np.testing.assert_allclose(read(shown)[0], mixture, atol=1e-4)
        shown.page.goto("about:blank")
        shown.page.goto(address.split("#")[0] + "#mix=1,2,nothing")
        assert read(shown)[0].sum() == pytest.approx(1)
        assert shown.complaints == []


def test_keys_move_by_a_tenth_of_a_per_cent_one_and_ten(page):
    with opened(page) as shown:
        shown.page.get_by_role("button", name="uniform").click()
        slider = shown.page.get_by_role("slider", name="b", exact=True)
        for key, weight in (
            ("ArrowRight", 0.251),
            ("Shift+ArrowRight", 0.261),
            ("PageUp", 0.361),
            ("PageDown", 0.261),
        ):
            slider.press(key)
            assert read(shown)[0][1] == pytest.approx(weight)


def test_a_mixture_is_compared_with_any_other(page):
    with opened(page) as shown:
        shown.page.get_by_role("button", name="uniform").click()
        shown.page.locator("#explore .against select").select_option("uniform")
        changes = shown.page.locator("#explore tbody tr td:nth-child(3)").all_inner_texts()
        assert {change.strip("+−") for change in changes} == {"0.0000"}
        shown.page.get_by_role("slider", name="b", exact=True).fill("0.6")
        for change in shown.page.locator("#explore tbody tr td:nth-child(3)").all_inner_texts():
            assert change.startswith("+") == change.endswith(" better")


def test_a_copied_mixture_has_the_passes_of_the_target_run(tmp_path):
    swarm = plant(tmp_path, {"y": log_linear}, num=24, noise=0.05)
    counts = dict(zip("abcd", (4000, 3000, 2000, 1000), strict=True))
    config = swarm.config(
        regression={"type": "log_linear"},
        priors={"token_counts": counts},
        constraints={"target_tokens": 8000},
    )
    page = write_report(fit_swarm(config, tmp_path / "fit").folder, drawn="none")
    with opened(page) as shown:
        shown.page.get_by_role("slider", name="d", exact=True).fill("0.5")
        shown.page.locator("#explore details details summary").click()
        text = shown.page.locator("#explore pre").inner_text()
        assert '"d": {weight: 0.500000, repetition_factor: 4.00000}' in text
        assert "a run of 8,000 tokens" in shown.page.locator("#explore").inner_text()


def test_a_pinned_domain_has_no_slider_and_stays_where_it_is(tmp_path):
    swarm = plant(tmp_path, {"y": log_linear}, num=24, noise=0.05)
    config = swarm.config(regression={"type": "log_linear"}, filtering={"fixed_weight": {"c": 0.2}})
    page = write_report(fit_swarm(config, tmp_path / "fit").folder, drawn="none")
    with opened(page) as shown:
        assert shown.page.get_by_role("slider").count() == 3
        assert "20.0 %" in shown.page.locator(".slides .pinned").all_inner_texts()
        shown.page.get_by_role("slider", name="a", exact=True).fill("0.9")
        mixture, _ = read(shown)
        np.testing.assert_allclose(mixture[[0, 2]], [0.8, 0.2])
        assert shown.complaints == []
