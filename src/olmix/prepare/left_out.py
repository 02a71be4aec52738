"""Text of a domain that is not in its token files: how much of it, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from olmix.records.prepared import LeftOutTexts, Reason
from olmix.text.numbers import counted

__all__ = ["Tally"]


@dataclass
class Tally:
    """Keeps count while the texts of a domain are read.

    Attributes:
        warnings: what is skipped or changed, in words.
    """

    warnings: list[str] = field(default_factory=list)
    _texts: Counter[Reason] = field(default_factory=Counter)
    _bytes: Counter[Reason] = field(default_factory=Counter)
    _noted: Counter[str] = field(default_factory=Counter)

    def leave_out(self, reason: Reason, size_bytes: int, texts: int = 1) -> None:
        """Note texts that are left out."""
        if texts:
            self._texts[reason] += texts
            self._bytes[reason] += size_bytes

    def pass_over(self, name: str, why: str, size_bytes: int = 0) -> None:
        """Note a file that cannot be read."""
        self.leave_out("not readable", size_bytes)
        self.warnings.append(f"{name}: skipped: {why}")

    def note(self, what: str) -> None:
        """Note a file of which something is to be said that many files have in common."""
        self._noted[what] += 1

    def notes(self, domain: str) -> list[str]:
        """Return in words, with their number, what was noted of files."""
        return [
            f"domain {domain}: {what} ({counted(count, 'file')})"
            for what, count in self._noted.items()
        ]

    def left_out(self) -> tuple[LeftOutTexts, ...]:
        """Return all that was left out, by its reason."""
        return tuple(LeftOutTexts(why, self._texts[why], self._bytes[why]) for why in self._texts)
