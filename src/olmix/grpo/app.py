"""The job that Hydra starts: check the composed configuration, train, and write the run's folder.

`main` is what ``run_training.py`` and ``olmix grpo train`` call. It imports neither JAX nor Tunix
before the configuration has been checked.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback

from olmix.errors import OlmixError, explain
from olmix.grpo.compose import (
    CONF,
    expand_sweep,
    null_deletions,
    register_user_tree,
    split_words,
    uses_own_sweeper,
)
from olmix.grpo.config import RunConfig
from olmix.grpo.mixture_file import with_mixture
from olmix.grpo.run_checks import check_all
from olmix.text.files import write_text

__all__ = ["Records", "main", "preflight", "train"]

logger = logging.getLogger(__name__)

_SHOWS = ("--cfg", "-c", "--info", "-i", "--help", "-h", "--hydra-help", "--version")
_SWEEPS = ("--multirun", "-m")


class Records(Callback):  # type: ignore[misc]  # Hydra carries no types
    """Writes what Hydra leaves out: `.hydra/launcher.yaml`, and the results of a multirun."""

    def on_job_start(self, config: object, **_: object) -> None:
        """Write how the job was launched beside Hydra's other records."""
        del config
        from hydra.core.hydra_config import HydraConfig
        from omegaconf import OmegaConf

        hydra = HydraConfig.get()
        job = {key: OmegaConf.select(hydra.job, key) for key in ("name", "num", "id")}
        record = {"mode": str(hydra.mode).rpartition(".")[2], "job": job}
        record["launcher"] = OmegaConf.to_container(hydra.launcher, resolve=False)
        record["runtime"] = {"cwd": hydra.runtime.cwd, "hydra": hydra.runtime.version}
        folder = Path(hydra.runtime.output_dir) / (hydra.output_subdir or ".hydra")
        write_text(folder / "launcher.yaml", OmegaConf.to_yaml(OmegaConf.create(record)))

    def on_multirun_end(self, config: Any, **_: Any) -> None:
        """Write the table of the results beside the runs."""
        from olmix.grpo.results import against_noise, collect_runs, write_results

        folder = Path(config.hydra.sweep.dir)
        runs = collect_runs([folder])
        if runs:
            write_results(runs, folder)
            for line in against_noise(runs):
                logger.info("%s", line)
            logger.info("results of %d runs: %s", len(runs), folder / "results.csv")


def train(cfg: Any) -> float:
    """Train as a composed configuration says; the function that Hydra runs.

    Returns the objective, the mean reward of the last tenth of the steps, which a sweeper such as
    Optuna's maximises. In a multirun a run that fails says why, is recorded as failed, returns NaN,
    and the others go on.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    try:
        plain = with_mixture(OmegaConf.to_container(cfg, resolve=True))
        config = RunConfig.from_dict(plain, "config")
        from olmix.grpo.run import run_training

        summary = run_training(config, folder)
    except (OlmixError, OSError) as error:
        sys.stderr.write(f"error: {explain(error)}\n")
        if hydra.mode == RunMode.RUN:
            raise SystemExit(2) from error
        return math.nan
    return float(summary["objective"])


def preflight(words: Sequence[str]) -> list[RunConfig]:
    """Check every run of a command line before any of them starts.

    Raises:
        ConfigError: with the problems of all runs.
    """
    flags, overrides = split_words(words)
    if not any(flag in _SWEEPS for flag in flags):
        return check_all([overrides])
    if uses_own_sweeper(overrides):
        return []
    return check_all(expand_sweep(overrides))


def main(words: Sequence[str]) -> int:
    """Run a command line of Hydra: train, sweep, or show the configuration.

    Returns the exit status: 0 done, 1 a run of a multirun failed, 2 the configuration is wrong.

    Raises:
        ConfigError: before anything runs or is written.
    """
    import hydra

    flags, overrides = split_words(words)
    showing = any(flag in _SHOWS for flag in flags)
    if not showing:
        preflight(words)
    if any(flag in _SWEEPS for flag in flags):
        overrides = null_deletions(overrides)
    register_user_tree()
    job = hydra.main(config_path=str(CONF), config_name="config", version_base=None)(train)
    given, sys.argv = sys.argv, ["olmix grpo train", *flags, *overrides]
    try:
        job()
    except SystemExit as error:
        # Hydra ends with 1 whatever was wrong; before a run has started it is the configuration.
        return 2 if error.code == 1 and showing else int(error.code or 0)
    finally:
        sys.argv = given
    return 0
