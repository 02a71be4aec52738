"""`olmix new`: the configs of a study, with a comment above every key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from olmix.cli.options import path_option
from olmix.cli.study import AVERAGE, DEFAULT_RUNS, Study, fit_config, study_configs
from olmix.cli.terminal import done, shell_line
from olmix.errors import ConfigError, DataError, Problem, did_you_mean

__all__ = ["new"]

_RUNS_PER_DOMAIN = 4
_HELD_OUT_FILES = (
    "# copy the tokenizer.json that made the tokens here, and held-out token files of each domain "
    "to validation/, as eval.paths of launch.yaml says"
)
_TOKEN_FILES = (".npy", ".bin", ".parquet", ".ds")
_LOOP = (
    "olmix priors compute -c generation.yaml -o priors.yaml",
    "olmix generate -c generation.yaml --base launch.yaml -o variants",
    "olmix launch run -v variants",
    "olmix collect runs/* -o results",
    "olmix fit -c fit.yaml -o fit",
    "olmix verify --fit fit/latest -c launch.yaml",
)
"""Commands that follow the configs, in order."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@path_option("--data", about="Your texts: one subfolder per domain.")
@click.option(
    "--held-out",
    multiple=True,
    help="With --data: a domain to keep out of training; one alone is the target. Repeatable.",
)
@path_option("--tokens", about="Your token files: one subfolder per domain.")
@click.option(
    "--csv",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="RATIOS METRICS",
    help="The two tables of a swarm that was trained elsewhere.",
)
def new(
    folder: Path,
    data: Path | None,
    held_out: tuple[str, ...],
    tokens: Path | None,
    csv: tuple[Path, Path] | None,
) -> None:
    """Write the configs of a study into FOLDER, every key explained, and say what to run next.

    Without options it uses texts that are already on this disk, as `olmix quickstart` does.
    """
    given = [one for one in (data, tokens, csv) if one is not None]
    if len(given) > 1:
        raise click.UsageError("give only one of --data, --tokens and --csv")
    if held_out and data is None:
        raise click.UsageError("--held-out names domains of --data")
    if csv is not None:
        files, commands = _from_tables(folder, *csv)
    else:
        study, first = (
            _from_texts(folder, data, held_out) if tokens is None else _from_tokens(folder, tokens)
        )
        files, commands = study_configs(study), (first, *_LOOP)
    _refuse_existing(folder, files)
    from olmix.text.files import write_text

    for name, text in files.items():
        write_text(folder / name, text)
        click.echo(str(folder / name))
    done(f"next, in {folder}:\n" + "\n".join(f"  {command}" for command in commands))


def _refuse_existing(folder: Path, files: Mapping[str, str]) -> None:
    """Stop where a config would be replaced.

    Raises:
        DataError: names the files that are there.
    """
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise DataError(f"{folder}: it already holds {', '.join(there)}; choose another folder")


def _from_texts(folder: Path, texts: Path | None, held_out: tuple[str, ...]) -> tuple[Study, str]:
    """Return a study on texts, and the command that writes their token files.

    Raises:
        ConfigError: there is no such domain to hold out, or fewer than two are left.
    """
    from olmix.prepare.corpora import CORPORA, HELD_OUT
    from olmix.prepare.folder import list_domains

    if texts is None:
        names = tuple(corpus.name for corpus in CORPORA if corpus.name != HELD_OUT)
        held_out = (HELD_OUT,)
        words = ["olmix", "prepare", "-o", "data"]
    else:
        given = tuple(domain.name for domain in list_domains(texts))
        names = tuple(name for name in given if name not in held_out)
        _check_held_out(held_out, given, names)
        words = ["olmix", "prepare", "--data", os.path.relpath(texts, folder), "-o", "data"]
        words += [word for name in held_out for word in ("--held-out", name)]
    sources = [{"name": name, "paths": [f"data/train/{name}/*.bin"]} for name in names]
    data = {"dtype": "uint16", "tokenizer": "data/tokenizer.json", "sources": sources}
    validation = {name: [f"data/validation/{name}.bin"] for name in (*names, *held_out)}
    study = Study(
        folder.resolve().name,
        data,
        names,
        validation,
        target=held_out[0] if len(held_out) == 1 else AVERAGE,
        runs=_runs_for(names),
    )
    return study, shell_line(words)


def _check_held_out(
    held_out: tuple[str, ...], given: tuple[str, ...], trained: tuple[str, ...]
) -> None:
    for name in held_out:
        if name not in given:
            hint = did_you_mean(name, given)
            what = f"found {name}; allowed: {', '.join(given)}{hint}"
            raise ConfigError([Problem("--held-out", what)])
    if len(trained) < 2:
        raise ConfigError([Problem("--held-out", "at least two domains to train on are needed")])


def _runs_for(domains: tuple[str, ...]) -> int:
    """Return how many runs tell so many domains apart."""
    return max(DEFAULT_RUNS, _RUNS_PER_DOMAIN * (len(domains) + 1))


def _from_tokens(folder: Path, tokens: Path) -> tuple[Study, str]:
    """Return a study on token files that are there, and what to do first.

    Raises:
        DataError: there are no subfolders with token files.
    """
    if not tokens.is_dir():
        raise DataError(f"{tokens}: there is no such folder; give one with a subfolder per domain")
    sources, validation = [], {}
    for place in sorted(tokens.iterdir()):
        kinds = {file.suffix for file in place.rglob("*") if file.suffix in _TOKEN_FILES}
        if place.is_dir() and kinds:
            below = f"{os.path.relpath(place, folder)}/**/*"
            sources.append({"name": place.name, "paths": [below + kind for kind in sorted(kinds)]})
            validation[place.name] = [f"validation/{place.name}{min(kinds)}"]
    if len(sources) < 2:
        raise DataError(
            f"{tokens}: {len(sources)} subfolders hold token files ({', '.join(_TOKEN_FILES)}); "
            "at least two are needed, one per domain"
        )
    data = {"dtype": "uint16", "tokenizer": "tokenizer.json", "sources": sources}
    names = tuple(str(source["name"]) for source in sources)
    study = Study(folder.resolve().name, data, names, validation, runs=_runs_for(names))
    return study, _HELD_OUT_FILES


def _from_tables(
    folder: Path, ratios: Path, metrics: Path
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the fit config of two tables, and the command that fits them."""
    from olmix.fit.metrics import may_be_scores
    from olmix.fit.read_tables import not_joined, stop_at, wrong_rows
    from olmix.records.metric import lower_is_better_by_name, sort_names
    from olmix.text.csv import read_table

    mixtures, measured = read_table(ratios), read_table(metrics)
    domains, names = mixtures.columns, sort_names(measured.columns).metrics
    lower = {n: known for n in names if (known := lower_is_better_by_name(n)) is not None}
    stop_at([*not_joined(mixtures, measured), *wrong_rows(mixtures, domains)])
    text = fit_config(
        (os.path.relpath(ratios, folder), os.path.relpath(metrics, folder)),
        None,
        domains,
        dict.fromkeys(names, 1.0),
        lower=lower,
    )
    for warning in may_be_scores(measured, [name for name in names if name not in lower]):
        click.echo(f"warning: {warning}", err=True)
    click.echo(
        "warning: no token counts are known, so the uniform mixture stands in for the natural one; "
        "give them at the end of fit.yaml",
        err=True,
    )
    return {"fit.yaml": text}, ("olmix fit -c fit.yaml -o fit",)
