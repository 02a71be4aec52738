"""States of rewards that are objects: saved with each checkpoint, so that a resumed run has them.

A state is what ``state_dict()`` returns where the object has it, and else its attributes. It must
be plain: numbers, texts, lists and dicts with texts as keys.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.errors import DataError
from olmix.grpo.own_rewards import Reward
from olmix.text.files import read_json, write_json

__all__ = ["RewardStates"]

logger = logging.getLogger(__name__)


class RewardStates:
    """Saves and restores the states of rewards beside a run's checkpoints.

    Args:
        rewards: of the run; those that are functions have no state.
        folder: of the checkpoints.
    """

    def __init__(self, rewards: Sequence[Reward], folder: Path) -> None:
        self._objects = {
            reward.name: reward.function
            for reward in rewards
            if not inspect.isroutine(reward.function)
            and (vars(reward.function) or hasattr(reward.function, "state_dict"))
        }
        self._folder = folder / "rewards"
        self._said: set[str] = set()

    def save(self, step: int) -> None:
        """Write the states after a step; one that is not plain is warned about, once."""
        states = {name: self._plain(name, thing) for name, thing in self._objects.items()}
        kept = {name: state for name, state in states.items() if state is not None}
        if kept:
            write_json(self._folder / f"{step}.json", kept)

    def restore(self, step: int) -> None:
        """Give the rewards the states that they had after a step.

        Raises:
            DataError: a reward does not take its state.
        """
        file = self._folder / f"{step}.json"
        states: Mapping[str, Any] = read_json(file) if step and file.is_file() else {}
        for name, thing in self._objects.items():
            if name not in states:
                if step:
                    logger.warning("grpo.rewards.%s: its state after step %d is lost", name, step)
                continue
            try:
                if hasattr(thing, "load_state_dict"):
                    thing.load_state_dict(states[name])
                else:
                    vars(thing).update(states[name])
            except Exception as error:  # whatever a user's object raises
                what = f"{type(error).__name__}: {error}"
                raise DataError(f"grpo.rewards.{name}: {file} cannot be used: {what}") from error

    def keep(self, steps: Sequence[int]) -> None:
        """Remove the states of checkpoints that are gone."""
        if self._folder.is_dir():
            for file in self._folder.glob("*.json"):
                if int(file.stem) not in steps:
                    file.unlink()

    def _plain(self, name: str, thing: Any) -> Any:
        state = thing.state_dict() if hasattr(thing, "state_dict") else dict(vars(thing))
        try:
            if json.loads(json.dumps(state)) == state:
                return state
        except (TypeError, ValueError):
            pass
        if name not in self._said:
            self._said.add(name)
            logger.warning(
                "grpo.rewards.%s: its state cannot be saved, so a resumed run starts with a new "
                "one; give it state_dict() and load_state_dict(state) with numbers, texts, lists "
                "and dicts",
                name,
            )
        return None
