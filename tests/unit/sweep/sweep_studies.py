"""Experiments whose runs have logged what a test plants."""

from olmix.sweep import generate_configs

BASE = "llama3_2/1B_lora_single_device"


def write_study(folder, controls=None, **variables):
    """Generate an experiment whose runs write into its own folder; return that folder."""
    made = {
        "experiment_name": "study",
        "base_config": BASE,
        "variables": variables,
        "controls": {"output_dir": "runs"} | (controls or {}),
    }
    return generate_configs(made, folder / "study", validator="none").folder


def log_run(folder, number, losses, *, finished=True, **metrics):
    """Write what a run logs at each step, and the checkpoint that a whole run leaves."""
    place = folder / "runs" / f"run_{number:03d}"
    (place / "logs").mkdir(parents=True, exist_ok=True)
    others = "".join(f"{name}:{value} " for name, value in metrics.items())
    lines = (f"Step {n} | loss:{value} {others}\n" for n, value in enumerate(losses, 1))
    (place / "logs" / "log_100.txt").write_text("".join(lines))
    if finished:
        (place / "epoch_0").mkdir(exist_ok=True)
        (place / "epoch_0" / "model.safetensors").write_text("x")
