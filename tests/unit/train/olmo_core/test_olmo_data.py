from types import SimpleNamespace

import numpy as np
import pytest

from olmix.config import DataConfig
from olmix.errors import DataError
from olmix.mixture import Mixture
from olmix.train.olmo_core.data import MixedDataset, count_taken, source_paths


def _mixed(offsets, owners, available):
    return MixedDataset(SimpleNamespace(offsets=offsets), owners, available)


def test_what_is_dealt_out_is_counted_by_domain():
    mixed = _mixed(((0, 4), (4, 4), (4, 10)), ("a", "b", "b"), {"a": 4, "b": 12})
    taken = count_taken(mixed, np.array([0, 9, 1, 4, 5, 6, 7, 2, 3, 8]), 4)
    assert taken.shares == {"a": 0.5, "b": 0.5}
    assert taken.passes == {"a": 0.5, "b": pytest.approx(1 / 6)}


def test_a_domain_of_less_than_a_sequence_is_counted_as_nothing():
    """OLMo-core drops its files; the others keep their owners."""
    mixed = _mixed(((0, 1), (1, 4)), ("b", "c"), {"a": 5, "b": 1, "c": 3})
    taken = count_taken(mixed, np.array([3, 0, 1, 2]), 4)
    assert taken.shares == {"a": 0.0, "b": 0.25, "c": 0.75}
    assert taken.passes["a"] == 0


def test_a_run_that_is_longer_than_its_data_begins_again():
    mixed = _mixed(((0, 1), (1, 4)), ("a", "b"), {"a": 1, "b": 3})
    taken = count_taken(mixed, np.array([3, 0, 1, 2]), 10)
    assert taken.shares == {"a": 0.3, "b": 0.7}
    assert taken.passes["a"] == 3


def _data(tmp_path, **files):
    for name, tokens in files.items():
        np.array(tokens, dtype=np.uint16).tofile(tmp_path / f"{name}.bin")
    sources = [{"name": n, "paths": [str(tmp_path / f"{n}.bin")]} for n in files]
    return DataConfig.from_dict({"dtype": "uint16", "sources": sources})


def test_every_file_that_olmo_core_would_stumble_over_is_named(tmp_path):
    data = _data(tmp_path, good=[1, 2, 0], endless=[1, 2, 3], headed=[1], gone=[0])
    np.save(tmp_path / "headed.npy", np.array([1, 0], dtype=np.uint16))
    (tmp_path / "headed.npy").replace(tmp_path / "headed.bin")
    (tmp_path / "gone.bin").unlink()
    mix = Mixture.parse(dict.fromkeys(("good", "endless", "headed", "gone"), 0.25))
    with pytest.raises(DataError) as caught:
        source_paths(data, mix, 0)
    text = str(caught.value)
    assert "domain endless" in text
    assert "holds no EOS token (0)" in text
    assert "has a NumPy header" in text
    assert "gone.bin: no such file" in text
    assert "domain good" not in text


def test_domains_without_weight_are_not_opened(tmp_path):
    data = _data(tmp_path, used=[1, 0], unused=[0])
    (tmp_path / "unused.bin").unlink()
    mix = Mixture.parse({"used": 1.0, "unused": 0.0})
    assert list(source_paths(data, mix, 0)) == ["used"]


def test_remote_files_are_passed_on(tmp_path):
    plain = {"sources": [{"name": "a", "paths": ["s3://bucket/a/*.npy"]}]}
    assert source_paths(DataConfig.from_dict(plain), Mixture.parse({"a": 1.0}), 0) == {
        "a": ["s3://bucket/a/*.npy"]
    }
