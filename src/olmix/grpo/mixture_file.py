"""Weights of the datasets from a file: a mixture that `olmix generate` drew."""

from __future__ import annotations

from collections.abc import Mapping

from olmix.errors import ConfigError, Problem
from olmix.mixture import Mixture
from olmix.text.yaml import read_yaml

__all__ = ["with_mixture"]

_WHERE = "training.mixture"


def with_mixture(plain: Mapping[str, object]) -> dict[str, object]:
    """Return a composed configuration with the weights of its `training.mixture` filled in.

    The file is a variant of `olmix generate` (its key `mix`), or the mixture alone, as a launch
    hands it to a command by {mix_json}. Datasets that it does not name weigh 0.

    Raises:
        ConfigError: it cannot be read, is no mixture, or names a dataset that there is not.
    """
    training = plain.get("training")
    file = training.get("mixture") if isinstance(training, Mapping) else None
    if (
        not isinstance(training, Mapping)
        or not isinstance(file, str)
        or not training.get("datasets")
    ):
        return dict(plain)
    try:
        content = read_yaml(file).data
        mix = content.get("mix", content) if isinstance(content, Mapping) else content
        weights = {name: share.weight for name, share in Mixture.parse(mix).items()}
    except ConfigError as error:
        found = [Problem(_WHERE, problem.render(file)) for problem in error.problems]
        raise ConfigError(found, "config") from error
    datasets = training["datasets"]
    foreign = sorted(set(weights) - set(datasets))
    if foreign:
        what = f"{file} names {', '.join(foreign)}, but training.datasets has {', '.join(datasets)}"
        raise ConfigError([Problem(_WHERE, what)], "config")
    weighed = {n: {**entry, "weight": weights.get(n, 0.0)} for n, entry in datasets.items()}
    return {**plain, "training": {**training, "datasets": weighed, "mixture": None}}
