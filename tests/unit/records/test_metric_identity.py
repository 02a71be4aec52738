"""What metrics were computed with, and that different ones are not taken for one."""

import pytest

from olmix.config import LaunchConfig
from olmix.errors import DataError
from olmix.records.metric_identity import (
    MetricIdentity,
    identities_of,
    join_identities,
    plain_identities,
    read_identities,
    write_identities,
)


def test_different_metrics_under_one_name_are_refused_with_both_named():
    one, two = MetricIdentity(evaluation="1f2e"), MetricIdentity(evaluation="77aa")
    places = [("r1 in runs/a", {"code_bpb": one}), ("r9 in runs/b", {"code_bpb": two})]
    with pytest.raises(DataError, match=r"code_bpb: r1 in runs/a and r9 in runs/b .*1f2e and 77aa"):
        join_identities(places)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tokenizer": "b"}, "tokenizer a and b"),
        ({"definition": "acc_norm"}, "definition acc and acc_norm"),
        ({"seeds": (1, 3)}, "seeds 1, 2 and 1, 3"),
    ],
)
def test_all_that_a_metric_is_known_by_counts(changed, said):
    known = {"tokenizer": "a", "definition": "acc", "seeds": (1, 2)}
    places = [
        ("x", {"arc": MetricIdentity(**known)}),
        ("y", {"arc": MetricIdentity(**(known | changed))}),
    ]
    with pytest.raises(DataError, match=said):
        join_identities(places)


def test_what_one_side_does_not_say_is_not_compared_and_is_kept():
    places = [
        ("x", {"arc": MetricIdentity(tokenizer="a")}),
        ("y", {"arc": MetricIdentity(definition="acc")}),
        ("z", {}),
    ]
    assert join_identities(places) == {"arc": MetricIdentity(tokenizer="a", definition="acc")}


def test_a_gap_between_two_places_does_not_hide_that_they_differ():
    places = [
        ("x", {"arc": MetricIdentity(definition="acc")}),
        ("y", {"arc": MetricIdentity()}),
        ("z", {"arc": MetricIdentity(definition="acc_norm")}),
    ]
    with pytest.raises(DataError, match="x and z"):
        join_identities(places)


def test_the_companion_of_a_table_is_read_as_it_was_written(tmp_path):
    metrics = tmp_path / "metrics.csv"
    assert read_identities(metrics) == {}
    known = {"arc": MetricIdentity("1f", "gpt2", "acc, 5 shots", (1234,))}
    write_identities(metrics, {**known, "unknown": MetricIdentity()})
    assert read_identities(metrics) == known
    write_identities(metrics, {})
    assert not (tmp_path / "metrics_identity.json").exists()
    assert read_identities("https://example.org/metrics.csv") == {}


def test_a_broken_companion_is_named(tmp_path):
    (tmp_path / "metrics_identity.json").write_text('{"format": 1, "metrics": {"a": 3}}')
    with pytest.raises(DataError, match=r"metrics_identity.json: metrics.a"):
        read_identities(tmp_path / "metrics.csv")


def test_what_is_no_identity_in_a_summary_is_passed_over():
    raw = {"a": {"definition": "acc", "seeds": [1, "x"], "tokenizer": 3}, "b": "?"}
    assert plain_identities(raw) == {"a": MetricIdentity(definition="acc", seeds=(1,))}
    assert plain_identities([1]) == {}


def test_a_validation_set_is_known_by_its_contents_and_how_much_of_it_is_read(tiny):
    config = LaunchConfig.from_yaml(tiny.launch)
    before = identities_of(config)
    assert set(before) == set(config.eval.metrics)
    assert all(one.evaluation and one.tokenizer for one in before.values())
    name = next(iter(config.eval.paths))
    (path,) = config.eval.paths[name]
    moved = tiny.folder / "elsewhere.bin"
    moved.write_bytes((tiny.folder / path).read_bytes())
    plain = config.to_plain()
    plain["eval"]["paths"][name] = [str(moved)]
    assert identities_of(LaunchConfig.from_dict(plain)) == before
    moved.write_bytes(moved.read_bytes()[:-64])
    changed = identities_of(LaunchConfig.from_dict(plain))
    assert [n for n in before if changed[n] != before[n]] == [f"{name}_bpb"]
    plain["eval"]["max_tokens"] = 4_096
    assert all(
        one.definition != before[metric].definition
        for metric, one in identities_of(LaunchConfig.from_dict(plain)).items()
    )
