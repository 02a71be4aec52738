import pytest

from olmix.domains import Node, check_name, domain_names, domains_below, iter_domains


def test_a_domain_is_a_leaf_named_by_its_path():
    high = Node("high", "quality", paths=("x",))
    tree = (
        Node("web", "source", (Node("code", "topic", (high,)), Node("news", "topic"))),
        Node("wiki", "source"),
    )
    assert domain_names(tree) == ("web:code:high", "web:news", "wiki")
    levels = {name: [node.level for node in path] for name, path in iter_domains(tree)}
    assert levels["web:code:high"] == ["source", "topic", "quality"]


@pytest.mark.parametrize("name", ["dclm", "science_math", "c++", "日本語", "a b", "-x"])
def test_ordinary_names_are_fine(name):
    assert check_name(name) is None


def test_topics_may_hold_the_separator_within_their_names():
    assert check_name("science:physics", "topic") is None
    assert check_name(":physics", "topic") is not None
    assert check_name("science:", "topic") is not None


def test_domains_lie_below_their_source_and_topic_and_themselves():
    domains = ("web:code:high", "web:code:low", "web:codex", "wiki")
    assert domains_below("web:code", domains) == ("web:code:high", "web:code:low")
    assert domains_below("web", domains) == domains[:3]
    assert domains_below("wiki", domains) == ("wiki",)
    assert domains_below("code", domains) == ()


@pytest.mark.parametrize("name", ["", " a", "a:b", "a/b", "..", "a\nb", "a\\b"])
def test_names_that_break_paths_or_domains_are_not(name):
    assert check_name(name) is not None
