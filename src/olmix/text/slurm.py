"""The parts of an `sbatch` script that sweeps and launches share; pure functions of text."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["compress", "directive_lines", "environment_lines"]

_PLAIN = frozenset("-:_./,+=%@")


def directive_lines(directives: Mapping[str, object]) -> Iterator[str]:
    """Yield ``#SBATCH --key=value`` for every value that is given, quoted where SLURM needs it.

    `True` stands for an option without a value; `None` and `False` leave the option out.
    """
    for key, value in directives.items():
        if value is None or value is False:
            continue
        if value is True:
            yield f"#SBATCH --{key}"
            continue
        text = str(value)
        plain = all(letter.isalnum() or letter in _PLAIN for letter in text)
        yield f"#SBATCH --{key}={text}" if plain else f'#SBATCH --{key}="{text}"'


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
