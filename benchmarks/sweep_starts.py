"""Do the configs of `tune ls` start? `python benchmarks/sweep_starts.py [FAMILY ...]`.

Each is generated with every alias that it takes and goes through torchtune's own check; its models,
optimizer, schedule and losses are made (models without memory). Prints a row for each family.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/integration"))
from shipped_configs import Start, start

from olmix.sweep.torchtune.registry import read_registry


def _family(name: str) -> str:
    return name.partition("/")[0] if "/" in name else "(no family)"


def _row(family: str, starts: list[Start]) -> str:
    aliases = [len(found.aliases) for found in starts]
    made = [key for found in starts for key in found.made]
    models = sum(key.endswith("model") for key in made)
    missing = sorted({name for found in starts for name in found.missing})
    faults = sum(bool(found.faults) for found in starts)
    few, many = min(aliases), max(aliases)
    taken = str(few) if few == many else f"{few} to {many}"
    counts = f"{len(starts)} | {taken} | {models} | {len(made) - models} | {faults}"
    return f"| {family} | {counts} | {', '.join(missing) or '-'} |"


def main(families: list[str]) -> None:
    """Try all configs of the families named, or of all."""
    names = [n for n in read_registry().configs if not families or _family(n) in families]
    print("| family | configs | aliases set | models made | other parts | fail | not here |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for family, group in itertools.groupby(sorted(names, key=_family), _family):
            starts = []
            for name in group:
                starts.append(start(name, Path(folder, name)))
                for fault in starts[-1].faults:
                    print(f"{name}: {fault}", file=sys.stderr)
            print(_row(family, starts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
