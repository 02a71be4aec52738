"""Write docs/glossary.md from the words that the report explains too. Run by `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

from olmix.records.fit.scores import LEVEL
from olmix.report.glossary import PARTS
from olmix.text.numbers import per_cent

HEADER = """\
# Glossary

Written from `report/glossary.py` by `make docs`; do not edit. Configs, code and reports use these
words in these meanings.
"""


def render() -> str:
    """Return the page."""
    level = per_cent(LEVEL)
    parts = [HEADER]
    for title, words in PARTS:
        lines = [f"## {title}\n", "| word | meaning |", "|---|---|"]
        for word in words:
            meaning = word.meaning.format(predicted=level, measured=level)
            lines.append(f"| **{word.term.format(predicted=level)}** | {meaning} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("glossary.md")
    target.write_text(render(), encoding="utf-8")
