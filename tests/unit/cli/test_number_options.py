"""Options that are numbers, of every command."""

import click
import pytest

from olmix.cli.main import cli
from olmix.cli.options import FiniteNumber, WholeNumber


def options(command, words=()):
    """Yield every option with the words of its command."""
    context = click.Context(command)
    for parameter in command.params:
        yield (*words, parameter.opts[0]), parameter
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from options(command.get_command(context, name), (*words, name))


def test_no_option_takes_nan_or_infinity():
    numbers = {
        words: option.type
        for words, option in options(cli)
        if isinstance(option.type, click.FloatRange | click.types.FloatParamType)
    }
    assert ("plan", "--flops") in numbers
    assert [words for words, kind in numbers.items() if not isinstance(kind, FiniteNumber)] == []


@pytest.mark.parametrize("text", ["nan", "inf", "1e400", "0.5", "-1", "much", "1Z", ""])
def test_what_is_no_finite_number_in_the_range_is_refused(text):
    with pytest.raises(click.BadParameter):
        FiniteNumber(1).convert(text, None, None)


@pytest.mark.parametrize(("text", "number"), [("7B", 7e9), ("1.5T", 1.5e12), ("6e18", 6e18)])
def test_sizes_are_read_as_configs_read_them(text, number):
    assert FiniteNumber(1).convert(text, None, None) == number


@pytest.mark.parametrize(("text", "number"), [("60000", 60_000), ("60K", 60_000), ("1e5", 100_000)])
def test_whole_numbers_are_read_as_sizes_too(text, number):
    assert WholeNumber(1).convert(text, None, None) == number


@pytest.mark.parametrize("text", ["1.5", "many", "nan", "0"])
def test_what_is_no_whole_number_in_the_range_is_refused(text):
    with pytest.raises(click.BadParameter):
        WholeNumber(1).convert(text, None, None)
