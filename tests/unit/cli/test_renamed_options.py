"""Options that had another name: the old one works and is not shown."""

import click
import pytest

from olmix.cli.main import cli

RENAMED = [
    ("fit", "--output", "--output-dir"),
    ("sweep generate", "--output", "--output-dir"),
    ("prepare", "--data", "--texts"),
    ("generate", "--larger", "--scales"),
    ("quickstart", "--max-tokens", "--tokens"),
    *((f"launch {name}", "--group", "--group-id") for name in ("run", "status", "cancel", "logs")),
]


def find(words):
    command, context = cli, click.Context(cli)
    for word in words.split():
        command = command.get_command(context, word)
    return command, click.Context(command, info_name=words)


@pytest.mark.parametrize(("words", "new", "old"), RENAMED)
def test_the_old_name_means_the_same_and_is_not_shown(words, new, old):
    command, context = find(words)
    values = [
        command.make_parser(context).parse_args([name, "x", "y", "z"])[0] for name in (new, old)
    ]
    assert values[0] == values[1]
    assert "x" in values[0].values()
    text = command.get_help(context)
    assert f"{new} " in text
    assert f"{old} " not in text


def test_an_error_names_the_option_as_it_is_called_now():
    command, _ = find("fit")
    with pytest.raises(click.MissingParameter) as caught:
        command.make_context("fit", ["-c", "fit.yaml"])
    assert "'-o' / '--output'." in caught.value.format_message()
