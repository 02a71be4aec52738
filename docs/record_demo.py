"""Record the demo in a terminal: docs/pictures/demo.svg, from what `make demo` really prints.

    make recording                                     # runs the demo, a minute and a half
    python docs/record_demo.py olmix quickstart --runs 12    # another command

The picture moves by CSS alone. Pauses are cut to 0.4 s, and readers who want no motion see the last
screen.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

TARGET = Path(__file__).resolve().parent / "pictures" / "demo.svg"
ROWS, COLUMNS, LINE, LETTER, MARGIN = 28, 100, 20, 8.4, 16
LONGEST_PAUSE_S, SHORTEST_S = 0.4, 0.04
_HOLD_S = 0.5
Line = tuple[float, str]


def record(words: Sequence[str], folder: Path) -> list[Line]:
    """Run a command in a folder and return (seconds, line) of all that it prints.

    Raises:
        SystemExit: the command failed.
    """
    lines = [(0.0, "$ " + " ".join(words))]
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", *words] if words[0] == "olmix" else words,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        began = time.monotonic()
        for line in process.stdout or ():
            lines.append((time.monotonic() - began, line.rstrip("\n").replace(f"{folder}/", "")))
    if process.returncode != 0:
        sys.exit("\n".join(line for _, line in lines[-5:]))
    return lines


def quickened(lines: Sequence[Line]) -> list[Line]:
    """Return the lines with times that a reader has patience for."""
    found, now, before = [], 0.0, 0.0
    for at, text in lines:
        now += min(max(at - before, SHORTEST_S), LONGEST_PAUSE_S)
        before = at
        found.append((now, text))
    return found


def wrapped(lines: Sequence[Line]) -> list[Line]:
    """Break lines that are wider than the terminal, as a terminal does."""
    return [
        (at, text[start : start + COLUMNS])
        for at, text in lines
        for start in range(0, max(len(text), 1), COLUMNS)
    ]


def render(lines: Sequence[Line], seconds: float) -> str:
    """Return lines as a terminal in SVG that shows each at its time and scrolls.

    Args:
        lines: (seconds, text) in order.
        seconds: how long it really took, which the title says.
    """
    width, height = COLUMNS * LETTER + 2 * MARGIN, ROWS * LINE + 2 * MARGIN + LINE
    total = lines[-1][0] + _HOLD_S
    frames = [
        f"{100 * at / total:.3f}% {{ transform: translateY({-LINE * (index + 1 - ROWS)}px) }}"
        for index, (at, _) in enumerate(lines)
        if index >= ROWS
    ]
    end = -LINE * max(0, len(lines) - ROWS)
    rows = [
        f'<text y="{(index + 1) * LINE}" class="{_kind(text)}" style="animation-delay:{at:.2f}s">'
        f"{escape(text)}</text>"
        for index, (at, text) in enumerate(lines)
        if text
    ]
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" role="img">
<title>The demo in a terminal; it took {seconds:.0f} s, shown in {total:.0f} s.</title>
<style>
text {{ font: 14px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d7dae0;
  white-space: pre; opacity: 0; animation: show 1ms forwards }}
.command {{ fill: #8fd18a; font-weight: 600 }}
.done {{ fill: #7cc4f5 }}
#lines {{ transform: translateY({end}px); animation: scroll {total:.2f}s step-end both }}
@keyframes show {{ to {{ opacity: 1 }} }}
@keyframes scroll {{ 0% {{ transform: none }} {" ".join(frames)} }}
@media (prefers-reduced-motion: reduce) {{ text, #lines {{ animation: none; opacity: 1 }} }}
</style>
<rect width="100%" height="100%" rx="8" fill="#1d2027"/>
<svg x="{MARGIN}" y="{MARGIN}" width="{width - 2 * MARGIN:g}" height="{ROWS * LINE + 6}">
<g id="lines">
{chr(10).join(rows)}
</g></svg></svg>
"""


def _kind(text: str) -> str:
    if text.startswith("$"):
        return "command"
    return "done" if text.startswith("✓") else "said"


def main(words: Sequence[str], folder: Path) -> None:
    """Record a command that runs in a folder, and write the picture."""
    lines = record(words, folder)
    picture = render(wrapped(quickened(lines)), lines[-1][0])
    TARGET.write_text(picture, encoding="utf-8")
    sys.stdout.write(f"{TARGET}\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as empty:
        main(sys.argv[1:] or ["olmix", "quickstart"], Path(empty))
