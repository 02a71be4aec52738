import pytest

from olmix.errors import ConfigError
from olmix.grpo.run_checks import check_run
from olmix.grpo.suggestions import known_keys, suggest


def test_all_keys_are_known_also_those_that_the_tree_leaves_out():
    known = known_keys()
    for key in (
        "seed",
        "optimizer.warmup_steps",
        "model.warm_start.steps",
        "model.custom_params.hidden_size",
        "grpo.epsilon_high",
    ):
        assert key in known


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("optimizer.max_grad_norm", "did you mean `training.gradient_clip`?"),
        ("optimizer.warmup_ratio", "did you mean `scheduler.warmup_fraction`?"),
        ("optimizer.beta1", "did you mean `optimizer.b1`?"),
        ("scheduler.warmup_steps_ratio", "did you mean `scheduler.warmup_fraction`?"),
        ("scheduler.decay_steps_ratio", "to scheduler.end_value"),
        ("generation.max_generation_steps", "did you mean `generation.max_new_tokens`?"),
        ("training.max_checkpoints_to_keep", "did you mean `training.max_checkpoints`?"),
        ("evaluation.inference_config", "did you mean `evaluation.preset`?"),
        ("evaluation.num_passes", "did you mean `evaluation.num_samples`?"),
        ("training.num_test_batches", "did you mean `evaluation.num_prompts`?"),
        ("training.eval_every_n_steps", "did you mean `evaluation.every`?"),
        ("optimzer.learning_rate", "did you mean `optimizer.learning_rate`?"),
        ("training.epoch", "did you mean `training.epochs`?"),
        ("optimizer.warmup_steps", "+optimizer.warmup_steps=... adds it"),
        ("grpo.rewards.short", "+grpo.rewards.short={function:"),
        ("grpo.rewards.weight", "+grpo.rewards.weight={function:"),
        ("training.datasets.mine.weight", "+training.datasets.mine={data_source:"),
        ("generation.max_completion_length", "did you mean `generation.max_new_tokens`?"),
        ("training.num_train_epochs", "did you mean `training.epochs`?"),
    ],
)
def test_a_key_that_is_not_there_is_led_to_the_one_that_is(key, text):
    assert text in suggest(key)
    with pytest.raises(ConfigError) as caught:
        check_run([f"{key}=1"])
    assert text in str(caught.value)


@pytest.mark.parametrize("key", ["foo", "optimizer.zzz", "training.colour"])
def test_nothing_is_suggested_where_nothing_is_alike(key):
    assert suggest(key) == ""
    with pytest.raises(ConfigError) as caught:
        check_run([f"{key}=1"])
    assert str(caught.value) == f"config: there is no key `{key}`"


def test_an_older_name_that_was_added_is_led_there_too():
    with pytest.raises(ConfigError, match=r"unknown key; did you mean `training.gradient_clip`"):
        check_run(["+optimizer.max_grad_norm=1"])
