"""The commands that follow a fit, as they can be run where its study lies.

A study keeps its configs beside its tables or one folder above them, as `olmix new` and `olmix
quickstart` write them. Where there are none, runs were trained by something else.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from olmix.records.fit.folder import FitFolder
from olmix.records.fit.ladder import LADDER_SEEDS, LADDER_SIZES

__all__ = ["StudyPlaces", "study_of"]


@dataclass(frozen=True)
class StudyPlaces:
    """The places of a study, as commands name them.

    Attributes:
        fit: the fit folder.
        home: the folder of `generation.yaml` and `launch.yaml`; `None` where they are not there.
        target: tokens of the large run, where they are known and beyond a first ladder.
    """

    fit: Path
    home: Path | None
    target: int | None = None

    @property
    def verify(self) -> str:
        """The command that verifies the proposal; nothing where no launch config is known."""
        if self.home is None:
            return ""
        return _line(
            "verify", "--fit", self.fit, "-c", self.home / "launch.yaml", "-o", self.home / "runs"
        )

    @property
    def ladder(self) -> str:
        """The command that trains the proposal at larger sizes too; nothing as for `verify`."""
        if not self.verify:
            return ""
        sizes = ",".join(f"{size:g}" for size in LADDER_SIZES)
        target = "" if self.target is None else f" --target {self.target}"
        return f"{self.verify} --scales {sizes} --seeds {LADDER_SEEDS}{target}"

    @property
    def export(self) -> str:
        """The command that writes the proposal for a trainer, whose name and file are left open."""
        config = Path("CONFIG.yaml") if self.home is None else self.home / "launch.yaml"
        return f"{_line('mix', 'export', self.fit, '-c', config)} --to TRAINER -o FILE"

    def another_round(self, runs: int) -> str:
        """Return the command that places another round of runs."""
        name = f"round-after-{self.fit.resolve().name}"
        placed = ("--after", self.fit, "-n", str(runs))
        if self.home is None:
            return _line("generate", *placed, "-o", name)
        configs = ("-c", self.home / "generation.yaml", "--base", self.home / "launch.yaml")
        return _line("generate", *configs, *placed, "-o", self.home / name)


def study_of(content: FitFolder) -> StudyPlaces:
    """Return the places of the study that a fit belongs to."""
    tables = content.settings.swarm.ratios
    for folder in () if tables is None else (Path(tables).parent, Path(tables).parent.parent):
        if all((folder / name).is_file() for name in ("generation.yaml", "launch.yaml")):
            return StudyPlaces(content.folder, _from_here(folder), _target(content))
    return StudyPlaces(content.folder, None)


def _target(content: FitFolder) -> int | None:
    """Return the tokens of the large run, where a first ladder does not reach them."""
    limits = content.settings.constraints
    asked = None if limits is None else limits.target_tokens
    lengths = content.known_facts("tokens")
    if asked is None or not lengths or asked <= LADDER_SIZES[-1] * max(lengths):
        return None
    return round(asked)


def _from_here(folder: Path) -> Path:
    """Return a folder relative to here where it is below."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _line(*words: str | Path) -> str:
    return shlex.join(["olmix", *map(str, words)])
