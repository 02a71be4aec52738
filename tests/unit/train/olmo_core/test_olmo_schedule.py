import pytest

from olmix.config import OlmoCoreTraining
from olmix.errors import ConfigError
from olmix.train.olmo_core.schedule import build_schedule

M = 1_000_000


def _plan(parameters=108 * M, devices=1, **training):
    plain = {"proxy_model_id": "olmo2_100m", "max_tokens": 20 * parameters, **training}
    return build_schedule(OlmoCoreTraining.from_dict(plain), parameters, devices)


def test_what_is_left_out_follows_the_ladder_of_olmo():
    plan = _plan()
    assert plan.learning_rate == pytest.approx(0.0047)
    assert plan.batch_tokens == 128 * 2048, "160 sequences, as a power of two"
    assert plan.warmup_steps == round(108 * M / plan.batch_tokens)


def test_a_smaller_model_takes_smaller_batches_and_a_higher_rate():
    small = _plan(parameters=108 * M // 8)
    assert small.learning_rate == pytest.approx(2 * 0.0047)
    assert small.batch_tokens < _plan().batch_tokens


def test_longer_sequences_keep_the_tokens_of_a_step():
    assert _plan(sequence_length=4096).batch_tokens == _plan().batch_tokens


def test_annealing_has_no_warm_up():
    assert _plan(train_type="anneal").warmup_steps == 0


def test_a_short_run_warms_up_for_a_tenth():
    plan = _plan(max_tokens=100 * 128 * 2048)
    assert (plan.num_steps, plan.warmup_steps) == (100, 10)


def test_a_step_is_split_into_equal_parts_that_a_device_can_take():
    plan = _plan(global_batch_size=12 * 2048, device_batch_size=5)
    assert plan.part_tokens == 4 * 2048


def test_what_does_not_split_or_fill_a_step_is_refused_at_once():
    with pytest.raises(ConfigError) as caught:
        _plan(devices=8, global_batch_size=12 * 2048, max_tokens=2048)
    text = str(caught.value)
    assert "12 sequences cannot be split over 8 devices" in text
    assert "less than one step of 12 x 2048" in text


def test_a_batch_is_a_whole_number_of_sequences():
    with pytest.raises(ConfigError, match="not a whole number of sequences of 2048"):
        _plan(global_batch_size=3000)
