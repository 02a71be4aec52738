"""`olmix generate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from olmix.cli.options import path_option, together
from olmix.cli.terminal import done, progress, table

if TYPE_CHECKING:
    from olmix.config import GenerationConfig
    from olmix.generate import Diagnostics, EarlierFit, Generated

__all__ = ["generate"]

_ROUND = 8
"""Mixtures of a round after a fit where nothing says how many."""


@dataclass(frozen=True)
class _Asked:
    """The options of the command."""

    config: Path | None
    output: Path | None
    base: Path | None
    after: Path | None
    larger: Path | None
    num_variants: int | None
    allow_mixed: bool
    allow_pickle: bool
    plots: bool
    folder: Path | None
    as_json: bool
    strict: bool


@click.command()
@path_option("-c", "--config", about="Generation config; needed to sample, but with --after.")
@path_option("-o", "--output", about="Folder for the variants.")
@path_option(
    "--base",
    about="Launch config: makes each variant a complete config. Without it variants are bare "
    "(name and mix).",
)
@path_option(
    "--after",
    about="Fit folder, such as fit/latest, that places the next round of runs (swarm.after). "
    "Without -c: bare variants within the limits of the fit, 8 unless -n says otherwise.",
)
@path_option(
    "--larger",
    old=("--scales",),
    about="Fit folder: choose mixtures of its swarm to train at a larger size (swarm.larger).",
)
@click.option(
    "-n",
    "--variants",
    "num_variants",
    type=click.IntRange(min=1),
    help="Number of sampled mixtures (swarm.variants); 8 with --larger.",
)
@click.option(
    "--allow-mixed", is_flag=True, help="Write into a folder that holds another group too."
)
@click.option(
    "--allow-pickle",
    is_flag=True,
    help="Read a pickled existing_mix_file; loading a pickle runs the code in it.",
)
@click.option(
    "--plots/--no-plots",
    default=True,
    help="Draw weights.png and histograms.png beside the variants (on where matplotlib is).",
)
@click.option(
    "--inspect",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Sample nothing; show what the swarm in DIR covers and what a fit could learn from it.",
)
@click.option("--json", "as_json", is_flag=True, help="With --inspect: print JSON.")
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse to extend a swarm or fit whose domains had different token files.",
)
@together(_Asked)
def generate(asked: _Asked) -> None:
    """Sample the mixtures of a swarm and write one file per variant.

    Beside the variants it writes swarm.csv (all weights), weights.png and histograms.png.
    """
    from olmix.config import LaunchConfig
    from olmix.generate import for_target
    from olmix.generate import generate as run

    generation, fit = _read(asked)
    if asked.folder is not None:
        _inspect(asked.folder, generation, asked.as_json)
        return
    if generation is None or asked.output is None:
        raise click.UsageError(
            "Missing option '-c' or '-o': both are needed to sample; --after FIT needs no '-c'."
        )
    _check_contents(generation, asked.strict)
    launch = LaunchConfig.from_yaml(asked.base) if asked.base is not None else None
    with progress("sampling") as show:
        made = run(
            generation,
            asked.output,
            launch,
            allow_mixed=asked.allow_mixed,
            allow_pickle=asked.allow_pickle,
            fit=fit or _earlier_fit(generation),
            on_progress=show,
        )
    generation = for_target(generation, launch)
    _show_swarm(generation, made)
    _show_passes(generation)
    if asked.plots:
        _draw(generation, made)
    kept = len(made.files) - made.num_new
    done(
        f"{len(made.files)} variants of group {made.group_id} in {asked.output}"
        + (f" ({kept} were there before)" if kept else "")
    )
    if asked.config is None:
        done(
            "train them with your own trainer, add their rows to the two tables (swarm.csv has the "
            "mixtures), and fit again"
        )


def _check_contents(generation: GenerationConfig, strict: bool) -> None:
    """Say which domains have other token files than the swarm that is extended had."""
    from olmix.errors import DataError
    from olmix.generate import changes_since

    changes = changes_since(generation)
    if strict and changes:
        raise DataError("\n".join(changes))
    for change in changes:
        click.echo(f"warning: {change}", err=True)


def _read(asked: _Asked) -> tuple[GenerationConfig | None, EarlierFit | None]:
    """Return the config, and the fit where the config is made of it.

    Raises:
        UsageError: `--base` needs to know where the files are, which a fit does not.
    """
    if asked.config is not None:
        return _configured(asked.config, asked), None
    if asked.after is None or asked.folder is not None:
        return None, None
    if asked.base is not None:
        raise click.UsageError("--base needs '-c': a fit does not say where the token files are.")
    from olmix.fit.saved_draws import load_draws
    from olmix.generate import generation_of

    draws = load_draws(asked.after)
    wanted = asked.num_variants or _ROUND
    return generation_of(draws.config, str(asked.after.absolute()), wanted), draws


def _configured(config: Path, asked: _Asked) -> GenerationConfig:
    """Return the config with what the command line says of the swarm."""
    from olmix.config import GenerationConfig

    generation = GenerationConfig.from_yaml(config)
    changes: dict[str, str | int] = {}
    if asked.larger is not None:
        from olmix.generate import NUM_LARGER

        changes |= {"larger": str(asked.larger.absolute()), "variants": NUM_LARGER}
    if asked.num_variants is not None:
        changes["variants"] = asked.num_variants
    if asked.after is not None:
        # The design of the config was that of the first round; now the fit chooses.
        changes |= {"after": str(asked.after.absolute()), "design": "dirichlet"}
    if not changes:
        return generation
    plain = generation.to_plain()
    return generation.from_dict({**plain, "swarm": {**plain["swarm"], **changes}}, str(config))


def _earlier_fit(generation: GenerationConfig) -> EarlierFit | None:
    """Return the fit that the config names, if it names one."""
    named = generation.swarm.after or generation.swarm.larger
    if named is None:
        return None
    from olmix.fit.saved_draws import load_draws

    return load_draws(named)


def _show_swarm(generation: GenerationConfig, made: Generated) -> None:
    """Print the range of each domain's weight, and what the swarm covers.

    Args:
        generation: the config.
        made: what was sampled.
    """
    from olmix.generate import diagnose
    from olmix.text.numbers import percent

    domains = generation.data.domains
    natural = generation.priors.natural(domains)
    weights = [variant.mix.weights(domains) for variant in made.variants]
    rows = []
    for index, name in enumerate(domains):
        column = sorted(float(row[index]) for row in weights)
        cells = (natural[index], column[0], column[len(column) // 2], column[-1])
        rows.append((name, *(percent(float(cell)) for cell in cells)))
    table("", ("domain", "natural", "least", "median", "most"), rows)
    tokens = generation.run_tokens
    found = diagnose([v.mix for v in made.variants], domains, tokens)
    passes = f"; at most {found.most_repetition:.2f} passes over a domain" if tokens else ""
    click.echo(
        f"{found.num_mixtures} distinct mixtures of {found.num_free} free domains, "
        f"rank {found.rank}; "
        f"nearest pair {found.least_distance:.3g}; D-efficiency {found.d_efficiency_linear:.3f}"
        f"{passes}",
        err=True,
    )
    swarm = generation.swarm
    if not (swarm.references or swarm.after or swarm.larger or swarm.augment):
        click.echo(
            "the natural and the uniform mixture are not among them; `swarm.references: "
            "[natural, uniform]` adds both, and improves fits",
            err=True,
        )


def _show_passes(generation: GenerationConfig) -> None:
    """Print what matched runs see of each domain, and what natural shares and caps mean there."""
    if generation.target_tokens is None:
        return
    import numpy as np

    from olmix.generate import build_constraints

    domains, target = generation.data.domains, generation.target_tokens
    counts = generation.priors.counts(domains)
    natural = generation.priors.natural(domains) * target / counts
    caps = build_constraints(generation).caps * target / counts
    left = np.ceil(counts * generation.max_tokens / target)
    rows = [
        (name, f"{counts[i]:,.0f}", f"{left[i]:,.0f}", f"{natural[i]:.2f}", f"{caps[i]:.2f}")
        for i, name in enumerate(domains)
    ]
    columns = ("domain", "tokens", "seen", "natural", "cap")
    table("\nMatched to the large run: tokens each run sees, and passes over them", columns, rows)


def _draw(generation: GenerationConfig, made: Generated) -> None:
    from olmix.errors import MissingPackageError, how_to_install
    from olmix.report.variant_pictures import draw_swarm

    domains = generation.data.domains
    weights = [variant.mix.weights(domains) for variant in made.variants]
    try:
        draw_swarm(made.folder, [file.stem for file in made.files], domains, weights)
    except MissingPackageError:
        hint = how_to_install("fit")
        click.echo(f"no pictures: matplotlib is not installed; {hint}", err=True)


def _inspect(folder: Path, generation: GenerationConfig | None, as_json: bool) -> None:
    from olmix.generate import inspect_folder

    found = inspect_folder(folder, generation)
    if as_json:
        import json

        click.echo(json.dumps(found.to_plain(), indent=2))
        return
    table("", ("what", "value"), _rows(found))
    repeated = {d: f for d, f in found.expected_repetition.items() if f > 1}
    if repeated:
        rows = [(name, f"{factor:.2f}") for name, factor in repeated.items()]
        table(
            "\nMean passes over the tokens of a domain, where above 1", ("domain", "passes"), rows
        )


def _rows(found: Diagnostics) -> list[tuple[str, str]]:
    needed = 3 * (found.num_free + 1)
    pinned = found.num_live - found.num_free
    unknown = "unknown (bare variants: give -c)"

    def count(value: Any, form: str) -> str:
        return unknown if value is None else format(value, form)

    return [
        ("runs", f"{found.num_runs}"),
        ("distinct mixtures K", f"{found.num_mixtures}"),
        ("live domains", f"{found.num_live} of {found.num_domains}"),
        ("free domains m", f"{found.num_free}" + (f", {pinned} pinned" if pinned else "")),
        ("rank", f"{found.rank}" + ("" if found.rank >= found.num_free else "  too low")),
        (
            "K >= 3 (m + 1)",
            ("yes" if found.enough else "no") + f": {found.num_mixtures} of {needed}",
        ),
        ("nearest two mixtures", f"{found.least_distance:.4f}"),
        ("median nearest neighbour", f"{found.median_distance:.4f}"),
        ("near-duplicates", f"{found.near_duplicates} pairs"),
        ("discrepancy", f"{found.discrepancy:.4f}"),
        ("D-efficiency, linear", f"{found.d_efficiency_linear:.4f}"),
        ("D-efficiency, log-linear", f"{found.d_efficiency_log_linear:.4f}"),
        ("most passes over a domain", f"{found.most_repetition:.2f}"),
        ("tokens of a run", count(found.tokens_per_run, ",")),
        ("tokens of all runs", count(found.total_tokens, ",")),
        (
            "FLOPs of all runs",
            "unknown" if found.total_flops is None else f"{found.total_flops:.3g}",
        ),
    ]
