"""How long an OLMo-core run is, in which steps, and at which learning rate.

Legend: ``N`` non-embedding parameters.

What a config leaves out follows the rules of OLMo's model ladder (A. Bhagia et al., "Establishing
Task Scaling Laws via Compute-Efficient Model Ladders", 2024, section 3), which are those of T.
Porian et al. (2024): a batch of ``160 (N / 108M)^(2/3)`` sequences of 2,048 tokens, a peak learning
rate of ``0.0047 (N / 108M)^(-1/3)``, and a warm-up of ``N`` tokens. We differ in two things: the
batch is a power of two of sequences, and a warm-up takes no more than a tenth of the run, because
proxy runs are short.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from olmix.config import OlmoCoreTraining
from olmix.errors import ConfigError, Problem

__all__ = ["TrainingSchedule", "build_schedule"]

_REFERENCE_PARAMETERS = 108_000_000
_REFERENCE_SEQUENCES = 160
_REFERENCE_LENGTH = 2048
_REFERENCE_RATE = 0.0047
_MOST_WARMUP = 0.1


@dataclass(frozen=True)
class TrainingSchedule:
    """The numbers of a run.

    Attributes:
        sequence_length: tokens of one sequence.
        batch_tokens: tokens of one step on all devices.
        part_tokens: tokens that one device takes at once.
        num_steps: steps of the run.
        learning_rate: peak learning rate.
        warmup_steps: steps of rising learning rate.
    """

    sequence_length: int
    batch_tokens: int
    part_tokens: int
    num_steps: int
    learning_rate: float
    warmup_steps: int

    @property
    def num_tokens(self) -> int:
        """Tokens of the run: whole steps."""
        return self.num_steps * self.batch_tokens


def build_schedule(
    training: OlmoCoreTraining, num_parameters: int, num_devices: int
) -> TrainingSchedule:
    """Return the numbers of a run.

    Args:
        training: the training section.
        num_parameters: non-embedding parameters of the model.
        num_devices: devices that share a step.

    Raises:
        ConfigError: a step does not split evenly over the devices, or the run is shorter than one.
    """
    length = training.sequence_length
    scale = num_parameters / _REFERENCE_PARAMETERS
    if training.global_batch_size is not None:
        sequences = training.global_batch_size // length
    else:
        tokens = _REFERENCE_SEQUENCES * scale ** (2 / 3) * _REFERENCE_LENGTH
        sequences = max(num_devices, 2 ** round(math.log2(max(tokens / length, 1))))
    problems = []
    if sequences % num_devices:
        problems.append(
            Problem(
                "training.global_batch_size",
                f"{sequences} sequences cannot be split over {num_devices} devices",
            )
        )
    num_steps = training.num_tokens // (sequences * length)
    if num_steps < 1:
        problems.append(
            Problem(
                "training.max_tokens",
                f"{training.num_tokens:,} tokens are less than one step of {sequences} x {length}. "
                "Set training.global_batch_size lower.",
            )
        )
    if problems:
        raise ConfigError(problems, "training")
    rate = training.learning_rate
    if rate is None:
        rate = _REFERENCE_RATE * scale ** (-1 / 3)
    warmup = 0
    if training.train_type == "pretrain":
        warmup = round(min(num_parameters / (sequences * length), _MOST_WARMUP * num_steps))
    share = sequences // num_devices
    part = max(n for n in range(1, min(share, training.device_batch_size) + 1) if share % n == 0)
    return TrainingSchedule(length, sequences * length, part * length, num_steps, rate, warmup)
