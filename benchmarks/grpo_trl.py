"""GRPO beside TRL's GRPOTrainer: same tiny model, questions, rewards, group, steps and rate.

    python benchmarks/grpo_trl.py --trl OTHER/bin/python                     3 seeds, 60 steps
    python benchmarks/grpo_trl.py --trl OTHER/bin/python --seeds 1 --steps 5     a check of itself

TRL wants an environment of its own (`pip install torch trl`). Each seed makes one base model, a
tiny Gemma 3 after a supervised start, which both train: all weights, AdamW, a constant rate. Both
get the same questions in the same order and the same rewards. What differs is the draw of the
answers, so curves are compared by their means over seeds. Seconds are those of the processor, a
step; the first two steps, which compile, are not counted. The two run in turns, each on one core,
since threads that wait for each other take processor time too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

RATE, GROUP, PROMPTS, BETA, CLIP, ROOM = 1e-3, 8, 4, 0.04, 1.0, (48, 40)
REWARDS = {"exact_format": 1.0, "approximate_format": 0.5, "check_answer": 1.0,
           "numeric_answer": 0.5}  # fmt: skip
WARM_UP = 2
SOURCE = Path(__file__).parents[1] / "src"


def main() -> None:
    """Run one side, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trl", help="Python of an environment with TRL")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--side", choices=["olmix", "trl"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side is not None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        side = train_olmix if given.side == "olmix" else train_trl
        (given.folder / f"{given.side}.json").write_text(json.dumps(side(given)))
        return
    curves: dict[str, list[list[float]]] = {"olmix": [], "trl": []}
    seconds: dict[str, list[float]] = {"olmix": [], "trl": []}
    sampling: dict[str, list[float]] = {"olmix": [], "trl": []}
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as folder:
            for side, python in (("olmix", sys.executable), ("trl", given.trl)):
                words = [python, __file__, "--side", side, "--folder", folder]
                words += ["--seed", str(seed), "--steps", str(given.steps)]
                path = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
                subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": path})
                found = json.loads((Path(folder) / f"{side}.json").read_text())
                curves[side].append(found["rewards"])
                seconds[side].extend(found["seconds"][WARM_UP:])
                sampling[side].extend(found["sampling"][WARM_UP:])
    found = report(curves, given.steps)
    for side, spent in found.items():
        spent["processor_s_per_step"] = round(statistics.median(seconds[side]), 3)
        spent["of_which_sampling"] = round(statistics.median(sampling[side]), 3)
    print(json.dumps({"steps": given.steps, "seeds": given.seeds, **found}, indent=2))


def timed(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """Return a function that notes the processor seconds of each call."""

    def call(*args: Any, **kwargs: Any) -> Any:
        begin = time.process_time()
        result = function(*args, **kwargs)
        seconds.append(time.process_time() - begin)
        return result

    return call


def report(curves: dict[str, list[list[float]]], steps: int) -> dict[str, dict[str, Any]]:
    """Return the mean reward in sixths of the run, with errors over the seeds."""
    width = max(1, steps // 6)
    found: dict[str, dict[str, Any]] = {}
    for side, runs in curves.items():
        parts = []
        for begin in range(0, steps, width):
            means = [statistics.fmean(run[begin : begin + width]) for run in runs]
            error = statistics.stdev(means) / len(means) ** 0.5 if len(means) > 1 else float("nan")
            parts.append(f"{statistics.fmean(means):.3f} +- {error:.3f}")
        found[side] = {"reward": parts}
    return found


def train_olmix(given: argparse.Namespace) -> dict[str, list[float]]:
    """Train here; leaves the base model and the questions for the other side."""
    from olmix.grpo import recorder
    from olmix.grpo.compose import compose
    from olmix.grpo.config import RunConfig
    from olmix.grpo.data import batches, load_dataset
    from olmix.grpo.prompts import render_prompt
    from olmix.grpo.run import run_training
    from olmix.grpo.tunix_adapter import SeededRollout
    from olmix.records.run import RunFolder

    words = [
        "+experiment=quick_test", "model.lora_rank=null", f"seed={given.seed}",
        f"training.num_batches={given.steps}", f"training.batch_size={PROMPTS}",
        f"training.checkpoint_interval={given.steps}", f"training.gradient_clip={CLIP}",
        f"grpo.num_generations={GROUP}", f"grpo.beta={BETA}", "scheduler=constant",
        f"optimizer.learning_rate={RATE}", "optimizer.b2=0.999",
        f"generation.max_prompt_length={ROOM[0]}", f"generation.max_new_tokens={ROOM[1]}",
        "evaluation.at_start=false", "evaluation.at_end=false",
        *(f"grpo.rewards.{name}={weight}" for name, weight in REWARDS.items()),
    ]  # fmt: skip
    config = RunConfig.from_dict(compose(words))
    stream = batches(
        load_dataset(config.data), batch_size=PROMPTS, num_batches=given.steps, epochs=1,
        seed=config.seed,
    )  # fmt: skip
    rows = [
        {"prompt": render_prompt(question, "plain"), "answer": question.answer}
        for batch in stream
        for question in batch
    ]
    (given.folder / "questions.json").write_text(json.dumps(rows))
    times: list[float] = []
    last = [time.process_time()]
    on_step = recorder.Recorder.on_step

    def noting(self: recorder.Recorder, step: int, measured: Mapping[str, float]) -> None:
        now = time.process_time()
        times.append(now - last[0])
        last[0] = now
        on_step(self, step, measured)

    recorder.Recorder.on_step = noting  # type: ignore[method-assign]
    sampling: list[float] = []
    SeededRollout.generate = timed(SeededRollout.generate, sampling)  # type: ignore[method-assign]
    run_training(config, given.folder / "run")
    written = list(RunFolder(given.folder / "run").read_metrics())
    rewards = [row["reward"] for row in written]
    return {"rewards": rewards, "seconds": times, "sampling": sampling}


def train_trl(given: argparse.Namespace) -> dict[str, list[float]]:
    """Train with TRL from the base model and the questions of the other side."""
    import datasets
    import transformers
    from trl import GRPOConfig, GRPOTrainer

    from olmix.grpo.rewards import REWARDS as FUNCTIONS

    base = str(given.folder / "run" / "base")
    rows = json.loads((given.folder / "questions.json").read_text())
    settings = GRPOConfig(
        output_dir=str(given.folder / "trl"), seed=given.seed, max_steps=given.steps,
        per_device_train_batch_size=PROMPTS * GROUP, num_generations=GROUP,
        max_completion_length=ROOM[1], learning_rate=RATE, lr_scheduler_type="constant",
        weight_decay=0.0, adam_beta1=0.9, adam_beta2=0.999, max_grad_norm=CLIP, beta=BETA,
        epsilon=0.2, temperature=1.0, top_p=1.0, top_k=0, loss_type="grpo", scale_rewards="group",
        reward_weights=list(REWARDS.values()), shuffle_dataset=False, logging_steps=1, bf16=False,
        gradient_checkpointing=False, report_to=[], save_strategy="no", use_cpu=True,
        disable_tqdm=True,
    )  # fmt: skip
    times: list[float] = []

    class Watch(transformers.TrainerCallback):
        def on_train_begin(self, *_: object, **__: object) -> None:
            self.last = time.process_time()

        def on_step_end(self, *_: object, **__: object) -> None:
            now = time.process_time()
            times.append(now - self.last)
            self.last = now

    trainer = GRPOTrainer(
        model=transformers.AutoModelForCausalLM.from_pretrained(base, dtype="float32"),
        processing_class=transformers.AutoTokenizer.from_pretrained(base),
        reward_funcs=[FUNCTIONS[name] for name in REWARDS],
        args=settings,
        train_dataset=datasets.Dataset.from_list(rows),
        callbacks=[Watch()],
    )
    sampling: list[float] = []
    trainer._generate = timed(trainer._generate, sampling)
    trainer.train()
    logged = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    return {"rewards": logged, "seconds": times, "sampling": sampling}


if __name__ == "__main__":
    main()
