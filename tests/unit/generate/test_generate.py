import csv

import numpy as np
import pytest

from olmix.config import GenerationConfig, LaunchConfig, VariantConfig, read_yaml
from olmix.errors import ConfigError, InfeasibleError
from olmix.generate import generate, group_of, sample_swarm
from olmix.generate.constraints import build_constraints
from olmix.generate.dirichlet import prior_mixture
from olmix.simplex import distinct_mixtures

SOURCES = [
    {
        "name": "dclm",
        "topics": [{"name": "code", "paths": ["c"]}, {"name": "web", "paths": ["w"]}],
    },
    {"name": "wiki", "paths": ["k"]},
    {"name": "math", "paths": ["m"]},
]
BOTH = ["natural", "uniform"]
COUNTS = {"dclm:code": 200, "dclm:web": 500, "wiki": 100, "math": 200}


def _config(swarm=None, sources=None, counts=None, max_tokens=100):
    return GenerationConfig.from_dict(
        {
            "name": "s",
            "data": {"sources": sources or SOURCES},
            "priors": {"token_counts": counts or COUNTS},
            "swarm": {"variants": 8, "references": BOTH, "repetition_factor": 4.0, **(swarm or {})},
            "max_tokens": max_tokens,
        }
    )


def _base(**changes):
    return LaunchConfig.from_dict(
        {
            "name": "base",
            "training": {"trainer": "command", "command": "train {config}", "max_tokens": 100},
            "data": {"sources": SOURCES},
            "eval": {"type": "validation", "paths": {"wiki": ["v"]}},
            **changes,
        }
    )


def _weights(variants, config):
    return np.array([variant.mix.weights(config.data.domains) for variant in variants])


def test_without_references_a_swarm_has_as_many_files_as_variants(tmp_path):
    made = generate(_config({"variants": 4, "references": []}), tmp_path / "v")
    assert len(list((tmp_path / "v").glob("*.yaml"))) == len(made.files) == 4
    assert GenerationConfig.model_fields["swarm"].default.references == ()


def test_replicates_need_references():
    with pytest.raises(ConfigError, match=r"add `references: \[natural, uniform\]`"):
        _config({"replicates": 1, "references": []})


def test_a_swarm_begins_with_its_references_and_their_replicates():
    variants = sample_swarm(_config({"replicates": 1, "variants": 2}))
    kinds = [(variant.kind, variant.seed) for variant in variants]
    assert kinds == [
        ("natural", None),
        ("uniform", None),
        ("natural", 1000),
        ("uniform", 1000),
        ("sampled", None),
        ("sampled", None),
    ]
    assert variants[0].mix["dclm:web"].weight == 0.5


def test_asking_for_more_variants_keeps_the_earlier_ones_and_the_group():
    few, many = _config({"variants": 3}), _config({"variants": 9})
    np.testing.assert_array_equal(
        _weights(sample_swarm(few), few), _weights(sample_swarm(many), many)[:5]
    )
    assert group_of(few, None) == group_of(many, None)
    assert group_of(few, None) != group_of(_config({"seed": 1}), None)


def test_weights_are_capped_by_the_tokens_that_there_are():
    config = _config({"variants": 50, "repetition_factor": 1.0}, max_tokens=800)
    weights = _weights(sample_swarm(config), config)
    caps = config.priors.counts(config.data.domains) / 800
    assert (weights <= caps + 1e-9).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_nearly_all_tokens_at_one_pass_is_still_feasible():
    config = _config(
        {"variants": 20, "repetition_factor": 1.0, "minimum_weight": 0.0}, max_tokens=999
    )
    assert len(sample_swarm(config)) == 22


def test_too_few_tokens_are_explained_with_numbers():
    config = _config({"allow_repetition": False}, max_tokens=2000)
    with pytest.raises(InfeasibleError, match="1,000 tokens x 1 passes are less than max_tokens"):
        sample_swarm(config)


def test_a_required_domain_with_too_few_tokens_is_explained_with_numbers():
    config = _config(
        {"nonzero_weight": ["wiki"], "minimum_weight": 0.2, "repetition_factor": 1.0},
        max_tokens=900,
    )
    with pytest.raises(InfeasibleError, match=r"wiki needs at least 0\.2 but 100 tokens"):
        sample_swarm(config)


def test_required_domains_are_in_every_mixture_and_others_are_zero_or_above_the_minimum():
    config = _config({"variants": 60, "nonzero_weight": ["wiki"], "minimum_weight": 0.05})
    weights = _weights(sample_swarm(config), config)
    wiki = config.data.domains.index("wiki")
    assert (weights[:, wiki] >= 0.05 - 1e-9).all()
    assert ((weights == 0) | (weights >= 0.05 - 1e-9)).all()


def test_pinned_sources_and_topics_keep_their_shares():
    sources = [
        {
            "name": "dclm",
            "topics": [
                {"name": "code", "paths": ["c"], "weight": 0.25},
                {"name": "web", "paths": ["w"]},
            ],
        },
        {"name": "wiki", "paths": ["k"]},
        {"name": "math", "paths": ["m"]},
    ]
    swarm = {"variants": 40, "fixed_source_weights": {"math": 0.3}, "references": []}
    config = _config({**swarm, "minimum_weight": 0.0}, sources=sources)
    code, web, _, math = _weights(sample_swarm(config), config).T
    np.testing.assert_allclose(math, 0.3)
    np.testing.assert_allclose(code, 0.25 * (code + web), atol=1e-12)


def test_a_pin_beyond_the_tokens_is_explained():
    config = _config(
        {"fixed_source_weights": {"wiki": 0.9}, "repetition_factor": 1.0}, max_tokens=500
    )
    with pytest.raises(InfeasibleError, match=r"wiki is pinned to 0\.9 of the mixture"):
        sample_swarm(config)


def test_the_mean_of_many_draws_is_the_prior():
    swarm = {"variants": 4000, "references": [], "minimum_weight": 0.0, "enable_bound": False}
    config = _config({**swarm, "min_strength": 2.0, "max_strength": 20.0})
    mean = _weights(sample_swarm(config), config).mean(axis=0)
    np.testing.assert_allclose(mean, config.priors.natural(config.data.domains), atol=0.02)


def test_a_manual_prior_replaces_the_natural_one():
    swarm = {"variants": 3000, "references": [], "minimum_weight": 0.0, "enable_bound": False}
    strong = {"min_strength": 5.0, "max_strength": 20.0}
    config = _config({**swarm, **strong, "manual_prior": {"dclm": 0.0, "wiki": 3.0, "math": 1.0}})
    mean = _weights(sample_swarm(config), config).mean(axis=0)
    np.testing.assert_allclose(mean, [0.0, 0.0, 0.75, 0.25], atol=0.02)


@pytest.mark.parametrize(
    ("swarm", "prior"),
    [
        # What wiki leaves goes to dclm and math as 7 to 2, their natural proportion.
        ({"manual_prior": {"wiki": 0.1}}, [0.2, 0.5, 0.1, 0.2]),
        ({"manual_prior": {"wiki": 0.55}}, [0.1, 0.25, 0.55, 0.1]),
        ({"manual_prior": {"math": 0.0, "wiki": 0.3}}, [0.2, 0.5, 0.3, 0.0]),
        # The pinned source keeps its share, and the named one has its own of the whole.
        (
            {"manual_prior": {"wiki": 0.3}, "fixed_source_weights": {"math": 0.35}},
            [0.1, 0.25, 0.3, 0.35],
        ),
        ({"manual_topic_prior": {"dclm:code": 0.1}}, [0.07, 0.63, 0.1, 0.2]),
    ],
)
def test_siblings_that_a_manual_prior_does_not_name_keep_their_natural_proportions(swarm, prior):
    config = _config(swarm)
    natural = dict(zip(config.data.domains, [0.2, 0.5, 0.1, 0.2], strict=True))
    found = prior_mixture(config.data.tree(), natural, config.swarm)
    np.testing.assert_allclose(list(found.values()), prior, atol=1e-12)


@pytest.mark.parametrize(
    ("swarm", "said"),
    [
        (
            {"manual_prior": {"wiki": 3.0, "math": 1.0}},
            "swarm.manual_prior: wiki, math add up to 4, which leaves nothing for dclm",
        ),
        (
            {"manual_prior": {"wiki": 0.7}, "fixed_source_weights": {"math": 0.3}},
            "wiki has 0.7 (with 0.3 of pins), which leaves nothing for dclm",
        ),
        (
            {"manual_topic_prior": {"dclm:web": 1.0}},
            "swarm.manual_topic_prior: dclm:web has 1, which leaves nothing for dclm:code",
        ),
    ],
)
def test_a_manual_prior_that_leaves_its_siblings_nothing_is_refused(swarm, said):
    with pytest.raises(ConfigError) as caught:
        _config(swarm)
    assert said in str(caught.value)


def _skewed(**swarm):
    counts = {"dclm:code": 150, "dclm:web": 30, "wiki": 10, "math": 10**6}
    return _config({"variants": 20, **swarm}, counts=counts, max_tokens=1000)


def test_a_swarm_of_too_few_different_mixtures_is_refused_with_what_to_change():
    with pytest.raises(InfeasibleError) as caught:
        sample_swarm(_skewed(references=["natural"]))
    message = str(caught.value)
    assert "20 mixtures were sampled; distinct ones among them: 1." in message
    assert "dclm:code (0.015 %)" in message
    assert "Different mixtures in all: 1; a fit of 4 domains needs at least 5" in message
    assert "swarm.minimum_weight" in message
    assert "swarm.mix_temperature" in message
    better = _skewed(references=["natural"], mix_temperature=0.1)
    weights = _weights(sample_swarm(better), better)
    assert len(distinct_mixtures(weights)) > 10


def test_pins_are_no_domains_that_a_swarm_must_tell_apart():
    sources = [
        {**source, "weight": 0.2} if source["name"] == "math" else source for source in SOURCES
    ]
    pinned = _config(sources=sources)
    assert build_constraints(_config()).num_free == 4
    assert build_constraints(pinned).num_free == 3
    # All sources pinned: one pin follows from the others.
    fixed = {"dclm": 0.5, "wiki": 0.3, "math": 0.2}
    assert build_constraints(_config({"fixed_source_weights": fixed})).num_free == 2


def test_tiny_strengths_put_all_weight_on_few_domains():
    config = _config({"min_strength": 1e-6, "max_strength": 1e-5, "enable_bound": False})
    sampled = _weights(sample_swarm(config), config)[2:]
    assert (sampled.max(axis=1) > 0.999).all()


def test_files_are_complete_launch_configs_with_a_base(tmp_path):
    made = generate(_config(), tmp_path, _base())
    assert len(made.files) == 10
    run = LaunchConfig.from_yaml(made.files[3])
    assert run.name == f"s-{made.group_id}-0003"
    assert run.group_id == made.group_id
    assert run.mix is not None


def test_files_are_bare_without_a_base(tmp_path):
    made = generate(_config({"replicates": 1}), tmp_path)
    variant = VariantConfig.from_yaml(made.files[2])
    assert (variant.seed, set(read_yaml(made.files[4]).data)) == (1000, {"name", "mix"})


def test_generating_again_writes_nothing_new_and_growing_writes_the_rest(tmp_path):
    generate(_config(), tmp_path)
    assert generate(_config(), tmp_path).num_new == 0
    assert generate(_config({"variants": 12}), tmp_path).num_new == 4


def test_another_group_in_the_folder_is_refused_unless_asked_for(tmp_path):
    generate(_config(), tmp_path)
    other = _config({"seed": 1})
    with pytest.raises(ConfigError, match="files that do not belong to this swarm"):
        generate(other, tmp_path)
    assert generate(other, tmp_path, allow_mixed=True).num_new == 10


def test_a_base_without_the_domains_or_with_another_length_is_refused(tmp_path):
    short = _base(data={"sources": SOURCES[:1], "tokenizer": "t"})
    with pytest.raises(ConfigError, match="no domain wiki, math"):
        generate(_config(), tmp_path, short)
    proxy = _base(
        data={"sources": SOURCES, "tokenizer": "t"},
        training={"trainer": "proxy", "max_tokens": 5000},
    )
    with pytest.raises(ConfigError, match="trains each run on 5,000 tokens"):
        generate(_config(), tmp_path, proxy)


def test_swarm_csv_holds_every_weight(tmp_path):
    made = generate(_config(), tmp_path)
    with (tmp_path / "swarm.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["run"] for row in rows] == [file.stem for file in made.files]
    assert float(rows[0]["dclm:web"]) == 0.5
    assert rows[0]["kind"] == "natural"


def _for_target(target):
    training = {"trainer": "command", "command": "train {config}", "max_tokens": 100}
    return _base(training={**training, "target_tokens": target})


def test_caps_and_factors_are_those_of_the_large_run_that_the_base_names(tmp_path):
    """4 passes over 100 tokens of wiki are 0.5 of 800, and would be all of 100."""
    made = generate(_config(), tmp_path / "v", _for_target(800))
    domains = list(COUNTS)
    for variant in made.variants:
        weights = variant.mix.weights(domains)
        assert (weights <= 4 * np.array(list(COUNTS.values())) / 800 + 1e-9).all()
        for name, weight in zip(domains, weights, strict=True):
            passes = max(1.0, weight * 800 / COUNTS[name])
            assert variant.mix[name].repetition_factor == pytest.approx(passes)
    assert made.group_id != group_of(_config(), _base())


def test_a_config_may_name_the_large_run_for_bare_variants(tmp_path):
    config = _config().model_copy(update={"target_tokens": 800})
    bare = generate(config, tmp_path / "bare")
    whole = generate(_config(), tmp_path / "whole", _for_target(800))
    same = [
        dict(one.mix) == dict(two.mix)
        for one, two in zip(bare.variants, whole.variants, strict=True)
    ]
    assert all(same)


@pytest.mark.parametrize("base", [_base(), _for_target(400)])
def test_config_and_base_that_name_different_large_runs_are_refused(tmp_path, base):
    config = _config().model_copy(update={"target_tokens": 800})
    with pytest.raises(ConfigError, match="sampled for target_tokens = 800, but the base says"):
        generate(config, tmp_path / "v", base)


def test_a_large_run_that_is_shorter_than_the_small_one_is_refused():
    plain = {**_config().to_plain(), "target_tokens": 50}
    with pytest.raises(ConfigError, match="target_tokens.*below max_tokens = 100"):
        GenerationConfig.from_dict(plain)


def test_a_subset_below_one_step_is_refused_before_anything_is_written(tmp_path):
    """`launch` would refuse the swarm; a domain that no variant uses is no matter."""
    proxy = {"trainer": "proxy", "max_tokens": 100, "context_length": 4, "batch_size": 2}
    files = {"data": {"sources": SOURCES, "tokenizer": "t.json"}}
    base = _base(training={**proxy, "target_tokens": 2000}, **files)
    with pytest.raises(ConfigError, match="5 tokens of its 100, less than one step of 8.*160"):
        generate(_config(), tmp_path / "v", base)
    assert not list(tmp_path.glob("v/*"))
    without_wiki = {"fixed_source_weights": {"wiki": 0.0, "dclm": 0.7, "math": 0.3}}
    generate(_config({**without_wiki, "references": []}), tmp_path / "w", base)
