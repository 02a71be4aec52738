import csv
import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.config import DataConfig, read_yaml
from olmix.errors import DataError
from olmix.prepare import PrepareRequest, prepare
from olmix.prepare.corpora import CORPORA, strip_docstrings
from olmix.prepare.tokenizer import EOS, EOS_ID, train_tokenizer
from olmix.records.tokens import byte_lengths

WORDS = {"animals": "cat dog horse mouse whale", "numbers": "one two three four five"}


@pytest.fixture
def texts(tmp_path):
    """A folder with two domains of thirty short texts each."""
    for domain, words in WORDS.items():
        rng = random.Random(domain)
        for index in range(30):
            file = tmp_path / "texts" / domain / f"{index}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{index} " + " ".join(rng.choices(words.split(), k=120)) + "\n")
    return tmp_path / "texts"


def _request(texts, tmp_path, **changes):
    return PrepareRequest(tmp_path / "data", texts, vocab_size=300, **changes)


def _read(tmp_path, name):
    manifest = json.loads((tmp_path / "data/manifest.json").read_text())
    return np.fromfile(tmp_path / "data" / name, dtype=manifest["dtype"])


def test_token_files_are_headerless_and_end_every_document_with_eos(texts, tmp_path):
    prepared = prepare(_request(texts, tmp_path))
    assert [domain.name for domain in prepared.domains] == ["animals", "numbers"]
    tokens = _read(tmp_path, "train/animals/part-0000.bin")
    assert tokens.dtype == np.uint16
    assert len(tokens) == prepared.domains[0].train_tokens
    held = _read(tmp_path, "validation/animals.bin")
    assert (tokens == EOS_ID).sum() + (held == EOS_ID).sum() == 30
    assert tokens[-1] == EOS_ID


def test_the_texts_can_be_read_back_from_the_tokens(texts, tmp_path):
    prepare(_request(texts, tmp_path))
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tmp_path / "data/tokenizer.json"))
    tokens = _read(tmp_path, "train/numbers/part-0000.bin")
    ends = np.flatnonzero(tokens == EOS_ID)
    documents = [tokenizer.decode(part[part != EOS_ID]) for part in np.split(tokens, ends + 1)[:-1]]
    originals = {file.read_text() for file in (texts / "numbers").iterdir()}
    assert set(documents) <= originals
    assert len(documents) == len(ends)


def test_bytes_counted_by_token_are_the_bytes_of_the_texts(texts, tmp_path):
    prepared = prepare(_request(texts, tmp_path))
    lengths = byte_lengths(tmp_path / "data/tokenizer.json")
    tokens = _read(tmp_path, "validation/animals.bin")
    assert lengths[tokens].sum() == prepared.domains[0].validation_bytes


def test_the_data_section_is_a_valid_config(texts, tmp_path):
    prepare(_request(texts, tmp_path))
    section = read_yaml(tmp_path / "data/data.yaml").data["data"]
    assert DataConfig.from_dict(section).domains == ("animals", "numbers")


def test_provenance_names_every_document_with_its_hash(texts, tmp_path):
    prepare(_request(texts, tmp_path))
    with (tmp_path / "data/provenance.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 60
    assert len({row["sha256"] for row in rows}) == 60
    assert rows[0]["path"].startswith("animals/")
    by_split = {
        split: {r["sha256"] for r in rows if r["split"] == split}
        for split in ("train", "validation")
    }
    assert by_split["train"].isdisjoint(by_split["validation"])


def test_a_second_call_does_nothing_and_a_changed_text_is_noticed(texts, tmp_path):
    first = prepare(_request(texts, tmp_path))
    again = prepare(_request(texts, tmp_path))
    assert (first.reused, again.reused) == (False, True)
    assert again.domains == first.domains
    (texts / "animals" / "0.txt").write_text("another text " * 50)
    assert not prepare(_request(texts, tmp_path)).reused


def test_a_call_that_was_killed_is_done_again(texts, tmp_path):
    prepare(_request(texts, tmp_path))
    before = _read(tmp_path, "train/animals/part-0000.bin")
    (tmp_path / "data/manifest.json").unlink()
    (tmp_path / "data/train/animals/part-0000.bin").unlink()
    assert not prepare(_request(texts, tmp_path)).reused
    np.testing.assert_array_equal(_read(tmp_path, "train/animals/part-0000.bin"), before)


def test_a_token_file_that_is_gone_is_made_again(texts, tmp_path):
    prepare(_request(texts, tmp_path))
    (tmp_path / "data/train/animals/part-0000.bin").unlink()
    assert not prepare(_request(texts, tmp_path)).reused


def test_a_held_out_domain_is_never_trained_on(texts, tmp_path):
    (texts / "target").mkdir()
    for index in range(30):
        (texts / "target" / f"{index}.md").write_text(f"{index} red green blue " * 20)
    prepared = prepare(_request(texts, tmp_path, held_out=("target",)))
    target = prepared.domains[-1]
    assert (target.held_out, target.train_tokens) == (True, 0)
    assert not (tmp_path / "data/train/target").exists()
    section = read_yaml(tmp_path / "data/data.yaml").data["data"]
    assert DataConfig.from_dict(section).domains == ("animals", "numbers")
    assert "target" not in (tmp_path / "data/tokenizer.json").read_text()


def test_lines_of_jsonl_are_documents_and_bad_ones_are_counted(texts, tmp_path):
    lines = [json.dumps({"text": f"{i} alpha beta gamma " * 30}) for i in range(40)]
    (texts / "greek").mkdir()
    (texts / "greek" / "part.jsonl").write_text("\n".join([*lines, "{", '{"txt": 1}', ""]))
    prepared = prepare(_request(texts, tmp_path))
    greek = {domain.name: domain for domain in prepared.domains}["greek"]
    assert greek.documents == 40
    assert "2 lines skipped (first: 41)" in prepared.warnings[0]


def test_what_is_no_text_is_passed_over_and_named(texts, tmp_path):
    (texts / "animals" / "image.png").write_bytes(b"\x89PNG\0\0\0")
    (texts / "animals" / "latin.txt").write_bytes("é".encode("latin-1") * 10)
    (texts / "animals" / "table.parquet").write_bytes(b"PAR1")
    (texts / "animals" / ".hidden").write_text("x")
    warnings = "\n".join(prepare(_request(texts, tmp_path)).warnings)
    assert "animals/image.png: skipped: it is not text" in warnings
    assert "animals/latin.txt: skipped: it is not UTF-8" in warnings
    assert "animals/table.parquet: skipped: it is damaged or truncated" in warnings
    assert "hidden" not in warnings


@pytest.mark.parametrize("name", ["with space", "日本語", "-dash", "a.b", "x[1]"])
def test_odd_names_of_domains_are_fine(texts, tmp_path, name):
    (texts / "animals").rename(texts / name)
    assert name in [domain.name for domain in prepare(_request(texts, tmp_path)).domains]


def _only(texts, keep):
    for folder in texts.iterdir():
        if folder.name not in keep:
            folder.rename(texts.parent / f"away-{folder.name}")


@pytest.mark.parametrize(
    ("spoil", "changes", "message"),
    [
        (
            lambda t: _only(t, ["animals"]),
            {},
            "at least two subfolders with texts are needed, one per domain; found animals",
        ),
        (lambda t: _only(t, []), {}, "found none"),
        (lambda t: (t / "a:b").mkdir(), {}, "this subfolder cannot be a domain"),
        (lambda t: None, {"vocab_size": 100}, "--vocab-size: found 100; at least 257"),
        (
            lambda t: None,
            {"held_out": ("anmals",)},
            "--held-out: found anmals; allowed: animals, numbers. Did you mean animals?",
        ),
        (
            lambda t: None,
            {"domains": ("x", "animals")},
            "--domain: found x; allowed: animals, numbers.",
        ),
        (
            lambda t: None,
            {"held_out": ("animals",)},
            "at least two domains to train on are needed; found numbers",
        ),
        (
            lambda t: [f.unlink() for f in list((t / "animals").iterdir())[3:]],
            {},
            "domain animals: ",
        ),
        (
            lambda t: [f.write_bytes(b"\0") for f in (t / "animals").iterdir()],
            {},
            "domain animals: 0 documents are too few",
        ),
    ],
)
def test_unusable_texts_are_told_what_is_wrong(texts, tmp_path, spoil, changes, message):
    spoil(texts)
    request = PrepareRequest(tmp_path / "data", texts, **{"vocab_size": 300, **changes})
    with pytest.raises(DataError) as caught:
        prepare(request)
    assert message in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(DataError, match="there is no such folder"):
        prepare(_request(tmp_path / "nowhere", tmp_path))


def test_a_folder_with_other_files_is_not_written_into(texts, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/thesis.tex").write_text("x")
    with pytest.raises(DataError, match="the folder holds other files"):
        prepare(_request(texts, tmp_path))
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["thesis.tex"]


# --- the tokenizer ---

TOKENIZER = train_tokenizer(["the cat sat on the mat " * 20, "def f(x): return x"], 300)


@given(st.text())
def test_every_text_survives_the_tokenizer(text):
    (tokens,) = TOKENIZER.encode([text])
    assert tokens[-1] == EOS_ID
    assert TOKENIZER.decode(tokens) == text
    assert (tokens[:-1] != EOS_ID).all()


def test_a_text_that_spells_eos_is_text():
    (tokens,) = TOKENIZER.encode([f"a {EOS} b"])
    assert (tokens == EOS_ID).sum() == 1


# --- built-in texts ---


def test_docstrings_are_stripped_and_other_strings_kept():
    source = '"""Module."""\nx = "kept"\n\n\ndef f():\n    """Doc\n    more."""\n    return "too"\n'
    assert strip_docstrings(source) == 'x = "kept"\n\n\ndef f():\n    return "too"\n'
    assert strip_docstrings("def (") is None


@pytest.mark.parametrize("corpus", CORPORA, ids=[corpus.name for corpus in CORPORA])
def test_every_built_in_domain_yields_documents_here(corpus):
    if not corpus.available:
        pytest.skip(f"{corpus.package} is not installed")
    documents = [document for document, _ in zip(corpus.read(), range(5), strict=False)]
    assert len(documents) == 5
    for document in documents:
        assert document.text.strip()
        assert document.licence != "unknown"
        assert not document.path.startswith("/")


def test_code_has_no_docstrings():
    corpus = {corpus.name: corpus for corpus in CORPORA}["code"]
    for document, _ in zip(corpus.read(), range(20), strict=False):
        assert '"""' not in document.text.splitlines()[0]
