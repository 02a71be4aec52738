"""Bits per byte against a count by hand."""

import numpy as np
import pytest

from olmix.errors import DataError
from olmix.mixing.windows import Windows
from olmix.records.tokens import byte_lengths
from olmix.train.proxy.evaluation import build_validation
from train_fixtures import Project


def domain(name, tokens, context=4):
    return Windows(name, (np.array(tokens, dtype=np.uint16),), context, "validation domain")


# Token i stands for i bytes, EOS (0) for none.
LENGTHS = np.arange(10, dtype=np.int32)


def test_bits_per_byte_by_hand():
    found = build_validation([domain("a", [9, 1, 2, 3, 0, 5, 5, 5, 5, 7])], 100, LENGTHS, 3)
    # Two windows: targets 1 2 3 0 and 5 5 5 5 are 26 bytes; the last token is no whole window.
    nats = np.array([2.0, 3.5, 99.0])
    assert found.bits_per_byte(nats) == {"a_bpb": pytest.approx(5.5 / (np.log(2) * 26))}


def test_domains_are_counted_apart_and_padding_is_not_counted():
    domains = [domain("a", range(9)), domain("b", [1] * 13)]
    found = build_validation(domains, 100, LENGTHS, 4)
    assert found.calls.shape == (2, 4, 5)
    nats = np.array([1.0, 1.0, 2.0, 2.0, 2.0, 50.0, 50.0, 50.0])
    assert found.bits_per_byte(nats) == {
        "a_bpb": pytest.approx(2 / (np.log(2) * sum(range(1, 9)))),
        "b_bpb": pytest.approx(6 / (np.log(2) * 12)),
    }


@pytest.mark.parametrize(("max_tokens", "windows"), [(1, 1), (4, 1), (11, 2), (12, 3), (99, 5)])
def test_whole_windows_from_the_start_up_to_max_tokens(max_tokens, windows):
    found = build_validation([domain("a", [1] * 21)], max_tokens, LENGTHS, 1)
    assert found.counts == (windows,)


def test_text_without_bytes_is_refused():
    with pytest.raises(DataError, match="validation domain a: its first 8 tokens hold no text"):
        build_validation([domain("a", [0] * 9)], 100, LENGTHS, 1)


def test_tokens_outside_the_vocabulary_are_refused():
    with pytest.raises(DataError, match="validation domain a: found token 12"):
        build_validation([domain("a", [12] * 9)], 100, LENGTHS, 1)


def test_each_byte_token_of_the_tests_is_one_byte_and_eos_is_none(tmp_path):
    lengths = byte_lengths(Project(tmp_path).tokenizer)
    assert lengths.tolist() == [1] * 256 + [0]
