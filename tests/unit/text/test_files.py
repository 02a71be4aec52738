import errno
import json
import os
import subprocess
import threading
import time

import numpy as np
import pytest

from olmix.errors import DataError
from olmix.records.run import MetricsReader, RunFolder, Status, lock
from olmix.records.tokens import byte_lengths, expand, fingerprint, open_tokens
from olmix.text import files
from olmix.text.csv import read_table, write_table
from olmix.text.files import (
    atomic_path,
    digest,
    folder_beside,
    read_json,
    replace_link,
    write_json,
    write_text,
)
from olmix.text.yaml import render_yaml


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "old")
    with pytest.raises(RuntimeError), atomic_path(file) as beside:  # noqa: PT012
        beside.write_text("half")
        raise RuntimeError
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def dead_process():
    done = subprocess.Popen(["true"])
    done.wait()
    return done.pid


def test_what_a_dead_process_was_writing_is_removed_by_the_next_write(tmp_path, monkeypatch):
    monkeypatch.setattr("olmix.text.files._this_machine", lambda: "0123abcd")
    dead, alive = dead_process(), os.getppid()
    gone = [f".a.json.{dead}.tmp", f".a.json.0123abcd-{dead}.tmp"]
    kept = [f".a.json.{alive}.tmp", f".a.json.ffffffff-{dead}.tmp", ".a.json.tmp", f"a.{dead}.tmp"]
    for name in (*gone, *kept):
        (tmp_path / name).write_text("{")
    (tmp_path / f".folder.{dead}.tmp").mkdir()
    write_json(tmp_path / "a.json", 1)
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {"a.json", f".folder.{dead}.tmp", *kept}


def test_folders_and_links_of_a_dead_process_are_removed_too(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_this_machine", lambda: "0123abcd")
    dead = dead_process()
    (tmp_path / f".fit.0123abcd-{dead}.tmp").mkdir()
    (tmp_path / f".fit.0123abcd-{dead}.tmp" / "half").write_text("{")
    (tmp_path / f".latest.0123abcd-{dead}.tmp").symlink_to("fit")
    with folder_beside(tmp_path / "fit") as beside:
        (beside / "whole").write_text("{}")
        beside.rename(tmp_path / "fit")
    replace_link(tmp_path / "latest", "fit")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit", "latest"]
    assert (tmp_path / "latest/whole").read_text() == "{}"


def test_a_folder_that_is_not_finished_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), folder_beside(tmp_path / "fit") as beside:  # noqa: PT012
        (beside / "half").write_text("{")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_write_that_the_disk_refuses_names_the_file_and_leaves_the_old_one(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "old")
    with pytest.raises(OSError, match="No space left") as caught, atomic_path(file) as beside:  # noqa: PT012
        beside.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert (caught.value.filename, file.read_text()) == (str(file), "old")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    with pytest.raises(OSError, match="name too long") as caught:
        write_text(tmp_path / ("x" * 250), "")
    assert caught.value.filename == str(tmp_path / ("x" * 250))


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, '{"a": 1', "\udc80"])
def test_json_that_no_reader_can_hold_is_a_data_error(text, tmp_path):
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"a.json: cannot be read as JSON"):
        read_json(tmp_path / "a.json")


def test_json_refuses_what_json_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_broken_json_is_a_data_error(tmp_path):
    (tmp_path / "a.json").write_text('{"x": ')
    with pytest.raises(DataError, match="cannot be read as JSON"):
        read_json(tmp_path / "a.json")


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_yaml_keeps_the_order_of_keys():
    assert render_yaml({"b": 1, "a": [1, 2]}) == "b: 1\na:\n- 1\n- 2\n"


# --- tables ---


def test_a_table_skips_index_and_unnamed_columns(tmp_path):
    file = tmp_path / "ratios.csv"
    file.write_text(",run_id,name,index,a,b\n0,r1,first,0,0.5,0.5\n1,r2,second,1,,1.0\n")
    table = read_table(file)
    assert (table.runs, table.names) == (("r1", "r2"), ("first", "second"))
    assert table.columns == ("a", "b")
    assert np.isnan(table.values[1, 0])
    assert table.rows(["r2"])[0, 1] == 1.0


def test_a_table_written_and_read_again_is_bitwise_the_same(tmp_path):
    values = np.random.default_rng(0).normal(size=5).tolist()
    write_table(tmp_path / "t.csv", list("abcde"), {"x": values, "y": [1, 2, None, 4, 5]})
    table = read_table(tmp_path / "t.csv")
    assert table.values[:, 0].tolist() == values
    assert np.isnan(table.values[2, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "one column named `run`, `run_id` or `index` is needed"),
        ("a,b\n1,2\n", "found a, b"),
        ("run,run_id,a\nx,y,1\n", "one column named"),
        ("run,a\nr1,1\nr1,2\n", "the run r1 is given twice"),
        ("run,a,a\nr1,1,2\n", "the column a is given twice"),
        ("run,a\nr1,one\n", ":2: a: found 'one'; a number is needed"),
        ("run,a\nr1,1_000\n", ":2: a: found '1_000'"),
        ("run,a\nr1,1,2\n", ":2: 3 cells; the header has 2"),
        ("run,a\n,1\n", ":2: the run is empty"),
        ("run,a\n", "the table has no rows"),
        ("run,name\nr1,x\n", "no column besides the run"),
    ],
)
def test_a_malformed_table_is_told_what_is_wrong(tmp_path, text, message):
    file = tmp_path / "t.csv"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        read_table(file)
    assert message in str(caught.value)


def test_all_problems_of_a_table_come_at_once(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("run,a\nr1,x\nr1,1\nr2,1,2\n")
    with pytest.raises(DataError) as caught:
        read_table(file)
    assert len(str(caught.value).splitlines()) == 3


# --- token files ---


def test_patterns_are_expanded_and_missing_ones_named(tmp_path):
    for name in ("x/1.bin", "x/y/2.bin", "odd[1].bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\0")
    found = expand([f"{tmp_path}/**/*.bin"], "domain a")
    assert len(found) == 3
    assert expand([f"{tmp_path}/odd[1].bin"], "domain a")[0].name == "odd[1].bin"
    with pytest.raises(DataError) as caught:
        expand([f"{tmp_path}/z*.bin", "s3://bucket/x"], "domain a")
    assert "domain a" in str(caught.value)
    assert "no such file" in str(caught.value)
    assert "only local files" in str(caught.value)


def test_token_files_of_an_odd_size_are_refused(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\0\0\0")
    with pytest.raises(DataError, match="3 bytes are not a whole number of uint16 tokens"):
        open_tokens(tmp_path / "a.bin", "uint16")
    (tmp_path / "b.bin").write_bytes(b"")
    with pytest.raises(DataError, match="0 bytes"):
        open_tokens(tmp_path / "b.bin", "uint16")


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_a_fingerprint_follows_the_content_and_not_the_place(tmp_path, size):
    content = np.random.default_rng(0).bytes(size)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(content)
    (tmp_path / "c").write_bytes(content + b"\0\0")
    prints = [fingerprint([tmp_path / name]) for name in "abc"]
    assert prints[0] == prints[1] != prints[2]


def test_the_bytes_of_tokens_are_those_of_a_byte_level_vocabulary(tmp_path):
    content = {
        "model": {"vocab": {"a": 0, "ĠthÃ©": 1, "<|endoftext|>": 2}},
        "added_tokens": [{"id": 2, "content": "<|endoftext|>"}],
        "pre_tokenizer": {"type": "ByteLevel"},
        "decoder": {"type": "ByteLevel"},
    }
    (tmp_path / "t.json").write_text(json.dumps(content))
    assert byte_lengths(tmp_path / "t.json").tolist() == [1, 5, 0]
    content["pre_tokenizer"] = content["decoder"] = {"type": "Metaspace"}
    (tmp_path / "t.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="byte-level BPE"):
        byte_lengths(tmp_path / "t.json")


# --- run folders ---


def test_a_broken_status_file_means_pending(tmp_path):
    run = RunFolder(tmp_path / "r")
    assert run.read_status() == Status()
    run.write_status(Status("finished", "abc", 5))
    assert run.read_status().step == 5
    (run.path / "status.json").write_text("{")
    assert run.read_status() == Status()


def test_a_run_is_finished_only_with_its_summary_and_its_own_identity(tmp_path):
    run = RunFolder(tmp_path / "r")
    run.write_status(Status("finished", "abc"))
    assert not run.is_finished("abc")
    write_json(run.summary, {})
    assert run.is_finished("abc")
    assert not run.is_finished("other")


def test_a_line_cut_off_by_a_crash_is_passed_over(tmp_path):
    run = RunFolder(tmp_path)
    run.metrics.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert [record["step"] for record in run.read_metrics()] == [1, 2]


def test_a_lock_is_held_once(tmp_path):
    with lock(tmp_path / "l", wait=False) as first:
        assert first
        with lock(tmp_path / "l", wait=False) as second:
            assert not second
    with lock(tmp_path / "l", wait=False) as again:
        assert again


def test_the_end_of_a_long_log_can_be_read_alone(tmp_path):
    run = RunFolder(tmp_path)
    lines = [json.dumps({"step": step, "loss": 1.0}) for step in range(1000)]
    run.metrics.write_text("\n".join(lines) + "\n")

    last = [record["step"] for record in run.read_metrics(last_bytes=100)]
    assert last == list(range(1000 - len(last), 1000))
    assert 1 <= len(last) < 6
    assert len(list(run.read_metrics(last_bytes=10**6))) == 1000


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", '{"state": 5}', '{"state": "odd"}'])
def test_a_broken_status_file_costs_no_finished_run(tmp_path, text):
    run = RunFolder(tmp_path)
    if text is not None:
        (tmp_path / "status.json").write_text(text)
    assert run.read_status() == Status()
    write_json(run.summary, {"identity": "abc", "metrics": {}})
    assert run.is_finished("abc")
    assert not run.is_finished("other")


def test_only_a_line_break_ends_a_record_and_only_an_object_is_one(tmp_path):
    run = RunFolder(tmp_path)
    lines = ['{"text": "a\u2028b\x85c"}', "5", "null", '["x"]', "1" * 5000, '{"step": 2}']
    run.metrics.write_text("\n".join(lines) + "\r\n", encoding="utf-8")
    assert list(run.read_metrics()) == [{"text": "a\u2028b\x85c"}, {"step": 2}]


def test_a_log_that_grows_is_read_once(tmp_path):
    run = RunFolder(tmp_path)
    reader = MetricsReader(run)
    assert reader.read_new() == []
    with run.metrics.open("a") as log:
        log.write('{"step": 1}\n{"st')
        log.flush()
        assert reader.read_new() == [{"step": 1}]
        assert reader.read_new() == []
        log.write('ep": 2}\n')
        log.flush()
        assert reader.read_new() == [{"step": 2}]
    run.metrics.write_text('{"step": 3}\n')
    assert reader.read_new() == [{"step": 3}]


def test_two_writers_of_a_status_take_turns(tmp_path, monkeypatch):
    """The watcher notes the progress while the trainer says that it failed."""
    run = RunFolder(tmp_path)
    run.write_status(Status("running"))
    read, has_read = RunFolder.read_status, threading.Event()

    def read_slowly(self):
        status = read(self)
        if not has_read.is_set():
            has_read.set()
            time.sleep(0.2)
        return status

    monkeypatch.setattr(RunFolder, "read_status", read_slowly)
    watcher = threading.Thread(target=run.update_status, kwargs={"step": 7})
    watcher.start()
    has_read.wait()
    run.update_status(state="failed", error="diverged")
    watcher.join()
    status = run.read_status()
    assert (status.state, status.error, status.step) == ("failed", "diverged", 7)


def test_a_writer_that_a_signal_interrupted_is_not_waited_for_forever(tmp_path, monkeypatch):
    monkeypatch.setattr("olmix.records.run._TURN_S", 0.05)
    run = RunFolder(tmp_path)
    with lock(tmp_path / ".status.lock", wait=False) as got:
        assert got
        run.update_status(state="failed")
    assert run.read_status().state == "failed"
