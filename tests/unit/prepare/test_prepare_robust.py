"""What must not happen to a user's files, and to the meaning of held-out."""

import csv
import hashlib
import json
import os
import random

import pytest

from olmix.config import DataConfig, read_yaml
from olmix.errors import DataError
from olmix.prepare import PrepareRequest, prepare
from olmix.prepare.corpora import CORPORA, strip_docstrings
from olmix.prepare.documents import Document, split_documents
from olmix.records.tokens import expand

WORDS = ["cat", "dog", "horse", "mouse", "whale", "one", "two", "three", "four", "five"]


@pytest.fixture
def texts(tmp_path):
    """A folder with three domains of thirty short texts each."""
    for domain in ("a", "b", "c"):
        rng = random.Random(domain)
        folder = tmp_path / "texts" / domain
        folder.mkdir(parents=True)
        for index in range(30):
            (folder / f"{index}.txt").write_text(f"{index} {' '.join(rng.choices(WORDS, k=120))}\n")
    return tmp_path / "texts"


def _prepare(texts, tmp_path, **changes):
    return prepare(PrepareRequest(tmp_path / "data", texts, vocab_size=300, **changes))


def _rows(tmp_path):
    with (tmp_path / "data/provenance.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _hashes(tmp_path, split):
    return {row["sha256"] for row in _rows(tmp_path) if row["split"] == split}


# --- held out means held out ---


def test_a_text_of_a_held_out_domain_is_left_out_of_all_others(texts, tmp_path):
    for index in range(30):
        copy = texts / "a" / f"copy-{index}.txt"
        copy.write_bytes((texts / "c" / f"{index}.txt").read_bytes())
    prepared = _prepare(texts, tmp_path, held_out=("c",))
    assert _hashes(tmp_path, "train").isdisjoint(_hashes(tmp_path, "validation"))
    assert "domain a: left out 30 texts that another domain has too" in prepared.warnings[0]
    assert [domain.documents for domain in prepared.domains] == [30, 30, 30]


def test_a_book_in_two_domains_is_not_trained_on_in_one_and_evaluated_in_the_other(texts, tmp_path):
    book = "".join(f"line {index} of a book\n" for index in range(6_000))
    for file in list((texts / "a").iterdir()):
        file.unlink()
    for domain in ("a", "b"):
        (texts / domain / "book.txt").write_text(book)
    _prepare(texts, tmp_path)
    assert _hashes(tmp_path, "train").isdisjoint(_hashes(tmp_path, "validation"))


@pytest.mark.parametrize("seed", range(40))
def test_a_document_larger_than_the_ceiling_never_becomes_the_validation_data(seed):
    small = [Document(f"{i}", f"{i} " + "word " * 200) for i in range(30)]
    split = split_documents([*small, Document("book", "line\n" * 100_000)], seed, 0.1, 20_000)
    assert 0 < sum(document.size_bytes for document in split.validation) <= 20_000


def test_documents_that_are_all_larger_than_the_ceiling_give_their_ends():
    books = [Document(f"{i}", f"book {i}\n" * 20_000) for i in range(25)]
    split = split_documents(books, 0, 0.1, 100_000)
    assert {document.path.split("#")[0] for document in split.validation} == {
        book.path for book in books
    }
    assert {document.size_bytes for document in split.validation} <= set(range(1, 8_193))


# --- the output folder ---


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer.json": "{}", "model.safetensors": "x"},
        {"manifest.json": '{"name": "an app"}', "data.yaml": "mine"},
        {"manifest.json": "[]"},
        {"manifest.json": "{"},
    ],
    ids=["a model", "an app", "a list", "half a file"],
)
def test_a_folder_of_somebody_else_is_left_alone_whatever_its_files_are_called(
    texts, tmp_path, files
):
    (tmp_path / "data").mkdir()
    for name, content in files.items():
        (tmp_path / "data" / name).write_text(content)
    with pytest.raises(DataError, match="the folder holds other files"):
        _prepare(texts, tmp_path)
    assert {p.name: p.read_text() for p in (tmp_path / "data").iterdir()} == files


def test_an_output_that_is_a_file_is_refused(texts, tmp_path):
    (tmp_path / "data").write_text("x")
    with pytest.raises(DataError, match="this is a file"):
        _prepare(texts, tmp_path)


@pytest.mark.parametrize("where", ["data", "a/data", "."])
def test_an_output_among_the_texts_is_refused(texts, where):
    with pytest.raises(DataError, match="lies inside the texts"):
        prepare(PrepareRequest(texts / where, texts, vocab_size=300))


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("at", range(7))
def test_a_call_that_is_killed_at_any_point_leaves_no_manifest_and_is_done_again(
    texts, tmp_path, at
):
    steps = iter(range(100))

    def die(_):
        if next(steps) == at:
            raise _Killed

    request = PrepareRequest(tmp_path / "data", texts, vocab_size=300)
    with pytest.raises(_Killed):
        prepare(request, die)
    assert not (tmp_path / "data/manifest.json").exists()
    assert not prepare(request).reused
    assert prepare(request).reused


def test_a_write_that_was_cut_off_at_once_is_done_again(texts, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/.olmix-prepare").write_text("")
    (tmp_path / "data/.tokenizer.json.123.tmp").write_text("{")
    assert not _prepare(texts, tmp_path).reused


def test_texts_that_became_unusable_leave_the_earlier_result_whole(texts, tmp_path):
    _prepare(texts, tmp_path)
    before = (tmp_path / "data/manifest.json").read_bytes()
    for file in (texts / "a").iterdir():
        file.write_bytes(b"\0")
    with pytest.raises(DataError, match="domain a"):
        _prepare(texts, tmp_path)
    assert (tmp_path / "data/manifest.json").read_bytes() == before


def test_token_files_of_a_domain_that_is_gone_go_too(texts, tmp_path):
    _prepare(texts, tmp_path)
    (tmp_path / "data/notes.txt").write_text("kept")
    _prepare(texts, tmp_path, domains=("a", "b"))
    found = {p.relative_to(tmp_path / "data").as_posix() for p in (tmp_path / "data").rglob("c*")}
    assert found == set()
    assert (tmp_path / "data/notes.txt").read_text() == "kept"


def test_a_domain_that_becomes_held_out_has_no_training_tokens_left(texts, tmp_path):
    _prepare(texts, tmp_path)
    _prepare(texts, tmp_path, held_out=("c",))
    assert not (tmp_path / "data/train/c").exists()
    assert (tmp_path / "data/validation/c.bin").is_file()


# --- names and contents that are legal and rare ---


@pytest.mark.parametrize("name", ["x[1]", "what?", "a*b", "-dash", "日本語", "with space"])
def test_the_token_files_of_odd_names_are_found_by_the_stages_that_follow(texts, tmp_path, name):
    (texts / "a").rename(texts / name)
    _prepare(texts, tmp_path)
    data = DataConfig.from_dict(read_yaml(tmp_path / "data/data.yaml").data["data"])
    paths = [str(tmp_path / "data" / path) for path in data.paths_of(name)]
    assert len(expand(paths, name)) == 1


def test_a_file_name_that_is_no_unicode_is_written_with_its_bytes(texts, tmp_path):
    try:
        (texts / "a" / os.fsdecode(b"\xff.txt")).write_text("one two three\n" * 20)
    except OSError:
        pytest.skip("elsewhere: this file system wants Unicode")
    _prepare(texts, tmp_path)
    assert "a/\\xff.txt" in {row["path"] for row in _rows(tmp_path)}


@pytest.mark.parametrize(
    "line",
    ['{"text": "\\ud800"}', '{"text": "x", "n": ' + "9" * 5_000 + "}", "[" * 100_000],
    ids=["half a surrogate pair", "a huge number", "deep nesting"],
)
def test_a_line_of_jsonl_that_cannot_be_used_is_counted(texts, tmp_path, line):
    (texts / "a" / "more.jsonl").write_text(line + "\n")
    assert "a/more.jsonl: 1 line skipped" in _prepare(texts, tmp_path).warnings[0]


def test_a_line_of_jsonl_may_hold_other_line_separators(texts, tmp_path):
    text = "one\u2028two\x85three " * 20
    (texts / "a" / "more.jsonl").write_text(
        json.dumps({"text": text}, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    prepared = _prepare(texts, tmp_path)
    assert all("the loss is noisy" in warning for warning in prepared.warnings)
    assert prepared.domains[0].documents == 31
    assert prepared.domains[0].left_out == ()


def test_provenance_holds_the_hash_that_sha256sum_gives(texts, tmp_path):
    (texts / "a" / "windows.txt").write_bytes("\ufeffone\r\ntwo\r\n".encode() * 30)
    (texts / "a" / "book.txt").write_text("".join(f"line {i}\n" for i in range(5_000)))
    _prepare(texts, tmp_path)
    rows = {row["path"].split("#")[0]: row["file_sha256"] for row in _rows(tmp_path)}
    assert len(rows) == 92
    for path, digest in rows.items():
        assert digest == hashlib.sha256((texts / path).read_bytes()).hexdigest()


def test_files_beside_the_domains_and_links_to_folders_are_named(texts, tmp_path):
    (texts / "loose.txt").write_text("x")
    (tmp_path / "far").mkdir()
    (texts / "a" / "link").symlink_to(tmp_path / "far")
    warnings = "\n".join(_prepare(texts, tmp_path).warnings)
    assert "skipped 1 file directly in texts (loose.txt)" in warnings
    assert "a/link: skipped: links to folders are not followed" in warnings


@pytest.mark.parametrize("fraction", [0.0, -0.1, 0.9, float("nan")])
def test_a_split_that_makes_no_sense_is_refused(texts, tmp_path, fraction):
    with pytest.raises(DataError, match="validation_fraction: found"):
        _prepare(texts, tmp_path, validation_fraction=fraction)


# --- built-in texts ---


def test_docstrings_are_found_below_form_feeds_and_odd_separators():
    source = 'x = "a\x0cb\u2028c"\n\x0c\ndef f():\n    """Doc."""\n    return 1\n'
    assert strip_docstrings(source) == source.replace('    """Doc."""\n', "")


def test_no_licence_is_a_line_of_copyright():
    for corpus in CORPORA:
        if corpus.available:
            for document, _ in zip(corpus.read(), range(10), strict=False):
                assert "Copyright" not in document.licence


def test_the_default_target_is_there_where_domains_are_chosen(tmp_path):
    pytest.importorskip("networkx")
    request = PrepareRequest(tmp_path / "data", domains=("stubs", "unicode"), max_bytes=60_000)
    domains = {domain.name: domain.held_out for domain in prepare(request).domains}
    assert domains == {"unicode": False, "stubs": False, "networkx": True}
