"""Any trainer that a command starts, as a framework of sweeps.

What the trainer reads stands in a base config, so that a misspelt key is found; what its config
means is its own business. That a run has ended well is known by a file beside its config, which
the run's command leaves only where the trainer ended with status 0.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.config.experiment import FrameworkConfig
from olmix.errors import ConfigError, nearest
from olmix.sweep.command.formats import FORMATS, read_text, render_text
from olmix.sweep.errors import ExperimentSchemaError, Finding
from olmix.sweep.experiment import Experiment
from olmix.sweep.framework import (
    Base,
    Framework,
    Note,
    Path_,
    RunFiles,
    Verdict,
    base_not_found,
)
from olmix.sweep.merge import at, flatten, has
from olmix.sweep.scalars import render_flow
from olmix.text.progress import OnProgress, Steps

__all__ = ["FRAMEWORK", "Command"]

_PLACE = re.compile(r"\{([A-Za-z_][\w.]*)\}")
_CONFIG, _FLAGS = "config", "flags"
_SCRIPT = ".sh"
_THEN_MARK = 'done="${0%.*}.done"; rm -f "$done"; "$@" && touch "$done"'
"""Runs the words behind the config file, and leaves a mark beside that where they succeed."""


class Command(Framework):
    """A trainer with a config file (YAML, JSON, TOML) or with flags."""

    name = "command"
    takes = frozenset({"base_config_file", "command", "check_command", "new_keys", "output_key"})
    needs_base = False

    def __init__(self, section: FrameworkConfig) -> None:
        super().__init__(section)
        places = set(_PLACE.findall(" ".join(section.command or ())))
        self._has_file = _CONFIG in places
        base = Path(str(section.base_config_file or "config.yaml"))
        # Without a config file, a run's file is its command, as a script.
        self.suffix = base.suffix.lower() if self._has_file else _SCRIPT
        self.output_key = tuple(section.output_key.split("."))

    def load_base(self, experiment: Experiment) -> Base:
        """Read the base config, if there is one.

        Raises:
            ExperimentSchemaError: there is no command, or it gets nothing of the experiment.
            BaseConfigNotFoundError: the file cannot be read.
        """
        words = self.section.command or ()
        places = set(_PLACE.findall(" ".join(words)))
        what = ""
        if not places:
            what = 'give the command that trains a run, such as [litgpt, finetune, "{config}"]; '
            what += "{config} is its config file, {flags} what the experiment sets"
        elif self._has_file and len(places) > 1:
            others = ", ".join(f"{{{name}}}" for name in sorted(places - {_CONFIG}))
            what = f"found {{config}} and {others}; the settings of a run are in its config file"
        elif self._has_file and self.section.base_config_file is None:
            what = (
                "a command with {config} needs a base_config_file with the keys that the "
                "trainer reads"
            )
        if what:
            finding = Finding(ExperimentSchemaError, what, ("framework_config", "command"))
            raise ExperimentSchemaError([experiment.problem(finding)], experiment.name)
        name = self.section.base_config_file
        if name is None:
            return Base("nothing", {}, None, words[0])
        path = Path(str(name))
        if path.suffix.lower() not in FORMATS:
            what = f"{path}: the suffix must say the format: {', '.join(FORMATS)}"
            raise base_not_found(experiment, what, "base_config_file")
        try:
            data, document = read_text(path.read_text("utf-8"), path.suffix.lower(), str(path))
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            what = str(error) if isinstance(error, ConfigError) else f"{path}: {error}"
            raise base_not_found(experiment, what, "base_config_file") from None
        return Base(str(path), data, document if self._has_file else None, words[0])

    def knows(self, base: Base, path: Path_) -> bool:
        """Whether a key stands in the base, or is said to be new."""
        return self._is_known(base, path)

    def _is_known(self, base: Base, path: Path_) -> bool:
        new = [tuple(key.split(".")) for key in self.section.new_keys]
        above = [path[:depth] for depth in range(1, len(path))]
        return (
            has(base.data, path)
            or any(path[: len(key)] == key for key in new)
            # What takes the place of a null, the base cannot say.
            or any(has(base.data, key) and at(base.data, key) is None for key in above)
        )

    def check_config(
        self, base: Base, config: Mapping[str, object], given: Iterable[Path_]
    ) -> list[Note]:
        """Return keys that the base has not, and names in the command that the config has not."""
        notes: list[Note] = []
        known = [".".join(path) for path, _ in flatten(base.data)]
        key = ".".join(self.output_key)
        is_used = f"{{{key}}}" in " ".join(self.section.command or ())
        if not self._is_known(base, self.output_key) and not is_used:
            what = f"{base.name} has no `{key}`, so a run is not told where to write; name "
            what += f"the key for it in output_key, or list {key} in new_keys"
            notes.append(Note((), what))
        for path in given:
            if not self._is_known(base, path) and path != self.output_key:
                name = ".".join(path)
                guess = nearest(name, known)
                hint = f"did you mean `{guess}`? If not, " if guess is not None else ""
                what = f"{base.name} has no `{name}`; {hint}list it in framework_config.new_keys"
                notes.append(Note(path, what))
        for word in self.section.command or ():
            for name in _PLACE.findall(word):
                if name not in (_CONFIG, _FLAGS) and not has(config, tuple(name.split("."))):
                    what = f"the command has {{{name}}}, and a run has no such key"
                    notes.append(Note((), what))
        return list(dict.fromkeys(notes))

    def render(
        self, base: Base, config: Mapping[str, object], given: Mapping[Path_, object]
    ) -> str:
        """Return the run's config, or the script that starts it with its flags."""
        if self._has_file:
            if base.document is not None:
                return base.document.render(config)
            return render_text(config, self.suffix)
        set_ = dict.fromkeys([path for path, _ in flatten(base.data)])
        flags = {**set_, **given, self.output_key: None}
        words = list(_fill(self.section.command or (), config, flags))
        return f"exec {shlex.join(words)}\n"

    def comment(self, text: str) -> str:
        """Return a text as comments of the run's file; JSON has none."""
        return "" if self.suffix == ".json" else super().comment(text)

    def read_config(self, file: Path) -> Mapping[str, object]:
        """Read a run's config again; a script holds none."""
        text = file.read_text(encoding="utf-8")
        return {} if self.suffix == _SCRIPT else read_text(text, self.suffix, str(file))[0]

    def validate(
        self, configs: Sequence[Path], method: str, on_progress: OnProgress | None = None
    ) -> list[Verdict]:
        """Ask `check_command` about every file; without one, nothing is checked."""
        if self.section.check_command is None:
            return super().validate(configs, method, on_progress)
        steps = Steps(on_progress, len(configs))
        verdicts: list[Verdict] = []
        for file in configs:
            words = list(_fill(self.section.check_command, {_CONFIG: str(file)}, {}))
            verdicts.append(_ask(words))
            steps("validate")
        return verdicts

    def command(self, recipe: str, config: str, gpus: int) -> list[str]:
        """Return the user's command, and what marks its success."""
        del recipe, gpus
        words = ["sh", config] if not self._has_file else list(self.section.command or ())
        filled = [word.replace(f"{{{_CONFIG}}}", config) for word in words]
        return ["sh", "-c", _THEN_MARK, config, *filled]

    def is_finished(self, run: RunFiles, last_step: int) -> bool:
        """Whether the trainer ended with status 0."""
        del last_step
        return run.file.with_suffix(".done").is_file()


def _fill(
    words: Sequence[str], config: Mapping[str, object], flags: Mapping[Path_, object]
) -> Iterator[str]:
    """Yield words with the values of a config put in."""
    for word in words:
        if word == f"{{{_FLAGS}}}":
            for path in flags:
                if has(config, path):
                    yield f"--{'.'.join(path)}={_plain(at(config, path))}"
        else:
            yield _PLACE.sub(lambda match: _plain(at(config, match[1].split("."))), word)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else render_flow(value)


def _ask(words: Sequence[str]) -> Verdict:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        return Verdict((f"{words[0]}: {error.strerror}",))
    if done.returncode == 0:
        return Verdict()
    said = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    return Verdict((said[-1] if said else f"{words[0]} ended with {done.returncode}",))


FRAMEWORK = Command
