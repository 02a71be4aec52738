"""Forms that configs of Ai2's Olmix have: what is read, and what is refused with both readings."""

import logging

import pytest

from olmix.config import (
    DataConfig,
    FitConfig,
    GenerationConfig,
    LaunchConfig,
    OlmoCoreTraining,
    PriorsConfig,
)
from olmix.config.batch import _warn_once
from olmix.config.training import InstanceFilter
from olmix.errors import ConfigError

COUNTS = {"web:code": 100, "web:news": 300, "wiki": 100}


def _training(**changes):
    plain = {"proxy_model_id": "olmo3_14m", "max_tokens": "140M", **changes}
    return OlmoCoreTraining.from_dict(plain)


def _fit(**changes):
    plain = {
        "swarm": {"ratios": "r.csv", "metrics": "m.csv"},
        "priors": {"token_counts": COUNTS},
        **changes,
    }
    return FitConfig.from_dict(plain)


def _refused(build, **changes):
    with pytest.raises(ConfigError) as caught:
        build(**changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        ("16 sequences", 32768),
        ("1 sequence", 2048),
        ("32768 tokens", 32768),
        ("4_096 tokens", 4096),
        ("32,768 tokens", 32768),
        (32768, 32768),
        ("32768", 32768),
    ],
)
def test_a_step_is_given_in_sequences_or_tokens(given, tokens):
    assert _training(global_batch_size=given).global_batch_size == tokens


@pytest.mark.parametrize("given", [1, 16, 512, 2048, 4096])
def test_a_bare_number_of_hardly_any_sequences_is_refused_with_both_readings(given):
    said = _refused(_training, global_batch_size=given)
    assert f"global_batch_size: found {given}; " in said
    assert f"{given / 2048:.3g} sequence{'s' * (given != 2048)} of 2048 per step" in said
    assert f"{given * 2048:,} tokens" in said
    assert f"Write `{given} sequences`" in said
    # Only what would be accepted is advised.
    assert (f"or `{given} tokens`" in said) == (given % 2048 == 0)


def test_what_is_allowed_is_named_as_files_name_it():
    with pytest.raises(ConfigError, match="allowed: .*token_counts, total_tokens"):
        PriorsConfig.from_dict({"token_counts": {"a": 1}, "web": 1})


def test_a_bare_number_of_few_sequences_is_warned_of_once(caplog):
    _warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert _training(global_batch_size=5 * 2048).global_batch_size == 5 * 2048
        _training(global_batch_size=8 * 2048)
    (record,) = caplog.records
    assert "10240 is read as tokens: 5 sequences of 2048 per step" in record.getMessage()


@pytest.mark.parametrize("given", ["16 sqeuences", "16 batches", "-4 tokens", "1.5 sequences"])
def test_another_unit_of_a_step_is_refused(given):
    assert "`16 sequences` or `32768 tokens`" in _refused(_training, global_batch_size=given)


def test_tokens_of_a_step_are_whole_sequences_however_they_are_given():
    assert "not a whole number of sequences" in _refused(_training, global_batch_size="3000 tokens")


@pytest.mark.parametrize("given", ["1 sequence", "5 sequences", "64 sequences"])
def test_what_is_written_is_read_as_the_same_step(given, caplog):
    training = _training(global_batch_size=given)
    with caplog.at_level(logging.WARNING):
        again = OlmoCoreTraining.from_dict(training.to_plain())
    assert again == training
    assert not caplog.records


def test_what_a_launch_wrote_before_counts_tokens():
    plain = {"proxy_model_id": "olmo3_14m", "max_tokens": 10**6, "global_batch_size": 2048}
    assert OlmoCoreTraining.from_dict(plain, kept=True).global_batch_size == 2048


def test_a_filter_of_repetitions_has_three_keys():
    keys = {"repetition_min_period": 2, "repetition_max_period": 8, "repetition_max_count": 16}
    assert _training(instance_filter=keys).instance_filter == InstanceFilter(**keys)
    assert _training(instance_filter=True).instance_filter is True
    keys["repetition_min_period"] = 9
    assert "above repetition_max_period" in _refused(_training, instance_filter=keys)


def test_null_means_that_an_optional_key_is_not_given():
    given = _training(
        trainer=None, sequence_length=None, seed=None, train_type=None, no_eval=None, tokenizer=None
    )
    assert given == _training()
    plain = {"proposer": None, "regression": {"type": None}, "filtering": {"keep_sources": None}}
    assert _fit(**plain) == _fit()
    assert "max_tokens" in _refused(_training, max_tokens=None)


def test_null_for_what_is_required_or_unknown_is_refused():
    said = _refused(_fit, priors=None, propozer=None)
    assert "priors" in said
    assert "did you mean `proposer`?" in said


def test_null_does_not_choose_a_backend():
    data = {"tokenizer": "t.json", "sources": [{"name": "a", "paths": ["a.bin"]}]}
    plain = {"name": "base", "data": data, "eval": {"paths": {"a": ["v.bin"]}}}
    infra = {"backend": None, "workers": None}
    config = LaunchConfig.from_dict({**plain, "training": {"trainer": None}, "infra": infra})
    assert config.infra.backend == "local"
    assert config.training.trainer == "proxy"


def test_weights_may_be_ratios():
    filtering = _fit(
        filtering={"obj_weights": {"a": "7/52.0", "b": 2}, "fixed_weight": {"wiki": "1/4"}}
    ).filtering
    assert filtering.obj_weights == {"a": 7 / 52, "b": 2}
    assert filtering.fixed_weight == {"wiki": 0.25}
    assert "such as 0.5 or 7/52" in _refused(_fit, filtering={"obj_weights": {"a": "7/0"}})


@pytest.mark.parametrize("given", [64, 64.0, [64, 32], 0.5, "1/2", [1.0], 1])
def test_a_split_is_a_share_or_a_number_of_runs(given):
    assert _fit(regression={"train_split": given}).regression.train_split


def test_a_number_of_runs_is_whole():
    assert "a whole number of runs" in _refused(_fit, regression={"train_split": 1.5})


@pytest.mark.parametrize(
    ("tasks", "kind"), [({"qa": ["arc"]}, "offline"), ({"qa": {"arc": "eval/arc"}}, "inloop")]
)
def test_the_shape_of_an_eval_section_says_its_kind(tasks, kind):
    assert _fit(eval={"tasks": tasks}).eval.type == kind
    assert _fit(eval={"type": None, "tasks": tasks}).eval.type == kind


def test_a_total_is_checked_against_the_counts():
    priors = PriorsConfig.from_dict({"token_counts": COUNTS, "total_tokens": 500})
    assert priors == PriorsConfig.from_dict(priors.to_plain() | {"total_tokens": "500"})
    said = _refused(_fit, priors={"token_counts": COUNTS, "total_tokens": 5000})
    assert "priors.total_tokens: found 5,000, but token_counts add up to 500" in said


def test_sizes_that_are_no_mixture_are_refused_with_what_would_do():
    sizes = {"web:code": 0.13, "web:news": 0.6, "wiki": 0.2}
    said = _refused(_fit, priors={"token_counts": COUNTS, "relative_sizes": sizes})
    assert "they add up to 0.93, not to 1. Remove them" in said
    assert "divide each by 0.93" in said


def test_topics_may_be_named_with_colons():
    topics = [{"name": n, "paths": [f"{n[-1]}.npy"]} for n in ("a:x", "a:y")]
    data = {"sources": [{"name": "web", "topics": topics}]}
    config = GenerationConfig.from_dict(
        {
            "data": data,
            "priors": {"token_counts": {"web:a:x": 100, "web:a:y": 100}},
            "swarm": {"nonzero_weight": ["web:a:x"]},
            "max_tokens": 100,
        }
    )
    assert config.data.domains == ("web:a:x", "web:a:y")


def test_two_ways_to_one_name_are_refused():
    topics = [
        {"name": "a:x", "paths": ["1.npy"]},
        {"name": "a", "quality": [{"name": "x", "paths": ["2.npy"]}]},
    ]
    said = _refused(lambda **d: DataConfig.from_dict(d), sources=[{"name": "w", "topics": topics}])
    assert "two domains would be named w:a:x" in said


@pytest.mark.parametrize("name", ["web", "web:code", "wiki"])
def test_runs_are_kept_by_source_topic_or_domain(name):
    assert _fit(filtering={"keep_sources": [name]}).filtering.keep_sources == (name,)


def test_a_pinned_source_keeps_its_natural_shares():
    pins = _fit(filtering={"fixed_weight": {"web": 0.4}}).filtering.fixed_weight
    assert pins == pytest.approx({"web:code": 0.1, "web:news": 0.3})
    assert _fit(filtering={"fixed_weight": pins}).filtering.fixed_weight == pins


def test_pins_that_overlap_or_name_nothing_are_refused():
    said = _refused(_fit, filtering={"fixed_weight": {"web": 0.4, "web:code": 0.1}})
    assert "web:code is pinned, and so is web above it" in said
    said = _refused(_fit, filtering={"fixed_weight": {"web": 0.4, "wiki": 0.4}})
    assert "the fixed weights add up to 0.8" in said
    assert "no source or topic" in _refused(_fit, filtering={"fixed_weight": {"we": 0.4}})


def test_the_exact_proposer_alone_means_the_log_linear_law():
    assert _fit(proposer={"type": "exact"}).regression.type == "log_linear"
    assert _fit(proposer={"type": "exact"}, regression={"seed": 3}).regression.seed == 3
    assert _fit().regression.type == "auto"
    said = _refused(_fit, proposer={"type": "exact"}, regression={"type": "gp"})
    assert "needs a convex law" in said


def test_a_raw_weight_of_the_divergence_is_a_number():
    assert _fit(proposer={"kl_reg": 0.05, "kl_unit": "raw"}).proposer.kl_unit == "raw"
    said = _refused(_fit, proposer={"kl_reg": "auto", "kl_unit": "raw"})
    assert "proposer.kl_unit: kl_reg `auto` is found in units of the spread" in said
