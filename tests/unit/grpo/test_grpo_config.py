import pytest

from olmix.errors import ConfigError
from olmix.grpo.compose import (
    compose,
    expand_sweep,
    null_deletions,
    split_words,
)
from olmix.grpo.config import RunConfig
from olmix.grpo.run_checks import check_run


@pytest.fixture(scope="module")
def plain():
    return compose(["+experiment=quick_test"])


def changed(plain, **sections):
    """Return a configuration with some keys of some sections changed."""
    made = {
        name: {**plain[name], **keys} if isinstance(keys, dict) else keys
        for name, keys in sections.items()
    }
    return RunConfig.from_dict({**plain, **made})


def test_the_presets_are_valid_and_frozen(plain):
    config = RunConfig.from_dict(plain)
    assert config.num_updates == 10
    assert RunConfig.from_dict(config.to_plain()) == config
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3


def test_epochs_and_num_epochs_are_one_setting(plain):
    assert changed(plain, training={"epochs": 3}).training.num_steps == 30
    assert changed(plain, training={"num_epochs": 2}).training.num_steps == 20
    with pytest.raises(ConfigError, match=r"contradicts training.epochs = 3"):
        changed(plain, training={"epochs": 3, "num_epochs": 2})


def test_the_older_place_of_the_end_tokens_means_the_newer(plain):
    assert changed(plain, grpo={"eos_tokens": [1, 106]}).eos_tokens == (1, 106)
    both = changed(plain, grpo={"eos_tokens": [1, 2]}, generation={"eos_tokens": [2, 1]})
    assert both.eos_tokens == (2, 1)
    with pytest.raises(ConfigError, match=r"generation.eos_tokens = \[3\]"):
        changed(plain, grpo={"eos_tokens": [1]}, generation={"eos_tokens": [3]})


def test_the_optimizer_is_known_by_its_keys(plain):
    made = changed(plain, optimizer={"name": None, "b1": None, "b2": None, "eps": None,
                                     "weight_decay": None, "momentum": 0.9})  # fmt: skip
    assert made.optimizer.kind == "sgd"


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"optimizer": {"momentum": 0.9}}, "no effect with the optimizer adamw"),
        ({"optimizer": {"learning_rate": -1.0}}, "greater than 0"),
        ({"optimizer": {"warmup_steps": 11}}, "the run has 10 updates"),
        ({"scheduler": {"name": "constant"}}, "no effect with a constant rate"),
        ({"grpo": {"variant": "dapo"}}, "dapo has no divergence penalty"),
        ({"grpo": {"epsilon_high": 0.1}}, "at least epsilon = 0.2"),
        ({"grpo": {"rewards": {}}}, "at least 1 item"),
        ({"grpo": {"rewards": {"exact_formt": 1.0}}}, "did you mean `exact_format`"),
        ({"grpo": {"rewards": {"mine": {"function": "mine"}}}}, '"module:function" is needed'),
        ({"grpo": {"rewards": {"exact_format": 0}}}, "nothing to learn"),
        (
            {"training": {"data_source": "synthetic", "data_path": "x"}},
            "no effect with data_source=synthetic",
        ),
        ({"training": {"data_source": "jsonl"}}, "data_source=jsonl needs it"),
        ({"training": {"data_subset": "sum"}}, "say what kind data_subset is"),
        (
            {"training": {"data_source": "synthetic", "data_subset": "sum"}},
            "made here are sums, copying, sorting",
        ),
        ({"training": {"prompt": "What?"}}, "names no column in braces"),
        ({"training": {"prompt": "{a.b}"}}, "the name of a column is needed"),
        ({"training": {"prompt": "{a"}}, "a column twice"),
        ({"training": {"question_column": None}}, "training.prompt is needed"),
        ({"training": {"mixture": "m.yaml"}}, "no effect without training.datasets"),
        ({"training": {"datasets": {"a": {}}}}, "it is needed: jsonl"),
        (
            {"training": {"datasets": {"a": {"data_source": "synthetic", "weight": 0}}}},
            "all weights are 0",
        ),
        (
            {"training": {"data_source": "jsonl", "data_path": "x", "test_split": "test"}},
            "use test_path",
        ),
        ({"training": {"answer_column": None}}, "remove it: grpo.rewards.check_answer=0"),
        (
            {"training": {"curriculum": {"min_pass_rate": 0.9, "max_pass_rate": 0.1}}},
            "above max_pass_rate",
        ),
        ({"training": {"micro_batch_size": 3}}, "must divide batch_size = 4"),
        ({"evaluation": {"num_samples": 4}}, "greedy answers are all the same"),
        ({"model": {"model_size": "2b"}}, "sizes of gemma3: 12b, 1b, 270m, 27b, 4b, tiny"),
        ({"model": {"source": "local"}}, "needs the folder with the weights"),
        ({"model": {"path": "x"}}, "has no effect with source=random"),
        ({"model": {"source": "huggingface"}}, "needs a name"),
        ({"model": {"mesh_shape": [[1], ["fsdp"]]}}, "give two sizes"),
        ({"model": {"custom_params": {"num_kv_heads": 3}}}, "must be a multiple of"),
        ({"model": {"custom_params": {"num_kv_heads": 4}}}, "must be below num_heads = 4"),
        ({"model": {"custom_params": {"hiden_size": 4}}}, "did you mean `hidden_size`"),
        ({"model": {"lora_module_path": ".*("}}, "not a regular expression: missing"),
        ({"grpo": {"answer": "maths"}}, "number, math, exact, choice"),
        (
            {"optimizer": {"warmup_steps": 3}, "scheduler": {"warmup_fraction": 0.5}},
            "found 3, but scheduler.warmup_fraction = 0.5 of 10 updates; give one",
        ),
        (
            {"optimizer": {"schedule_type": "cosine"}, "scheduler": {"name": "linear"}},
            "found cosine, but scheduler.name = linear",
        ),
        ({"training": {"data_path": "x.jsonl"}}, "say what kind data_path is: jsonl"),
        ({"logging": ["stdout"]}, "jsonl, tensorboard, trackio, wandb"),
    ],
)
def test_what_does_not_fit_is_refused(plain, sections, message):
    with pytest.raises(ConfigError, match=message):
        changed(plain, **sections)


def test_a_warm_start_has_no_effect_on_loaded_weights(plain):
    model = {**plain["model"], "source": "local", "path": "x"}
    with pytest.raises(ConfigError, match=r"model.warm_start: has no effect"):
        RunConfig.from_dict({**plain, "model": model})


def test_flags_may_stand_between_overrides():
    assert split_words(["a=1", "--cfg", "job", "b=2", "--resolve", "~c"]) == (
        ["--cfg", "job", "--resolve"],
        ["a=1", "b=2", "~c"],
    )


def test_a_deletion_can_be_swept_over():
    words = null_deletions(["~training.gradient_clip", "seed=1,2", "~scheduler"])
    assert words == ["++training.gradient_clip=null", "seed=1,2", "~scheduler"]
    assert compose(words[:1])["training"]["gradient_clip"] is None


def test_a_sweep_is_every_combination():
    runs = expand_sweep(["model=a,b", "seed=1", "x=range(0,30,10)"])
    assert len(runs) == 6
    assert runs[0] == ["seed=1", "model=a", "x=0"]
    assert runs[-1] == ["seed=1", "model=b", "x=20"]


@pytest.mark.parametrize(
    "words",
    [
        ("++optimizer.warmup_steps=100", "scheduler.warmup_fraction=0.5"),
        ("+optimizer.schedule_type=linear", "scheduler=warmup_cosine"),
        ("training.epochs=1", "training.num_epochs=2"),
        ("grpo.eos_tokens=[1]", "generation.eos_tokens=[2]"),
    ],
)
def test_one_setting_by_two_names_is_refused(words):
    with pytest.raises(ConfigError, match="give one") as caught:
        check_run(words)
    assert len(caught.value.problems) == 1
    assert check_run(words[:1])


def test_each_name_alone_does_and_the_same_value_twice_too(plain):
    assert changed(plain, optimizer={"warmup_steps": 3}).warmup_updates == 3
    assert changed(plain, scheduler={"warmup_fraction": 0.3}).warmup_updates == 3
    both = {"optimizer": {"warmup_steps": 5}, "scheduler": {"warmup_fraction": 0.5}}
    assert changed(plain, **both).warmup_updates == 5
    assert changed(plain).warmup_updates == 1, "a tenth, where none is given"


def test_a_released_model_learns_gsm8k_unless_told_otherwise():
    for words, source in (
        ([], "huggingface"),
        (["model=smollm2_135m"], "huggingface"),
        (["model=gemma3_tiny"], "synthetic"),
        (["+model.custom_params={num_layers:2}"], "synthetic"),
        (["training.data_source=synthetic"], "synthetic"),
    ):
        data = check_run(words).data
        assert data.data_source == source
        assert (data.data_path == "openai/gsm8k") == (source == "huggingface")


def test_the_options_of_a_group_can_be_swept_over():
    sizes = ("12b", "1b", "270m", "27b", "4b", "tiny")
    runs = expand_sweep(["model=glob(gemma3*)", "seed=1"])
    assert runs == [["seed=1", f"model=gemma3_{size}"] for size in sizes]


@pytest.mark.parametrize("word", ["seed=range(1,4,0)", "seed=range(4,1)", "model=glob(zz*)"])
def test_a_sweep_over_nothing_is_a_sentence(word):
    with pytest.raises(ConfigError, match=word.partition("=")[0]):
        expand_sweep([word])


@pytest.mark.parametrize(
    ("mix", "text"),
    [
        ("{a: [1.5, 1]}", "a: weight is 1.5"),
        ("{a: 0.5, b: 0.7}", "the weights add up to 1.2"),
        ("{a: 0.5, c: 0.5}", "names c, but training.datasets has a, b"),
        ("", "a mixture maps domain names to weights"),
        (None, "there is no such file"),
    ],
)
def test_a_mixture_that_is_none_is_named(tmp_path, mix, text):
    file = tmp_path / "mix.yaml"
    if mix is not None:
        file.write_text(mix)
    words = [f"+training.datasets.{n}={{data_source:synthetic}}" for n in "ab"]
    with pytest.raises(ConfigError) as caught:
        check_run([*words, f"training.mixture={file}"])
    [problem] = caught.value.problems
    assert problem.where == "training.mixture"
    assert problem.what.startswith(str(file))
    assert text in problem.what
