"""Tables of runs: files, addresses, and what is skipped."""

import gzip
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

import numpy as np
import pytest

from olmix.errors import DataError
from olmix.text import download
from olmix.text.csv import read_table, write_rows, write_table


@pytest.fixture
def address(tmp_path):
    """Serve a folder on loopback; yields its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_table_can_be_read_from_an_address(tmp_path, address):
    write_table(tmp_path / "t.csv", ["x", "y"], {"a": [0.1, 0.9], "b": [0.9, 0.1]})
    table = read_table(f"{address}/t.csv")
    assert table.runs == ("x", "y")
    np.testing.assert_array_equal(table.values, [[0.1, 0.9], [0.9, 0.1]])


def test_an_address_that_answers_nothing_is_told_with_a_way_out(address):
    with pytest.raises(DataError, match="cannot be downloaded: File not found") as caught:
        read_table(f"{address}/nowhere.csv")
    assert "give its path instead" in str(caught.value)


@pytest.fixture
def redirecting():
    """Serve redirections to what the path names; yields the address."""

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", unquote(self.path[1:]))
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("scheme", ["file", "ftp", "data"])
def test_an_address_that_leads_off_the_web_is_not_followed(tmp_path, redirecting, scheme):
    write_table(tmp_path / "t.csv", ["x"], {"a": [0.1]})
    target = f"{scheme}://{tmp_path}/t.csv"
    with pytest.raises(DataError, match=f"cannot be downloaded: .*{scheme}:"):
        read_table(f"{redirecting}/{quote(target, safe='')}")


def test_an_address_that_leads_to_another_one_is_followed(tmp_path, address, redirecting):
    write_table(tmp_path / "t.csv", ["x"], {"a": [0.1]})
    target = quote(f"{address}/t.csv", safe="")
    assert read_table(f"{redirecting}/{target}").runs == ("x",)


def test_a_table_from_an_address_has_a_limit_of_size_and_of_time(tmp_path, address, monkeypatch):
    write_table(tmp_path / "t.csv", ["x"], {"a": [0.1]})
    with monkeypatch.context() as patch:
        patch.setattr(download, "MOST_BYTES", 5)
        with pytest.raises(DataError, match="it is larger than 5 bytes"):
            read_table(f"{address}/t.csv")
    monkeypatch.setattr(download, "WHOLE_S", -1)
    with pytest.raises(DataError, match="it takes longer than"):
        read_table(f"{address}/t.csv")


def test_columns_without_a_meaning_are_skipped(tmp_path):
    (tmp_path / "t.csv").write_text(",Unnamed: 0,index,name,run,a\n0,0,7,label,x,1.5\n")
    table = read_table(tmp_path / "t.csv")
    assert table.columns == ("a",)
    assert table.names == ("label",)


def test_a_table_without_an_id_column_is_read_by_its_index(tmp_path):
    (tmp_path / "t.csv").write_text("index,a\n1,0.5\n2,0.25\n")
    assert read_table(tmp_path / "t.csv").runs == ("1", "2")


def test_numpy_numbers_are_written_as_plain_ones(tmp_path):
    columns = {"a": [np.float64(0.1)], "n": [np.int64(3)], "none": [None]}
    write_table(tmp_path / "t.csv", ["x"], columns)
    assert (tmp_path / "t.csv").read_text() == "run,a,n,none\nx,0.1,3,\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('run,a\nr1,0.1\nr2,"0.2\nr3,0.3\nr4,0.4\n', 3),
        ('run,a\nr1,0.1\nr2,"0.2', 3),
        ('run,"a\nr1,0.1\n', 1),
        ('run,a\nr1,"0.1\n' + "r2,0.2\n" * 40_000, 2),
    ],
    ids=["in the middle", "at the end", "in the header", "a cell beyond the limit"],
)
def test_a_quote_that_is_not_closed_names_its_line(tmp_path, text, line):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=rf"t.csv:{line}: a quote opened in this row"):
        read_table(tmp_path / "t.csv")


def test_quotes_that_close_are_fine(tmp_path):
    (tmp_path / "t.csv").write_text('run,"a","b ""c"""\n"r1","0.1",0.2\n5"x,0.3,0.4\n')
    table = read_table(tmp_path / "t.csv")
    assert table.columns == ("a", 'b "c"')
    assert table.values.tolist() == [[0.1, 0.2], [0.3, 0.4]]


@pytest.mark.parametrize("name", ["=1+2", "+a", "-b", "@c", "'=d", "'plain", "-0_5"])
def test_text_that_looks_like_a_formula_is_harmless_in_a_spreadsheet_and_comes_back(name, tmp_path):
    write_table(tmp_path / "t.csv", [name], {name: [-1.5]})
    header, row = (tmp_path / "t.csv").read_text().splitlines()
    assert not row.startswith(("=", "+", "-", "@"))
    assert header.split(",")[1][0] not in "=+-@"
    table = read_table(tmp_path / "t.csv")
    assert (table.runs, table.columns) == ((name,), (name,))
    assert table.values.tolist() == [[-1.5]]


def test_numbers_that_begin_with_a_sign_stay_numbers(tmp_path):
    write_rows(tmp_path / "t.csv", ["x"], [[-1.5], ["-1.5"], ["+2e3"], ["-inf"]])
    assert (tmp_path / "t.csv").read_text() == "x\n-1.5\n-1.5\n+2e3\n-inf\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"run,a\nr0,1\n"), "this is gzip data"),
        ("run,a_bpb\nr0,1\n".encode("utf-16"), "this is text in UTF-16"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"PAR1" + bytes(20), "this is a parquet file"),
        ("run,\u00e9\n".encode("latin-1"), "cannot be read as UTF-8 text"),
    ],
    # gzip notes the time, and every worker must collect the same names.
    ids=["gzip", "UTF-16", "Git LFS", "parquet", "latin-1"],
)
def test_a_file_that_is_no_text_is_called_what_it_is(tmp_path, content, said):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_table(tmp_path / "t.csv")
