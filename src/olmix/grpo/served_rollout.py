"""Rollouts by vLLM or SGLang, as Tunix 0.1.7 offers them, watched and seeded like its own.

No accelerator that these engines run on was at hand: the engines themselves have not been run here.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from olmix.errors import NotAvailableError

__all__ = ["CallSeeds", "engine_settings", "listening", "require_engine", "rollout_class"]

_MODULES = {"vllm": "vllm", "sglang_jax": "sgl_jax"}
"""Engine to the module that it is."""


def require_engine(engine: str) -> None:
    """Check that what samples the answers is installed, without importing it.

    Raises:
        NotAvailableError: it is not.
    """
    module = _MODULES.get(engine)
    if module is not None and importlib.util.find_spec(module) is None:
        raise NotAvailableError(
            f"generation.engine = {engine}: the package `{module}` is not installed. Install it as "
            "Tunix's documentation says for your accelerator, or use generation.engine=vanilla, "
            "Tunix's own sampler"
        )


def engine_settings(engine: str, base: Path, length: int) -> dict[str, Any]:
    """Return what Tunix's configuration of rollouts says about an engine.

    Args:
        engine: which.
        base: folder of the base model, in the Hugging Face layout.
        length: tokens of the longest prompt and answer together.
    """
    if engine == "vllm":
        return {"rollout_vllm_model_version": str(base)}
    return {
        "rollout_sglang_jax_model_version": str(base),
        "rollout_sglang_jax_context_length": length,
        "rollout_sglang_jax_enable_deterministic_sampling": True,
    }


class CallSeeds:
    """The seeds of a rollout: one for each call within a step, which a resumed run gets again."""

    def __init__(self, seed: int) -> None:
        self._seed, self._step, self._call = seed, -1, 0

    def draw(self, step: int) -> int:
        """Return the seed of the next call within a step."""
        self._call = self._call + 1 if self._step == step else 0
        self._step = step
        [state] = np.random.SeedSequence([self._seed, step, self._call]).generate_state(1)
        return int(state)


def rollout_class(engine: str) -> Any:
    """Return Tunix's class for an engine, with a seed of its own per call, and watched."""
    if engine == "vllm":
        from tunix.rl.rollout import vllm_rollout

        return listening(vllm_rollout.VllmRollout, takes_cache=True)
    from tunix.rl.rollout import sglang_jax_rollout

    return listening(sglang_jax_rollout.SglangJaxRollout, takes_cache=False)


def listening(parent: Any, *, takes_cache: bool) -> Any:
    """Return a rollout that seeds each call and tells the listener what was answered.

    Args:
        parent: Tunix's class.
        takes_cache: whether it is given the length of the longest text.
    """

    class ServedRollout(parent):  # type: ignore[misc]  # Tunix has no types
        def __init__(
            self,
            rollout_actor: Any,
            tokenizer: Any,
            mesh: Any,
            rollout_config: Any,
            *,
            seed: int,
            listener: Any,
        ) -> None:
            room = {"cache_config_or_size": rollout_config.kv_cache_size} if takes_cache else {}
            super().__init__(
                rollout_actor, tokenizer, mesh=mesh, rollout_config=rollout_config, **room
            )
            self.current_step: Callable[[], int] = lambda: 0
            self._seeds, self._listener = CallSeeds(seed), listener

        def generate(self, prompts: list[str], rollout_config: Any, **_: Any) -> Any:
            """Sample answers."""
            seed = self._seeds.draw(self.current_step())
            config = dataclasses.replace(rollout_config, seed=seed)
            output = super().generate([str(prompt) for prompt in prompts], config)
            ends = set(config.eos_tokens or [self.eos_id()])
            cut = [_until_end(tokens, ends, self.pad_id()) for tokens in output.tokens]
            output.tokens = [np.asarray(tokens) for tokens, _ in cut]
            self._listener.on_rollout([tokens for tokens, _ in cut], [ended for _, ended in cut])
            return output

    return ServedRollout


def _until_end(tokens: Sequence[int], ends: Collection[int], pad: int) -> tuple[list[int], bool]:
    """Return the tokens of an answer until its end, which is kept, and whether it has one."""
    ids = [int(token) for token in tokens]
    for index, token in enumerate(ids):
        if token in ends:
            return ids[: index + 1], True
    while ids and ids[-1] == pad:
        ids.pop()
    return ids, False
