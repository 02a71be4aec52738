"""Measuring a checkpoint beside its base model, on questions that training does not see."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from olmix.errors import OlmixError
from olmix.grpo.answers import require_verifier
from olmix.grpo.asking import Asker, sampling_of
from olmix.grpo.checkpoints import read_saved_run
from olmix.grpo.config import RunConfig
from olmix.grpo.data import held_out_questions, load_dataset
from olmix.grpo.own_rewards import Reward, load_rewards
from olmix.grpo.prompt_lengths import shorter_questions
from olmix.records.fit.scores import LEVEL
from olmix.text.files import write_json
from olmix.text.progress import OnProgress, Steps

__all__ = ["evaluate_checkpoint"]

logger = logging.getLogger(__name__)


def evaluate_checkpoint(
    path: Path,
    *,
    step: int | None = None,
    overrides: Sequence[str] = (),
    output: Path | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Measure a checkpoint and its base model on the same questions, and the paired difference.

    Args:
        path: folder of a run, or of its checkpoints.
        step: which checkpoint; the last one where left out.
        overrides: such as ``evaluation.num_samples=8``.
        output: JSON file to write.
        on_progress: called after each batch of answers.

    Raises:
        DataError: there is no such checkpoint, or its base model is gone.
        ConfigError: an override is wrong.
        MissingPackageError: the package that compares the answers is not installed.
    """
    saved = read_saved_run(path, step)
    config = _override(saved.config, overrides)
    require_verifier(config.grpo.answer)
    from olmix.grpo.devices import make_mesh
    from olmix.grpo.models import load_model, trained_model
    from olmix.grpo.tokenizer import load_tokenizer

    mesh = make_mesh(config.model.mesh_shape)
    from olmix.grpo.tunix_adapter import restore_weights

    tokenizer = load_tokenizer(saved.base)
    base, _ = load_model(saved.base, config.model, mesh)
    model = trained_model(base, config.model, mesh, config.seed)
    restore_weights(model, saved.checkpoints, saved.update, lora=saved.config.model.trains_lora)
    dataset = shorter_questions(load_dataset(config.data), tokenizer, config)
    questions = held_out_questions(dataset, config.evaluation.num_prompts, config.evaluation.seed)
    asker = Asker(questions, tokenizer, config, sampling_of(config), _rewards(config))
    steps = Steps(on_progress, 2 * asker.num_batches)
    with mesh:
        steps("base model", 0)
        before = asker.measure(base, steps)
        steps(f"step {saved.step}", 0)
        after = asker.measure(model, steps)
    change = after.change_from(before)
    report = {
        "checkpoint_dir": str(saved.checkpoints),
        "step": saved.step,
        "num_prompts": len(questions),
        "preset": config.evaluation.preset,
        "level": LEVEL,
        "seed": config.evaluation.seed,
        "base": before.means(),
        "checkpoint": after.means(),
        "base_intervals": before.intervals(),
        "checkpoint_intervals": after.intervals(),
        "change": {
            name: {"difference": each.difference, "half_width": each.half_width}
            for name, each in change.items()
        },
        "questions": [
            {
                "question": question.question,
                **{
                    when: {
                        n: v for n in each.values if (v := _number(each.values[n][i])) is not None
                    }
                    for when, each in (("base", before), ("checkpoint", after))
                },
            }
            for i, question in enumerate(questions)
        ],
    }
    if output is not None:
        write_json(output, report)
    return report


def _number(value: Any) -> float | None:
    return float(value) if value == value else None


def _rewards(config: RunConfig) -> list[Reward]:
    """Return the run's rewards, or none where they cannot be imported from here."""
    try:
        return load_rewards(config.grpo)
    except OlmixError as error:
        logger.warning("the answers are not scored with the run's rewards: %s", error)
        return []


def _override(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """Return a config with some of its `evaluation` (and `generation`) keys changed."""
    if not overrides:
        return config
    from omegaconf import OmegaConf

    from olmix.errors import ConfigError, Problem

    allowed = ("evaluation.", "generation.")
    foreign = [word for word in overrides if not word.startswith(allowed) or "=" not in word]
    if foreign:
        what = "only evaluation.KEY=VALUE and generation.KEY=VALUE can be changed here"
        raise ConfigError([Problem(word, what) for word in foreign], "evaluate")
    plain = OmegaConf.create(config.to_plain())
    changed = OmegaConf.merge(plain, OmegaConf.from_dotlist(list(overrides)))
    return RunConfig.from_dict(OmegaConf.to_container(changed), "evaluate")
