"""The parts of an `sbatch` script that sweeps and launches share; pure functions of text."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from olmix.errors import DataError

__all__ = [
    "comment",
    "compress",
    "container_words",
    "directive_lines",
    "enter_folder",
    "environment_lines",
    "log_pattern",
    "own_environment",
]

_PLAIN = frozenset("-:_./,+=%@")


def directive_lines(directives: Mapping[str, object]) -> Iterator[str]:
    """Yield ``#SBATCH --key=value`` for every value that is given, quoted where SLURM needs it.

    `True` stands for an option without a value; `None` and `False` leave the option out.

    Raises:
        ValueError: a value with a line break, for which SLURM has no quotes.
    """
    for key, value in directives.items():
        if value is None or value is False:
            continue
        if value is True:
            yield f"#SBATCH --{key}"
            continue
        text = str(value)
        if "\n" in text or "\r" in text:
            raise ValueError(f"--{key}: a line break would end the line of {text!r}")
        if all(letter.isalnum() or letter in _PLAIN for letter in text):
            yield f"#SBATCH --{key}={text}"
        else:
            escaped = text.replace("\\", r"\\").replace('"', r"\"")
            yield f'#SBATCH --{key}="{escaped}"'


def log_pattern(folder: Path, name: str) -> str:
    """Return the pattern of a log: `name` is SLURM's pattern, the folder is taken literally.

    Raises:
        DataError: the folder's path holds a character that SLURM cannot write to.
    """
    text = str(folder)
    # A backslash makes SLURM take the whole path literally; nothing quotes it.
    bad = next((letter for letter in text if letter == "\\" or not letter.isprintable()), None)
    if bad is not None:
        raise DataError(
            f"{text!r}: SLURM cannot keep logs in a folder with {bad!r} in its path; choose another"
        )
    return f"{text.replace('%', '%%')}/{name}"


def comment(text: str) -> str:
    """Return a line of comment, whatever stands in the text."""
    return "# " + "".join(letter if letter.isprintable() else " " for letter in text)


def enter_folder(folder: Path) -> Iterator[str]:
    """Yield the lines that make a folder the current one."""
    text = str(folder)
    if set("$`") & set(text):
        # Dollars and backticks of a folder's name are meant to stay as they are.
        yield "# shellcheck disable=SC2016"
    yield f"cd {shlex.quote(text)}"


def environment_lines(
    modules: Iterable[str] = (),
    venv: str | None = None,
    conda: str | None = None,
    setup: Iterable[str] = (),
) -> Iterator[str]:
    """Yield the lines that load modules, enter an environment, and do what the user wrote."""
    names = " ".join(map(shlex.quote, modules))
    if names:
        yield f"module load {names}"
    if venv is not None:
        yield f'export PATH={shlex.quote(str(Path(venv) / "bin"))}:"$PATH"'
    if conda is not None:
        yield 'eval "$(conda shell.bash hook)"'
        yield f"conda activate {shlex.quote(conda)}"
    yield from setup


def own_environment() -> str | None:
    """Return the folder of the active environment; `None` for the system's Python."""
    own = sys.prefix != sys.base_prefix or (Path(sys.prefix) / "conda-meta").is_dir()
    return sys.prefix if own else None


def container_words(image: str, runtime: str, *, gpus: bool) -> list[str]:
    """Return the words before a command, ready for a shell, that run it in a container.

    Args:
        image: the container's image.
        runtime: `apptainer` or `pyxis`.
        gpus: whether the command sees GPUs; Pyxis always shows those of the job.
    """
    quoted = shlex.quote(image)
    if runtime == "pyxis":
        return ["srun", f"--container-image={quoted}", '--container-mounts="$PWD:$PWD"']
    return ["apptainer", "exec", *(["--nv"] if gpus else []), '--bind="$PWD"', quoted]


def compress(numbers: Sequence[int]) -> str:
    """Return array indices as SLURM reads them: 0, 1, 2, 5 are ``0-2,5``."""
    parts: list[str] = []
    ordered = sorted(numbers)
    start = 0
    for index in range(1, len(ordered) + 1):
        if index == len(ordered) or ordered[index] != ordered[index - 1] + 1:
            first, last = ordered[start], ordered[index - 1]
            parts.append(str(first) if first == last else f"{first}-{last}")
            start = index
    return ",".join(parts)
