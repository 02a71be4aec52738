"""Secrets in text: configs, commands and metadata are written to files and must hold none.

A value counts as a secret by the name that it is given to (``--api-key VALUE``,
``WANDB_API_KEY=VALUE``), by its shape (keys of well-known services), or as the password in a URL.
What is said of it never holds the value. References such as ``$WANDB_API_KEY``, placeholders,
paths, numbers and true or false are no secrets; neither are names such as ``--eos-token`` and
``--text-key``, unless their value looks drawn at random.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from olmix.config.base import Rules

__all__ = ["SECRET_ADVICE", "find_secrets", "is_secret_name", "redact", "refuse_secrets"]

SECRET_ADVICE = (
    "what stands here is written to files and seen in process lists. Set it in the environment "
    "of the launcher (Beaker: infra.env_secrets), and let the run read it there"
)

HIDDEN = "***"
"""What stands in the place of a secret."""

_VARIABLE = re.compile(
    r"(.*_)?(TOKEN|SECRET|PAT|CREDENTIALS?|(API|ACCESS|PRIVATE|SECRET)?_?KEY)(_ID)?"
    r"|.*(PASSWORD|PASSWD|PASSPHRASE)",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"(.*_)?(SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?"
    r"|(API|ACCESS|AUTH|BEARER|PRIVATE|SECRET|SESSION|HF|HUB|WANDB|BEAKER|KAGGLE|AWS|GITHUB|OPENAI)"
    r"_?(TOKEN|KEY))(_ID)?|TOKEN",
    re.IGNORECASE,
)
"""Of options fewer names are secrets: trainers have an `--eos_token` and a `--label_key`."""
_RANDOM_NAME = re.compile(r"(.*_)?(TOKEN|KEY)", re.IGNORECASE)
_RANDOM = re.compile(r"(?=(?:\D*\d){4})(?=.*[A-Za-z])[A-Za-z0-9+/=_.-]{20,}")
_SHORT_RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+/=_-]{6,}")

_GIVEN = re.compile(
    r"(?<![\w.-])(?:--?(?P<option>[A-Za-z][\w.-]*)(?:=|\s+)|(?P<variable>[A-Za-z_][\w.]*)=)"
    r"""(?=(?P<value>"[^"]*"|'[^']*'|[^\s"';|&]+))"""
)
_SHAPE = re.compile(
    r"\b(?P<value>hf_[A-Za-z0-9]{30,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}"
    r"|glpat-[\w-]{20,}|xox[abp]-[\w-]{20,}|AKIA[0-9A-Z]{16}"
    r"|sk-(?:proj-|ant-\w+-)?(?=\w*\d)\w{20,})\b"
)
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://[^\s/:@]*:(?P<value>[^\s/@]+)@")
_REFERENCE = re.compile(r"[-$`<%{]|[^$]*\$[A-Za-z_{(]")
_HARMLESS = re.compile(
    r"[+-]?[\d._]+(e-?\d+)?|true|false|none|null|yes|no|on|off|auto"
    r"|(\.{0,2}|~)/.*|.*\.(json|ya?ml|toml|txt|pem|key|env|cfg|ini|csv|pub)",
    re.IGNORECASE,
)
_QUERY = re.compile(r"[?&](?P<name>[\w-]+)=(?P<value>[^&\s]+)")
_STARS = re.compile(r"\**")


def is_secret_name(name: str) -> bool:
    """Whether an environment variable of this name holds a secret, as its name has it."""
    return _VARIABLE.fullmatch(name) is not None


def find_secrets(text: str) -> tuple[str, ...]:
    """Return what in a text is a secret: the names that it goes by, never the value."""
    return tuple(dict.fromkeys(what for _, _, what in _spans(text)))


def redact(words: Sequence[str]) -> list[str]:
    """Return the words of a command with stars in place of secrets."""
    shown = []
    for index, word in enumerate(words):
        hidden = word
        for start, end, _ in sorted(_spans(word), reverse=True):
            hidden = hidden[:start] + HIDDEN + hidden[end:]
        before = words[index - 1] if index else ""
        option = re.fullmatch(r"--?([A-Za-z][\w.-]*)", before)
        if option is not None and _is_secret(option[1], word, option=True):
            hidden = HIDDEN
        shown.append(hidden)
    return shown


def refuse_secrets(rules: Rules, plain: Any, *where: str | int, only_urls: bool = False) -> None:
    """Note every secret in the texts of a section as a broken rule.

    Args:
        rules: takes what is found.
        plain: mappings, lists and texts.
        where: path of keys to them.
        only_urls: whether to look at URLs alone: folders of data sets may be named `key=value`.
    """
    if isinstance(plain, Mapping):
        for key, value in plain.items():
            refuse_secrets(rules, value, *where, key, only_urls=only_urls)
    elif isinstance(plain, list | tuple):
        for index, value in enumerate(plain):
            refuse_secrets(rules, value, *where, index, only_urls=only_urls)
    elif isinstance(plain, str):
        spans = _in_urls(plain) if only_urls else _spans(plain)
        for what in dict.fromkeys(what for _, _, what in spans):
            rules.broken(f"{what} is a secret, and {SECRET_ADVICE}", *where)


def _spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start and end of every secret in a text, and what it goes by; none overlap."""
    taken: list[tuple[int, int]] = []
    for start, end, what in (*_in_urls(text), *_given(text), *_shapes(text)):
        if all(end <= first or start >= last for first, last in taken):
            taken.append((start, end))
            yield start, end, what


def _given(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _GIVEN.finditer(text):
        option, variable, value = match["option"], match["variable"], match["value"]
        start, end = match.span("value")
        if value[0] in "\"'":
            start, end, value = start + 1, end - 1, value[1:-1]
        # Overrides such as `trainer.text_key=text` are options; variables are in capitals.
        is_option = variable is None or variable != variable.upper()
        if _is_secret(option or variable, value, option=is_option):
            yield start, end, f"--{option}" if option is not None else f"{variable}="


def _in_urls(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _URL.finditer(text):
        if not (_REFERENCE.match(match["value"]) or _STARS.fullmatch(match["value"])):
            yield *match.span("value"), f"the password in {match['scheme']}://"
    for match in _QUERY.finditer(text if "://" in text else ""):
        if _is_secret(match["name"], match["value"], option=True):
            yield *match.span("value"), f"{match['name']}= in a URL"


def _shapes(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _SHAPE.finditer(text):
        yield *match.span("value"), f"a value that starts with {match['value'][:3]}"


def _is_secret(name: str, value: str, *, option: bool) -> bool:
    """Whether a value is a secret, by the name that it is given to."""
    if not value or _REFERENCE.match(value) or _STARS.fullmatch(value):
        return False
    if _HARMLESS.fullmatch(value):
        return False
    name = re.sub(r"[.-]", "_", name)
    if name.upper() == "KEY":  # of a sort, or of a mapping, as often as not
        return _SHORT_RANDOM.fullmatch(value) is not None
    if (_OPTION if option else _VARIABLE).fullmatch(name):
        return True
    return _RANDOM_NAME.fullmatch(name) is not None and _RANDOM.fullmatch(value) is not None
