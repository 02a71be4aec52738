"""Texts as people have them: packed, in tables, in saved datasets; nothing is dropped silently."""

import gzip
import json
import random

import pytest

from olmix.cli.main import main as olmix
from olmix.config import DataConfig
from olmix.prepare import PrepareRequest, prepare
from olmix.priors import count_domains
from olmix.records.prepared import LeftOutTexts
from token_files import damaged, pack

WORDS = "cat dog horse mouse whale one two three four five".split()


def _texts(seed, count=30):
    rng = random.Random(seed)
    return [f"{seed}{index} {' '.join(rng.choices(WORDS, k=120))}\n" for index in range(count)]


@pytest.fixture
def texts(tmp_path):
    """A folder with two domains of thirty short texts each."""
    for domain in ("a", "b"):
        (tmp_path / "texts" / domain).mkdir(parents=True)
        for index, text in enumerate(_texts(domain)):
            (tmp_path / "texts" / domain / f"{index}.txt").write_text(text)
    return tmp_path / "texts"


def _prepare(texts, tmp_path, **changes):
    return prepare(PrepareRequest(tmp_path / "data", texts, vocab_size=300, **changes))


def _domain(prepared, name):
    return next(domain for domain in prepared.domains if domain.name == name)


def _json_lines(documents):
    return "".join(json.dumps({"text": text}) + "\n" for text in documents).encode()


def _write_table(path, documents, kind):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"id": range(len(documents)), "text": documents})
    if kind == "parquet":
        pq.write_table(table, path)
        return
    with (
        pa.OSFile(str(path), "wb") as sink,
        getattr(pa.ipc, f"new_{kind}")(sink, table.schema) as to,
    ):
        to.write_table(table)


@pytest.mark.parametrize(
    "name",
    ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.jsonl.xz", "x.json", "x.json.gz", "x.ndjson"],
)
def test_json_lines_are_read_however_they_are_packed_and_named(texts, tmp_path, name):
    if name.endswith(".zst"):
        pytest.importorskip("pyarrow")
    (texts / "c").mkdir()
    packing = name.removeprefix("x").removeprefix(".jsonl").removeprefix(".json")
    content = _json_lines(_texts("c"))
    (texts / "c" / name).write_bytes(pack(content, "" if packing == ".ndjson" else packing))
    assert _domain(_prepare(texts, tmp_path), "c").documents == 30


@pytest.mark.parametrize(("name", "kind"), [("x.parquet", "parquet"), ("X.PARQUET", "parquet")])
def test_rows_of_parquet_are_documents(texts, tmp_path, name, kind):
    pytest.importorskip("pyarrow")
    (texts / "c").mkdir()
    _write_table(texts / "c" / name, [*_texts("c"), None], kind)
    prepared = _prepare(texts, tmp_path)
    assert _domain(prepared, "c").documents == 30
    assert f"c/{name}: skipped 1 row without a text" in prepared.warnings


def test_a_saved_dataset_is_a_domain(texts, tmp_path):
    pytest.importorskip("pyarrow")
    for split, seed in (("train", "c"), ("test", "d")):
        folder = texts / "c" / split
        folder.mkdir(parents=True)
        _write_table(folder / "data-00000-of-00001.arrow", _texts(seed), "stream")
        _write_table(folder / "cache-1234.arrow", _texts("cached"), "stream")
        state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
        (folder / "state.json").write_text(json.dumps(state))
        (folder / "dataset_info.json").write_text("{}")
    (texts / "c" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    prepared = _prepare(texts, tmp_path)
    assert _domain(prepared, "c").documents == 60
    said = "domain c: skipped: part of a dataset, but not its texts (7 files)"
    assert said in prepared.warnings


def test_the_card_of_a_parquet_dataset_is_no_text(texts, tmp_path):
    pytest.importorskip("pyarrow")
    (texts / "c" / "data").mkdir(parents=True)
    _write_table(texts / "c" / "data" / "train-00000-of-00001.parquet", _texts("c"), "parquet")
    (texts / "c" / "README.md").write_text("---\nlicense: mit\n---\n# A dataset\n")
    (texts / "b" / "README.md").write_text("---\ntitle: A text like others\n---\n")
    prepared = _prepare(texts, tmp_path)
    assert _domain(prepared, "c").documents == 30
    assert _domain(prepared, "b").documents == 31


def test_a_table_without_texts_is_passed_over_by_name(texts, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"body": ["x"]}), texts / "a" / "x.parquet")
    pq.write_table(pa.table({"text": [1]}), texts / "a" / "y.parquet")
    warnings = "\n".join(_prepare(texts, tmp_path).warnings)
    assert "a/x.parquet: skipped: it has no column `text` but body" in warnings
    assert "a/y.parquet: skipped: its column `text` holds int64" in warnings


def test_what_is_left_out_is_counted_per_domain_and_kept_in_the_manifest(texts, tmp_path):
    (texts / "a" / "again.jsonl").write_bytes(_json_lines([*_texts("a"), "", " "]) + b'{"text": 5}')
    content = gzip.compress(_json_lines(_texts("more")))
    (texts / "a" / "cut.jsonl.gz").write_bytes(content[:200])
    (texts / "a" / "archive.txt").write_bytes(b"PK\x03\x04\0\0")
    (texts / "b" / "copy.txt").write_text(_texts("a")[0])
    prepared = _prepare(texts, tmp_path)
    left = {entry.reason: entry for entry in _domain(prepared, "a").left_out}
    assert left["duplicate"] == LeftOutTexts("duplicate", 30, sum(map(len, _texts("a"))))
    assert left["empty"].texts == 2
    assert left["not readable"] == LeftOutTexts("not readable", 3, 206)
    assert _domain(prepared, "b").left_out[0].reason == "in another domain"
    warnings = "\n".join(prepared.warnings)
    assert "a/again.jsonl: 1 line skipped (first: 33)" in warnings
    assert "the first found 5 in the field text" in warnings
    assert "a/cut.jsonl.gz: skipped: is damaged or truncated" in warnings
    assert "a/archive.txt: skipped: it is not text but a zip archive" in warnings
    manifest = json.loads((tmp_path / "data/manifest.json").read_text())
    assert {"reason": "empty", "texts": 2, "size_bytes": 1} in manifest["domains"]["a"]["left_out"]
    assert _prepare(texts, tmp_path).domains == prepared.domains


def test_the_manifest_knows_its_files_as_priors_compute_does(texts, tmp_path):
    prepared = _prepare(texts, tmp_path)
    paths = {name: [str(tmp_path / f"data/train/{name}/*.bin")] for name in ("a", "b")}
    sources = [{"name": name, "paths": paths[name]} for name in paths]
    counts = count_domains(DataConfig.from_dict({"sources": sources})).domains
    assert [c.fingerprint for c in counts] == [d.fingerprint for d in prepared.domains]
    assert [c.num_tokens for c in counts] == [d.train_tokens for d in prepared.domains]


def test_what_a_held_out_domain_does_not_use_is_said(texts, tmp_path):
    (texts / "target").mkdir()
    long = _texts("target", 500)
    (texts / "target" / "x.jsonl").write_bytes(_json_lines(long))
    target = _domain(_prepare(texts, tmp_path, held_out=("target",)), "target")
    (unused,) = target.left_out
    assert unused.reason == "beyond the validation ceiling"
    assert unused.size_bytes + target.validation_bytes == sum(map(len, long))


def test_what_is_changed_in_a_text_is_said(texts, tmp_path):
    (texts / "a" / "windows.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n" * 20)
    warnings = _prepare(texts, tmp_path).warnings
    assert "domain a: byte-order mark removed (1 file)" in warnings
    assert "domain a: carriage returns removed (1 file)" in warnings


def test_damaged_files_among_the_texts_stop_nothing(texts, tmp_path):
    pytest.importorskip("pyarrow")
    rng = random.Random(0)
    (tmp_path / "whole").mkdir()
    for kind, ending in (("parquet", "parquet"), ("stream", "arrow"), ("file", "feather")):
        _write_table(tmp_path / "whole" / f"x.{ending}", _texts("c"), kind)
    for packing in ("", ".gz", ".zst", ".xz", ".bz2"):
        content = pack(_json_lines(_texts("c")), packing)
        (tmp_path / "whole" / f"x.jsonl{packing}").write_bytes(content)
    for file in (tmp_path / "whole").iterdir():
        for index in range(15):
            content = damaged(rng, file.read_bytes())
            (texts / "a" / f"{index}-{file.name}").write_bytes(content)
    prepared = _prepare(texts, tmp_path)
    assert _domain(prepared, "a").documents >= 30


def test_few_validation_tokens_are_warned_about(texts, tmp_path):
    warnings = _prepare(texts, tmp_path).warnings
    assert any("validation tokens; below 10,000 the loss is noisy" in line for line in warnings)


def test_links_that_lead_nowhere_are_named(texts, tmp_path):
    (texts / "a" / "link.txt").symlink_to(tmp_path / "gone.txt")
    warnings = "\n".join(_prepare(texts, tmp_path).warnings)
    assert "a/link.txt: skipped: a link to" in warnings


def test_a_target_that_is_no_domain_is_found_before_anything_is_read(texts, tmp_path, capsys):
    words = ["quickstart", "--data", str(texts), "--target", "bb", "-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit):
        olmix(words)
    assert "--target: found bb; allowed: average, a, b." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
