"""A ladder: sizes, extrapolation, and gains told as tokens."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.config import LaunchConfig
from olmix.config.olmo_sizes import MODEL_PARAMETERS
from olmix.errors import ConfigError
from olmix.records.fit.ladder import Rung, read_ladder, write_ladder
from olmix.records.fit.proposal import Gain
from olmix.records.fit.verification import MeasuredMix, Verification
from olmix.verify import Size, at_scale, build_ladder, check_scales
from olmix.verify.compare import paired_gain
from olmix.verify.ladder import extrapolate
from train_fixtures import Project

SEEDS = (1, 2, 3)


def _mix(values):
    values = np.asarray(values, dtype=float)
    error = float(values.std(ddof=1) / math.sqrt(len(values)))
    return MeasuredMix({}, tuple(values.tolist()), float(values.mean()), error)


def _rung(scale, natural, proposed, lower_is_better=True):
    """A rung from the values of each seed."""
    sign = 1 if lower_is_better else -1
    gain = paired_gain(sign * (np.asarray(natural) - np.asarray(proposed)))
    found = Verification(
        metric="a_bpb",
        lower_is_better=lower_is_better,
        unit="bits per byte",
        level=0.9,
        seeds=SEEDS[: len(natural)],
        mixtures={"natural": _mix(natural), "proposed": _mix(proposed)},
        gains={"natural": gain},
        num_runs=2 * len(natural),
        statement="",
    )
    return Rung(scale, int(1000 * scale), int(100 * scale), found)


def _curve(scale, gain, seeds=(-0.001, 0.0, 0.001)):
    """Natural falls by 0.1 for each factor e; the proposal is better by `gain`."""
    natural = 3 - 0.1 * math.log(scale) + np.array(seeds)
    return _rung(scale, natural, natural - gain - 0.1 * np.array(seeds))


def test_a_gain_is_told_as_the_tokens_that_natural_needs():
    """0.1 is one factor e of natural's own progress."""
    ladder = build_ladder([_curve(1, 0.1), _curve(4, 0.1)])
    for rung in ladder.rungs:
        assert rung.equal_tokens.mean == pytest.approx(math.e, rel=1e-3)
        assert rung.equal_tokens.low < math.e < rung.equal_tokens.high
    assert "Natural needs 2.7 (2.7 to 2.8) times the tokens to be as good" in ladder.statement


def test_a_loss_is_a_factor_below_one_and_not_told_as_a_gain():
    ladder = build_ladder([_curve(1, -0.1), _curve(4, -0.1)])
    assert ladder.rungs[1].equal_tokens.mean == pytest.approx(1 / math.e, rel=1e-3)
    assert "Natural needs" not in ladder.statement


def test_where_higher_is_better_the_ladder_is_the_same():
    def rung(scale):
        natural = 0.3 + 0.1 * math.log(scale) + np.array([-0.001, 0.0, 0.001])
        return _rung(scale, natural, natural + 0.1 + 1e-4 * np.arange(3), lower_is_better=False)

    assert build_ladder([rung(1), rung(4)]).rungs[0].equal_tokens.mean == pytest.approx(
        math.e, rel=0.01
    )


def test_natural_that_makes_no_progress_never_gets_there():
    flat = [_rung(scale, [3.0, 3.0, 3.0], [2.9, 2.9, 2.91]) for scale in (1, 4)]
    assert math.isnan(build_ladder(flat).rungs[1].equal_tokens.mean)


def test_one_size_is_no_trend():
    ladder = build_ladder([_curve(1, 0.1)])
    assert ladder.rungs[0].equal_tokens is None
    with pytest.raises(ConfigError, match="at least two scales"):
        build_ladder([_curve(1, 0.1)], Size(4, 4000))


def test_the_interval_holds_that_the_trend_stops_and_that_it_doubles():
    gains = [Gain(0.10, 0.001), Gain(0.06, 0.001)]
    found = extrapolate([1, 4], gains, 16, 3)
    assert found.mean == pytest.approx(0.02)
    assert found.low < -0.02
    assert found.high > 0.06


@given(st.floats(0.01, 0.2), st.floats(-0.02, 0.02), st.integers(2, 4))
def test_a_line_is_found_again(gain, slope, rungs):
    scales = [4.0**k for k in range(rungs)]
    gains = [Gain(gain + slope * math.log(scale), 0.01) for scale in scales]
    target = 4.0**rungs
    found = extrapolate(scales, gains, target, 3)
    assert found.mean == pytest.approx(gain + slope * math.log(target), abs=1e-9)
    assert found.low < found.mean < found.high


def test_intervals_hold_gains_of_curves_that_bend():
    """Loss curves E + A s^-a of two mixtures at 1, 4 and 16; the gain at 64, 3 seeds."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        floors, heights = rng.uniform(0.9, 1.0, 2), rng.uniform(1.5, 2.0, 2)
        powers = rng.uniform(0.1, 0.25, 2)

        def gain(s, floors=floors, heights=heights, powers=powers):
            values = floors + heights * s**-powers
            return values[0] - values[1]

        rungs = []
        for scale in (1, 4, 16):
            seeds = gain(scale) + rng.normal(0, 0.01, 3)
            rungs.append(Gain(float(seeds.mean()), float(seeds.std(ddof=1) / math.sqrt(3))))
        found = extrapolate([1, 4, 16], rungs, 64, 3)
        held += found.low <= gain(64) <= found.high
    assert held >= 180


@pytest.mark.parametrize("scales", [(1, 1), (0, 1), (-4,), (math.nan,)])
def test_scales_that_make_no_ladder_are_refused(scales):
    with pytest.raises(ConfigError, match="different numbers above 0"):
        check_scales(scales)


def test_a_model_grows_with_its_tokens(tmp_path):
    base = Project(tmp_path).config()
    larger = at_scale(base, 4)
    assert larger.training.num_tokens == 4 * base.training.num_tokens
    assert larger.training.d_model == 2 * base.training.d_model
    growth = larger.training.num_parameters / base.training.num_parameters
    assert growth == pytest.approx(4, rel=0.1)
    both = [
        section.learning_rate * section.embedding_lr_multiplier
        for section in (base.training, larger.training)
    ]
    assert both[0] == pytest.approx(both[1])
    assert at_scale(base, 1) is base


def _of_olmo(tmp_path, **training):
    plain = Project(tmp_path).plain()
    plain["training"] = {"proxy_model_id": "olmo3_14m", "chinchilla_multiple": 1, **training}
    return LaunchConfig.from_dict(plain)


def test_olmo_models_grow_to_the_nearest_size_at_equal_tokens_per_parameter(tmp_path):
    larger = at_scale(_of_olmo(tmp_path), 4).training
    assert larger.proxy_model_id == "olmo3_60m"
    assert larger.num_tokens == pytest.approx(20 * MODEL_PARAMETERS["olmo3_60m"], rel=1e-6)


def test_a_size_that_olmo_does_not_have_is_refused_with_those_that_it_has(tmp_path):
    with pytest.raises(ConfigError, match=r"no olmo3 model has about .* 2\.09 is olmo3_30m"):
        at_scale(_of_olmo(tmp_path), 10_000)
    with pytest.raises(ConfigError, match="mine is not one"):
        at_scale(_of_olmo(tmp_path, proxy_model_id="mine", model_parameters="10M"), 2)


def test_a_size_beyond_the_large_run_is_refused(tmp_path):
    base = LaunchConfig.from_dict(Project(tmp_path).plain(target_tokens=5120))
    assert at_scale(base, 2).training.subset_share == 1
    with pytest.raises(ConfigError, match="the large run has at least as many"):
        at_scale(base, 4)


def test_a_ladder_is_written_and_read(tmp_path):
    ladder = build_ladder([_curve(1, 0.1), _curve(4, 0.08)], Size(16, 16_000))
    write_ladder(tmp_path, ladder)
    assert read_ladder(tmp_path).to_plain() == ladder.to_plain()
    assert len((tmp_path / "ladder.csv").read_text().splitlines()) == 13
    assert read_ladder(tmp_path / "none") is None
    assert "At 16,000 tokens a gain of 0.06" in ladder.statement
