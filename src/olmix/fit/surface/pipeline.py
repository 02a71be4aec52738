"""From the tables of a sweep to a folder: the surface, how good it is, and its best point."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from olmix import __version__
from olmix.config.surface import SurfaceConfig
from olmix.errors import DataError
from olmix.fit.folder import FitFiles, point_latest, publish
from olmix.fit.surface.choice import (
    Interval,
    Optimum,
    SurfaceCandidate,
    choose,
    compare,
    find_optimum,
)
from olmix.fit.surface.next_batch import next_batch
from olmix.fit.surface.polynomial import Surface
from olmix.fit.surface.runs import Runs, load_runs
from olmix.records.fit.next_batch import NextBatch, write_next_batch
from olmix.records.metric import lower_is_better
from olmix.text.files import digest, folder_beside
from olmix.text.numbers import counted, per_cent

__all__ = ["SurfaceResult", "fit_surface"]

logger = logging.getLogger(__name__)

_POINTS = 41
"""Points of a profile."""


@dataclass(frozen=True)
class SurfaceResult:
    """A fitted surface and its folder.

    Attributes:
        folder: what was written.
        summary: the content of `surface.json`.
        batch: the runs to make next.
    """

    folder: Path
    summary: Mapping[str, Any]
    batch: NextBatch


def fit_surface(config: SurfaceConfig, output_dir: str | Path) -> SurfaceResult:
    """Fit a response surface and write its folder, which is named by the hash of config and runs.

    Raises:
        DataError: the tables do not hold what the config asks for, or too little of it, or the
            metric's name says that higher is better and the config gives no direction.
        MissingPackageError: scipy or matplotlib is not installed.
    """
    lower = _direction(config)
    runs = load_runs(config)
    candidates = compare(runs)
    chosen = choose(candidates, config.order)
    optimum = None
    if chosen.rmse < candidates["mean"].rmse:
        optimum = find_optimum(
            runs, chosen.surface, lower_is_better=lower, coverage=config.coverage
        )
    batch = next_batch(runs, config.metric, config.limits, lower_is_better=lower)
    summary = {
        "lower_is_better": lower,
        **_summary(config, runs, candidates, chosen, optimum),
    }
    for note in summary["notes"]:
        logger.info("%s", note)
    content = [config.to_plain(), runs.names, runs.settings.tolist(), runs.values.tolist()]
    name = digest(content, 12)
    output = Path(output_dir)
    with folder_beside(output / name) as beside:
        files = FitFiles(beside)
        files.json("config.json", {**config.to_plain(), "olmix": __version__})
        files.json("surface.json", summary)
        write_next_batch(beside, batch)
        files.table("predictions.csv", runs.names, _predictions(runs, chosen))
        if optimum is not None:
            _write_optimum(files, config, runs, chosen.surface, optimum)
        publish(beside, output / name)
    point_latest(output, name)
    return SurfaceResult(output / name, summary, batch)


def _direction(config: SurfaceConfig) -> bool:
    """Whether lower is better."""
    if config.lower_is_better is not None:
        return config.lower_is_better
    if not lower_is_better([config.metric], {}):
        raise DataError(
            f"metric: {config.metric}: higher is better, judging by the name; the config gives no "
            "direction. Write there\n    lower_is_better: false\n  or `true` where lower is "
            "better after all"
        )
    return True


def _predictions(runs: Runs, chosen: SurfaceCandidate) -> dict[str, list[float]]:
    settings = {f.name: runs.settings[:, i].tolist() for i, f in enumerate(runs.factors)}
    return settings | {
        "measured": runs.values.tolist(),
        "fitted": chosen.surface.predict(runs.coded).tolist(),
        "held_out": chosen.predicted.tolist(),
    }


def _write_optimum(
    files: FitFiles, config: SurfaceConfig, runs: Runs, surface: Surface, optimum: Optimum
) -> None:
    """Write the best settings, and the surface along each factor through them."""
    from olmix.plotting.canvas import save_figure, style
    from olmix.plotting.surface import Profile, profiles_figure

    files.yaml(
        "proposal.yaml",
        {"controls": dict(optimum.settings)},
        "The best point of the surface, for the controls of the next experiment.",
    )
    middle = runs.code(np.array([list(optimum.settings.values())]))
    profiles = []
    for index, factor in enumerate(runs.factors):
        coded = np.repeat(middle, _POINTS, axis=0)
        coded[:, index] = np.linspace(-1, 1, _POINTS)
        values = np.array([factor.value(place) for place in coded[:, index]])
        mean, error = surface.predict(coded), surface.standard_error(coded)
        profiles.append(
            Profile(factor.name, factor.is_log, values, mean, error, runs.settings[:, index])
        )
    files.rows(
        "profiles.csv",
        ("factor", "value", config.metric, "standard_error"),
        [
            (profile.name, *map(float, row))
            for profile in profiles
            for row in zip(profile.values, profile.mean, profile.error, strict=True)
        ],
    )
    with style():
        figure = profiles_figure(profiles, runs.values, config.metric)
        save_figure(figure, files.folder / "profiles.png", pad_inches=0.15)


def _summary(
    config: SurfaceConfig,
    runs: Runs,
    candidates: Mapping[str, SurfaceCandidate],
    chosen: SurfaceCandidate,
    optimum: Optimum | None,
) -> dict[str, Any]:
    surface = chosen.surface
    errors = np.sqrt(np.diag(surface.covariance))
    mean_rmse = candidates["mean"].rmse
    names = [f.name for f in runs.factors]
    return {
        "metric": config.metric,
        "num_runs": len(runs.names),
        "num_points": int(runs.group.max()) + 1,
        "left_out": list(runs.left_out),
        "noise_sd": runs.noise_sd(),
        "candidates": {order: found.rmse for order, found in candidates.items()},
        "order": surface.order,
        "held_out_rmse": chosen.rmse,
        "held_out_r2": 1 - (chosen.rmse / mean_rmse) ** 2 if mean_rmse else None,
        "residual_sd": surface.residual_sd,
        "degrees_of_freedom": surface.degrees,
        "terms": [
            {"term": _name(term, names), "coefficient": float(b), "standard_error": float(e)}
            for term, b, e in zip(surface.terms, surface.coefficients, errors, strict=True)
        ],
        "coding": "each factor runs from -1 to 1 over its tested range, on its scale",
        "optimum": None if optimum is None else _optimum_to_plain(optimum),
        "notes": _notes(runs),
        "statement": _statement(config, runs, optimum),
    }


def _name(term: tuple[int, ...], names: list[str]) -> str:
    if len(term) == 2 and term[0] == term[1]:
        return f"{names[term[0]]}^2"
    return " * ".join(names[index] for index in term) or "constant"


def _optimum_to_plain(optimum: Optimum) -> dict[str, object]:
    def plain(interval: Interval) -> dict[str, float]:
        return {"value": interval.value, "low": interval.low, "high": interval.high}

    return {
        "settings": dict(optimum.settings),
        "predicted": plain(optimum.predicted),
        "best_tested": optimum.tested,
        "gain": plain(optimum.gain),
        "edges": list(optimum.edges),
    }


def _notes(runs: Runs) -> list[str]:
    notes = []
    if runs.left_out:
        notes.append(
            f"Without a metric yet ({counted(len(runs.left_out), 'run')}): "
            f"{', '.join(runs.left_out)}."
        )
    two = [f.name for f in runs.factors if len(f.levels) == 2]
    if two:
        notes.append(
            f"{', '.join(two)}: two levels were tested, so no best value between them can show."
        )
    return notes


def _statement(config: SurfaceConfig, runs: Runs, optimum: Optimum | None) -> str:
    """Return the result in words, claiming no more than the surface supports."""
    if optimum is None:
        return (
            f"No surface predicts {config.metric} at held-out points better than the mean of all "
            "runs does: over these ranges the factors do not matter, or the runs are too few or "
            "too noisy to show that they do. Nothing is proposed."
        )
    percent = per_cent(config.coverage)
    settings = ", ".join(f"{name} = {value:g}" for name, value in optimum.settings.items())
    predicted, gain = optimum.predicted, optimum.gain
    text = (
        f"The surface is best at {settings}: {config.metric} {predicted.value:.4g} there "
        f"({percent} of single runs between {predicted.low:.4g} and {predicted.high:.4g}; "
        f"{'lower' if _direction(config) else 'higher'} is better). "
    )
    tested = dict(
        zip(
            (f.name for f in runs.factors),
            runs.settings[runs.names.index(optimum.tested)].tolist(),
            strict=True,
        )
    )
    if tested == dict(optimum.settings):
        text += f"It was tested: {optimum.tested}."
    elif gain.low > 0:
        text += (
            f"That is better by {gain.value:.2g} ({gain.low:.2g} to {gain.high:.2g}) than "
            f"{optimum.tested}, the best tested point; run it to confirm."
        )
    else:
        text += (
            f"This is not proof: the gain over {optimum.tested}, the best tested point, is "
            f"{gain.value:.2g} ({gain.low:.2g} to {gain.high:.2g}), so as far as these runs can "
            "tell, that point is as good."
        )
    if optimum.edges:
        text += (
            f" {', '.join(optimum.edges)}: the best value is at the end of the tested range; "
            "test beyond it."
        )
    noise = runs.noise_sd()
    return text if noise is None else f"{text} Replicates differ by {noise:.2g}."
