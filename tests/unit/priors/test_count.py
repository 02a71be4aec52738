import numpy as np
import pytest
import yaml

from olmix.config import DataConfig, PriorsConfig
from olmix.errors import DataError
from olmix.priors import count_domains, render_priors


def _data(tmp_path, dtype="uint16", **patterns):
    sources = [{"name": name, "paths": [f"{tmp_path}/{p}"]} for name, p in patterns.items()]
    return DataConfig.from_dict({"dtype": dtype, "sources": sources})


def test_tokens_are_bytes_over_the_size_of_one(tmp_path):
    (tmp_path / "x").mkdir()
    np.zeros(10, np.uint16).tofile(tmp_path / "x/1.bin")
    np.zeros(5, np.uint16).tofile(tmp_path / "x/2.bin")
    np.zeros(30, np.uint16).tofile(tmp_path / "y.bin")
    counts = count_domains(_data(tmp_path, b="x/*.bin", a="y.bin")).domains
    assert [(c.domain, c.num_tokens, c.num_files, c.size_bytes) for c in counts] == [
        ("b", 15, 2, 30),
        ("a", 30, 1, 60),
    ]
    text = render_priors(counts)
    assert text.index("  a:") < text.index("  b:")
    assert "b: 15" in text
    assert "a: 0.666666667" in text
    written = PriorsConfig.from_dict(yaml.safe_load(text)["priors"])
    assert written.fingerprints == {count.domain: count.fingerprint for count in counts}


def test_a_real_npy_header_is_not_counted(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(7, np.uint32))
    assert count_domains(_data(tmp_path, "uint32", a="a.npy")).domains[0].num_tokens == 7
    with pytest.raises(DataError, match="its header says uint32, data.dtype says uint16"):
        count_domains(_data(tmp_path, "uint16", a="a.npy"))


def test_nothing_unreadable_is_counted_as_empty_and_all_of_it_is_named(tmp_path):
    (tmp_path / "odd.bin").write_bytes(b"abc")
    (tmp_path / "shared.bin").write_bytes(b"abcd")
    data = _data(tmp_path, a="none/*.bin", b="odd.bin", c="shared.bin", d="shared.bin")
    with pytest.raises(DataError) as caught:
        count_domains(data)
    message = str(caught.value)
    assert "domain a" in message
    assert "no such file" in message
    assert "3 bytes are not a whole number of uint16 tokens" in message
    assert "belongs to two domains, c and d" in message
