"""Whatever an experiment holds, it becomes runs or sentences, and what is written reads back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olmix.errors import MissingPackageError, OlmixError
from olmix.sweep import build_plan
from olmix.sweep.design import build_points
from olmix.sweep.document import YamlDocument
from olmix.sweep.experiment import load_experiment
from olmix.sweep.torchtune.registry import read_registry

NAMES = st.sampled_from(
    [
        *("lora_rank", "lr", "seed", "epochs", "batch_size", "output_dir", "dtype", "sample_size"),
        *("optimizer", "optimizer.lr", "dataset", "dataset.0", "dataset.source", "model"),
        *("model.lora_attn_modules", "tokenizer.max_seq_len", "metric_logger.log_dir", "a.b.c"),
        *("checkpointer.checkpoint_files", "loss._component_", "num_warmup_steps"),
    ]
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["${", "${mul:2,${lora_rank}}", "${output_dir}/x", "{lora_rank}", "a\nb"])
    | st.sampled_from([[], [1], ["a"], [{"a": 1}], {}, {"a": 1}, {"0": 3}, {0: {"a": 1}}])
    | st.sampled_from([{"_component_": name} for name in ("x", "torch.optim.SGD", None, 5)])
)
SECTIONS = {
    "paired": st.lists(st.dictionaries(NAMES, st.lists(VALUES, max_size=2), max_size=2)),
    "conditions": st.lists(
        st.fixed_dictionaries({"when": st.dictionaries(NAMES, VALUES, max_size=1)})
        | st.fixed_dictionaries(
            {
                "when": st.dictionaries(NAMES, VALUES, max_size=1),
                "set": st.dictionaries(NAMES, VALUES, max_size=1),
            }
        ),
        max_size=2,
    ),
    "sampler": st.fixed_dictionaries({"type": st.just("random"), "runs": st.integers(0, 5)}),
    "replicates": st.integers() | st.lists(st.integers(), max_size=3),
    "max_runs": st.integers(),
}
EXPERIMENTS = st.fixed_dictionaries(
    {
        "experiment_name": st.just("x"),
        "base_config": st.sampled_from(
            [
                "llama3_2/1B_lora_single_device",
                "llama3_2/1B_full",
                "mistral/7B_full_ppo_low_memory",
                "llama3_2/8B_to_1B_KD_lora_single_device",
            ]
        ),
        "variables": st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=2), max_size=2),
        "controls": st.dictionaries(NAMES, VALUES, max_size=2),
    },
    optional=SECTIONS,
)


@pytest.fixture(scope="module", autouse=True)
def _torchtune():
    try:
        read_registry()
    except MissingPackageError as error:
        pytest.skip(f"needs the files of torchtune: {error}")


@settings(max_examples=150)
@given(EXPERIMENTS)
def test_an_experiment_becomes_runs_that_read_back_or_sentences(experiment):
    try:
        plan = build_plan(experiment)
    except OlmixError:
        return
    for run in plan.runs:
        text = plan.framework.render(plan.base, run.config, run.given)
        # NaN is not equal to itself, so texts are compared.
        assert repr(YamlDocument(text, run.id).data) == repr(run.config)


@pytest.mark.parametrize(
    ("limits", "values"),
    [
        ({"min": 4, "max": 34, "step": 8}, [4, 12, 20, 28]),
        ({"min": 0.1, "max": 0.4, "step": 0.1}, [0.1, 0.2, 0.3, 0.4]),
        ({"min": 1, "max": 3}, [1, 2, 3]),
        ({"min": 1, "max": 3, "scale": "linear"}, [1, 2, 3]),
    ],
)
def test_the_steps_of_a_range_are_equally_likely(limits, values):
    made = {
        "experiment_name": "x",
        "base_config": "llama3_2/1B_lora_single_device",
        "variables": {"optimizer.eps": limits},
        "sampler": {"type": "random", "runs": 400},
        "replicates": 1,
    }
    points = build_points(load_experiment(made).config)
    drawn = [point["optimizer.eps"] for point in points]
    assert sorted(set(drawn)) == values
    for value in values:
        share = drawn.count(value) / len(drawn)
        assert abs(share - 1 / len(values)) < 0.08, value
