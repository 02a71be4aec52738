"""Token files as the trainers open them: the same rules as for counting."""

import numpy as np
import pytest

from olmix.config import DataConfig
from olmix.errors import DataError
from olmix.records.fingerprint import domain_fingerprint
from olmix.records.token_formats import LOCAL
from olmix.records.tokens import data_dtype, open_tokens
from token_files import IDS, datatrove, megatron, npy, raw


def _write(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


@pytest.mark.parametrize(
    ("files", "dtype"), [(raw(), "uint16"), (npy(), None), (megatron(), None), (datatrove(), None)]
)
def test_the_ids_are_read_without_what_comes_before_them(tmp_path, files, dtype):
    np.testing.assert_array_equal(open_tokens(_write(tmp_path, files), dtype), IDS)


@pytest.mark.parametrize(
    ("files", "dtype", "message"),
    [
        (npy(), "uint32", "its header says uint16, data.dtype says uint32"),
        (megatron(), "uint32", "its .idx says uint16"),
        (raw(), None, "Add the line `dtype: uint16`"),
        ({"x.bin": b'{"text": "no token ids"}'}, "uint16", "this is JSON"),
    ],
)
def test_what_is_no_token_file_of_the_type_is_never_trained_on(tmp_path, files, dtype, message):
    with pytest.raises(DataError) as caught:
        open_tokens(_write(tmp_path, files), dtype)
    assert message in str(caught.value)


def _data(*paths, **keys):
    sources = [{"name": f"s{i}", "paths": [str(path)]} for i, path in enumerate(paths)]
    return DataConfig.from_dict({"sources": sources, **keys})


def test_the_type_of_a_data_section_is_what_its_files_say(tmp_path):
    file = _write(tmp_path, npy())
    assert data_dtype(_data(file)) == "uint16"
    assert data_dtype(_data("gone.npy", dtype="uint32")) == "uint32"
    assert data_dtype(_data("s3://bucket/a/*.npy")) == "uint32"
    assert data_dtype(_data("s3://bucket/a/*.parquet")) is None


def test_files_that_disagree_or_say_nothing_are_named(tmp_path):
    np.save(tmp_path / "wide.npy", IDS.astype(np.uint32))
    narrow = _write(tmp_path, npy())
    data = _data(narrow, tmp_path / "wide.npy", "s3://bucket/a.bin", tmp_path / "gone.npy")
    with pytest.raises(DataError) as caught:
        data_dtype(data)
    text = str(caught.value)
    assert "several types: uint16" in text
    assert "s3://bucket/a.bin: nothing says how wide its token ids are" in text
    assert "gone.npy: no such file" in text
    assert data_dtype(data, ["s0"]) == "uint16"


def test_a_fingerprint_follows_names_sizes_and_beginnings_but_no_folders(tmp_path):
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        for index in range(5):
            IDS[index:].astype(np.uint16).tofile(tmp_path / folder / f"{index}.bin")

    def of(folder):
        names = [str(path) for path in (tmp_path / folder).iterdir()]
        return domain_fingerprint(names, LOCAL)

    whole = of("here")
    assert of("there") == whole
    (tmp_path / "there" / "1.bin").rename(tmp_path / "there" / "one.bin")
    assert of("there") != whole
    IDS[::-1].astype(np.uint16).tofile(tmp_path / "here" / "0.bin")
    assert of("here") != whole
