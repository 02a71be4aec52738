"""`olmix quickstart`: the public commands in a row, each one printed as it is typed."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from olmix.cli.options import FiniteNumber, RenamedOption, WholeNumber, together
from olmix.cli.study import AVERAGE, DEFAULT_RUNS, DEFAULT_TOKENS, Study, study_configs
from olmix.cli.terminal import done, resolved, shell_line
from olmix.errors import ConfigError, DataError, LaunchError, Problem, nearest, require
from olmix.text.numbers import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["quickstart"]

LEAST_TOKENS = 20_000
MOST_TOKENS = 20_000_000
NUM_MIXTURES = 4
FIXED_S = 25.0
"""Seconds of a loop that do not grow with the runs: starting workers, compiling, fitting, plots."""
ROUND_S = 10.0
"""Seconds that each further round takes for its fit and its files."""
_LEAST_RUN_S = 0.1
"""Seconds of a run in a launch that trained; where all were finished before, it takes less."""
_NOT_AS_PLANNED = 0.25
"""Share of the time planned from which a difference is spoken of."""
TRAINING_SHARE = 0.8
"""Share of a worker's time that is training; the rest is evaluation and files."""

_NEEDED = (
    *("tokenizers", "jax", "optax"),
    *("scipy", "cvxpy", "clarabel", "matplotlib", "jinja2", "threadpoolctl"),
)
"""Packages of the steps beside the base install: all that is missing is named before the first."""


@dataclass(frozen=True)
class _QuickstartPlan:
    """The settings of one quickstart.

    Attributes:
        work: folder of everything.
        target: `average`, or the domain whose validation loss counts.
        seed: seed of the whole loop.
        runs: runs of the swarm.
        seeds: seeds of the verification.
        max_tokens: tokens of one run.
        rounds: rounds of the swarm; the first takes half of the runs at least.
        scales: sizes of the ladder, as it is typed; nothing without one.
    """

    work: Path
    target: str
    seed: int
    runs: int
    seeds: int
    max_tokens: int
    rounds: int = 1
    scales: str = ""

    @property
    def later_runs(self) -> int:
        """Runs of each round after the first."""
        return self.runs // (self.rounds + 1) if self.rounds > 1 else 0

    @property
    def first_runs(self) -> int:
        """Runs of the first round, references and their replicates included."""
        return self.runs - (self.rounds - 1) * self.later_runs

    @property
    def variants(self) -> Path:
        """Folder of the variants; another length or seed makes another swarm."""
        return self.work / "variants" / f"{self.max_tokens}-tokens-seed-{self.seed}"


@dataclass(frozen=True)
class _Asked:
    """The options of the command."""

    target: str | None
    data: Path | None
    held_out: tuple[str, ...]
    runs: int
    tokens: int
    budget: float | None
    seeds: int
    rounds: int
    scales: str
    seed: int
    output: Path


@click.command()
@click.option(
    "--target",
    help="What to be good at: a domain, held out or not, or `average` over the training domains.  "
    "[default: networkx, or average with --data]",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Your texts: one subfolder per domain."
)
@click.option("--held-out", multiple=True, help="A subfolder to keep out of training.")
@click.option(
    "--runs",
    type=click.IntRange(min=6),
    default=DEFAULT_RUNS,
    show_default=True,
    help="Runs of the swarm.",
)
@click.option(
    "--max-tokens",
    "tokens",
    cls=RenamedOption,
    old=("--tokens",),
    type=WholeNumber(LEAST_TOKENS, MOST_TOKENS),
    default=DEFAULT_TOKENS,
    show_default=True,
    help="Tokens of one run.",
)
@click.option(
    "--budget",
    type=FiniteNumber(min=1),
    help="Seconds for the whole loop; sets the tokens per run.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=3),
    default=5,
    show_default=True,
    help="Fresh seeds for the verification.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, 8),
    default=1,
    show_default=True,
    help="Rounds of the swarm; the fit so far places each round after the first.",
)
@click.option(
    "--scales",
    default="",
    help="End with a ladder at these sizes, such as 1,4: multiples of tokens and parameters.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("quickstart"),
    show_default=True,
    help="Folder for everything that is written.",
)
@together(_Asked)
def quickstart(asked: _Asked) -> None:
    """Run the whole loop on this machine, from texts to a proposed and verified mixture.

    It needs no account, no GPU and no download. Every step is one public command, which is printed,
    so that you can repeat and change it. After Ctrl-C, a second start picks up where it left off.
    """
    started, output = time.monotonic(), asked.output
    commands = _Commands()
    if asked.target is not None:
        _check_target(asked.target, _domains_of(asked.data))
    _check_ladder(asked.rounds, asked.runs, asked.scales)
    built_in = () if asked.data is not None or asked.held_out else ("networkx",)
    require((*built_in, *_NEEDED), "quickstart", "olmix quickstart")
    words = ["prepare", "-o", str(output / "data"), "--seed", str(asked.seed)]
    words += ["--data", str(asked.data)] if asked.data is not None else []
    words += [word for name in asked.held_out for word in ("--held-out", name)]
    commands.run(*words)
    texts = _ExampleTexts(output / "data")
    aim = _target(asked.target, asked.data, texts)
    plan = _QuickstartPlan(
        output,
        aim,
        asked.seed,
        asked.runs,
        asked.seeds,
        asked.tokens,
        asked.rounds,
        asked.scales,
    )
    _write_configs(plan, texts, only="launch.yaml")
    speed = output / "speed.json"
    is_new = not speed.exists()
    if is_new:
        commands.run("launch", "measure", "-c", str(output / "launch.yaml"), "-o", str(speed))
    rate = _rate(speed)
    if asked.budget is not None:
        plan = _within(plan, asked.budget - (time.monotonic() - started), rate)
    _write_configs(plan, texts)
    _check_sizes(output / "launch.yaml", asked.scales)
    if is_new:
        commands.ends = planned = _announce(plan, rate)
    else:
        planned = None
    _run_loop(plan, commands)
    commands.write_times(output / "seconds.json")
    took = _taken(time.monotonic() - started, planned and planned - started)
    done(f"{took}; change any file in {output}/ and repeat any command")


def _taken(seconds: float, planned: float | None) -> str:
    """Return how long the loop took, and why not as long as planned."""
    if planned is None or abs(seconds - planned) <= _NOT_AS_PLANNED * planned:
        return f"the loop took {seconds:.0f} s"
    how = "slower" if seconds > planned else "faster"
    return (
        f"the loop took {seconds:.0f} s; {planned:.0f} s were planned, the machine was {how} than "
        "measured before the first run"
    )


class _ExampleTexts:
    """The texts that `olmix prepare` wrote to a folder."""

    def __init__(self, folder: Path) -> None:
        from olmix.config import read_yaml
        from olmix.records.prepared import read_prepared

        self.folder = folder
        self.section: dict[str, Any] = read_yaml(folder / "data.yaml").data["data"]
        found = read_prepared(folder)
        if found is None:
            raise DataError(f"{folder}: `olmix prepare` has not written it; remove it")
        self.all = tuple(found.domains)
        self.trained = tuple(name for name in self.all if not found.domains[name].held_out)
        self.tokens = sum(found.domains[name].train_tokens for name in self.trained)

    def data_config(self, work: Path) -> dict[str, object]:
        """Return the data section with paths relative to the folder of the configs."""
        prefix = os.path.relpath(self.folder, work)
        sources = [
            {**source, "paths": [f"{prefix}/{path}" for path in source["paths"]]}
            for source in self.section["sources"]
        ]
        tokenizer = f"{prefix}/{self.section['tokenizer']}"
        return {**self.section, "tokenizer": tokenizer, "sources": sources}

    def validation(self, work: Path) -> dict[str, list[str]]:
        """Return the validation file of every domain."""
        prefix = os.path.relpath(self.folder, work)
        return {name: [f"{prefix}/validation/{name}.bin"] for name in self.all}


def _domains_of(data: Path | None) -> tuple[str, ...]:
    """Return the domains that `olmix prepare` would make, without reading a text."""
    from olmix.prepare.corpora import CORPORA
    from olmix.prepare.folder import list_domains

    if data is None:
        return tuple(corpus.name for corpus in CORPORA)
    return tuple(domain.name for domain in list_domains(data))


def _target(target: str | None, data: Path | None, texts: _ExampleTexts) -> str:
    """Return what to be good at.

    Raises:
        ConfigError: there is no such domain.
    """
    if target is None:
        return "networkx" if data is None else AVERAGE
    _check_target(target, texts.all)
    return target


def _check_ladder(rounds: int, runs: int, scales: str) -> None:
    """Refuse rounds of too few runs, and sizes that are none, before anything is done."""
    from olmix.verify import check_scales, read_scales

    least = 6 * (rounds + 1)
    if rounds > 1 and runs < least:
        what = f"found {runs}; {rounds} rounds need at least {least}"
        raise ConfigError([Problem("--runs", what)])
    if scales:
        check_scales(read_scales(scales))


def _check_sizes(launch: Path, scales: str) -> None:
    """Refuse a ladder of models or lengths that the trainer refuses, before the first run.

    Raises:
        ConfigError: says what it refuses.
    """
    from olmix.config import LaunchConfig
    from olmix.verify import at_scale, read_scales

    if scales:
        base = LaunchConfig.from_yaml(launch)
        for scale in read_scales(scales):
            at_scale(base, scale)


def _check_target(target: str, known: Sequence[str]) -> None:
    if target == AVERAGE or target in known:
        return
    guess = nearest(target, known)
    hint = f" Did you mean {guess}?" if guess is not None else ""
    raise ConfigError(
        [Problem("--target", f"found {target}; allowed: average, {', '.join(known)}.{hint}")]
    )


def _measured(speed: Path) -> float:
    """Return the tokens that one run trains on in a second, by what `launch measure` wrote.

    Raises:
        DataError: it wrote something else.
    """
    from olmix.records.log_readers import number
    from olmix.text.files import read_json

    plain = read_json(speed)
    found = number(plain.get("tokens_per_second")) if isinstance(plain, dict) else None
    if found is None or not 0 < found < math.inf:
        raise DataError(
            f"{speed}: tokens_per_second is no number above 0. Remove the file: it is measured anew"
        )
    return found


def _rate(speed: Path) -> float:
    """Return how many tokens this machine trains on in a second."""
    from olmix.launch.local.workers import available_cores

    return _measured(speed) * len(available_cores()) * TRAINING_SHARE


def _num_runs(plan: _QuickstartPlan) -> int:
    """Return how many runs of the swarm take as long as all that are trained."""
    return plan.runs + NUM_MIXTURES * plan.seeds + _ladder_runs(plan)


def _fixed_s(plan: _QuickstartPlan) -> float:
    return FIXED_S + ROUND_S * (plan.rounds - 1)


def _announce(plan: _QuickstartPlan, rate: float) -> float:
    """Say how long the loop will take; return when it ends, by the clock of `time.monotonic`."""
    from olmix.text.numbers import duration

    seconds = _fixed_s(plan) + _num_runs(plan) * plan.max_tokens / rate
    click.echo(f"the loop takes about {duration(seconds)} more on this machine", err=True)
    return time.monotonic() + seconds


def _within(plan: _QuickstartPlan, seconds: float, rate: float) -> _QuickstartPlan:
    """Choose the length of the runs such that the loop takes about `seconds`.

    Raises:
        LaunchError: there is too little time for runs that mean anything.
    """
    from dataclasses import replace

    num_runs, fixed = _num_runs(plan), _fixed_s(plan)
    tokens = int(rate * (seconds - fixed) / num_runs)
    if tokens < LEAST_TOKENS:
        needed = fixed + num_runs * LEAST_TOKENS / rate
        raise LaunchError(
            f"--budget leaves {max(tokens, 0):,} tokens for each of {counted(num_runs, 'run')}, "
            "too few to "
            f"learn from. Give it about {needed + 15:.0f} s, or fewer --runs."
        )
    # Rounded, so that the same budget on the same machine means the same swarm.
    rounded = min(int(float(f"{tokens:.1e}")), MOST_TOKENS)
    return replace(plan, max_tokens=rounded)


def _ladder_runs(plan: _QuickstartPlan) -> int:
    """Return how many runs of the swarm take as long as the ladder, at most."""
    from olmix.records.fit.ladder import LADDER_SEEDS, ladder_work
    from olmix.verify import read_scales

    if not plan.scales:
        return 0
    # The verification has trained the base's size already, if it had the same seeds.
    known = 1 if plan.seeds == LADDER_SEEDS else None
    return ladder_work(scale for scale in read_scales(plan.scales) if scale != known)


def _write_configs(plan: _QuickstartPlan, texts: _ExampleTexts, only: str = "") -> None:
    """Write the configs that the commands read, or one of them; those that were edited are kept."""
    study = Study(
        "quickstart",
        texts.data_config(plan.work),
        texts.trained,
        texts.validation(plan.work),
        target=plan.target,
        runs=plan.first_runs,
        tokens=plan.max_tokens,
        seed=plan.seed,
        passes=max(4.0, float(-(-2 * plan.max_tokens // texts.tokens))),
    )
    for name, text in study_configs(study).items():
        if name == only or not only:
            _write(plan.work / name, text)


def _write(path: Path, text: str) -> None:
    """Write a config, unless it is no longer what quickstart wrote."""
    from olmix.text.files import digest, write_text

    mark = "# Written by `olmix quickstart`, checksum "
    if path.exists():
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
        if first != f"{mark}{digest(rest)}":
            click.echo(f"warning: {path} was edited and is kept; remove it to start over", err=True)
            return
    rest = f"# Edit it freely: an edited file is kept.\n{text}"
    write_text(path, f"{mark}{digest(rest)}\n{rest}")


def _run_loop(plan: _QuickstartPlan, commands: _Commands) -> None:
    from olmix.records.fit.ladder import LADDER_SEEDS
    from olmix.report import write_report

    work = plan.work
    launch, runs, fits = str(work / "launch.yaml"), str(work / "runs"), work / "fit"
    generation, variants = str(work / "generation.yaml"), str(plan.variants)
    commands.run("priors", "compute", "-c", generation, "-o", str(work / "priors.yaml"))
    groups: list[str] = []
    for index in range(plan.rounds):
        folder, words = variants, ["generate", "-c", generation, "--base", launch]
        if index:
            folder = f"{variants}-round-{index + 1}"
            # By its own name: the latest fit of an earlier start is that of the last round.
            after = str(resolved(fits / "latest"))
            words += ["--after", after, "-n", str(plan.later_runs)]
        commands.run(*words, "-o", folder)
        # Later rounds know how fast the runs of this machine were.
        known = [] if index else ["--tokens-per-second", f"{_measured(work / 'speed.json'):.0f}"]
        commands.run("launch", "run", "-v", folder, "-o", runs, *known, "--yes")
        commands.ends = _end_of(plan, index, commands.last_s)
        groups.append(str(work / "runs" / _group(Path(folder))))
        commands.run("collect", *groups, "-o", str(work / "results"))
        # Figures of a fit that places the next round take longer than the fit.
        drawn = [] if index == plan.rounds - 1 else ["--no-plots"]
        commands.run("fit", "-c", str(work / "fit.yaml"), "-o", str(fits), *drawn)
    words = ["--fit", str(fits / "latest"), "-c", launch, "-o", runs, "--yes"]
    commands.run("verify", *words, "--seeds", str(plan.seeds))
    if plan.scales:
        commands.run("verify", *words, "--seeds", str(LADDER_SEEDS), "--scales", plan.scales)
    # Only here is it known which commands led to the fit.
    write_report(resolved(fits / "latest"), runs=Path(groups[0]), commands=commands.lines)


def _end_of(plan: _QuickstartPlan, index: int, seconds: float) -> float | None:
    """Return when the loop ends, by the seconds that the runs of a round took.

    `None` where they took none, as those of an earlier start do.
    """
    trained = plan.later_runs if index else plan.first_runs
    if seconds < trained * _LEAST_RUN_S:
        return None
    rounds = plan.rounds - 1 - index
    runs = rounds * plan.later_runs + NUM_MIXTURES * plan.seeds + _ladder_runs(plan)
    return time.monotonic() + runs * seconds / trained + (rounds + 1) * ROUND_S


def _group(variants: Path) -> str:
    """Return the group id in the names of variant files, NAME-GROUP-0000.yaml."""
    first = min(path.stem for path in variants.glob("*.yaml"))
    return first.rsplit("-", 2)[1]


class _Commands:
    """Prints and runs commands, and remembers how long each took."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ends: float | None = None
        """When the loop ends, by the clock of `time.monotonic`; told beside each command."""
        self.last_s = 0.0
        """Seconds that the last command took."""
        self._seconds: dict[str, float] = {}

    def run(self, *words: str) -> None:
        """Print a command and run it.

        Raises:
            LaunchError: it ended with a status other than 0.
        """
        from olmix.cli.main import cli

        line = shell_line(["olmix", *words])
        self.lines.append(line)
        left = self._left() if words[0] in ("fit", "verify") else ""
        click.echo(click.style(f"\n$ {line}", bold=True) + click.style(left, dim=True), err=True)
        started = time.monotonic()
        status = cli.main(list(words), standalone_mode=False)
        is_group = isinstance(cli.get_command(click.Context(cli), words[0]), click.Group)
        name = " ".join(words[: 2 if is_group else 1])
        self._seconds[name] = self.last_s = round(time.monotonic() - started, 2)
        if isinstance(status, int) and status:
            raise LaunchError(
                f"`{line}` ended with status {status}; see above. "
                "Run quickstart again to pick up from there."
            )

    def _left(self) -> str:
        """Return the time left as a comment behind a command."""
        from olmix.text.numbers import duration

        left = 0.0 if self.ends is None else self.ends - time.monotonic()
        return f"  # about {duration(left)} left" if left >= 1 else ""

    def write_times(self, path: Path) -> None:
        """Write the seconds of every command; `benchmarks/stages.py` shows them."""
        from olmix.text.files import write_json

        write_json(path, self._seconds)
