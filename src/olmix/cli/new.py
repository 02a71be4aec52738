"""`olmix new`: the configs of a study, with a comment above every key."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmix.cli.options import path_option
from olmix.cli.terminal import done, shell_line
from olmix.domains import bits_per_byte_of
from olmix.errors import DataError

if TYPE_CHECKING:
    from olmix.config.base import Section

__all__ = ["new"]

_RUN_TOKENS = 160_000
_VARIANTS_PER_DOMAIN = 4
_HELD_OUT_FILES = (
    "# copy the tokenizer.json that made the tokens here, and held-out token files of each domain "
    "to validation/, as eval.paths of launch.yaml says"
)
_TOKEN_FILES = (".npy", ".bin", ".parquet", ".ds")


@dataclass(frozen=True)
class _Study:
    """What a study starts from.

    Attributes:
        name: of the study.
        data: the `data` section, paths relative to the configs.
        domains: what is trained on.
        validation: validation files by name.
        commands: what comes before the first config is read.
    """

    name: str
    data: Mapping[str, object]
    domains: tuple[str, ...]
    validation: Mapping[str, Sequence[str]]
    commands: tuple[str, ...]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@path_option("--data", about="Your texts: one subfolder a domain.")
@path_option("--tokens", about="Your token files: one subfolder a domain.")
@click.option(
    "--csv",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="RATIOS METRICS",
    help="The two tables of a swarm that was trained elsewhere.",
)
def new(
    folder: Path, data: Path | None, tokens: Path | None, csv: tuple[Path, Path] | None
) -> None:
    """Write the configs of a study into FOLDER, every key explained, and say what to run next.

    Without options it is about the texts that are already on this disk, as `olmix quickstart` is.
    """
    given = [one for one in (data, tokens, csv) if one is not None]
    if len(given) > 1:
        raise click.UsageError("give one of --data, --tokens and --csv")
    if csv is not None:
        files, commands = _from_tables(folder, *csv)
    else:
        study = _from_texts(folder, data) if tokens is None else _from_tokens(folder, tokens)
        files, commands = _configs(study), _commands(study)
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
        raise DataError(
            f"{folder}: {', '.join(there)} is there already, and is not replaced; name another "
            "folder"
        )


def _from_texts(folder: Path, texts: Path | None) -> _Study:
    """Return a study on texts, whose token files `olmix prepare` is going to write."""
    from olmix.prepare.corpora import CORPORA, HELD_OUT
    from olmix.prepare.folder import list_domains

    held_out: tuple[str, ...] = ()
    if texts is None:
        names = tuple(corpus.name for corpus in CORPORA if corpus.name != HELD_OUT)
        held_out = (HELD_OUT,)
        words = ["olmix", "prepare", "-o", "data"]
    else:
        names = tuple(domain.name for domain in list_domains(texts))
        words = ["olmix", "prepare", "--texts", os.path.relpath(texts, folder), "-o", "data"]
    sources = [{"name": name, "paths": [f"data/train/{name}/*.bin"]} for name in names]
    return _Study(
        folder.resolve().name,
        {"dtype": "uint16", "tokenizer": "data/tokenizer.json", "sources": sources},
        names,
        {name: [f"data/validation/{name}.bin"] for name in (*names, *held_out)},
        (shell_line(words),),
    )


def _from_tokens(folder: Path, tokens: Path) -> _Study:
    """Return a study on token files that are there.

    Raises:
        DataError: there are no subfolders with token files.
    """
    if not tokens.is_dir():
        raise DataError(f"{tokens}: there is no such folder; one subfolder per domain is needed")
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
            "two or more are needed, one a domain"
        )
    data = {"dtype": "uint16", "tokenizer": "tokenizer.json", "sources": sources}
    names = tuple(str(source["name"]) for source in sources)
    return _Study(folder.resolve().name, data, names, validation, (_HELD_OUT_FILES,))


def _configs(study: _Study) -> dict[str, str]:
    """Return the three configs of a study, by the names of their files."""
    from olmix.config import FitConfig, GenerationConfig, LaunchConfig

    variants = max(_VARIANTS_PER_DOMAIN * len(study.domains), 16)
    generation = {
        "name": study.name,
        "data": study.data,
        "priors": "priors.yaml",
        "swarm": {
            "seed": 0,
            "variants": variants,
            "references": ["natural", "uniform"],
            "replicates": 1,
            "minimum_weight": 0.01,
            "repetition_factor": 4.0,
        },
        "max_tokens": _RUN_TOKENS,
    }
    launch = {
        "name": study.name,
        "infra": {"backend": "local"},
        "training": {"trainer": "proxy", "max_tokens": _RUN_TOKENS, "seed": 0},
        "data": study.data,
        "eval": {"type": "validation", "paths": study.validation},
    }
    metrics = [bits_per_byte_of(name) for name in study.validation]
    fit = _fit_plain("results/ratios.csv", "results/metrics.csv", "priors.yaml", metrics, {})
    counts = {"token_counts": dict.fromkeys(study.domains, _RUN_TOKENS)}
    return {
        "generation.yaml": _text(
            GenerationConfig.from_dict({**generation, "priors": counts}),
            generation,
            "How the mixtures are sampled: `olmix generate` reads this.",
        ),
        "launch.yaml": _text(
            LaunchConfig.from_dict(launch),
            launch,
            "How a run is trained: `olmix generate --base` and `olmix verify` read this.",
        ),
        "fit.yaml": _text(
            FitConfig.from_dict({**fit, "priors": counts}),
            fit,
            "What is fitted and proposed: `olmix fit` reads this.",
        ),
    }


def _fit_plain(
    ratios: str, metrics: str, priors: object, names: Sequence[str], lower: Mapping[str, bool]
) -> dict[str, object]:
    """Return a fit config that shows the keys that people change."""
    return {
        "swarm": {"ratios": ratios, "metrics": metrics},
        "priors": priors,
        "eval": {"type": "offline", "tasks": {"validation": list(names)}},
        "lower_is_better": dict(lower),
        "regression": {"type": "auto", "seed": 0},
        "proposer": {"type": "auto", "kl_reg": 0.05},
        "filtering": {"obj_weights": dict.fromkeys(names, 1.0)},
    }


def _from_tables(
    folder: Path, ratios: Path, metrics: Path
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the fit config of two tables, and the command that fits them."""
    from olmix.config import FitConfig
    from olmix.records.metric import lower_is_better_by_name, sort_names
    from olmix.text.csv import read_table

    domains = read_table(ratios).columns
    names = sort_names(read_table(metrics).columns).metrics
    told = {name: lower for name in names if (lower := lower_is_better_by_name(name)) is not None}
    places = [os.path.relpath(file, folder) for file in (ratios, metrics)]
    priors = {"token_counts": dict.fromkeys(domains, 1)}
    plain = _fit_plain(places[0], places[1], priors, names, told)
    head = (
        "What is fitted and proposed: `olmix fit` reads this.\n"
        "Give the tokens of each domain under priors.token_counts: they make the natural mixture."
    )
    text = _text(FitConfig.from_dict(plain), plain, head)
    return {"fit.yaml": text}, ("olmix fit -c fit.yaml -o fit",)


def _text(config: Section, plain: Mapping[str, object], purpose: str) -> str:
    from olmix.config.commented import render_commented

    head = "".join(f"# {line}\n" for line in purpose.splitlines())
    return f"{head}\n{render_commented(config, plain)}"


def _commands(study: _Study) -> tuple[str, ...]:
    """Return the commands of the loop, in order."""
    return (
        *study.commands,
        "olmix priors compute -c generation.yaml -o priors.yaml",
        "olmix generate -c generation.yaml --base launch.yaml -o variants",
        "olmix launch run -v variants",
        "olmix collect runs/* -o results",
        "olmix fit -c fit.yaml -o fit",
        "olmix verify --fit fit/latest -c launch.yaml",
    )
