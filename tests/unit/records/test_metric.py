"""What is a metric, which way is better, and the value of an objective."""

import numpy as np
import pytest

from olmix.errors import DataError
from olmix.records.metric import (
    BITS_PER_BYTE,
    Metric,
    Objective,
    error_of,
    is_metric,
    lower_is_better,
    lower_is_better_by_name,
    sort_names,
)


@pytest.mark.parametrize(
    "name",
    "step _step global_step num_steps tokens num_tokens tokens_per_second tokens/s it/s time "
    "_timestamp _runtime train_runtime seconds epoch data/epoch epochs/code lr train/lr "
    "learning_rate lr-AdamW/pg1 grad_norm GradNorm total_flos peak_memory_active "
    "train_samples_per_second time_per_step loss_scale acc_stderr,none seed tokensPerSec "
    "tokens_per_second_per_device eval_runtime eval_steps_per_second it/sec train_hours progress "
    "param_norm num_params wps tflops cost_usd gpu_power_watts logit_max train/z_loss "
    "moe/aux_loss".split(),
)
def test_bookkeeping_is_no_metric(name):
    assert not is_metric(name)


@pytest.mark.parametrize(
    "name",
    "loss eval/loss code_bpb time_bpb step_bpb seconds_bpb acc,none hellaswag math pass@1 "
    "train_loss timeline_loss completions/mean_length papers_bpb philpapers token/accuracy "
    "eval/s_bpb power_bpb logits_per_char correct_logits hours_bpb".split(),
)
def test_what_is_measured_of_the_model_is_a_metric(name):
    assert is_metric(name)


@pytest.mark.parametrize(
    "name",
    "acc accuracy acc,none acc_norm f1 exact_match exact_match,strict-match pass@1 pass@k score "
    "primary_score correct_prob logits_per_char win_rate bleu rouge rougeL auc mcc reward "
    "rewards/format mmlu:rc::acc log_likelihood Accuracy evalAccuracy acc_per_char "
    "truthfulqa_mc1 loss/accuracy top5 Top-1 top_1 acc1 mIoU gsm8k:strict_match wins "
    "correctness".split(),
)
def test_names_that_say_higher(name):
    assert lower_is_better_by_name(name) is False


@pytest.mark.parametrize(
    "name",
    "loss eval/loss code_bpb ppl perplexity perplexity_score nll error error_rate accuracy/loss "
    "wer bits_per_byte cross_entropy neg_log_likelihood reward_loss exact_match_loss "
    "logits_per_char_bpb pass_rate_bpb word_perplexity,none".split(),
)
def test_names_that_say_lower(name):
    assert lower_is_better_by_name(name) is True


@pytest.mark.parametrize(
    "name",
    "neg_loss eval/neg_loss -loss val/-loss minus_loss neg_mean_squared_error neg_log_loss negLoss "
    "inverse_ppl loss_improvement error_reduction NegativeLoss".split(),
)
def test_a_loss_that_is_turned_round_says_higher(name):
    assert lower_is_better_by_name(name) is False


@pytest.mark.parametrize(
    "name", "negation_loss again_loss loss_delta negative_log_likelihood neg_logprob".split()
)
def test_and_one_that_only_looks_so_says_lower(name):
    assert lower_is_better_by_name(name) is True


@pytest.mark.parametrize("name", ["math", "hellaswag", "code", "accent", "underscore_task"])
def test_names_that_say_nothing(name):
    assert lower_is_better_by_name(name) is None


def test_a_standard_error_names_its_metric():
    assert error_of("acc_stderr,none") == "acc,none"
    assert error_of("code_bpb_stderr") == "code_bpb"
    assert error_of("code_bpb") is None


@pytest.mark.parametrize(
    "name",
    [
        *("stderr_acc", "stderr/acc", "acc_std_err", "acc (stderr)", "STDERR(acc)", "accStderr"),
        *("acc_standard_error", "standard_error_acc", "acc.sem", "acc stderr"),
    ],
)
def test_a_standard_error_is_told_at_any_place_of_a_name(name):
    assert error_of(name).lower() == "acc"
    assert not is_metric(name)


@pytest.mark.parametrize("name", ["semantics_acc", "assembly_bpb", "se_acc", "sv_se"])
def test_words_that_hold_one_by_chance_are_metrics(name):
    assert error_of(name) is None
    assert is_metric(name)


def test_standard_deviations_and_limits_beside_their_metric_are_no_metrics():
    names = ["acc", "acc_std", "acc_ci_low", "acc_ci95", "loss_std", "se_acc"]
    found = sort_names(names)
    assert found.metrics == ("acc", "loss_std")
    assert found.others == ("acc_std", "acc_ci_low", "acc_ci95")
    assert found.errors == {"se_acc": "acc"}


def test_a_short_ending_is_a_standard_error_only_beside_its_metric():
    found = sort_names(["acc", "acc_se", "sv_se", "f1,none", "f1_stderr,none", "lr", "bpb_sem"])
    assert found.errors == {"acc_se": "acc", "f1_stderr,none": "f1,none", "bpb_sem": "bpb"}
    assert found.metrics == ("acc", "sv_se", "f1,none")
    assert found.others == ("lr",)


@pytest.mark.parametrize(
    ("names", "given", "lower"),
    [
        (["acc"], {}, False),
        (["acc"], {"acc": True}, True),
        (["loss"], {"loss": False}, False),
        (["math"], {}, True),
        (["math", "math_acc"], {}, False),
        (["math", "accuracies"], {"accuracies": True}, True),
    ],
)
def test_what_is_given_wins_then_the_name_and_else_lower_is_better(names, given, lower):
    assert lower_is_better(names, given) is lower


def test_a_metric_of_the_other_direction_enters_with_its_sign_turned():
    objective = Objective.build([Metric("loss"), Metric("acc", lower_is_better=False)])
    assert objective.lower_is_better
    assert objective.value({"loss": 2.0, "acc": 0.5}) == pytest.approx(0.75)
    better = objective.value({"loss": 2.0, "acc": 0.9})
    assert objective.gain(better, over=0.75) == pytest.approx(0.2)
    assert objective.unit == ""


def test_where_more_of_everything_is_better_the_objective_rises():
    objective = Objective.build([Metric("acc", lower_is_better=False)])
    assert objective.name == "acc"
    assert objective.value({"acc": 0.5}) == 0.5
    assert objective.gain(0.6, over=0.5) == pytest.approx(0.1)


def test_metrics_without_weight_do_not_count():
    objective = Objective.build([Metric("a_bpb", weight=3), Metric("b_bpb"), Metric("c", weight=0)])
    assert objective.name == "average of 2 metrics"
    assert objective.unit == BITS_PER_BYTE
    assert objective.value({"a_bpb": 1.0, "b_bpb": 2.0}) == 1.25
    rows = {"a_bpb": np.array([1.0, 0.0]), "b_bpb": np.array([2.0, 4.0])}
    np.testing.assert_allclose(objective.average(rows), [1.25, 1.0])


def test_a_metric_that_was_not_measured_is_named():
    objective = Objective.build([Metric("loss"), Metric("arc_bpb")])
    assert objective.missing(["loss"]) == ("arc_bpb",)
    with pytest.raises(DataError, match="arc_bpb, which was not measured"):
        objective.value({"loss": 2.0})


def test_files_give_it_back():
    objective = Objective.build([Metric("loss", weight=2), Metric("acc", lower_is_better=False)])
    assert Objective.from_plain(objective.to_plain()) == objective
