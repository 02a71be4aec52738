"""The configs of a plan: `generation.yaml` and `launch.yaml`, every key explained."""

from __future__ import annotations

from pathlib import Path

from olmix.config import GenerationConfig, LaunchConfig
from olmix.config.commented import render_commented
from olmix.errors import ConfigError, DataError, Problem
from olmix.plan.budget import Plan, Target
from olmix.text.files import write_text

__all__ = ["write_plan"]


def write_plan(
    folder: Path, generation: GenerationConfig, base: LaunchConfig, plan: Plan, target: Target
) -> tuple[Path, Path]:
    """Write the configs of a plan; returns their files.

    Args:
        folder: where to.
        generation: how mixtures are sampled; numbers and lengths are replaced.
        base: how a run is trained; size and length are replaced.
        plan: what the budget buys.
        target: the large run, whose passes over each domain the runs are matched to.

    Raises:
        DataError: a file is there already.
        ConfigError: size and length do not fit the configs, or the domains have too few tokens for
            the large run.
    """
    files = folder / "generation.yaml", folder / "launch.yaml"
    there = [str(file) for file in files if file.exists()]
    if there:
        raise DataError(f"{', '.join(there)}: already exists and is kept")
    tokens = round(target.tokens)
    launch = base.resized(base.name, {**plan.training, **target.matched})
    plain = generation.to_plain()
    swarm = {key: value for key, value in plain.get("swarm", {}).items() if key != "after"}
    plain["swarm"] = {
        **swarm,
        "variants": plan.variants,
        "references": ["natural", "uniform"],
        "replicates": plan.replicates,
    }
    plain |= {"max_tokens": plan.tokens, "target_tokens": tokens}
    sampled = GenerationConfig.from_dict(plain, str(files[0]))
    _check_tokens(sampled, tokens)
    why = (
        f"Written by `olmix plan` for a run of {target.parameters:.3g} parameters and "
        f"{target.tokens:.3g} tokens."
    )
    rounds, passes = f"Round 1 of {plan.rounds}.", "Passes over each domain match the large run's."
    write_text(files[0], render_commented(sampled, plain, f"{why} {rounds}"))
    write_text(files[1], render_commented(launch, launch.to_plain(), f"{why} {passes}"))
    return files


def _check_tokens(config: GenerationConfig, tokens: int) -> None:
    """Refuse a large run that all domains together cannot fill, which `generate` would refuse."""
    there = sum(config.priors.token_counts.values())
    allowed = there * config.swarm.repetition_factor
    if tokens > allowed:
        what = (
            f"found {tokens:,}; {there:,} tokens x {config.swarm.repetition_factor:g} passes are "
            f"{allowed:,.0f}. Lower it, or raise swarm.repetition_factor to "
            f"{tokens / there + 0.05:.1f}"
        )
        raise ConfigError([Problem("--target-tokens", what)])
