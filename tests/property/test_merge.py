import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.sweep import TypeMismatchError, merge
from olmix.sweep.document import YamlDocument
from olmix.sweep.merge import Parameters, expand, flatten, merge_all
from olmix.sweep.scalars import render_flow
from olmix.text.yaml import parse_yaml

KEYS = st.sampled_from(["a", "b", "c", "lora_rank", "optimizer"])
TEXTS = st.text(max_size=12) | st.sampled_from(
    ["yes", "on", "012", "1e3", "null", "${x}", "1:30", "~"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = SCALARS | st.lists(SCALARS, max_size=3)
TREES = st.recursive(
    st.dictionaries(KEYS, VALUES, max_size=4),
    lambda inner: st.dictionaries(KEYS, inner | VALUES, max_size=4),
    max_leaves=12,
)


def merged(base, *overrides):
    """Merge what agrees in type, as the pipeline does before it reports the rest."""
    for override in overrides:
        base = merge_all(base, override).config
    return base


def mutated(tree):
    for value in tree.values():
        if isinstance(value, dict):
            mutated(value)
        elif isinstance(value, list):
            value.append("changed")
    tree["changed"] = True


@given(TREES, TREES)
def test_merging_twice_is_merging_once(base, override):
    once = merge_all(base, override)
    again = merge_all(once.config, override)
    assert again.config == once.config


@given(TREES, TREES)
def test_the_base_is_never_changed_and_shares_nothing_with_the_result(base, override):
    before, override_before = copy.deepcopy(base), copy.deepcopy(override)
    mutated(merged(base, override))
    assert base == before
    assert override == override_before


@given(TREES)
def test_nothing_changes_nothing(tree):
    assert merge(tree, {}) == tree
    assert merge({}, tree) == tree
    assert merge(tree, tree) == tree


@given(TREES, TREES, TREES)
def test_the_order_of_disjoint_overrides_does_not_count(base, first, second):
    first = {"left": first}
    second = {"right": second}
    joined = merge(first, second)
    assert merged(base, first, second) == merged(base, second, first) == merged(base, joined)


@given(TREES, TREES)
def test_every_value_of_an_override_that_agrees_is_in_the_result(base, override):
    result = merge_all(base, override)
    wrong = [entry.path for entry in result.mismatches]
    there = dict(flatten(result.config))
    for path, value in flatten(override):
        if not any(path[: len(bad)] == bad for bad in wrong) and value != {}:
            assert there[path] == value


@given(TREES)
def test_flattened_trees_expand_again(tree):
    assert expand(dict(flatten(tree))) == tree


def test_a_hundred_levels_merge():
    base, override = {"x": 1}, {"x": 2, "y": None}
    for _ in range(100):
        base, override = {"deep": base}, {"deep": override}
    found = merge(base, override)
    for _ in range(100):
        found = found["deep"]
    assert found == {"x": 2, "y": None}


@pytest.mark.parametrize(
    ("old", "new"),
    [(1, 0.5), (0.5, 1), (None, "x"), (None, {"a": 1}), ("x", None), ([1], None), (1, "${batch}")],
)
def test_types_that_agree(old, new):
    assert merge({"k": old}, {"k": new}) == {"k": new}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (1, True, "k is int in the base (1); found bool (true)"),
        (True, 0, "k is bool in the base (true); found int (0); write true or false"),
        (1.5, "1.5", 'found text ("1.5")'),
        ([1], {"a": 1}, "k is list in the base"),
        ({"a": 1}, [1], "k is mapping in the base"),
        ({"_component_": "x.y"}, "z", "write {_component_: z}"),
    ],
)
def test_types_that_do_not_agree(old, new, words):
    with pytest.raises(TypeMismatchError) as found:
        merge({"k": old}, {"k": new})
    assert words in str(found.value)


def test_all_mismatches_are_reported_at_once():
    with pytest.raises(TypeMismatchError) as found:
        merge({"a": 1, "b": {"c": "x"}}, {"a": "1", "b": {"c": 2}})
    assert [problem.where for problem in found.value.problems] == ["a", "b.c"]


def _parameters(component):
    kinds = {"lr": frozenset({"float"}), "files": frozenset({"list", "mapping"})}
    return Parameters(kinds, open=component == "open") if component != "unknown" else None


def test_a_new_component_drops_the_arguments_that_it_does_not_take():
    base = {"optimizer": {"_component_": "old", "lr": 0.1, "fused": True}}
    new = merge_all(base, {"optimizer": {"_component_": "new"}}, _parameters)
    assert new.config == {"optimizer": {"_component_": "new", "lr": 0.1}}
    assert new.dropped == ((("optimizer",), "new", ("fused",)),)
    for name in ("open", "unknown"):
        kept = merge_all(base, {"optimizer": {"_component_": name}}, _parameters)
        assert kept.config["optimizer"]["fused"] is True


def test_an_argument_that_the_override_names_is_not_dropped_with_a_component():
    """The new component does not take it: its own check says so, where a silent loss would not."""
    base = {"model": {"_component_": "old", "rank": 8, "alpha": 16}}
    override = {"model": {"_component_": "new", "rank": 4}}
    found = merge_all(base, override, {"new": Parameters({})}.get)
    assert found.config == {"model": {"_component_": "new", "rank": 4}}
    assert found.dropped == ((("model",), "new", ("alpha",)),)


def test_what_is_not_there_cannot_be_deleted_or_changed_by_its_number():
    found = merge_all({"a": [1, 2], "b": 3}, {"c": "!delete", "a": {2: 5}, "b": "!delete"})
    assert found.config == {"a": [1, 2]}
    assert [entry.path for entry in found.mismatches] == [("c",), ("a",)]
    assert "no c that could be deleted" in found.mismatches[0].explain()
    assert "numbered from 0 to 1; found 2" in found.mismatches[1].explain()


def test_a_parameter_that_takes_several_types_changes_between_them():
    base = {"checkpointer": {"_component_": "new", "files": ["a"]}}
    override = {"checkpointer": {"files": {"format": "x", "most": 3}}}
    result = merge_all(base, override, _parameters)
    assert not result.mismatches
    assert result.config["checkpointer"]["files"] == {"format": "x", "most": 3}


@given(VALUES)
def test_written_values_mean_the_same_to_every_reader(value):
    text = f"key: {render_flow(value)}\n"
    assert YamlDocument(text, "x").data == {"key": value}
    read = parse_yaml(text, "x")["key"]
    assert read == value
    assert type(read) is type(value)


@given(TREES, TREES)
def test_splicing_values_into_a_text_gives_the_merged_config(base, override):
    config = merged(base, override)
    if not base:
        return
    lines = "".join(
        f"{render_flow(k)}:  # about {k}\n  {render_flow(v)}\n" for k, v in base.items()
    )
    document = YamlDocument(lines, "x")
    assert document.data == base
    assert YamlDocument(document.render(config), "x").data == config
