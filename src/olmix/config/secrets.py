"""Secrets in text: configs, commands and metadata are written to files and must hold none.

A value is judged by the name that it is given to (`--api-key VALUE`, `WANDB_API_KEY=VALUE`,
`trainer.api_key=VALUE`, a variable of Beaker's `env`, `?sig=VALUE` in a URL), always by one rule:

- what refers to something (`$NAME`, `env:NAME`, a path), a number, or a placeholder is no secret;
- anything else is one where the name says so (API keys, passwords, tokens of known services);
- names that end in `key` or `token` say little (`--sort-key`, `EOS_TOKEN`): there a value is a
  secret only if it looks drawn at random.

Without a name, keys of well-known services are known by their shape, and so are credentials in
URLs and `Authorization` headers. What is said of a secret never holds its value. A refusal has no
way round, so in doubt a text passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationInfo

from olmix.config.base import Rules, is_kept

__all__ = ["SECRET_ADVICE", "find_secrets", "judge", "redact", "refuse_secrets"]

SECRET_ADVICE = (
    "This file is copied to run folders and trackers, and commands are seen in process lists: set "
    "it in the environment of the launcher (Beaker: infra.env_secrets), and let the run read it "
    "there. References are taken: $NAME (of a shell, as in bash -c '...'), or the path of a file"
)

HIDDEN = "***"
"""What stands in the place of a secret."""

_SERVICES = "HF|HUB|HUGGING_?FACE|GITHUB|GH|GITLAB|BEAKER|WANDB|SLACK|OPENAI|ANTHROPIC|NEPTUNE"
_SURE = re.compile(
    r"(?!(NO|USE|ASK|REQUIRE)_(?!AUTH_TOKEN))"  # switches, such as `--no-password`
    r"((.*_)?(API_?KEY|(ACCESS|SECRET|AUTH|PRIVATE)_?KEY|ACCESS_KEY_ID|CLIENT_?SECRET"
    r"|(API|ACCESS|AUTH|BEARER|REFRESH|SESSION|PRIVATE)_?TOKEN|(GITHUB|GH|GITLAB)_PAT"
    rf"|({_SERVICES})_?TOKEN|(KAGGLE|WANDB|OPENAI|ANTHROPIC)_?KEY)"
    r"|.*(PASSWORD|PASSWD|PASSPHRASE))",
    re.IGNORECASE,
)
"""Names of secrets, with any value."""
_PERHAPS = re.compile(r"(.*_)?(KEY|TOKEN|SECRET|CREDENTIALS?|PAT)(_ID)?", re.IGNORECASE)
"""Names of secrets, if their value looks drawn at random."""
_SIGNATURE = re.compile(r"SIG|(.*_)?SIGNATURE|X_AMZ_SECURITY_TOKEN", re.IGNORECASE)
"""Names in URLs that open what the URL points to."""

_REFERENCE = r"\$\([^)]*\)|`[^`]*`|\$?\{+[^{}]*\}+"
_HARMLESS = re.compile(
    # References and what stands between them: `$USER:$PASSWORD`.
    rf"((bearer|basic)\s+)?(?:{_REFERENCE}|\$\w+|<[^<>]*>|%\w+%|[^A-Za-z0-9])*+"
    r"|(env|file|vault|secret|os\.environ)[:/]\S+|[a-z][a-z0-9+.-]*://\S*"
    # Paths.
    r"|(\.{0,2}|~)/.*|(?-i:[a-z0-9_.-]+(/[a-z0-9_.-]+)+)"
    r"|.*\.(json|ya?ml|toml|txt|pem|key|env|cfg|ini|csv|pub|py|sh)"
    # Numbers and switches.
    r"|[+-]?[\d._]+(e-?\d+)?|true|false|yes|no|on|off|auto|required|optional"
    # Placeholders.
    r"|none|null|nil|n/?a|empty|default|dummy|fake|test|local|unused|placeholder|change_?me"
    r"|example|hidden|redacted|not[-_ ]\w+|(sk-)?no[-_]key[\w-]*"
    r"|your[-_ ].*|(\w+[-_])?x{3,}|.*\.{3}"
    # Code that gets a value: `os.environ[...]`, `getpass()`, `args.key`.
    r"|[a-z_][\w.]*[\[(].*|[a-z_]+(\.[a-z_]+)+",
    re.IGNORECASE | re.DOTALL,
)

_GIVEN = re.compile(
    r"(?<![\w./?&-])(?:--?(?P<option>[A-Za-z][\w.-]*)(?:=|[ \t]+(?:\\\n\s*)?(?!-))"
    r"|(?P<variable>[A-Za-z_][\w.-]*)=(?!=))"
    rf"""(?=\\*(?P<value>"[^"]*"|'[^']*'|(?:{_REFERENCE}|[^\s"';|&])+))"""
)
_SHAPE = re.compile(
    r"\b(?P<value>hf_[A-Za-z0-9]{30,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}"
    r"|glpat-[\w-]{20,}|xox[abp]-[\w-]{20,}|AKIA[0-9A-Z]{16}"
    r"|(?<![\w-])sk-(?:ant-api\d\d-[\w-]{40,}|[\w-]+T3BlbkFJ[\w-]+"
    r"|(?:proj-)?(?=[A-Za-z]*\d)[A-Za-z0-9]{20,}(?![\w-])))(?!\w)"
)
_USER = re.compile(
    r"(?<![A-Za-z0-9+.-])(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<user>[^\s/:@]*)(?::(?P<password>[^\s/@]*))?@"
)
_QUERY = re.compile(r"[?&](?P<name>[\w-]+)=(?P<value>[^&#\s\"']+)")
_HEADER = re.compile(
    r"(?P<name>Authorization)[\"']?\s*[:=]\s*[\"']?(?:Bearer|Basic|Token)\s+"
    rf"(?P<value>(?:{_REFERENCE}|[^\s\"'])+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Span:
    """Where a secret stands in a text, what it goes by, and why it counts as one."""

    start: int
    end: int
    what: str
    why: str


def judge(name: str, value: str, *, in_url: bool = False) -> str | None:
    """Return why a value that is given to a name is a secret; `None` if it is none.

    Args:
        name: of a variable, an option without dashes, or a parameter.
        value: all of what is given to it.
        in_url: whether it is a parameter of a URL.
    """
    if _HARMLESS.fullmatch(value):
        return None
    name = re.sub(r"[.-]", "_", name)
    if _SURE.fullmatch(name) or (in_url and _SIGNATURE.fullmatch(name)):
        # `api_key=api_key`, `--api-key WANDB_API_KEY`: the name of one stands for it.
        return None if _is_name(value) else "its name"
    return "its shape" if _PERHAPS.fullmatch(name) and _is_random(value) else None


def find_secrets(text: str) -> tuple[str, ...]:
    """Say of each secret in a text what it is and why, but never its value."""
    return _say(_spans(text))


def redact(words: Sequence[str]) -> list[str]:
    """Return the words of a command with stars in place of secrets."""
    shown = []
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        shown.append(_redact_word(word, before))
    return shown


def refuse_secrets(
    rules: Rules,
    info: ValidationInfo,
    plain: Any,
    *where: str | int,
    only_urls: bool = False,
) -> None:
    """Note every secret in the texts of a section as a broken rule.

    What a launch has written is not refused: it must stay readable whatever the rules are today.

    Args:
        rules: takes what is found.
        info: of the validation; tells who wrote the section.
        plain: mappings, lists and texts.
        where: path of keys to them.
        only_urls: whether to look at URLs alone: folders of data sets may be named `key=value`.
    """
    if is_kept(info):
        return
    if isinstance(plain, Mapping):
        for key, value in plain.items():
            refuse_secrets(rules, info, value, *where, key, only_urls=only_urls)
    elif isinstance(plain, list | tuple):
        for index, value in enumerate(plain):
            refuse_secrets(rules, info, value, *where, index, only_urls=only_urls)
    elif isinstance(plain, str):
        for said in _say(_in_urls(plain) if only_urls else _spans(plain)):
            rules.broken(f"{said}. {SECRET_ADVICE}", *where)


def _say(spans: Iterator[_Span]) -> tuple[str, ...]:
    said = {span.what: f"{span.what} looks like a secret ({span.why})" for span in spans}
    return tuple(said.values())


def _redact_word(word: str, before: str) -> str:
    """Hide the secrets of one word; no shell splits it, so a value goes to the word's end."""
    option = re.fullmatch(r"--?([A-Za-z][\w.-]*)", before)
    if option is not None and not word.startswith("-") and judge(option[1], word):
        return HIDDEN
    name, equals, value = word.partition("=")
    if equals and re.fullmatch(r"-{0,2}[A-Za-z_][\w.-]*", name) and judge(name.strip("-"), value):
        return f"{name}={HIDDEN}"
    for span in sorted(_spans(word), key=lambda span: span.start, reverse=True):
        word = word[: span.start] + HIDDEN + word[span.end :]
    return word


def _spans(text: str) -> Iterator[_Span]:
    """Yield every secret in a text; none overlap."""
    taken: list[_Span] = []
    for span in (*_in_urls(text), *_in_headers(text), *_given(text), *_shapes(text)):
        if all(span.end <= other.start or span.start >= other.end for other in taken):
            taken.append(span)
            yield span


def _given(text: str) -> Iterator[_Span]:
    for match in _GIVEN.finditer(text):
        option, variable, value = match["option"], match["variable"], match["value"]
        start, end = match.span("value")
        if value[0] in "\"'":
            start, end, value = start + 1, end - 1, value[1:-1]
        why = judge(option or variable, value)
        if why is not None:
            yield _Span(start, end, f"--{option}" if option else f"{variable}=", why)


def _in_urls(text: str) -> Iterator[_Span]:
    for match in _USER.finditer(text):
        password = match["password"]
        if password and not _HARMLESS.fullmatch(password):
            what = f"the password in {match['scheme']}://"
            yield _Span(*match.span("password"), what, "its place")
        if _is_random(match["user"]):
            yield _Span(*match.span("user"), f"the user in {match['scheme']}://", "its shape")
    for match in _QUERY.finditer(text):
        why = judge(match["name"], match["value"], in_url=True)
        if why is not None:
            yield _Span(*match.span("value"), f"{match['name']}= in a URL", why)


def _in_headers(text: str) -> Iterator[_Span]:
    for match in _HEADER.finditer(text):
        if not _HARMLESS.fullmatch(match["value"]):
            yield _Span(*match.span("value"), "Authorization", "its name")


def _shapes(text: str) -> Iterator[_Span]:
    for match in _SHAPE.finditer(text):
        what = f"a value that starts with {match['value'][:3]}"
        yield _Span(*match.span("value"), what, "its shape")


def _is_name(value: str) -> bool:
    word = value.replace("-", "_")
    named = _SURE.fullmatch(word) or _PERHAPS.fullmatch(word)
    return named is not None and re.fullmatch(r"[A-Za-z_]+", word) is not None


def _is_random(value: str) -> bool:
    """Whether a value looks drawn at random.

    Then 20 letters and digits stand in a row, with digits in three places, and without five
    letters of one case side by side, as words have them. Dates and names of runs are no such rows.
    """
    return any(
        len(re.findall(r"\d+", row)) >= 3 and not re.search(r"[a-z]{5}|[A-Z]{5}", row)
        for row in re.findall(r"[A-Za-z0-9]{20,}", value)
    )
