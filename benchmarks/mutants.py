"""Are the tests of what decides any good? `python benchmarks/mutants.py [WORD ...]`.

Every entry changes one line of a copy of the package to one that is wrong; the tests named beside
it must fail. A change that they let pass is a hole in them: write the test. With WORDs only entries
whose file or line holds one of them are tried. The list grows with each fault that is found. It
prints survivors as they come, and a table with a line for every file. The exit status is the number
of changes that survived or no longer fit the code.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


IMPORTED = ("cvxpy", "numpy", "pydantic", "scipy.optimize", "scipy.stats", "yaml")
"""Imported once for all changes: what the tests spend most of their time with."""


@dataclass(frozen=True)
class Mutant:
    """A change that is wrong.

    Attributes:
        file: below `src/olmix`.
        old: what stands there, once.
        new: what takes its place.
        tests: below `tests`, those that must fail.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _entries(file: str, tests: str, *changes: tuple[str, str]) -> list[Mutant]:
    return [Mutant(file, old, new, tuple(tests.split())) for old, new in changes]


MUTANTS = [
    # Mixture arithmetic.
    *_entries(
        "mixture.py",
        "unit/test_mixture.py",
        ("scale = 1.0 if abs(total - 1) < 1e-12 else 1 / total", "scale = 1.0"),
        ("elif abs(total - 1) > _SUM_TOLERANCE:", "elif total - 1 > _SUM_TOLERANCE:"),
        ("weights * max_tokens / token_counts, 1.0", "weights * max_tokens / token_counts, 0.0"),
        ('_number(entry["weight"], name, problems) * above.weight', '_number(entry["weight"], name, problems)'),
        ("share.weight < 0 or share.weight > 1", "share.weight > 1"),
        ("    if abs(inner - 1) > _SUM_TOLERANCE:", "    if inner - 1 > _SUM_TOLERANCE:"),
        ("self[name].weight if name in self else 0.0", "self[name].weight if name in self else 1.0"),
    ),
    *_entries(
        "simplex.py",
        "property/test_simplex.py",
        ("np.power(np.maximum(array, 1e-300), temperature)", "np.maximum(array, 1e-300)"),
        ("room = bounded - clipped", "room = bounded"),
        ("left = np.maximum(1 - (np.cumsum(ceiling, axis=-1) - ceiling), 0.0)", "left = np.maximum(1 - np.cumsum(ceiling, axis=-1), 0.0)"),
        ("caps = np.where(caps < floor, 0.0, caps)", "caps = np.where(caps < floor, floor, caps)"),
        ("bounded = np.where(live, np.minimum(np.asarray(caps, dtype=np.float64), 1.0), 0.0)", "bounded = np.minimum(np.asarray(caps, dtype=np.float64), 1.0)"),
        ("np.sqrt(np.maximum(1 - x @ y.T, 0.0))", "np.maximum(1 - x @ y.T, 0.0)"),
        ("support[candidates[np.argmin(row[candidates])]] = False", "support[candidates[np.argmax(row[candidates])]] = False"),
        ("order = np.lexsort((-caps, -rows), axis=-1)", "order = np.lexsort((-caps, rows), axis=-1)"),
        ("base = np.where(support, floor, 0.0)", "base = np.zeros_like(floor)"),
    ),
    *_entries(
        "simplex.py",
        "unit/fit/propose/test_feasible.py",
        ("available = passes * np.asarray(counts, dtype=np.float64)", "available = np.asarray(counts, dtype=np.float64)"),
        ("np.minimum(available / tokens, 1.0)", "available / tokens"),
    ),
    # Joins of the two tables.
    *_entries(
        "fit/swarm.py",
        "unit/fit/test_swarm.py",
        ("return {run: chosen.values[position[run]] for run in runs}", "return {run: chosen.values[index] for index, run in enumerate(runs)}"),
        ("runs = sorted(set(ratios.runs) & set(metrics.runs))", "runs = sorted(ratios.runs)"),
        ("weights = {run: row / np.sort(row).sum()", "weights = {run: row"),
        ("np.round(mixtures[:, order], SAME_DECIMALS) + 0.0", "mixtures[:, order] + 0.0"),
        ("oriented = (self.values * self.signs).T", "oriented = self.values.T"),
        ("held |= group == mixture", "held[int(np.flatnonzero(group == mixture)[0])] = True"),
        ("return totals / np.where(counts > 0, counts, 1.0), counts", "return totals, counts"),
        ("if first.setdefault(key, run) != run:", "if first.setdefault(key, run) == run:"),
    ),
    *_entries(
        "text/csv.py",
        "unit/text/test_csv.py unit/text/test_files.py unit/fit/test_swarm.py",
        ("return self.values[[position[run] for run in runs]]", "return self.values[: len(runs)]"),
        ("return self.values[:, [position[name] for name in columns]]", "return self.values[:, : len(columns)]"),
        ('if text == "":\n        return math.nan', 'if text == "":\n        return 0.0'),
    ),
    # The objective.
    *_entries(
        "records/metric.py",
        "property/test_one_objective.py unit/records/test_metric.py",
        ("return 1.0 if self.lower_is_better else -1.0\n\n    @property\n    def unit", "return 1.0\n\n    @property\n    def unit"),
        ("return math.fsum(parts) / math.fsum(metric.weight for metric in self.metrics)", "return math.fsum(parts) / len(self.metrics)"),
        ("return self.sign * (over - value)", "return over - value"),
        ("return any(metric.lower_is_better for metric in self.metrics)", "return all(metric.lower_is_better for metric in self.metrics)"),
        ("used = tuple(metric for metric in metrics if metric.weight > 0)", "used = tuple(metrics)"),
        ("m.weight / total * (self.sign * m.sign) * values[m.name]", "m.weight / total * m.sign * values[m.name]"),
        ("return next(iter((*said, *told)), True)", "return next(iter((*told, *said)), True)"),
        ("return max(found, key=lambda one: one[:2])[2] if found else None", "return min(found, key=lambda one: one[:2])[2] if found else None"),
    ),
    # Proposals.
    *_entries(
        "fit/propose/objective.py",
        "unit/fit/propose/test_objective.py unit/fit/propose/test_exact.py unit/fit/propose/test_robust_proposals.py",
        ("np.where(mixtures > 0, mixtures * ratio, 0.0)", "np.where(mixtures > 0, ratio, 0.0)"),
        ("total += self.kl_weight * (np.log(ratio) + 1)", "total += self.kl_weight * np.log(ratio)"),
        ("return np.asarray(self.base + self.slope * nearest)", "return np.asarray(self.base + 0 * nearest)"),
        ("-0.25 * self.slope / distance * ratio", "-0.5 * self.slope / distance * ratio"),
        ("over = (self.law.predict(mixtures) - self.bound) / self.scale", "over = self.law.predict(mixtures) - self.bound"),
        ("steep = 2 * self.penalty *", "steep = self.penalty *"),
        ("and (self.risk is None or self.risk.slope == 0)", "and True"),
    ),
    *_entries(
        "fit/propose/feasible.py",
        "unit/fit/propose/test_feasible.py",
        ("caps = np.where(live | pinned, caps, 0.0)", "caps = np.where(live, caps, caps)"),
        ("whole[..., self.free] = self.free_total * shares", "whole[..., self.free] = shares"),
        ("if room < left - _TOLERANCE and not problems:", "if room < 0 and not problems:"),
        ("if fix and weight > cap + _TOLERANCE", "if fix and weight > 1 + _TOLERANCE"),
    ),
    *_entries(
        "fit/propose/proposal.py",
        "unit/fit/propose/test_proposals.py unit/fit/propose/test_robust_proposals.py",
        ("direction = -1.0 if fit.config.proposer.make_worst_mix else 1.0", "direction = 1.0"),
        ('start = fit.natural if asked.floors_at == "prior" else', 'start = fit.natural if asked.floors_at != "prior" else'),
        ("else kl * scale", "else kl"),
        ("factor = number * errors.quantile / NORMAL_QUANTILE", "factor = errors.quantile / NORMAL_QUANTILE"),
    ),
    # Intervals.
    *_entries(
        "fit/calibration.py",
        "unit/fit/test_calibration.py",
        ("stats.t.ppf(0.5 + LEVEL / 2, freedom)", "stats.t.ppf(LEVEL, freedom)"),
        ("rank = int(np.ceil((count + 1) * level))", "rank = int(np.ceil(count * level))"),
        ("return float(ordered[-1] * (1 + 2 / count))", "return float(ordered[-1])"),
        ("_typical(size[~out], distances[~out], least)", "_typical(size, distances, least)"),
        ("noise = max(noise, noise_sd**2 * (freedom + _SHY) / freedom)", "noise = noise_sd**2"),
        ("return float(np.sqrt(noise * (2 - min(ratio, 1.0))))", "return float(np.sqrt(noise))"),
        ("rate = low == 0.0 and not lower_is_better and seen.max() <= 1", "rate = low == 0.0 and seen.max() <= 1"),
    ),
    *_entries(
        "records/fit/scores.py",
        "unit/fit/test_calibration.py unit/records/fit",
        ("growth = np.fmax(1.0, share) ** 2", "growth = 1.0"),
        ("self.quantile * (self.base + self.slope * far) * growth", "self.quantile * self.base * growth"),
        ("np.fmin(np.fmax(values, self.lowest), self.highest)", "values"),
    ),
    *_entries(
        "fit/uncertainty.py",
        "unit/fit/test_uncertainty.py",
        ("max(self.fit.cv_mse * max(1.0, self.far[index] ** 2), beyond**2)", "max(self.fit.cv_mse, beyond**2)"),
        ("self.fit.cv_mse * max(1.0, self.far[index] ** 2), beyond**2)", "self.fit.cv_mse * max(1.0, self.far[index] ** 2), 0.0)"),
        ("mean = float(boot.mean[other] - boot.mean[proposed])", "mean = float(boot.mean[proposed] - boot.mean[other])"),
        ("variance = _variance(differences) + boot.error(proposed) + boot.error(other)", "variance = _variance(differences)"),
        ("tried * rank_p_value(", "rank_p_value("),
    ),
    *_entries(
        "verify/compare.py",
        "unit/verify/test_verify.py",
        ("paired_gain(objective.sign * (values[other] - values[\"proposed\"]))", "paired_gain(values[other] - values[\"proposed\"])"),
        ("values.std(ddof=1) / math.sqrt(len(values))", "values.std() / math.sqrt(len(values))"),
        ("half = float(stats.t.ppf(0.5 + LEVEL / 2, freedom)) * error", "half = 1.6449 * error"),
        ("elif gain.low > 0:", "elif gain.mean > 0:"),
        ("p_value = float(2 * stats.t.sf(abs(t), freedom))", "p_value = float(stats.t.sf(abs(t), freedom))"),
    ),
    # Quotas: which window of which domain a step takes.
    *_entries(
        "mixing/quota.py",
        "property/test_quota.py",
        ("behind = share * (slot + 1) - count", "behind = share * slot - count"),
        ("deadline = (1 - slack - behind) / share", "deadline = (1 - behind) / share"),
        ("live = np.flatnonzero(everyone > 0)", "live = np.arange(len(everyone))"),
    ),
    *_entries(
        "mixing/windows.py",
        "unit/train/proxy/test_batches.py",
        ("epochs, places = np.divmod(visits, domain.num_windows)", "epochs, places = visits * 0, visits % domain.num_windows"),
        ("max(0, (len(file) - 1) // self.context_length)", "max(0, len(file) // self.context_length)"),
        ("if tokens > factor * domain.num_tokens * (1 + _ROUNDING):", "if tokens > 2 * factor * domain.num_tokens:"),
        ("np.random.default_rng([seed, key, epoch])", "np.random.default_rng([seed, epoch])"),
        ("ordered = tuple(sorted(domains, key=lambda domain: domain.name))", "ordered = tuple(domains)"),
    ),
    # Resume: which run is which, and what is done.
    *_entries(
        "train/proxy/checkpoint.py",
        "unit/train/proxy",
        ("if position.identity != identity or not same:", "if not same:"),
    ),
    *_entries(
        "train/proxy/run.py",
        "unit/train/proxy/test_proxy_group.py",
        ("if stored is not None and not _holds(folder.metrics, stored[0].metrics_bytes):", "if False:"),
        ("losses=tuple(self._losses),", "losses=(),"),
    ),
    *_entries(
        "records/run.py",
        "unit/text/test_files.py",
        ('return status.state == "finished" and status.identity == identity and', 'return status.state == "finished" and'),
    ),
    *_entries(
        "records/identity.py",
        "unit/records/test_identity.py",
        ('for name, share in config.mix.to_plain().items() if share["weight"] > 0}', "for name, share in config.mix.to_plain().items()}"),
        ('"tokenizer": _contents([config.data.tokenizer], "data.tokenizer"),', '"tokenizer": None,'),
        ('for key in ("chinchilla_multiple", "checkpoint_interval_s", "target_parameters"):', 'for key in ("chinchilla_multiple", "checkpoint_interval_s", "target_parameters", "seed"):'),
    ),
    *_entries(
        "sweep/keep_ids.py",
        "unit/sweep/test_own_folders.py unit/sweep/test_sweep_generate.py",
        ("free = 1 + max(int(name.partition(\"_\")[2]) for name in used)", "free = len(old)"),
        ("return _with_ids(plan, old, target, others)", "return _with_ids(plan, old, target, known)"),
    ),
    # Merging a config into another.
    *_entries(
        "sweep/merge.py",
        "property/test_merge.py unit/sweep/test_sweep_generate.py unit/sweep/test_bad_experiments.py",
        ("or {before, after} <= _NUMBERS", "or {before, after} <= {*_NUMBERS, 'bool'}"),
        ("config = work.mappings(copy.deepcopy(dict(base)), override, ())", "config = work.mappings(dict(base), override, ())"),
        ("if key != COMPONENT and key not in parameters.kinds and key not in override", "if key != COMPONENT and key not in parameters.kinds"),
        ("if base.pop(key, DELETE) == DELETE:", "if base.pop(key, DELETE) == key:"),
        ("return all(int(index) < len(entries) for index in numbered)", "return True"),
        ("base[key] = copy.deepcopy(new)", "base[key] = new"),
    ),
    # What is collected.
    *_entries(
        "collect/rows.py",
        "unit/collect",
        ("rows.values[record.name] = {c: math.nan if c in bad else v for c, v in values.items()}", "rows.values[record.name] = dict(values)"),
        ("usable = [r for r in records if r.state in USABLE or (options.unfinished and _ran(r))]", "usable = [r for r in records if r.state in USABLE or _ran(r)]"),
    ),
    *_entries(
        "collect/mixes.py",
        "unit/collect",
        ("weights = {name: value / total for name, value in numbers.items()}\n        return Told(weights, \"in per cent", "weights = dict(numbers)\n        return Told(weights, \"in per cent"),
        ("fits = abs(total - tokens) <= _TOLERANCE * tokens", "fits = True"),
    ),
]  # fmt: skip


def run(mutant: Mutant, package: Path) -> str:
    """Return what became of a change: `killed`, or why not."""
    file = package / "olmix" / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        return f"stands {text.count(mutant.old)} times in the code, not once"
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        status = _test(mutant.tests, package)
    finally:
        file.write_text(text, encoding="utf-8")
    return {0: "SURVIVED", 1: "killed"}.get(status, f"the tests do not run: status {status}")


def _test(tests: tuple[str, ...], package: Path) -> int:
    """Run tests in a fork of this process, which has imported all but the package itself."""
    child = os.fork()
    if child == 0:
        silent = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silent, descriptor)
        sys.path.insert(0, str(package))
        os.environ |= {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        words = ["-q", "-x", "-p", "no:cacheprovider"]
        status = pytest.main([*words, *(str(ROOT / "tests" / name) for name in tests)])
        os._exit(int(status))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _tried(mutant: Mutant, package: Path) -> bool:
    """Try a change and say so where it is not killed; whether it is."""
    found = run(mutant, package)
    if found != "killed":
        what = f"{mutant.file}: {mutant.old} -> {mutant.new}: {found}"
        print(what, file=sys.stderr, flush=True)
    return found == "killed"


def main() -> int:
    """Try the changes; returns how many are not killed."""
    chosen = [
        mutant
        for mutant in MUTANTS
        if not sys.argv[1:] or any(w in f"{mutant.file} {mutant.old}" for w in sys.argv[1:])
    ]
    started, left = time.perf_counter(), 0
    for name in IMPORTED:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder)
        shutil.copytree(
            ROOT / "src", package, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
        for tests in dict.fromkeys(mutant.tests for mutant in chosen):
            if _test(tests, package):
                print(f"{' '.join(tests)}: fails without any change", flush=True)
                return 1
        print("| file | changed lines | noticed |\n|---|---|---|", flush=True)
        for file in dict.fromkeys(mutant.file for mutant in chosen):
            here = [mutant for mutant in chosen if mutant.file == file]
            killed = sum(_tried(mutant, package) for mutant in here)
            left += len(here) - killed
            print(f"| `{file}` | {len(here)} | {killed} |", flush=True)
    seconds = time.perf_counter() - started
    print(f"{len(chosen) - left} of {len(chosen)} killed in {seconds:.0f} s", flush=True)
    return left


if __name__ == "__main__":
    sys.exit(main())
