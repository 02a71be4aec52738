import math
import struct

import pytest

from olmix.sweep import build_plan
from olmix.sweep.framework import OUTPUT_DIR
from olmix.sweep.torchtune.logs import is_finished, read_curves

BASE = "llama3_2/1B_lora_single_device"


def lines(*losses):
    return "".join(f"Step {n} | loss:{loss} lr:0.0003 \n" for n, loss in enumerate(losses, 1))


def test_lines_of_the_disk_logger_are_read_and_a_restart_counts_once(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "log_1.txt").write_text(lines(3.0, 2.0, "nan"))
    (tmp_path / "logs" / "log_2.txt").write_text("Step 2 | loss:tensor(1.5, device='cpu')\nbad\n")
    curves = read_curves({OUTPUT_DIR: tmp_path}, tmp_path / "none")
    assert (curves["loss"][1], curves["loss"][2]) == (3.0, 1.5)
    assert math.isnan(curves["loss"][3]), "a loss that is no number stays one"
    assert curves["lr"][1] == 0.0003


def test_what_was_printed_is_read_where_there_is_no_file(tmp_path):
    printed = tmp_path / "run_000.log"
    printed.write_text("1|1|Loss: 3.0: 10%|# | 1/10Step 1 | loss:3.0 \n\r 20%Step 2 | loss:2.5\n")
    assert read_curves({OUTPUT_DIR: tmp_path}, printed) == {"loss": {1: 3.0, 2: 2.5}}


def _record(content):
    """Frame a record of an event file; its checksums are masked CRC-32C."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    head = struct.pack("<Q", len(content))
    return b"".join(
        (
            head,
            struct.pack("<I", masked_crc32c(head)),
            content,
            struct.pack("<I", masked_crc32c(content)),
        )
    )


def test_event_files_of_tensorboard_are_read(tmp_path):
    pytest.importorskip("tensorboard", reason="an optional package; `make test` installs it")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    folder = tmp_path / "logs" / "run_1"
    folder.mkdir(parents=True)
    events = [Event(file_version="brain.Event:2", wall_time=0.0)]
    for step, loss in enumerate((3.0, 2.5), 1):
        value = Summary.Value(tag="loss", simple_value=loss)
        events.append(Event(step=step, wall_time=float(step), summary=Summary(value=[value])))
    file = folder / "events.out.tfevents.1.host"
    file.write_bytes(b"".join(_record(event.SerializeToString()) for event in events))
    assert read_curves({OUTPUT_DIR: tmp_path}, tmp_path / "none") == {"loss": {1: 3.0, 2: 2.5}}


def test_a_run_is_finished_when_its_last_epoch_is_saved(tmp_path):
    (tmp_path / "epoch_0").mkdir()
    (tmp_path / "epoch_0" / "model.pt").write_text("x")
    folders = {OUTPUT_DIR: tmp_path}
    assert is_finished({"epochs": 1}, folders, 0)
    assert not is_finished({"epochs": 2}, folders, 0)
    assert not is_finished({}, folders, 0)


def test_checkpoints_are_looked_for_where_the_checkpointer_writes_them(tmp_path):
    (tmp_path / "saved" / "epoch_0").mkdir(parents=True)
    (tmp_path / "saved" / "epoch_0" / "model.pt").write_text("x")
    folders = {OUTPUT_DIR: tmp_path, ("checkpointer", "output_dir"): tmp_path / "saved"}
    assert is_finished({"epochs": 1}, folders, 0)
    assert not is_finished(
        {"epochs": 1},
        folders
        | {OUTPUT_DIR: tmp_path / "saved"}
        | {("checkpointer", "output_dir"): tmp_path / "else"},
        0,
    )


def test_logs_of_a_run_in_a_folder_below_are_not_read(tmp_path):
    for place, loss in ((tmp_path, 3.0), (tmp_path / "run_001", 9.0)):
        (place / "logs").mkdir(parents=True)
        (place / "logs" / "log_1.txt").write_text(lines(loss))
    folders = {OUTPUT_DIR: tmp_path, ("metric_logger", "log_dir"): tmp_path / "logs"}
    assert read_curves(folders, tmp_path / "none")["loss"] == {1: 3.0}


def test_a_run_of_ppo_is_finished_when_its_last_step_is_logged_and_saved(tmp_path):
    config = {"num_steps": 16, "batch_size": 4, "ppo_epochs": 2, "ppo_batch_size": 2}
    config["log_every_n_steps"] = 2
    folders = {OUTPUT_DIR: tmp_path}
    # 4 batches of 4 updates each; every second batch is logged.
    (tmp_path / "epoch_0").mkdir()
    (tmp_path / "epoch_0" / "model.pt").write_text("x")
    assert not is_finished(config, folders, 8)
    assert is_finished(config, folders, 16)
    assert not is_finished(config | {"num_steps": 64}, folders, 16)


@pytest.mark.parametrize(
    ("logger", "message"),
    [
        ({"_component_": "WandBLogger", "project": "p"}, "cannot read what WandBLogger logs"),
        ({"log_dir": "${output_dir}/mine"}, ""),
    ],
)
def test_logs_that_results_will_not_find_are_said_beforehand(logger, message):
    component = logger.get("_component_")
    if component:
        logger["_component_"] = f"torchtune.training.metric_logging.{component}"
    made = {
        "experiment_name": "x",
        "base_config": BASE,
        "variables": {"seed": [1, 2]},
        "controls": {"metric_logger": logger},
    }
    said = [
        f.what for f in build_plan(made).findings if f.where[:2] == ("controls", "metric_logger")
    ]
    relevant = [what for what in said if "left out of" not in what]
    assert (message in relevant[0]) if message else not relevant
