"""Each kind of file: whole, cut off, of another width, of other content; its count or the error."""

import gzip
import json
import lzma
import pickle
import random
import zipfile
from io import BytesIO

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("tokenizers")

from olmix.config import DataConfig
from olmix.errors import OlmixError
from olmix.priors import count_domains
from olmix.records.fingerprint import local_fingerprints
from token_files import (
    IDS,
    NUM_BYTES,
    arrow,
    damaged,
    datatrove,
    json_lines,
    megatron,
    npy,
    pack,
    parquet,
    raw,
    write_tokenizer,
)


def cut(files, end=-6, which=0):
    """Return files, one of them cut off."""
    name = list(files)[which]
    return {**files, name: files[name][:end]}


def changed(files, old, new):
    """Return files, the first of them with some bytes replaced where they come first."""
    name = next(iter(files))
    return {**files, name: files[name].replace(old, new, 1)}


def count(tmp_path, files, **data):
    """Return the tokens of the first of some files."""
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    sources = [{"name": "a", "paths": [str(tmp_path / next(iter(files)))]}]
    tokenizer = str(write_tokenizer(tmp_path))
    return count_domains(
        DataConfig.from_dict({"tokenizer": tokenizer, "sources": sources, **data})
    ).domains[0].num_tokens  # fmt: skip


GOOD = [
    ("raw", raw(), {"dtype": "uint16"}, len(IDS)),
    ("raw, named .npy", raw("uint32", "npy"), {"dtype": "uint32"}, len(IDS)),
    ("npy", npy(), {}, len(IDS)),
    ("npy, signed", npy("int64"), {}, len(IDS)),
    ("npy, two dimensions", changed(npy(), b"(500,), }  ", b"(5, 100), }"), {}, len(IDS)),
    ("megatron", megatron(), {}, len(IDS)),
    ("megatron, 4 bytes", megatron(4, "int32"), {"dtype": "uint32"}, len(IDS)),
    ("datatrove", datatrove(), {}, len(IDS)),
    ("datatrove, 4 bytes", datatrove("uint32", "gpt2|4"), {}, len(IDS)),
    ("datatrove, no width", datatrove(first="gpt2"), {}, len(IDS)),
    ("parquet", parquet(), {}, len(IDS)),
    ("parquet, loud name", {"x.PARQUET": parquet()["x.parquet"]}, {}, len(IDS)),
    ("parquet, one id a row", parquet(IDS), {}, len(IDS)),
    ("parquet, fixed size", parquet(arrow([[1, 2], None], "fixed")), {}, 2),
    ("parquet, large lists", parquet(arrow([[1], [2]], "large")), {}, 2),
    ("json lines", json_lines(), {}, NUM_BYTES),
    *((f"json lines{p}", json_lines(p), {}, NUM_BYTES) for p in (".gz", ".zst", ".xz", ".bz2")),
    ("json lines named .json", json_lines("", "x.json"), {}, NUM_BYTES),
    ("json lines named .json.gz", json_lines(".gz", "x.json"), {}, NUM_BYTES),
    ("json lines named .txt", json_lines("", "x.txt"), {}, NUM_BYTES),
    ("json lines with a mark", changed(json_lines(), b"{", b"\xef\xbb\xbf{"), {}, NUM_BYTES),
    ("json lines of Windows", {"x.jsonl": b'{"text": "ab"}\r\n{"text": "c"}\r\n'}, {}, 3),
    ("bytes as ids", {"x.bin": b"plain text is ids here"}, {"dtype": "uint8"}, 22),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "data", "tokens"), [g[1:] for g in GOOD], ids=[g[0] for g in GOOD]
)
def test_whole_files_are_counted(tmp_path, files, data, tokens):
    assert count(tmp_path, files, **data) == tokens


def _zip(stream):
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "b")
    return stream.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef\nsize 4096\n"
PADDED = np.zeros(400, np.uint16)
PADDED[::2] = 7
BAD = [
    # cut off
    ("raw", cut(raw(), -1), {"dtype": "uint16"}, "999 bytes are not a whole number of uint16"),
    ("npy", cut(npy()), {}, "its header says 500 uint16 tokens (1,000 bytes), 994 bytes follow"),
    ("npy, longer", {"x.npy": npy()["x.npy"] + b"\0\0"}, {}, "1,002 bytes follow"),
    ("npy header", cut(npy(), 40), {}, "its .npy header is damaged"),
    ("megatron", cut(megatron()), {}, "its .idx describes 1,000 bytes (uint16), the file has 994"),
    ("megatron index", cut(megatron(), -6, 1), {}, "its .idx is truncated"),
    ("megatron index, head", cut(megatron(), 20, 1), {}, "its .idx is not a Megatron index"),
    ("datatrove", cut(datatrove()), {}, "says 500 tokens of 2 bytes, the file has 994 bytes"),
    ("parquet", cut(parquet(), 100), {}, "cannot be read as parquet"),
    ("parquet, start", cut(parquet(), 4), {}, "cannot be read as parquet"),
    ("json lines", cut(json_lines()), {}, "x.jsonl:4: is not JSON (Unterminated string"),
    ("json lines.gz", cut(json_lines(".gz")), {}, "is damaged or truncated"),
    ("json lines.zst", cut(json_lines(".zst")), {}, "is damaged or truncated"),
    ("json lines.xz", cut(json_lines(".xz")), {}, "is damaged or truncated"),
    ("empty", {"x.npy": b""}, {"dtype": "uint16"}, "is empty"),
    ("no rows", parquet(arrow([], "list")), {}, "domain a: 0 tokens in 1 file ("),
    ("no text", {"x.jsonl": b'{"text": ""}\n'}, {}, "domain a: 0 tokens in 1 file"),
    ("no ids", changed(cut(npy(), 128), b"(500,)", b"(0,)  "), {}, "a header and no tokens"),
    # of another width
    ("raw, too wide", raw("uint16"), {"dtype": "uint32"}, "most of its ids are above 4,194,304"),
    ("raw, too narrow", raw("uint32"), {"dtype": "uint16"}, "every second id is 0, as when uint32"),
    ("raw, unknown", raw(), {}, "nothing says how wide its token ids are"),
    ("npy", npy(), {"dtype": "uint32"}, "its header says uint16, data.dtype says uint32"),
    ("npy of fractions", npy("float32"), {}, "its header says float32"),
    ("megatron", megatron(), {"dtype": "uint32"}, "its .idx says uint16, data.dtype says uint32"),
    ("megatron of fractions", megatron(6), {}, "its .idx names the type 6"),
    ("datatrove", datatrove(), {"dtype": "uint32"}, "its metadata says uint16, data.dtype says"),
    ("datatrove, other width", datatrove(first="gpt2|4"), {}, "says 500 tokens of 4 bytes"),
    ("datatrove, other count", datatrove(count=499), {}, "says 499 tokens of 2 bytes"),
    ("datatrove, no metadata", {"x.ds": raw()["x.bin"]}, {}, "nothing says how wide"),
    ("parquet of fractions", parquet([[1.0], [2.0]]), {}, "holds list<element: double>"),
    ("parquet of lists of lists", parquet([[[1]]]), {}, "whole numbers, or lists of them"),
    ("parquet of texts", parquet(["a"]), {}, "them, are needed. `olmix prepare` makes tokens"),
    ("parquet, other column", parquet(name="text"), {}, "no column input_ids; it has text"),
    # of other content
    ("a Git LFS pointer", {"x.npy": LFS}, {"dtype": "uint16"}, "a pointer of Git LFS"),
    ("text", {"x.txt": b"The quick brown fox."}, {}, "this is text; `olmix prepare` makes tokens"),
    ("text named .npy", {"x.npy": b"The quick brown fox."}, {"dtype": "uint16"}, "this is text"),
    ("a zip", {"x.npz": _zip(BytesIO())}, {"dtype": "uint16"}, "this is a zip archive"),
    ("a pickle", {"x.bin": pickle.dumps([1] * 50)}, {"dtype": "uint16"}, "this is a Python pickle"),
    ("an index", {"x.bin": megatron()["x.idx"]}, {"dtype": "uint16"}, "this is a Megatron index"),
    ("packed ids", {"x.bin.gz": gzip.compress(raw()["x.bin"])}, {}, "gzip data that holds binary"),
    ("packed text", {"x.txt.zst": pack(b"The quick brown fox.", ".zst")}, {}, "that holds text"),
    ("binary data", {"x.dump": raw()["x.bin"]}, {"dtype": "uint16"}, "binary data of an unknown"),
    ("null", {"x.jsonl": b'{"text": null}\n{"text": "a"}'}, {}, "x.jsonl:1: found null in"),
    ("a number", {"x.jsonl": b'{"text": "a"}\n\n{"text": 5}'}, {}, "x.jsonl:3: found 5 in"),
    ("no field", {"x.jsonl": b'{"body": "a"}'}, {}, "x.jsonl:1: has no field text; it has body"),
    ("half a pair", {"x.jsonl": b'{"text": "\\ud800 is half"}'}, {}, "half of a surrogate pair"),
    ("an array", {"x.json": b'[\n {"text": "a"},\n {"text": "b"}\n]'}, {}, "x.json:1: is not JSON"),
    ("deep nesting", {"x.jsonl": b"[" * 100_000}, {}, "x.jsonl:1: is nested too deeply"),
    ("a long number", {"x.jsonl": b'{"text": ' + b"9" * 9000 + b"}"}, {}, "x.jsonl:1: is not JSON"),
    ("UTF-16", {"x.jsonl": '{"text": "words"}'.encode("utf-16")}, {}, "this is text in UTF-16"),
    ("lzma", {"x.lzma": lzma.compress(b"{}", lzma.FORMAT_ALONE)}, {}, "with `unlzma`"),
    ("Latin-1", {"x.jsonl": '{"text": "é"}'.encode("latin-1")}, {}, "x.jsonl:1: is not UTF-8"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "data", "message"), [b[1:] for b in BAD], ids=[b[0] for b in BAD]
)
def test_other_files_are_refused_by_name(tmp_path, files, data, message):
    with pytest.raises(OlmixError) as caught:
        count(tmp_path, files, **data)
    assert message in str(caught.value)
    assert f"{tmp_path}" in str(caught.value) or "domain a" in str(caught.value)


def test_many_wrong_lines_are_counted_and_the_first_are_shown(tmp_path):
    with pytest.raises(OlmixError) as caught:
        count(tmp_path, {"x.jsonl": b'{"text": 1}\n' * 50})
    assert str(caught.value).count("found 1 in the field text") == 3
    assert "50 lines in all" in str(caught.value)


def test_links_that_lead_nowhere_are_named(tmp_path):
    raw_file = tmp_path / "x.bin"
    raw_file.write_bytes(raw()["x.bin"])
    (tmp_path / "y.bin").symlink_to(tmp_path / "gone.bin")
    data = {"dtype": "uint16", "sources": [{"name": "a", "paths": [f"{tmp_path}/*.bin"]}]}
    with pytest.raises(OlmixError, match=r"y\.bin: a link to .*gone\.bin, which no longer exists"):
        count_domains(DataConfig.from_dict(data))


def test_a_folder_is_no_file_and_what_describes_others_is_passed_over(tmp_path):
    for name, content in megatron().items():
        (tmp_path / name).write_bytes(content)
    data = {"sources": [{"name": "a", "paths": [str(tmp_path)]}]}
    with pytest.raises(OlmixError, match=r"is a folder; name the files in it, as with .*/\*\*/"):
        count_domains(DataConfig.from_dict(data))
    data["sources"][0]["paths"] = [f"{tmp_path}/*"]
    section = DataConfig.from_dict(data)
    (one,) = count_domains(section).domains
    assert (one.num_files, one.num_tokens) == (1, 500)
    assert local_fingerprints(section) == {"a": one.fingerprint}


def test_a_file_that_only_describes_others_is_no_domain(tmp_path):
    (tmp_path / "x.idx").write_bytes(megatron()["x.idx"])
    data = {"sources": [{"name": "a", "paths": [f"{tmp_path}/*.idx"]}]}
    with pytest.raises(OlmixError, match="domain a: 0 tokens in 0 files"):
        count_domains(DataConfig.from_dict(data))


# --- whose type is it? ---


def _prepared(folder, tokens=500):
    """Write what `olmix prepare` writes, as far as types are concerned."""
    (folder / "train/a").mkdir(parents=True)
    IDS.astype("uint16").tofile(folder / "train/a/part-0000.bin")
    entry = {"train_tokens": tokens, "validation_tokens": 0}
    content = {"format": 2, "fingerprint": "", "dtype": "uint16", "domains": {"a": entry}}
    (folder / "manifest.json").write_text(json.dumps(content))
    return {"sources": [{"name": "a", "paths": [str(folder / "train/a/*.bin")]}]}


def test_files_of_olmix_prepare_say_their_type(tmp_path):
    data = _prepared(tmp_path)
    found = count_domains(DataConfig.from_dict(data))
    assert (found.domains[0].num_tokens, found.dtype) == (len(IDS), "uint16")
    with pytest.raises(OlmixError, match=r"manifest\.json says uint16, data\.dtype says uint32"):
        count_domains(DataConfig.from_dict({**data, "dtype": "uint32"}))


def test_a_manifest_that_does_not_know_the_file_says_nothing_of_it(tmp_path):
    data = _prepared(tmp_path, tokens=7)
    with pytest.raises(OlmixError, match="nothing says how wide"):
        count_domains(DataConfig.from_dict(data))


def test_a_data_section_beside_the_files_says_their_type(tmp_path):
    data = _prepared(tmp_path, tokens=7)
    (tmp_path / "data.yaml").write_text("data: {dtype: uint16}\n")
    assert count_domains(DataConfig.from_dict(data)).domains[0].num_tokens == len(IDS)


def test_files_of_several_types_are_refused_as_no_run_could_read_them(tmp_path):
    np.save(tmp_path / "a.npy", IDS.astype(np.uint16))
    np.save(tmp_path / "b.npy", IDS.astype(np.uint32))
    sources = [{"name": n, "paths": [str(tmp_path / f"{n}.npy")]} for n in "ab"]
    with pytest.raises(
        OlmixError, match=r"several types: uint16 \(.*a\.npy\), uint32 \(.*b\.npy\)"
    ):
        count_domains(DataConfig.from_dict({"sources": sources}))


# --- files that something has damaged ---


def _texts_of(content):
    """Return the bytes of text in JSON lines, read without Olmix."""
    lines = [line for part in content.split(b"\n") for line in part.split(b"\r") if line.strip()]
    return sum(len(json.loads(line.decode("utf-8-sig"))["text"].encode()) for line in lines)


def _ids_of(content):
    import pyarrow.parquet as pq

    column = pq.read_table(BytesIO(content))["input_ids"]
    return sum(len(row) for row in column.to_pylist())


def _texts_in_zstd(content):
    import pyarrow as pa

    return _texts_of(pa.CompressedInputStream(pa.BufferReader(content), "zstd").read())


ORIGINALS = {
    "raw": (raw, "uint16", lambda c: len(c) // 2),
    "npy": (npy, None, lambda c: len(np.load(BytesIO(c)).ravel())),
    "megatron": (megatron, None, lambda c: len(c) // 2),
    "datatrove": (datatrove, None, lambda c: len(c) // 2),
    "parquet": (parquet, None, _ids_of),
    "json lines": (json_lines, None, _texts_of),
    ".gz": (lambda: json_lines(".gz"), None, lambda c: _texts_of(gzip.decompress(c))),
    ".xz": (lambda: json_lines(".xz"), None, lambda c: NUM_BYTES),
    ".zst": (lambda: json_lines(".zst"), None, _texts_in_zstd),
    ".bz2": (lambda: json_lines(".bz2"), None, lambda c: NUM_BYTES),
}  # fmt: skip


@pytest.mark.parametrize("kind", ORIGINALS)
def test_damaged_files_are_refused_or_counted_as_they_are(tmp_path, kind):
    """Thirty damaged files of each kind: an error of ours, or the count that others find too."""
    make, dtype, expected = ORIGINALS[kind]
    rng = random.Random(kind)
    for index in range(30):
        files = dict(make())
        target = rng.choice(list(files))
        files[target] = damaged(rng, files[target])
        folder = tmp_path / str(index)
        folder.mkdir()
        try:
            found = count(folder, files, **({"dtype": dtype} if dtype else {}))
        except OlmixError:
            continue
        content = next(iter(files.values()))
        assert found == expected(content), (index, target)
