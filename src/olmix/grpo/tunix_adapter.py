"""All that depends on Tunix's interface for reinforcement learning, pinned at 0.1.7.

Surprises in Tunix 0.1.7, and what is done about each here:

- Its sampler cuts the end token off each answer, so that ending is never reinforced;
  `SeededRollout` puts it back.
- Without a seed it draws the same answers for the same prompt in every step; the seed is derived
  from the run's seed, the step and the call within it, which also makes resumed runs exact.
- It compares old and new probabilities at different temperatures when answers are used for several
  updates; `SeededRollout` uses that of the rollout for both.
- It skips batches on resuming by counting updates, which is wrong with several updates on the same
  answers; the data are positioned here, by steps.
- It logs to W&B whenever that is importable, and writes a progress bar; both are off, and metrics
  leave through `StepListener`.
- DAPO counts the length of answers in letters for its penalty; that penalty is off.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tunix.rl import common, rl_cluster
from tunix.rl.grpo import dapo_learner, drgrpo_learner, grpo_learner
from tunix.rl.rollout import base_rollout, vanilla_rollout
from tunix.sft import checkpoint_manager

from olmix.grpo.config import GrpoConfig, RunConfig, SamplingConfig
from olmix.grpo.served_rollout import CallSeeds, engine_settings, rollout_class

__all__ = ["GrpoTrainer", "SeededRollout", "StepListener", "restore_weights"]


_MEASURED = ("kl", "pg_clipfrac", "entropy")
"""Numbers of the loss beside itself. Entropy: nats per token, the mean of the answers' means."""


class StepListener(Protocol):
    """Is told what happens in a step, in this order."""

    def on_rollout(self, tokens: Sequence[Sequence[int]], ended: Sequence[bool]) -> None:
        """Take the tokens of each answer, and whether it ended by itself."""

    def on_answers(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        totals: np.ndarray[Any, Any],
        advantages: np.ndarray[Any, Any],
    ) -> None:
        """Take answers with the sum of their rewards and their advantages."""

    def on_step(self, step: int, measured: dict[str, float]) -> None:
        """Take what the updates of a finished step measured; steps count from 1."""


class SeededRollout(vanilla_rollout.VanillaRollout):  # type: ignore[misc]  # Tunix has no types
    """Tunix's own sampler, with a seed of its own per call and with the end tokens left in."""

    def __init__(
        self,
        rollout_actor: Any,
        tokenizer: Any,
        mesh: Any,
        rollout_config: Any,
        *,
        seed: int,
        listener: StepListener,
    ) -> None:
        del mesh
        shape = rollout_actor.config
        super().__init__(
            rollout_actor,
            tokenizer,
            base_rollout.CacheConfig(
                cache_size=rollout_config.kv_cache_size,
                num_layers=shape.num_layers,
                num_kv_heads=shape.num_kv_heads,
                head_dim=shape.head_dim,
            ),
        )
        self.current_step: Callable[[], int] = lambda: 0
        self._seeds, self._listener = CallSeeds(seed), listener
        self._temperature = rollout_config.temperature
        self._keep_tokens()

    def _keep_tokens(self) -> None:
        """Keep the tokens that the sampler ends with: it returns them without the end tokens."""
        decode = self._sampler._compiled_decode_fn

        def keeping(weights: object, state: object) -> object:
            final = decode(weights, state)
            self._tokens = final.token_buffer
            return final

        self._sampler._compiled_decode_fn = keeping

    def get_per_token_logps(self, prompt_tokens: object, completion_tokens: object) -> object:
        """Return log-probabilities at the temperature of the rollout; Tunix leaves it at 1."""
        graph, state = self._sampler.model_def_and_state()
        return common.compute_per_token_logps(
            graph,
            state,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            pad_id=self.pad_id(),
            eos_id=self.eos_id(),
            temperature=self._temperature,
        )

    def generate(self, prompts: list[str], rollout_config: Any, **_: Any) -> Any:
        """Sample answers; their tokens hold the end token where they have one."""
        seed = self._seeds.draw(self.current_step())
        config = dataclasses.replace(rollout_config, seed=seed)
        output = super().generate([str(prompt) for prompt in prompts], config)
        room = config.max_tokens_to_generate
        buffer = np.asarray(self._tokens)[:, -room:]
        lengths = [len(tokens) for tokens in output.tokens]
        ended = [length < room for length in lengths]
        output.tokens = [row[: length + 1] for row, length in zip(buffer, lengths, strict=True)]
        self._listener.on_rollout([tokens.tolist() for tokens in output.tokens], ended)
        return output


class _NoBar:
    """Takes the place of Tunix's progress bar."""

    def update_metrics(self, *_: object, **__: object) -> None:
        """Show nothing."""

    update = close = update_metrics


def _algorithm(config: GrpoConfig) -> tuple[Any, Any]:
    """Return Tunix's learner and its configuration."""
    shared: dict[str, Any] = {
        "num_generations": config.num_generations,
        "num_iterations": config.num_iterations,
        "epsilon": config.epsilon,
        # The estimator of the paper; Tunix's default has no gradient in expectation.
        "kl_loss_mode": "low_var_kl",
    }
    if config.variant == "dapo":
        high = config.epsilon if config.epsilon_high is None else config.epsilon_high
        settings = dapo_learner.DAPOConfig(**shared, epsilon_high=high, overlong_buffer=None)
        return dapo_learner.DAPOLearner, settings
    if config.variant == "dr_grpo":
        settings = drgrpo_learner.DrGRPOConfig(**shared, beta=config.beta)
        learner = drgrpo_learner.DrGRPOLearner
    else:
        algorithm = "gspo-token" if config.variant == "gspo" else "grpo"
        settings = grpo_learner.GRPOConfig(**shared, beta=config.beta, loss_algo=algorithm)
        learner = grpo_learner.GRPOLearner
    if config.epsilon_high is not None:
        # The loss reads this attribute, which only DAPO's configuration declares.
        settings.epsilon_high = config.epsilon_high
    return learner, settings


def _rollout_config(
    generation: SamplingConfig, eos_tokens: Sequence[int], folder: Path
) -> base_rollout.RolloutConfig:
    length = generation.max_prompt_length + generation.max_new_tokens
    engine = generation.engine
    return base_rollout.RolloutConfig(
        **({} if engine == "vanilla" else engine_settings(engine, folder, length)),
        max_tokens_to_generate=generation.max_new_tokens,
        max_prompt_length=generation.max_prompt_length,
        kv_cache_size=length,
        temperature=generation.temperature,
        top_p=generation.top_p,
        top_k=generation.top_k,
        eos_tokens=list(eos_tokens),
    )


@dataclasses.dataclass(frozen=True)
class Models:
    """The model that answers, and where it runs.

    Attributes:
        actor: the model that is trained, with LoRA.
        reference: the model before training; it shares the actor's weights.
        tokenizer: of both.
        eos_tokens: ids that end an answer.
        mesh: over the devices.
        folder: of the base model, in the Hugging Face layout.
    """

    actor: Any
    reference: Any
    tokenizer: Any
    eos_tokens: Sequence[int]
    mesh: Any
    folder: Path


class GrpoTrainer:
    """A cluster and a learner of Tunix for one run.

    Args:
        config: of the run.
        models: what answers, and where.
        optimizer: of optax.
        rewards: functions of ``prompts``, ``completions`` and columns, weighted.
        listener: is told what happens.
        checkpoint_dir: where checkpoints are; training resumes from the newest.
    """

    def __init__(
        self,
        config: RunConfig,
        models: Models,
        *,
        optimizer: Any,
        rewards: Sequence[Callable[..., Sequence[float]]],
        listener: StepListener,
        checkpoint_dir: Path,
    ) -> None:
        _quiet_absl()
        self._listener = listener
        self._updates_per_step = config.grpo.num_iterations
        engine = config.generation.engine
        rollout = SeededRollout if engine == "vanilla" else rollout_class(engine)
        roles = (rl_cluster.Role.ACTOR, rl_cluster.Role.REFERENCE, rl_cluster.Role.ROLLOUT)
        self.cluster = rl_cluster.RLCluster(
            actor=models.actor,
            reference=models.reference,
            tokenizer=models.tokenizer,
            cluster_config=rl_cluster.ClusterConfig(
                role_to_mesh=dict.fromkeys(roles, models.mesh),
                rollout_engine=functools.partial(rollout, seed=config.seed, listener=listener),
                training_config=_training_config(config, optimizer, checkpoint_dir),
                rollout_config=_rollout_config(config.generation, models.eos_tokens, models.folder),
            ),
        )
        learner, settings = _algorithm(config.grpo)
        self.learner = learner(
            rl_cluster=self.cluster,
            algo_config=settings,
            reward_fns=list(rewards),
            metric_fns=[self._on_answers],
        )
        self.cluster.rollout.current_step = lambda: self.cluster.global_steps
        inner = self.cluster.actor_trainer
        inner.with_rl_metrics_to_log(dict.fromkeys(_MEASURED, np.mean))
        inner._pbar = _NoBar()
        self._report_before_saving(inner)
        # `train` gets its data from the right place on, so nothing is to be skipped.
        self.learner._iter_steps = self.learner._last_iter_step
        self._reported = self.restored_step

    @property
    def model(self) -> Any:
        """The model as it is trained now."""
        return self.cluster.actor_trainer.model

    @property
    def restored_step(self) -> int:
        """Steps done before: 0 without a checkpoint."""
        step: int = self.cluster.actor_trainer.restored_global_step()
        return step

    def train(self, batches: Iterator[dict[str, Any]]) -> None:
        """Train on batches: columns of arrays, `prompts` among them."""
        self.learner.train(batches)

    def close(self) -> None:
        """Close what the cluster keeps open, where `train` was not called."""
        self.cluster.close()

    def _on_answers(
        self, *, prompts: Any, completions: Any, advantages: Any, rewards: Any, **_: Any
    ) -> dict[str, Any]:
        self._listener.on_answers(prompts, completions, np.asarray(rewards), np.asarray(advantages))
        return {}

    def _report_before_saving(self, inner: Any) -> None:
        """Report each step before its checkpoint: a run killed between the two loses no row.

        Tunix offers a checkpoint after every update; its own hooks come a step late.
        """
        save = inner.checkpoint_manager.save

        def reporting(update: int, *args: Any, **kwargs: Any) -> bool:
            step, rest = divmod(update, self._updates_per_step)
            if not rest and step > self._reported:
                self._reported = step
                self._listener.on_step(step, _measured(inner._prev_buffered_train_metrics))
            saved: bool = save(update, *args, **kwargs)
            return saved

        inner.checkpoint_manager.save = reporting


def _measured(buffered: Any) -> dict[str, float]:
    """Return what Tunix measured in an update, over its micro-batches."""
    measured = {"loss": float(buffered.loss)}
    for name, (values, combine) in buffered.additional_metrics.items():
        measured[name] = float(combine(np.asarray([np.asarray(value) for value in values])))
    return measured


def _training_config(config: RunConfig, optimizer: Any, checkpoint_dir: Path) -> Any:
    import orbax.checkpoint as ocp

    training, per_step = config.training, config.grpo.num_iterations
    policies = ocp.checkpoint_managers
    return rl_cluster.RLTrainingConfig(
        actor_optimizer=optimizer,
        eval_every_n_steps=config.num_updates + 1,
        max_steps=config.num_updates,
        mini_batch_size=training.batch_size,
        train_micro_batch_size=training.micro_batch_size or training.batch_size,
        checkpoint_root_directory=str(checkpoint_dir.resolve()),
        checkpointing_options=ocp.CheckpointManagerOptions(
            # Whole steps only, and always the last: Tunix's own last save forgets the step.
            save_decision_policy=policies.AnySavePolicy(
                [
                    policies.FixedIntervalPolicy(training.checkpoint_interval * per_step),
                    policies.SpecificStepsPolicy([config.num_updates]),
                ]
            ),
            max_to_keep=training.max_checkpoints,
            enable_async_checkpointing=False,
        ),
    )


def _quiet_absl() -> None:
    """Let Tunix and Orbax say only what is wrong."""
    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)


def restore_weights(model: object, checkpoint_dir: Path, update: int, *, lora: bool) -> None:
    """Give a model what was trained of it until a checkpoint: its updates, or all its weights."""
    _quiet_absl()
    manager = checkpoint_manager.CheckpointManager(str((checkpoint_dir / "actor").resolve()))
    try:
        manager.maybe_restore(model, step=update, restore_only_lora_params=lora)
    finally:
        manager.close()
