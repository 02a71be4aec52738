"""Which runs a launch is made of: variant files, completed by a base config where they are bare."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from olmix.config import (
    LaunchConfig,
    LocalInfra,
    OlmoCoreTraining,
    ProxyTraining,
    VariantConfig,
    read_yaml,
)
from olmix.config.base import validate
from olmix.config.infra import Infra, InfraConfig
from olmix.config.launch import NAME_RULE, is_name
from olmix.errors import ConfigError, OlmixError, Problem
from olmix.launch.command_runs import CommandRun, load_mapping
from olmix.records.identity import run_identity
from olmix.records.mapping import MAPPING
from olmix.text.files import digest

__all__ = ["Group", "Run", "identity_of", "load_group"]

_NAME = re.compile(r".+-([0-9a-f]{8})-[0-9]{4,}")
_BARE_KEYS = {"name", "mix", "seed", "training"}
_SECTIONS = ("infra", "training", "data", "eval", "trackers")

logger = logging.getLogger(__name__)


Run = LaunchConfig | CommandRun
"""A run: a complete launch config, or a command of another framework."""


@dataclass(frozen=True)
class Group:
    """The runs of one launch.

    Attributes:
        group_id: name of the group, and of its folder.
        runs: names unique.
        infra: where they are carried out.
        source: folder of their variants, where they come from one.
    """

    group_id: str
    runs: tuple[Run, ...]
    infra: Infra
    source: Path | None = None

    def __post_init__(self) -> None:
        """Raise a `ConfigError` where the name of the group cannot be that of a folder."""
        if not is_name(self.group_id):
            raise ConfigError([Problem("group_id", f"found {self.group_id!r}; {NAME_RULE}")])

    @classmethod
    def of(cls, group_id: str, runs: Sequence[LaunchConfig], source: Path | None = None) -> Group:
        """Return a group of launch configs, carried out where their configs say.

        The group's name becomes that of the configs.

        Raises:
            ConfigError: they name different infrastructures.
        """
        others = [run.name for run in runs if run.infra != runs[0].infra]
        if others:
            raise ConfigError(
                [
                    Problem(
                        "infra",
                        f"{', '.join(others[:5])} differ from {runs[0].name}; a group must run in "
                        "one place",
                    )
                ]
            )
        named = (
            run if run.group_id == group_id else run.model_copy(update={"group_id": group_id})
            for run in runs
        )
        return cls(group_id, tuple(named), runs[0].infra, source)

    @property
    def embedded(self) -> bool:
        """Whether all runs use the embedded trainer."""
        return all(
            isinstance(run, LaunchConfig) and isinstance(run.training, ProxyTraining)
            for run in self.runs
        )

    @property
    def has_olmo_core(self) -> bool:
        """Whether OLMo-core trains some run: one process for each GPU, all cores without."""
        return any(
            isinstance(run, LaunchConfig) and isinstance(run.training, OlmoCoreTraining)
            for run in self.runs
        )


def identity_of(run: Run) -> str:
    """Return the hash of all that a run's result depends on.

    Raises:
        DataError: a file of its data is missing.
    """
    return run.identity if isinstance(run, CommandRun) else run_identity(run)


def load_group(
    variants: str | Path | Sequence[Path],
    base: str | Path | None = None,
    group_id: str | None = None,
) -> Group:
    """Read the variants of a group.

    Args:
        variants: a variant file, a folder of them (``*.yaml``), or a list of files; or a folder of
            `olmix sweep generate`, with its `run_mapping.yaml`.
        base: launch config that completes bare variants. Its `infra`, if it has one, says where
            any variants run; for complete variants and sweeps a file with `infra` alone will do.
        group_id: name of the group; that of the configs if left out.

    Raises:
        ConfigError: with every problem of every file.
    """
    if not isinstance(variants, str | Path) or not (Path(variants) / MAPPING).is_file():
        return _load_swarm(variants, base, group_id)
    name, commands = load_mapping(Path(variants))
    infra = _infra_of(base) or LocalInfra()
    return Group(group_id or name, commands, infra, Path(variants).resolve())


def _infra_of(base: str | Path | None) -> Infra | None:
    """Return the `infra` section of a file, if it has one; other sections may be there."""
    if base is None:
        return None
    read = read_yaml(base)
    section = read.data.get("infra") if isinstance(read.data, dict) else None
    return None if section is None else validate(InfraConfig, {"infra": section}, read).infra


def _load_swarm(
    variants: str | Path | Sequence[Path], base: str | Path | None, group_id: str | None
) -> Group:
    files = _files(variants)
    infra = _infra_of(base)
    base_config = None if base is None or _only_infra(base) else LaunchConfig.from_yaml(base)
    runs: list[LaunchConfig] = []
    problems: list[Problem] = []
    for file in files:
        try:
            run = _load(file, base_config)
            if infra is not None:
                run = run.model_copy(update={"infra": infra})
            runs.append(_sharing(run, runs[0]) if runs else run)
        except ConfigError as error:
            problems.extend(
                Problem("", problem.render(error.file), None) for problem in error.problems
            )
    if problems:
        raise ConfigError(problems)
    _check_names(runs)
    if base_config is not None and not _is_bare(read_yaml(files[0]).data):
        _say_what_counts(str(base), base_config, runs[0])
    folders = {file.resolve().parent for file in files}
    source = folders.pop() if len(folders) == 1 else None
    return Group.of(group_id or _group_of(runs), runs, source)


def _only_infra(base: str | Path) -> bool:
    """Whether a file says only where runs are carried out."""
    content = read_yaml(base).data
    return isinstance(content, dict) and set(content) == {"infra"}


def _is_bare(content: object) -> bool:
    """Whether a variant is a name and a mixture, which a base completes."""
    return isinstance(content, dict) and set(content) <= _BARE_KEYS


def _say_what_counts(base: str, config: LaunchConfig, run: LaunchConfig) -> None:
    """Warn where variants that are whole configs differ from the base, which is not needed."""
    own = {"seed": run.training.seed}
    config = config.model_copy(update={"training": config.training.model_copy(update=own)})
    sections = [name for name in _SECTIONS if name != "infra"]
    differ = [name for name in sections if getattr(run, name) != getattr(config, name)]
    if differ:
        logger.warning(
            "%s: its %s %s not used: the variants are complete configs with their own. Rewrite "
            "them with `olmix generate --base %s` to use it",
            base, " and ".join(differ), "is" if len(differ) == 1 else "are", base,
        )  # fmt: skip


def _sharing(run: LaunchConfig, first: LaunchConfig) -> LaunchConfig:
    """Return a run that holds the sections of another where they are equal, in place of copies.

    Of 1,000 whole launch configs, 1,000 copies of the same data section would be looked through
    again and again by the garbage collector.
    """
    equal = {
        name: getattr(first, name)
        for name in _SECTIONS
        if getattr(run, name) == getattr(first, name)
    }
    return run.model_copy(update=equal)


def _files(variants: str | Path | Sequence[Path]) -> list[Path]:
    if not isinstance(variants, str | Path):
        return list(variants)
    path = Path(variants)
    if path.is_dir():
        files = sorted(path.glob("*.yaml"))
        if not files:
            raise ConfigError(
                [Problem("", "holds no *.yaml; write variants with `olmix generate`")], str(path)
            )
        return files
    return [path]


def _load(file: Path, base: LaunchConfig | None) -> LaunchConfig:
    read = read_yaml(file)
    content = read.data
    if not _is_bare(content):
        run = validate(LaunchConfig, content, read)
        if run.mix is None:
            raise ConfigError([Problem("mix", "is missing; a run needs a mixture")], str(file))
        return run
    variant = validate(VariantConfig, content, read)
    if base is None:
        raise ConfigError(
            [
                Problem(
                    "",
                    "is a bare variant (name and mix); pass its base, a whole launch config, with "
                    "-c/--config",
                )
            ],
            str(file),
        )
    try:
        return base.with_variant(variant, _group_in(variant.name) or base.group_id)
    except ConfigError as error:
        raise ConfigError(error.problems, str(file)) from None


def _group_in(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    return match[1] if match is not None else None


def _check_names(runs: Sequence[LaunchConfig]) -> None:
    names = [run.name for run in runs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError([Problem("name", f"two runs are called {name}") for name in twice])


def _group_of(runs: Sequence[LaunchConfig]) -> str:
    """Return the group that the configs name, or a hash of the runs where they name none."""
    groups = sorted({run.group_id for run in runs if run.group_id})
    if len(groups) > 1:
        raise OlmixError(
            f"the variants belong to {len(groups)} groups: {', '.join(groups)}. "
            "Launch one group at a time, or name one for all with -g/--group."
        )
    return groups[0] if groups else digest([run.name for run in runs])
