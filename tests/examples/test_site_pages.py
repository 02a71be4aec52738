"""The commands of the site's pages: the tutorial and the recipes as a reader would type them."""

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from olmix.cli.main import cli
from olmix.text.yaml import parse_yaml, read_yaml, write_yaml
from patience import STUCK_S

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FITTED = ("code_bpb", "web_bpb")


def _blocks(page, language):
    """Return the code blocks of a page, in lists too."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, flags=re.M | re.S)
    return [re.sub(rf"^{indent}", "", block, flags=re.M) for indent, block in found]


def _merged(old, new):
    """Return a mapping with another one merged into it, section by section."""
    both = {
        key: _merged(old[key], new[key])
        for key in old.keys() & new.keys()
        if isinstance(old[key], dict) and isinstance(new[key], dict)
    }
    return {**old, **new, **both}


def _edit(file, changes):
    write_yaml(file, _merged(read_yaml(file).data, changes))


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A function that types lines into a shell with the `olmix` and `python` of the tests."""
    tools = tmp_path_factory.mktemp("tools")
    for name, words in (("olmix", "-m olmix"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"

    def run(lines, folder):
        done = subprocess.run(
            ["bash", "-e"],
            input=lines,
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=STUCK_S,
        )
        assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def study(shell, tmp_path_factory):
    """The folder of the tutorial once all its commands have run, on fewer and shorter runs."""
    home = tmp_path_factory.mktemp("tutorial")
    (home / "examples").symlink_to(ROOT / "examples")
    folder = home / "study"
    (changes,) = _blocks("tutorial.md", "yaml")
    for block in _blocks("tutorial.md", "bash"):
        said = shell(block, folder if folder.is_dir() else home)
        if "olmix new" in block:
            _edit(folder / "generation.yaml", {"swarm": {"variants": 14}, "max_tokens": 16384})
            # One process at a time: each compiles the trainer for itself.
            shorter = {
                "infra": {"workers": 1},
                "training": {"max_tokens": 16384},
                "eval": {"max_tokens": 2048},
            }
            _edit(folder / "launch.yaml", shorter)
            next_fit = parse_yaml(changes, "tutorial.md")
        if "olmix collect" in block:
            _edit(folder / "fit.yaml", next_fit)
            # Figures of five metrics would take longer than all the runs.
            fit = read_yaml(folder / "fit.yaml").data
            names = [
                name for name, weight in next_fit["filtering"]["obj_weights"].items() if weight
            ]
            fit["eval"]["tasks"] = {"validation": names}
            fit["filtering"] = {"obj_weights": dict.fromkeys(names, 1.0)}
            write_yaml(folder / "fit.yaml", fit)
        if "olmix verify" in block:
            assert "Gain of the proposal over each (positive is better)" in said
    return folder


@pytest.mark.slow
def test_the_tutorial_goes_from_a_folder_of_texts_to_a_mixture_for_a_trainer(study):
    assert (study / "fit/latest/verification.json").is_file()
    assert len(read_yaml(study / "mixture.yaml").data["source_list"]["sources"]) > 1
    assert len(list((study / "round2").glob("*.yaml"))) == 8


@pytest.mark.slow
def test_the_recipes_work_in_the_folder_of_a_study(study, shell, tmp_path):
    folder = shutil.copytree(study, tmp_path / "study", symlinks=True)
    blocks = _blocks("recipes.md", "bash")
    assert len(blocks) >= 6
    launch = read_yaml(folder / "launch.yaml").data
    # Fits draw figures of every metric: two are enough here.
    with (folder / "results/metrics.csv").open(newline="") as file:
        metrics = list(csv.reader(file))
    kept = [metrics[0].index(name) for name in ("run", *FITTED)]
    with (folder / "results/metrics.csv").open("w", newline="") as file:
        csv.writer(file).writerows([row[column] for column in kept] for row in metrics)
    for block in blocks:
        # Each worker compiles the trainer; SLURM has none.
        workers = {} if "slurm" in block else {"workers": 1}
        infra = {"backend": "local", **workers}
        write_yaml(folder / "launch.yaml", {**launch, "infra": infra})
        shell(block, folder)
    assert "mine" in (folder / "check/results/metrics.csv").read_text()
    assert (folder / "predictions.csv").is_file()
    assert len(list((folder / "from_tables/fit").glob("*/report.html"))) == 2  # with `latest`


def _found(words):
    """Return the command of a line with what is left of it."""
    # Commands keep the first help option that they are asked for.
    context, found = click.Context(cli, **cli.context_settings), cli
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        found = found.get_command(context, words[0])
        assert found is not None, words[0]
        words = words[1:]
    return found, words, context


@pytest.mark.parametrize("page", sorted(file.name for file in DOCS.glob("*.md")))
def test_every_command_of_every_page_is_understood(page):
    blocks = [block for kind in ("bash", "text", "") for block in _blocks(page, kind)]
    lines = [line for block in blocks for line in re.sub(r"\\\n *", " ", block).splitlines()]
    for line in lines:
        if line.startswith("olmix ") and "[" not in line:
            found, words, context = _found(shlex.split(line, comments=True)[1:])
            try:
                found.make_context("olmix", words, parent=context)
            except click.UsageError as error:
                pytest.fail(f"{page}: {line}: {error.format_message()}")
            except click.exceptions.Exit:
                pass  # --help
    if page == "coming_from.md":
        return  # it names commands of other projects
    # In a sentence a command may be named in part, but each of its options is one.
    for line in re.findall(r"`olmix ([^`]+)`", (DOCS / page).read_text(encoding="utf-8")):
        found, words, _ = _found(re.findall(r"[^\s\[\]]+", line))
        known = {name for option in found.params for name in (*option.opts, *option.secondary_opts)}
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= {*known, "--help", "-h"}, f"{page}: {line}: {given - known}"
