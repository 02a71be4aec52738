from hypothesis import given
from hypothesis import strategies as st

from olmix.prepare.documents import (
    PIECE_BYTES,
    Document,
    cut_long,
    deduplicate,
    hold_out,
    split_documents,
)
from olmix.prepare.left_out import Tally
from olmix.records.prepared import LeftOutTexts


def _documents(count, size=400):
    return [Document(f"d{i}", f"{i} " + "word " * (size // 5)) for i in range(count)]


def test_the_same_text_and_empty_ones_are_dropped():
    documents = [Document("a", "x"), Document("b", "x"), Document("c", " \n"), Document("d", "y")]
    tally = Tally()
    assert [document.path for document in deduplicate(documents, tally)] == ["a", "d"]
    assert tally.left_out() == (LeftOutTexts("duplicate", 1, 1), LeftOutTexts("empty", 1, 2))


@given(st.lists(st.text(max_size=200), max_size=300))
def test_a_text_that_is_cut_can_be_put_together_again(lines):
    text = "\n".join(lines) * 30
    pieces = cut_long(Document("d", text))
    assert "".join(piece.text for piece in pieces) == text


@given(st.text(alphabet="añ€😀", min_size=1, max_size=7))
def test_a_line_without_spaces_is_cut_too(unit):
    text = unit * 20_000
    pieces = cut_long(Document("d", text))
    assert "".join(piece.text for piece in pieces) == text
    assert max(piece.size_bytes for piece in pieces) <= PIECE_BYTES


def test_adding_documents_leaves_the_others_on_their_side():
    few = split_documents(_documents(100), 0, 0.1, 10**6)
    many = split_documents(_documents(150), 0, 0.1, 10**6)
    assert set(few.train) <= set(many.train)
    assert set(few.validation) <= set(many.validation)


def test_the_order_of_documents_does_not_matter_and_the_seed_does():
    documents = _documents(200)
    there = split_documents(documents, 0, 0.1, 10**6)
    back = split_documents(documents[::-1], 0, 0.1, 10**6)
    assert set(there.validation) == set(back.validation)
    assert set(there.validation) != set(split_documents(documents, 1, 0.1, 10**6).validation)


def test_no_document_is_on_both_sides_or_on_none():
    documents = _documents(300)
    split = split_documents(documents, 0, 0.1, 10**6)
    assert set(split.train).isdisjoint(split.validation)
    assert set(split.train) | set(split.validation) == set(documents)
    assert 10 < len(split.validation) < 60


def test_validation_stops_at_its_ceiling():
    split = split_documents(_documents(300), 0, 0.5, 2_000)
    assert 0 < sum(document.size_bytes for document in split.validation) <= 2_000


def test_one_long_document_gives_its_end_to_validation():
    text = "".join(f"line {i}\n" for i in range(20_000))
    split = split_documents([Document("book", text)], 0, 0.1, 10**6)
    assert "".join(d.text for d in (*split.train, *split.validation)) == text
    assert 0.05 < sum(d.size_bytes for d in split.validation) / len(text) < 0.15


def test_two_short_documents_give_one_to_validation():
    split = split_documents(_documents(2), 0, 0.1, 10**6)
    assert (len(split.train), len(split.validation)) == (1, 1)


def test_what_is_held_out_is_a_sample_that_is_never_trained_on():
    split = hold_out(_documents(100), 0, 4_000)
    assert split.train == ()
    assert 4_000 <= sum(document.size_bytes for document in split.validation) < 5_000


def test_validation_comes_in_an_order_that_does_not_depend_on_how_texts_were_read():
    documents = [Document(f"{index}.txt", f"text number {index}\n" * 40) for index in range(200)]
    split = split_documents(documents, 0, 0.2, 10**6)
    paths = [document.path for document in split.validation]
    assert paths != sorted(paths, key=lambda path: int(path[:-4]))
    assert split.validation == split_documents(documents[::-1], 0, 0.2, 10**6).validation
