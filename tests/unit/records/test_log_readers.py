import math

import numpy as np
import pytest

from olmix.records.log_readers import (
    flatten,
    has_diverged,
    read_jsonl,
    read_tensorboard,
    read_torchtune_logs,
    tail_mean,
)


def test_records_are_flattened_and_eval_names_stay_bare(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 3, "tokens": 9, "eval": {"x_bpb": 1}, "reward": {"mean": 0.5}}\n')
    assert read_jsonl(file) == {"x_bpb": {3: 1.0}, "reward/mean": {3: 0.5}}


def test_only_the_outermost_eval_goes():
    record = {"eval": {"x": 1, "step": 2, "eval": {"y": 5}}, "val": {"eval": {"x": 3}}, "step": 4}
    assert flatten(record) == {"x": 1.0, "eval/y": 5.0, "val/eval/x": 3.0}


def test_arrays_of_one_number_count_and_flags_do_not():
    record = {"a": np.float32(2), "b": np.array(3.0), "c": np.True_, "d": True, "e": np.ones(2)}
    assert flatten(record) == {"a": 2.0, "b": 3.0}


def test_a_line_may_hold_a_line_separator(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1, "loss": 3}\n{"step": 2, "loss": 2, "text": "a\u2028b"}\n', "utf-8")
    assert read_jsonl(file) == {"loss": {1: 3.0, 2: 2.0}}


def test_a_line_cut_off_by_a_crash_is_passed_over_and_a_repeated_step_counts_once(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1, "loss": 3}\n{"step": 1, "loss": 2}\n{"step": 2, "lo')
    assert read_jsonl(file) == {"loss": {1: 2.0}}


def test_records_without_a_step_are_counted(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"loss": 3}\n{"loss": 2}\n')
    assert read_jsonl(file) == {"loss": {0: 3.0, 1: 2.0}}


def test_numbers_that_are_not_finite_stay(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1, "loss": NaN, "other": "Infinity", "text": "hi", "flag": true}\n')
    curves = read_jsonl(file)
    assert set(curves) == {"loss", "other"}
    assert math.isnan(curves["loss"][1])


def test_torchtune_lines_may_stand_behind_a_progress_bar(tmp_path):
    file = tmp_path / "log_1.txt"
    file.write_text("1|2: 50%|####Step 2 | loss:1.5 lr:2e-05 name:none\nnothing\n")
    assert read_torchtune_logs([file]) == {"loss": {2: 1.5}, "lr": {2: 2e-05}}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scalars_of_both_kinds_are_read_from_event_files(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    writer = EventFileWriter(str(tmp_path))
    old = Summary.Value(tag="loss", simple_value=2.5)
    new = Summary.Value(tag="reward", tensor=make_tensor_proto(0.5))
    new.metadata.plugin_data.plugin_name = "scalars"
    for step in (1, 2):
        writer.add_event(Event(step=step, wall_time=1.0, summary=Summary(value=[old, new])))
    writer.close()
    files = sorted(tmp_path.glob("events.out.tfevents.*"))
    assert read_tensorboard(files) == {"loss": {1: 2.5, 2: 2.5}, "reward": {1: 0.5, 2: 0.5}}


def test_a_tail_is_at_least_the_last_value_and_passes_over_what_is_not_finite():
    assert tail_mean([4.0, 2.0, math.nan], 0.1) == 2.0
    assert math.isnan(tail_mean([math.nan]))


def test_a_curve_has_diverged_where_any_of_its_last_tenth_is_no_number():
    assert has_diverged([1.0] * 18 + [math.nan, 1.0])
    assert has_diverged([math.inf])
    assert not has_diverged([1.0] * 17 + [math.nan, 1.0, 1.0])
