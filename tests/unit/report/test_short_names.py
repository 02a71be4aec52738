"""Labels lose what all names share, whole words only, and never a whole name."""

from __future__ import annotations

import pytest

from olmix.report.short_names import short_names


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (
            ["train_the_pile_pile_cc", "train_the_pile_philpapers"],
            ["pile_cc", "philpapers"],
        ),
        (["metric/the_pile_arxiv_val_loss", "metric/uspto_val_loss"], ["the_pile_arxiv", "uspto"]),
        (["docs_bpb", "code_bpb"], ["docs_bpb", "code_bpb"]),
        (["a_very_long_name_indeed", "a_very_long_name"], ["name_indeed", "name"]),
        (["one_long_name_that_stands_alone"], None),
    ],
)
def test_long_names_lose_what_they_share(names, labels):
    assert list(short_names(names).values()) == (labels or names)


def test_the_same_part_at_both_ends_is_never_counted_twice():
    names = ["the_same_the_same_the_same", "the_same_the_same_the_same_x"]
    labels = short_names(names)
    assert len(set(labels.values())) == 2
    assert all(label in name for name, label in labels.items())
