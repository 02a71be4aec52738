"""Shared fixtures: a tiny prepared data set and configs over it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from byte_tokens import EOS, byte_tokenizer
from olmix.text.yaml import write_yaml
from own_logging import logging_of_its_own
from skips import (  # noqa: F401
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_terminal_summary,
)

# How long an example takes says how busy the machine is.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def _absl_writes_to_the_real_stderr():
    """Keep absl from closing pytest's own stream.

    Its log handler keeps the standard error that it found when it was made, and closes it when
    logging is set up anew, as Hydra does for every command.
    """
    try:
        from absl import logging as absl_logging
    except ImportError:
        return
    absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__


@pytest.fixture(autouse=True)
def _logging_ends_with_the_test():
    with logging_of_its_own():
        yield


@dataclass(frozen=True)
class TinyData:
    """Three domains of synthetic tokens, and configs that train on them in a second."""

    folder: Path
    launch: Path
    generation: Path

    def section(self) -> dict:
        """Return the data section."""
        return {
            "dtype": "uint16",
            "tokenizer": "tokenizer.json",
            "sources": [{"name": name, "paths": [f"{name}.bin"]} for name in "abc"],
        }


@pytest.fixture
def tiny(tmp_path) -> TinyData:
    """Write the tiny data set and its configs."""
    rng = np.random.default_rng(0)
    for name in "abc":
        shares = rng.dirichlet(np.full(EOS, 0.05))
        for suffix, length in (("bin", 20_000), ("val.bin", 1_000)):
            tokens = rng.choice(EOS, length, p=shares).astype(np.uint16)
            tokens[99::100] = EOS
            tokens.tofile(tmp_path / f"{name}.{suffix}")
    (tmp_path / "tokenizer.json").write_text(json.dumps(byte_tokenizer()))
    data = TinyData(tmp_path, tmp_path / "launch.yaml", tmp_path / "generation.yaml")
    model = {"d_model": 16, "num_heads": 2, "context_length": 16, "batch_size": 4}
    training = {"trainer": "proxy", "max_tokens": 6400, "log_interval": 20, **model}
    write_yaml(
        data.launch,
        {
            "name": "tiny",
            "training": training,
            "data": data.section(),
            "eval": {"type": "validation", "paths": {name: [f"{name}.val.bin"] for name in "abc"}},
        },
    )
    write_yaml(
        data.generation,
        {
            "name": "tiny",
            "data": data.section(),
            "priors": {"token_counts": {"a": 20_000, "b": 20_000, "c": 20_000}},
            "swarm": {"variants": 3, "references": ["natural", "uniform"]},
            "max_tokens": 6400,
        },
    )
    return data


@pytest.fixture(autouse=True, scope="session")
def _compilation_cache(tmp_path_factory):
    """Share compiled code between the workers of a test session, and with nobody else."""
    if "OLMIX_CACHE_DIR" not in os.environ:
        root = tmp_path_factory.getbasetemp().parent / "olmix-cache"
        os.environ["OLMIX_CACHE_DIR"] = str(root)
